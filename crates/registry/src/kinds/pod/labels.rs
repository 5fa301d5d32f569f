//! Labels, annotations and label selectors within specs (Kubernetes v1.36 `apimachinery` validation).

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::view::{entries, get, int, list, text, texts};

/// Adds what is wrong with a string, each as a finding of its own.
pub(crate) fn check(errors: &mut Errors, path: &Path, value: &str, problems: names::Problems) {
    for problem in problems {
        errors.invalid(path, value, problem);
    }
}

/// Labels: findings are at the map, not at its keys.
pub(crate) fn labels(errors: &mut Errors, owner: &Value, name: &str, path: &Path) {
    let path = path.child(name);
    for (key, value) in entries(owner, name) {
        check(errors, &path, key, names::qualified_name(key));
        let value = value.as_str().unwrap_or("");
        check(errors, &path, value, names::label_value(value));
    }
}

/// Annotations: their keys and their size together.
pub(crate) fn annotations(errors: &mut Errors, owner: &Value, path: &Path) {
    let path = path.child("annotations");
    let mut bytes = 0;
    for (key, value) in entries(owner, "annotations") {
        check(errors, &path, key, names::annotation_key(key));
        bytes += key.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > names::ANNOTATIONS_BYTES_MAX {
        errors.too_long(&path, names::ANNOTATIONS_BYTES_MAX);
    }
}

/// A label selector, if it is set.
pub(crate) fn selector(errors: &mut Errors, owner: &Value, name: &str, path: &Path) {
    if let Some(selector) = get(owner, name) {
        selector_at(errors, selector, &path.child(name));
    }
}

/// A label selector.
pub(crate) fn selector_at(errors: &mut Errors, selector: &Value, path: &Path) {
    labels(errors, selector, "matchLabels", path);
    let path = path.child("matchExpressions");
    for (at, requirement) in list(selector, "matchExpressions").iter().enumerate() {
        let path = path.index(at);
        operator(errors, requirement, &path, false);
        key_and_values(errors, requirement, &path, true);
    }
}

/// The operator of a requirement and how many values it takes; node selectors compare numbers too.
pub(crate) fn operator(errors: &mut Errors, requirement: &Value, path: &Path, of_nodes: bool) {
    let count = list(requirement, "values").len();
    let values = path.child("values");
    match text(requirement, "operator") {
        "In" | "NotIn" if count == 0 => {
            errors.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            errors.forbidden(
                &values,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            );
        }
        "Gt" | "Lt" if of_nodes => {
            if count != 1 {
                errors.required(
                    &values,
                    "must be specified single value when `operator` is 'Lt' or 'Gt'",
                );
            }
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
}

/// The key of a requirement, and its values where they must be label values.
pub(crate) fn key_and_values(
    errors: &mut Errors,
    requirement: &Value,
    path: &Path,
    with_values: bool,
) {
    let key = text(requirement, "key");
    check(errors, &path.child("key"), key, names::qualified_name(key));
    if with_values {
        let path = path.child("values");
        for (at, value) in texts(requirement, "values").enumerate() {
            check(errors, &path.index(at), value, names::label_value(value));
        }
    }
}

/// The metadata of a template of which only labels and annotations are used.
pub(crate) fn template_metadata(errors: &mut Errors, metadata: &Value, path: &Path) {
    annotations(errors, metadata, path);
    labels(errors, metadata, "labels", path);
    for name in [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "ownerReferences",
        "finalizers",
        "managedFields",
    ] {
        let is_set = get(metadata, name).is_some() && int(metadata, name) != Some(0);
        if is_set {
            // Go's name of the field with a small first letter.
            let shown = if name == "uid" { "uID" } else { name };
            errors.forbidden(&path.child(shown), "cannot be set");
        }
    }
}
