//! `metadata` of a tree: the fields that every object has.

use serde_json::{Map, Value};

use crate::tree;

/// A string of the metadata, such as `name`; empty where it is not set.
pub fn str<'a>(value: &'a Value, field: &str) -> &'a str {
    tree::str_at(value, &["metadata", field])
}

/// The name.
pub fn name(value: &Value) -> &str {
    str(value, "name")
}

/// The namespace; empty for a cluster-scoped object.
pub fn namespace(value: &Value) -> &str {
    str(value, "namespace")
}

/// The UID.
pub fn uid(value: &Value) -> &str {
    str(value, "uid")
}

/// The resourceVersion as a number; `None` where it is not set or none.
pub fn resource_version(value: &Value) -> Option<u64> {
    str(value, "resourceVersion").parse().ok()
}

/// The generation; 0 where it is not set.
pub fn generation(value: &Value) -> i64 {
    tree::int_at(value, &["metadata", "generation"]).unwrap_or(0)
}

/// Whether somebody asked for the object's deletion.
pub fn is_deleting(value: &Value) -> bool {
    !tree::at(value, &["metadata", "deletionTimestamp"]).is_null()
}

/// The finalizers.
pub fn finalizers(value: &Value) -> impl Iterator<Item = &str> {
    tree::items_at(value, &["metadata", "finalizers"]).iter().filter_map(Value::as_str)
}

/// The owner references.
pub fn owners(value: &Value) -> &[Value] {
    tree::items_at(value, &["metadata", "ownerReferences"])
}

/// The labels or annotations, with their values.
pub fn pairs<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = tree::at(value, &["metadata", field]).as_object();
    map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or("")))
}

/// The value of a label.
pub fn label<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    tree::at(value, &["metadata", "labels"]).get(key)?.as_str()
}

/// The value of an annotation.
pub fn annotation<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    tree::at(value, &["metadata", "annotations"]).get(key)?.as_str()
}

/// The metadata, to be changed.
pub fn of_mut(value: &mut Value) -> &mut Map<String, Value> {
    tree::map_mut(value, "metadata")
}

/// Sets a field of the metadata; `null` removes it.
pub fn set(value: &mut Value, field: &str, new: impl Into<Value>) {
    let new = new.into();
    let metadata = of_mut(value);
    if new.is_null() {
        metadata.remove(field);
    } else {
        metadata.insert(field.to_owned(), new);
    }
}

/// Copies a field of the metadata from another object, or removes it where that has none.
pub fn copy(to: &mut Value, from: &Value, field: &str) {
    set(to, field, tree::at(from, &["metadata", field]).clone());
}
