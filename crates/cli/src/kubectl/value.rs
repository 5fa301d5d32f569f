//! Looking into JSON by pointer (RFC 6901), with Go's zero values for what is not there.

use serde_json::{Map, Value};

/// Reading a JSON document without caring what is missing.
pub(crate) trait Look {
    /// The value at a pointer.
    fn at(&self, pointer: &str) -> Option<&Value>;

    /// A string; empty if there is none.
    fn s(&self, pointer: &str) -> &str {
        self.at(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// A whole number; 0 if there is none.
    fn i(&self, pointer: &str) -> i64 {
        self.at(pointer).and_then(Value::as_i64).unwrap_or_default()
    }

    /// A boolean; false if there is none.
    fn b(&self, pointer: &str) -> bool {
        self.at(pointer).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A list; empty if there is none.
    fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// The entries of a map in the order of their keys; none if there is no map.
    fn entries(&self, pointer: &str) -> Vec<(&str, &Value)> {
        let map = self.at(pointer).and_then(Value::as_object);
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), value)).collect()
    }

    /// Whether something other than `null` is there.
    fn has(&self, pointer: &str) -> bool {
        self.at(pointer).is_some_and(|value| !value.is_null())
    }

    /// `metadata.name`.
    fn name(&self) -> &str {
        self.s("/metadata/name")
    }

    /// `metadata.namespace`.
    fn namespace(&self) -> &str {
        self.s("/metadata/namespace")
    }
}

impl Look for Value {
    fn at(&self, pointer: &str) -> Option<&Value> {
        self.pointer(pointer)
    }
}

/// The object inside a value, made if there is none.
pub(crate) fn object_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("made an object just above")
}

/// The value below a path of keys, made of objects where there is nothing.
pub(crate) fn at_mut<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(value, |value, key| object_mut(value).entry(*key).or_insert(Value::Null))
}

/// A value as Go prints it with `%v`: text bare, numbers and booleans as they are, the rest as JSON.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        other => other.to_string(),
    }
}

/// Label pairs as `a=b,c=d`; `empty` if there are none.
pub(crate) fn pairs(map: Option<&Value>, empty: &str) -> String {
    let map = map.and_then(Value::as_object).filter(|map| !map.is_empty());
    map.map_or(empty.to_owned(), |map| {
        let pairs: Vec<_> =
            map.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect();
        pairs.join(",")
    })
}
