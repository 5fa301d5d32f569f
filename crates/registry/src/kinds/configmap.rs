//! ConfigMap: plain settings for Pods.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::tree;

use crate::name;
use crate::table;
use crate::{Column, Definition, Description, Names};

/// The size of all keys and values together (Kubernetes v1.36 `core.MaxSecretSize`).
const DATA_BYTES_MAX: usize = 1024 * 1024;

/// ConfigMap.
pub static CONFIG_MAP: Definition = Definition {
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
            cell: |value, _| Value::from(entries(value, "data") + entries(value, "binaryData")),
        },
        table::AGE,
    ],
    validate,
    validate_update,
    ..Definition::BASE
};

fn entries(value: &Value, field: &str) -> usize {
    tree::at(value, &[field]).as_object().map_or(0, serde_json::Map::len)
}

fn validate(value: &Value, errors: &mut Errors) {
    let mut total = 0;
    for field in ["data", "binaryData"] {
        for (key, content) in tree::at(value, &[field]).as_object().into_iter().flatten() {
            let path = Path::new(field).key(key);
            errors.invalid_all(&path, key, name::config_map_key(key));
            if field == "data" && tree::at(value, &["binaryData"]).get(key).is_some() {
                errors.invalid_text(
                    &path,
                    podo_api::field::quoted(key),
                    "duplicate of key present in binaryData",
                );
            }
            total += content.as_str().map_or(0, str::len);
        }
    }
    if total > DATA_BYTES_MAX {
        errors.too_long(&Path::root(), DATA_BYTES_MAX);
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if !tree::is_true(old, &["immutable"]) {
        return;
    }
    const WHY: &str = "field is immutable when `immutable` is set";
    if !tree::is_true(new, &["immutable"]) {
        errors.forbidden(&Path::new("immutable"), WHY);
    }
    for field in ["data", "binaryData"] {
        if new.get(field) != old.get(field) {
            errors.forbidden(&Path::new(field), WHY);
        }
    }
}
