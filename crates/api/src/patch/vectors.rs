//! The recorded scenarios, for tests: what upstream answered to each request, and the object that it was about.
//!
//! They lie beside the project, in `../shared/vectors`. Without them the tests that need them skip.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::schema::{self, TypeRef};
use crate::tree;

/// What stands for values that differ from run to run, with a value of the right form.
const TOKENS: &[(&str, &str)] = &[
    ("<time>", NOW),
    ("<utime>", "2026-01-01T00:00:00.000000Z"),
    ("<ntime>", "2026-01-01T00:00:00.000000Z"),
];

/// The time of all recorded writes.
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";

/// A recorded request with its answer.
pub(crate) struct Step {
    /// Area, scenario and step, such as `patch/json-arrays 2`.
    pub(crate) name: String,
    /// The HTTP method.
    pub(crate) method: String,
    /// The media type of the body; empty for JSON.
    pub(crate) media_type: String,
    /// The body.
    pub(crate) body: Value,
    /// The status of the answer.
    pub(crate) status: u64,
    /// The answer.
    pub(crate) answer: Value,
    /// The object as the step before left it, where the records tell.
    pub(crate) before: Option<Value>,
    /// The subresource that the request goes to; empty for the object.
    pub(crate) subresource: String,
    request: Value,
}

impl Step {
    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> &str {
        tree::str_at(&self.request, &["query", name])
    }

    /// The manager that upstream took the client for.
    pub(crate) fn manager(&self) -> &str {
        match self.query("fieldManager") {
            "" => self
                .header("user-agent")
                .split('/')
                .next()
                .filter(|name| !name.is_empty())
                .unwrap_or("vectors"),
            name => name,
        }
    }

    fn header(&self, name: &str) -> &str {
        let headers = tree::at(&self.request, &["headers"]).as_object();
        let found = headers.into_iter().flatten().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).unwrap_or("")
    }

    /// The type of the object in the answer, if the schema has it.
    pub(crate) fn ty(&self) -> Option<TypeRef<'static>> {
        ty(&self.answer)
    }
}

/// The type of an object in the schema table.
pub(crate) fn ty(object: &Value) -> Option<TypeRef<'static>> {
    let (group, version) = tree::str_at(object, &["apiVersion"])
        .rsplit_once('/')
        .unwrap_or(("core", tree::str_at(object, &["apiVersion"])));
    let group = group.split('.').next().unwrap_or(group);
    schema::builtin().get(&format!("{group}/{version}.{}", tree::str_at(object, &["kind"])))
}

/// All steps of all scenarios; `None`, with a line on standard error, if there are none.
pub(crate) fn steps(test: &str) -> Option<Vec<Step>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/public");
    let mut files: Vec<PathBuf> = Vec::new();
    for area in fs::read_dir(&folder).into_iter().flatten().flatten() {
        files.extend(
            fs::read_dir(area.path()).into_iter().flatten().flatten().map(|file| file.path()),
        );
    }
    if files.is_empty() {
        eprintln!("SKIP {test}: no recorded scenarios at {}", folder.display());
        return None;
    }
    files.sort();
    Some(files.iter().flat_map(|file| scenario(file)).collect())
}

fn scenario(file: &Path) -> Vec<Step> {
    let text = fs::read_to_string(file).expect("a recorded scenario can be read");
    let text = TOKENS.iter().fold(text, |text, (token, value)| text.replace(token, value));
    let text = plain_uids(&text);
    let mut scenario: Value = serde_json::from_str(&text).expect("a recorded scenario is JSON");
    number_ports(&mut scenario);
    let area = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut objects = BTreeMap::new();
    let mut steps = Vec::new();
    for (index, step) in tree::items_at(&scenario, &["steps"]).iter().enumerate() {
        let name = format!("{area}/{stem} {}", index + 1);
        steps.extend(read_step(name, step, &mut objects));
    }
    steps
}

