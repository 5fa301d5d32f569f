//! ConfigMap: plain settings for Pods.

use podo_api::Value;
use podo_api::field::{Errors, Path, quoted};

use super::pod::view::{at, entries, is_on};
use super::secret::{DATA_BYTES_MAX, decoded_len};
use crate::name;
use crate::table;
use crate::{Column, Definition, Description, Names};

/// ConfigMap.
pub(crate) static CONFIG_MAP: Definition = Definition {
    names: Names {
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short: &["cm"],
        ..Definition::BASE.names
    },
    ty: "core/v1.ConfigMap",
    columns: &[
        table::NAME,
        Column {
            name: "Data",
            kind: "string",
            format: "",
            description: Description::Field("core/v1.ConfigMap", "data"),
            priority: 0,
            cell: |map| (entries(map, "data").len() + entries(map, "binaryData").len()).into(),
        },
        table::AGE,
    ],
    validate,
    validate_update,
    ..Definition::BASE
};

fn validate(map: &Value, errors: &mut Errors) {
    let mut total = 0;
    for (key, content) in entries(map, "data") {
        let path = Path::new("data").key(key);
        errors.invalid_all(&path, key, name::config_map_key(key));
        if at(map, "binaryData").get(key).is_some() {
            errors.invalid_text(&path, quoted(key), "duplicate of key present in binaryData");
        }
        total += content.as_str().map_or(0, str::len);
    }
    for (key, content) in entries(map, "binaryData") {
        errors.invalid_all(&Path::new("binaryData").key(key), key, name::config_map_key(key));
        total += decoded_len(content);
    }
    if total > DATA_BYTES_MAX {
        errors.too_long(&Path::root(), DATA_BYTES_MAX);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    freeze(new, old, &["data", "binaryData"], errors);
}

/// What is marked immutable stays marked, and these fields stay as they are.
pub(super) fn freeze(new: &Value, old: &Value, fields: &[&str], errors: &mut Errors) {
    const WHY: &str = "field is immutable when `immutable` is set";
    if !is_on(old, "immutable") {
        return;
    }
    if !is_on(new, "immutable") {
        errors.forbidden(&Path::new("immutable"), WHY);
    }
    for field in fields {
        if entries(new, field) != entries(old, field) {
            errors.forbidden(&Path::new(field), WHY);
        }
    }
}
