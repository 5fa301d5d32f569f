//! What this program knows of built-in kinds by itself: their structure, and selectors over their labels.

use podo_api::schema::{TypeRef, builtin};
pub(crate) use podo_api::selector::label::Selector;
use serde_json::Value;

use super::discovery::{Resource, split_version};
use super::fault::Fault;
use super::value::Look;

/// The structure of a built-in kind; `None` for custom ones.
pub(crate) fn schema_of(resource: &Resource) -> Option<TypeRef<'static>> {
    schema_of_parts(&resource.group, &resource.version, &resource.kind)
}

/// The structure of a built-in kind by its `apiVersion` and `kind`.
pub(crate) fn schema_of_kind(api_version: &str, kind: &str) -> Option<TypeRef<'static>> {
    let (group, version) = split_version(api_version);
    schema_of_parts(group, version, kind)
}

fn schema_of_parts(group: &str, version: &str, kind: &str) -> Option<TypeRef<'static>> {
    let (first, rest) = group.split_once('.').unwrap_or((group, ""));
    if !matches!(rest, "" | "k8s.io" | "authorization.k8s.io" | "apiserver.k8s.io") {
        return None;
    }
    let group = match first {
        "" => "core",
        "internal" => "apiserverinternal",
        other => other,
    };
    builtin().get(&format!("{group}/{version}.{kind}"))
}

/// Reads a label selector.
pub(crate) fn parse_selector(text: &str) -> Result<Selector, Fault> {
    Selector::parse(text).map_err(|error| Fault::refused(error.to_string()))
}

/// Whether an object's labels fit a selector.
pub(crate) fn matches(selector: &Selector, object: &Value) -> bool {
    let labels = object.at("/metadata/labels");
    selector.matches(|key| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str))
}
