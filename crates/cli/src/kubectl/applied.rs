//! The annotation in which `apply` keeps the configuration that it applied last.

use serde_json::{Value, json};

use super::kinds::schema_of_kind;
use super::print::json::compact;
use super::value::{Look, at_mut, object_mut};

/// The annotation's key.
pub(crate) const KEY: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The configuration that was applied last, if the object says so.
pub(crate) fn read(object: &Value) -> Option<Value> {
    let text = object.at("/metadata/annotations")?.get(KEY)?.as_str()?;
    serde_json::from_str(text).ok()
}

/// A configuration without the annotation; like one that was applied, it has a map of annotations, be it empty.
pub(crate) fn without(object: &Value) -> Value {
    let mut object = object.clone();
    object_mut(at_mut(&mut object, &["metadata", "annotations"])).remove(KEY);
    object
}

/// Writes a configuration into its own annotation, without what the annotation said before.
pub(crate) fn write(object: &mut Value) {
    *object = without(object);
    let text = compact(object) + "\n";
    at_mut(object, &["metadata", "annotations"])[KEY] = text.into();
}

/// The same of an object that this program made: its JSON has the fields in the order of Go's structs, as kubectl's has.
pub(crate) fn write_made(object: &mut Value) {
    let Some(ty) = schema_of_kind(object.s("/apiVersion"), object.s("/kind")) else {
        return write(object);
    };
    let mut bare = without(object);
    if bare["metadata"]["annotations"] == json!({}) {
        object_mut(&mut bare["metadata"]).remove("annotations");
    }
    let mut text = Vec::new();
    podo_api::json::encode(&bare, ty, &mut text);
    *object = bare;
    let text = String::from_utf8_lossy(&text) + "\n";
    at_mut(object, &["metadata", "annotations"])[KEY] = text.into();
}
