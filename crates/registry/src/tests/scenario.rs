//! Reads the recorded scenarios, which lie beside the project in `../shared/vectors`.

use std::fs;
use std::path::{Path, PathBuf};

use podo_api::patch::{json, merge, strategic};
use podo_api::{Value, json as wire, tree, yaml};

use crate::Definition;

/// The time of all recorded writes.
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";

/// What stands for values that differ from run to run, with a value of the right form.
const TOKENS: &[(&str, &str)] =
    &[("<time>", NOW), ("${ns}", "ns"), ("${id}", "id"), ("<rv>", "<rv:1>")];

/// A recorded story of requests.
pub(crate) struct Scenario {
    pub(crate) area: String,
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// A recorded request for a resource, with its answer.
pub(crate) struct Step {
    pub(crate) number: usize,
    pub(crate) method: String,
    group: String,
    version: String,
    plural: String,
    /// The object's namespace; empty in the cluster.
    pub(crate) namespace: String,
    /// The object's name; empty in a create.
    pub(crate) name: String,
    /// The subresource; empty for the object itself.
    pub(crate) subresource: String,
    pub(crate) request: Value,
    pub(crate) body: Option<Value>,
    pub(crate) status: u64,
    pub(crate) answer: Value,
    pub(crate) warnings: Vec<String>,
    /// What later steps refer to: a name, and where in the answer it stands for.
    captures: Vec<(String, String)>,
}

impl Step {
    /// Whether the request is for this resource.
    pub(crate) fn is_about(&self, definition: &Definition) -> bool {
        let names = &definition.names;
        (self.group.as_str(), self.version.as_str(), self.plural.as_str())
            == (names.group, names.version, names.plural)
    }

    pub(crate) fn query(&self, name: &str) -> &str {
        tree::str_at(&self.request, &["query", name])
    }

    fn header(&self, name: &str) -> &str {
        let headers = tree::at(&self.request, &["headers"]).as_object();
        let found = headers.into_iter().flatten().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).unwrap_or("")
    }

    /// The object in the request's body, if it can be read.
    pub(crate) fn object(&self, definition: &Definition) -> Option<Value> {
        let body = self.body.as_ref()?;
        let names = &definition.names;
        let is_kind = body["kind"] == names.kind && body["apiVersion"] == *names.api_version();
        let decoded =
            is_kind.then(|| wire::decode(body.to_string().as_bytes(), definition.schema()))?;
        decoded.ok().map(|decoded| decoded.value)
    }

    /// The object that a PUT or PATCH asks for; `None` if the request itself is refused.
    pub(crate) fn patched(&self, definition: &Definition, old: &Value) -> Option<Value> {
        if self.method == "PUT" {
            return self.object(definition);
        }
        let patch = self.body.clone()?;
        let new = match self.header("content-type") {
            "application/json-patch+json" => {
                json::Patch::decode(patch, false).ok()?.apply(old.clone()).ok()?
            }
            "application/merge-patch+json" => merge::apply(old.clone(), patch),
            "application/strategic-merge-patch+json" => {
                strategic::apply(old.clone(), &mut patch.clone(), definition.schema()).ok()?
            }
            _ => return None,
        };
        wire::decode(new.to_string().as_bytes(), definition.schema())
            .ok()
            .map(|decoded| decoded.value)
    }

    /// Puts what earlier steps captured into the request, and captures from the answer.
    pub(crate) fn connect(&mut self, captured: &mut Vec<(String, Value)>) {
        if let Some(body) = &mut self.body {
            let mut text = body.to_string();
            for (name, value) in captured.iter() {
                text = text.replace(&format!("${{{name}}}"), value.as_str().unwrap_or(""));
            }
            *body = serde_json::from_str(&text).expect("texts stand for texts");
        }
        for (name, place) in &self.captures {
            let pointer = if place.starts_with('/') {
                place.clone()
            } else {
                format!("/{}", place.replace('.', "/"))
            };
            if let Some(value) = self.answer.pointer(&pointer) {
                captured.push((name.clone(), value.clone()));
            }
        }
    }
}

fn shared(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path)
}

/// All scenarios; `None`, with a line on standard error, if there are none.
pub(crate) fn all(test: &str) -> Option<Vec<Scenario>> {
    let folder = shared("vectors/public");
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
    Some(files.iter().map(|file| read(file)).collect())
}