/// UIDs have no brackets, which are escaped where they occur in keys.
fn plain_uids(text: &str) -> String {
    let mut parts = text.split("<uid:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once('>').unwrap_or((part, ""));
        out.push_str("uid-");
        out.push_str(number);
        out.push_str(rest);
    }
    out
}

/// Ports are numbers; their tokens are strings.
fn number_ports(value: &mut Value) {
    match value {
        Value::String(text) => {
            let number = text.strip_prefix("<port:").and_then(|text| text.strip_suffix('>'));
            if let Some(number) = number.and_then(|number| number.parse::<u16>().ok()) {
                *value = Value::from(30_000 + number);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(number_ports),
        Value::Object(map) => map.values_mut().for_each(number_ports),
        _ => {}
    }
}

fn read_step(name: String, step: &Value, objects: &mut BTreeMap<String, Value>) -> Option<Step> {
    let request = step.get("request")?.clone();
    let answer = tree::at(step, &["response", "body"]).clone();
    let method = tree::str_at(&request, &["method"]).to_owned();
    let path = tree::str_at(&request, &["path"]);
    let (mut object, subresource) = split_path(path);
    if method == "POST" && subresource.is_empty() {
        object = format!("{object}/{}", tree::str_at(&answer, &["metadata", "name"]));
    }
    let status = tree::at(step, &["response", "status"]).as_u64().unwrap_or_default();
    let before = objects.get(&object).cloned();
    let is_dry = !tree::at(&request, &["query", "dryRun"]).is_null();
    let is_partial = ["project", "drop", "keep"].iter().any(|key| step.get(*key).is_some());
    let is_whole = (200..300).contains(&status)
        && before.as_ref().is_none_or(|before| before["kind"] == answer["kind"])
        && !tree::str_at(&answer, &["metadata", "name"]).is_empty()
        && !is_partial;
    if method == "DELETE" {
        // The garbage collector and others may change more than this object.
        objects.clear();
    } else if is_whole && !is_dry {
        objects.insert(object, answer.clone());
    } else if method != "GET" && !is_dry && (200..300).contains(&status) {
        objects.remove(&object);
    }
    let mut step = Step {
        name,
        method,
        media_type: String::new(),
        body: tree::at(&request, &["body"]).clone(),
        status,
        answer,
        before,
        subresource,
        request,
    };
    step.media_type = step.header("content-type").split(';').next().unwrap_or("").to_owned();
    Some(step)
}

/// The path of the object, and its subresource.
fn split_path(path: &str) -> (String, String) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let base = if parts.first() == Some(&"api") { 2 } else { 3 };
    let is_own =
        ["finalize", "status"].contains(parts.last().unwrap_or(&"")) && parts.len() == base + 3;
    let is_namespaced = parts.get(base) == Some(&"namespaces") && parts.len() > base + 2 && !is_own;
    let object = base + if is_namespaced { 4 } else { 2 };
    let cut = object.min(parts.len());
    (parts[..cut].join("/"), parts[cut..].join("/"))
}

/// Where `value` says something else than `whole`, which may say more.
pub(crate) fn difference(path: &str, value: &Value, whole: &Value) -> Option<String> {
    match (value, whole) {
        (Value::Object(value), Value::Object(whole)) => value.iter().find_map(|(key, value)| {
            let path = format!("{path}/{key}");
            if is_server_s(&path) || value.is_null() {
                return None;
            }
            match whole.get(key) {
                Some(whole) => difference(&path, value, whole),
                None => Some(format!("{path} is {value}, not expected")),
            }
        }),
        (Value::Array(value), Value::Array(whole)) if value.len() == whole.len() => {
            value.iter().zip(whole).find_map(|(value, whole)| difference(path, value, whole))
        }
        (value, whole) if value == whole => None,
        (value, whole) => Some(format!("{path} is {value}, expected {whole}")),
    }
}

/// Fields that the server sets after the patch, or takes from the object before it.
fn is_server_s(path: &str) -> bool {
    let server = ["resourceVersion", "generation", "managedFields"];
    path == "/status" || server.iter().any(|name| path == format!("/metadata/{name}"))
}
