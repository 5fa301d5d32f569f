//! Short names for reading a settled tree, and the findings that `podo_api::field` has no word for.
//!
//! In a settled tree a field that Go would leave out is not there, so "absent" and "zero" read alike.

use podo_api::Value;
use podo_api::field::{ErrorKind, Errors, FieldError, Path, quoted};

static NULL: Value = Value::Null;

/// The value of a field that is set.
pub(crate) fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|value| !value.is_null())
}

/// The value of a field, `null` if it is not set.
pub(crate) fn at<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&NULL)
}

/// Whether a field is set.
pub(crate) fn has(value: &Value, name: &str) -> bool {
    get(value, name).is_some()
}

/// A string; empty if it is not set.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    at(value, name).as_str().unwrap_or("")
}

/// An integer.
pub(crate) fn int(value: &Value, name: &str) -> Option<i64> {
    at(value, name).as_i64()
}

/// Whether a boolean is true.
pub(crate) fn is_on(value: &Value, name: &str) -> bool {
    at(value, name).as_bool() == Some(true)
}

/// The items of a list.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    at(value, name).as_array().map_or(&[], Vec::as_slice)
}

/// The strings of a list.
pub(crate) fn texts<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    list(value, name).iter().filter_map(Value::as_str)
}

/// The entries of a map, sorted by key.
pub(crate) fn entries<'a>(value: &'a Value, name: &str) -> Vec<(&'a str, &'a Value)> {
    let map = at(value, name).as_object();
    let mut entries: Vec<_> =
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), value)).collect();
    entries.sort_unstable_by_key(|&(key, _)| key);
    entries
}

/// The lists of containers of a Pod's spec, in the order in which Kubernetes visits them.
pub(crate) const CONTAINER_LISTS: [&str; 3] =
    ["initContainers", "containers", "ephemeralContainers"];

/// All containers of a Pod's spec with their paths: init, regular, ephemeral.
pub(crate) fn containers<'a>(
    spec: &'a Value,
    path: &Path,
) -> impl Iterator<Item = (&'a Value, Path)> {
    CONTAINER_LISTS.into_iter().flat_map(move |name| {
        let path = path.child(name);
        list(spec, name).iter().enumerate().map(move |(at, value)| (value, path.index(at)))
    })
}

/// Whether an init container runs beside the others for as long as they do.
pub(crate) fn is_sidecar(init_container: &Value) -> bool {
    text(init_container, "restartPolicy") == "Always"
}

/// The string must be one of `supported`, which the text lists in this order.
pub(crate) fn one_of(errors: &mut Errors, path: &Path, value: &str, supported: &[&str]) {
    if !supported.contains(&value) {
        not_supported(errors, path, value, supported);
    }
}

/// The string must be set and one of `supported`, which the text lists in this order.
pub(crate) fn required_one_of(errors: &mut Errors, path: &Path, value: &str, supported: &[&str]) {
    if value.is_empty() {
        errors.required(path, "");
    } else {
        one_of(errors, path, value, supported);
    }
}

/// The string is not one of `supported`, which the text lists in this order.
pub(crate) fn not_supported(errors: &mut Errors, path: &Path, value: &str, supported: &[&str]) {
    let names: Vec<String> = supported.iter().map(|name| quoted(name)).collect();
    errors.push(FieldError {
        kind: ErrorKind::NotSupported,
        field: path.clone(),
        value: Some(quoted(value)),
        detail: format!("supported values: {}", names.join(", ")),
    });
}

/// The string must be set.
pub(crate) fn required(errors: &mut Errors, owner: &Value, path: &Path, name: &str) {
    if text(owner, name).is_empty() {
        errors.required(&path.child(name), "");
    }
}

/// The number must not be negative.
pub(crate) fn non_negative(errors: &mut Errors, path: &Path, value: i64) {
    if value < 0 {
        errors.invalid_value(path, value, "must be greater than or equal to 0");
    }
}

/// The number must be positive.
pub(crate) fn positive(errors: &mut Errors, path: &Path, value: i64) {
    if value <= 0 {
        errors.invalid_value(path, value, "must be greater than zero");
    }
}

/// The number must be within bounds, both included.
pub(crate) fn in_range(errors: &mut Errors, path: &Path, value: i64, low: i64, high: i64) {
    if value < low || value > high {
        errors.invalid_value(path, value, format!("must be between {low} and {high}, inclusive"));
    }
}
