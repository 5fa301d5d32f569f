//! Small facts about objects that several kinds decide by.

use podo_api::{Value, meta};

/// Whether an object is to be created: nothing gave it a version yet.
///
/// Kinds whose rules for a change stand in another order than "the change, then the object", or leave some of the object's
/// rules out, tell the two apart by this.
pub(crate) fn is_new(value: &Value) -> bool {
    meta::resource_version(value).unwrap_or(0) == 0
}

/// Makes lists that are always shown, but empty, what Kubernetes' stored form makes of them: `null`.
pub(crate) fn forget_empty(value: &mut Value, fields: &[&str]) {
    for field in fields {
        if value.get(field).and_then(Value::as_array).is_some_and(Vec::is_empty) {
            value[*field] = Value::Null;
        }
    }
}

/// The items with commas between them; `empty` if there are none.
pub(crate) fn joined<S: AsRef<str>>(items: impl IntoIterator<Item = S>, empty: &str) -> String {
    let mut out = String::new();
    for item in items {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(item.as_ref());
    }
    if out.is_empty() { empty.to_owned() } else { out }
}
