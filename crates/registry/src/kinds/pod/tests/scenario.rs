//! Reads the recorded scenarios, which lie beside the project in `../shared/vectors`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{POD, Value, decode, tree, yaml};

/// The time of all recorded writes.
pub(super) const NOW: &str = "2026-01-01T00:00:00Z";

/// What stands for values that differ from run to run, with a value of the right form.
const TOKENS: &[(&str, &str)] =
    &[("<time>", NOW), ("${ns}", "ns"), ("${id}", "id"), ("<rv>", "<rv:1>")];

/// The steps of a scenario that are about Pods.
pub(super) struct Scenario {
    pub(super) area: String,
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

/// A recorded request with its answer.
pub(super) struct Step {
    pub(super) number: usize,
    pub(super) method: String,
    /// The Pod's name; empty in a create.
    pub(super) name: String,
    /// The subresource; empty for the Pod itself.
    pub(super) subresource: String,
    pub(super) request: Value,
    pub(super) body: Option<Value>,
    pub(super) status: u64,
    pub(super) answer: Value,
    pub(super) warnings: Vec<String>,
}

impl Step {
    pub(super) fn query(&self, name: &str) -> &str {
        tree::str_at(&self.request, &["query", name])
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let headers = tree::at(&self.request, &["headers"]).as_object();
        let found = headers.into_iter().flatten().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).unwrap_or("")
    }

    /// The Pod in the request's body, if it can be read.
    pub(super) fn pod(&self) -> Option<Value> {
        let body = self.body.as_ref()?;
        let is_pod = body["kind"] == "Pod" && body["apiVersion"] == "v1";
        let decoded = is_pod.then(|| decode(body.to_string().as_bytes(), POD.schema()))?;
        decoded.ok().map(|decoded| decoded.value)
    }
}

/// All scenarios; `None`, with a line on standard error, if there are none.
pub(super) fn all(test: &str) -> Option<Vec<Scenario>> {
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
    Some(files.iter().map(|file| read(file)).collect())
}

/// Upstream's Pod with every field set; `None`, with a line on standard error, if it is not there.
pub(super) fn full_pod(test: &str) -> Option<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/upstream/api-testdata/core.v1.Pod.json");
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
    let path = request["path"].as_str()?;
    let (_, rest) = path.split_once("/api/v1/namespaces/ns/pods")?;
    let mut parts = rest.split('/').skip(1);
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
    Some(Step {
        number,
        method: request["method"].as_str()?.to_owned(),
        name: parts.next().unwrap_or("").to_owned(),
        subresource: parts.next().unwrap_or("").to_owned(),
        request: request.clone(),
        body,
        status: response["status"].as_u64()?,
        answer,
        warnings: warnings.map(warning).collect(),
    })
}

/// The text of a `Warning` header.
fn warning(header: &str) -> String {
    let text =
        header.strip_prefix("299 - \"").and_then(|text| text.strip_suffix('"')).unwrap_or(header);
    text.replace("\\\"", "\"").replace("\\\\", "\\")
}