/// Upstream's object of a type with every field set; `None`, with a line on standard error, if it is not there.
pub(crate) fn full_object(test: &str, ty: &str) -> Option<Vec<u8>> {
    let file = shared(&format!("upstream/api-testdata/{ty}.json"));
    let bytes = fs::read(&file).ok();
    if bytes.is_none() {
        eprintln!("SKIP {test}: no such file: {}", file.display());
    }
    bytes
}

fn read(file: &Path) -> Scenario {
    let text = fs::read_to_string(file).expect("a recorded scenario can be read");
    let mut text = TOKENS.iter().fold(text, |text, (token, value)| text.replace(token, value));
    for number in 1..20 {
        text = text
            .replace(&format!("<rand5:{number}>"), "abcde")
            .replace(&format!("\"<port:{number}>\""), &(31000 + number).to_string())
            .replace(&format!("<port:{number}>"), &(31000 + number).to_string())
            .replace(&format!("<ip:{number}>"), &format!("10.43.1.{number}"))
            .replace(&format!("<rv:{number}>"), &number.to_string());
    }
    let scenario: Value = serde_json::from_str(&text).expect("a recorded scenario is JSON");
    let area = file.parent().and_then(Path::file_name).unwrap_or_default();
    let steps = tree::items_at(&scenario, &["steps"]).iter().enumerate();
    Scenario {
        area: area.to_string_lossy().into_owned(),
        name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        steps: steps.filter_map(|(index, step)| read_step(index + 1, step)).collect(),
    }
}

fn read_step(number: usize, step: &Value) -> Option<Step> {
    let (request, response) = (&step["request"], &step["response"]);
    let place = Place::parse(request["path"].as_str()?)?;
    let body = match (&request["body"], request["bodyText"].as_str()) {
        (Value::Null, Some(text)) => yaml::to_json(text.as_bytes()).ok(),
        (Value::Null, None) => None,
        (body, _) => Some(body.clone()),
    };
    let warnings =
        tree::items_at(response, &["headers", "Warning"]).iter().filter_map(Value::as_str);
    let answer = match (&response["body"], response["bodyText"].as_str()) {
        (Value::Null, Some(text)) => yaml::to_json(text.as_bytes()).unwrap_or_default(),
        (body, _) => body.clone(),
    };
    let captures = step["capture"].as_object().into_iter().flatten();
    Some(Step {
        number,
        method: request["method"].as_str()?.to_owned(),
        group: place.group.to_owned(),
        version: place.version.to_owned(),
        plural: place.plural.to_owned(),
        namespace: place.namespace.to_owned(),
        name: place.name.to_owned(),
        subresource: place.subresource.to_owned(),
        request: request.clone(),
        body,
        status: response["status"].as_u64()?,
        answer,
        warnings: warnings.map(warning).collect(),
        captures: captures
            .map(|(name, place)| (name.clone(), place.as_str().unwrap_or("").to_owned()))
            .collect(),
    })
}

/// What a path leads to.
struct Place<'a> {
    group: &'a str,
    version: &'a str,
    namespace: &'a str,
    plural: &'a str,
    name: &'a str,
    subresource: &'a str,
}

impl<'a> Place<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let path = path.split('?').next()?;
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (group, version, rest) = match *parts.as_slice() {
            ["api", version, ref rest @ ..] => ("", version, rest),
            ["apis", group, version, ref rest @ ..] => (group, version, rest),
            _ => return None,
        };
        let (namespace, rest) = match *rest {
            ["namespaces", namespace, ref rest @ ..]
                if rest.first().is_some_and(|part| !matches!(*part, "status" | "finalize")) =>
            {
                (namespace, rest)
            }
            _ => ("", rest),
        };
        let part = |index: usize| rest.get(index).copied().unwrap_or("");
        let (plural, name, subresource) = (part(0), part(1), part(2));
        Some(Self { group, version, namespace, plural, name, subresource })
    }
}

/// The text of a `Warning` header.
fn warning(header: &str) -> String {
    let text =
        header.strip_prefix("299 - \"").and_then(|text| text.strip_suffix('"')).unwrap_or(header);
    text.replace("\\\"", "\"").replace("\\\\", "\\")
}
