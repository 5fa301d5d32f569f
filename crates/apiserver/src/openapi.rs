//! OpenAPI, made from the schema table, the kinds and the descriptions: v3 has one document for each group and version, v2 one for
//! all.
//!
//! A document is made when it is first asked for and then kept: its bytes depend on the program alone. `kubectl` reads from it what
//! `explain` prints, which patches a kind takes and whether the server validates fields.

mod document;
mod gnostic;
mod parts;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;
mod v2;

use std::collections::HashMap;
use std::sync::LazyLock;

use http::header;
use http::request::Parts;
use parking_lot::Mutex;
use serde_json::{Map, json};

use self::document::Document;
use self::parts::Frame;
use self::schemas::Schemas;
use crate::discovery;
use crate::http::{Response, full, respond};
use crate::options::Options;

const FRAME: Frame = Frame {
    start: "{\"openapi\":\"3.0.0\",\"info\":",
    paths: ",\"paths\":{",
    schemas: "},\"components\":{\"schemas\":{",
    end: "}}}",
};

static DOCUMENTS: LazyLock<Mutex<HashMap<String, Document>>> = LazyLock::new(Mutex::default);

/// Answers a path of OpenAPI; `None` for any other.
pub(crate) fn serve(parts: &Parts, path: &str, options: &Options) -> Option<Response> {
    match path {
        "/openapi/v2" => return Some(v2::serve(parts)),
        "/openapi/v3" => return Some(index()),
        _ => {}
    }
    let name = path.strip_prefix("/openapi/v3/")?;
    let Some(document) = document(name) else { return Some(nothing()) };
    if let Some(asked) = options.get("hash").filter(|asked| *asked != document.hash) {
        tracing::debug!(asked, "an old OpenAPI document was asked for");
        return Some(moved(name, &document.hash));
    }
    Some(answer(parts, &document, options.get("hash").is_some()))
}

/// The document that is about no kind but about the server.
const VERSION: &str = "version";

/// The names of all documents: `api/v1`, `apis/apps/v1`, `version`.
fn names() -> Vec<String> {
    let mut names = vec!["api/v1".to_owned()];
    for group in discovery::groups() {
        names.extend(
            discovery::versions(group).into_iter().map(|version| format!("apis/{group}/{version}")),
        );
    }
    names.push(VERSION.to_owned());
    names
}

/// Upstream says nothing about a document that it does not have, not even of which type.
fn nothing() -> Response {
    let mut response = http::Response::new(full(""));
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}

fn index() -> Response {
    let mut paths = Map::new();
    for name in names() {
        let Some(document) = document(&name) else { continue };
        let url = format!("/openapi/v3/{name}?hash={}", document.hash);
        paths.insert(name, json!({"serverRelativeURL": url}));
    }
    let bytes = serde_json::to_vec(&json!({"paths": paths})).unwrap_or_default();
    respond(200, bytes, "text/plain; charset=utf-8", false)
}

fn moved(name: &str, hash: &str) -> Response {
    let mut response = respond(301, Vec::new(), "text/plain; charset=utf-8", false);
    if let Ok(location) = http::HeaderValue::from_str(&format!("/openapi/v3/{name}?hash={hash}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn answer(parts: &Parts, document: &Document, is_addressed: bool) -> Response {
    let mut response = document.answer(parts, "application/json");
    if is_addressed {
        // What this address leads to never changes.
        let forever = http::HeaderValue::from_static("public, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, forever);
    }
    response
}

fn document(name: &str) -> Option<Document> {
    if let Some(document) = DOCUMENTS.lock().get(name) {
        return Some(document.clone());
    }
    let document = match name.split('/').collect::<Vec<_>>().as_slice() {
        ["api", version] => of_kinds("", version)?,
        ["apis", group, version] => of_kinds(group, version)?,
        [VERSION] => of_version(),
        _ => return None,
    };
    DOCUMENTS.lock().insert(name.to_owned(), document.clone());
    Some(document)
}

fn of_kinds(group: &str, version: &str) -> Option<Document> {
    let kinds = discovery::kinds_of(group, version);
    if kinds.is_empty() {
        return None;
    }
    let same = |_, part| part;
    Some(Document::pack(|packer| parts::write_json(packer, &FRAME, &kinds, same)))
}

fn of_version() -> Document {
    let mut schemas = Schemas::default();
    let paths = json!({"/version/": paths::version(&mut schemas)});
    let document = json!({
        "openapi": "3.0.0",
        "info": parts::info(),
        "paths": paths,
        "components": {"schemas": schemas.collect::<Map<_, _>>()},
    });
    Document::pack(|packer| packer.push(document.to_string().as_bytes()))
}
