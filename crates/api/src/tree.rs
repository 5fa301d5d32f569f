//! Reading and changing JSON trees by path.

use serde_json::{Map, Value};

static NULL: Value = Value::Null;

/// The value at a path of field names; `null` where the path leads nowhere.
pub fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, name| value.get(name).unwrap_or(&NULL))
}

/// The string at a path; empty where there is none.
pub fn str_at<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).as_str().unwrap_or("")
}

/// The integer at a path.
pub fn int_at(value: &Value, path: &[&str]) -> Option<i64> {
    at(value, path).as_i64()
}

/// Whether the boolean at a path is true.
pub fn is_true(value: &Value, path: &[&str]) -> bool {
    at(value, path).as_bool() == Some(true)
}

/// The items of the list at a path; none where there is no list.
pub fn items_at<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

/// The list in a field, to change its items; `None` where there is no list.
pub fn items_mut<'a>(value: &'a mut Value, name: &str) -> &'a mut [Value] {
    value.get_mut(name).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

/// The map in a field, made if it is not there.
pub fn map_mut<'a>(value: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    let owner = as_map(value);
    as_map(owner.entry(name).or_insert(Value::Null))
}

/// The value as a map; anything else becomes an empty one.
pub fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made a map above"),
    }
}

/// Sets a field; `null` removes it.
pub fn set(value: &mut Value, name: &str, new: impl Into<Value>) {
    let new = new.into();
    let map = as_map(value);
    if new.is_null() {
        map.remove(name);
    } else {
        map.insert(name.to_owned(), new);
    }
}

/// Sets a field that is absent, `null`, an empty string or 0, the values that Go's defaulting takes for "not set".
pub fn set_default(value: &mut Value, name: &str, default: impl Into<Value>) {
    let is_unset = match value.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(_) => false,
    };
    if is_unset {
        set(value, name, default);
    }
}

/// Sets a field that is absent or `null`: the default of a pointer, for which zero is a value like any other.
pub fn set_default_pointer(value: &mut Value, name: &str, default: impl Into<Value>) {
    if value.get(name).is_none_or(Value::is_null) {
        set(value, name, default);
    }
}

/// Removes a field and returns what was in it.
pub fn take(value: &mut Value, name: &str) -> Option<Value> {
    value.as_object_mut()?.remove(name)
}

/// Copies a field from another tree, or removes it where the other has none.
pub fn copy(to: &mut Value, from: &Value, name: &str) {
    set(to, name, from.get(name).cloned().unwrap_or(Value::Null));
}
