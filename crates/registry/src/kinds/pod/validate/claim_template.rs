//! The claim that an ephemeral volume makes (KEP-1698), and the spec of claims.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::{check, selector, template_metadata};
use super::super::resources::parse;
use super::super::view::{at, get, list, required, text, texts};
use super::{optional_one_of, resources};

/// The ways in which nodes can use a volume.
const ACCESS_MODES: [&str; 4] =
    ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// The template of a claim.
pub(super) fn template(template: &Value, path: &Path, errors: &mut Errors) {
    template_metadata(errors, at(template, "metadata"), &path.child("metadata"));
    spec(at(template, "spec"), &path.child("spec"), errors);
}

/// The spec of a claim.
pub(crate) fn spec(spec: &Value, path: &Path, errors: &mut Errors) {
    access_modes(spec, path, errors);
    storage(spec, &path.child("resources").key("storage"), errors);
    class_name(spec, "storageClassName", path, errors);
    optional_one_of(spec, path, "volumeMode", &["Block", "Filesystem"], errors);
    for name in ["dataSource", "dataSourceRef"] {
        if let Some(source) = get(spec, name) {
            data_source(source, &path.child(name), errors);
        }
    }
    same_source(spec, path, errors);
    class_name(spec, "volumeAttributesClassName", path, errors);
}

fn access_modes(spec: &Value, path: &Path, errors: &mut Errors) {
    let modes_path = path.child("accessModes");
    if list(spec, "accessModes").is_empty() {
        errors.required(&modes_path, "at least 1 access mode is required");
    }
    selector(errors, spec, "selector", path);
    for mode in texts(spec, "accessModes") {
        errors.one_of(&modes_path, mode, &ACCESS_MODES);
    }
    let (alone, others): (Vec<&str>, Vec<&str>) =
        texts(spec, "accessModes").partition(|mode| *mode == "ReadWriteOncePod");
    if !alone.is_empty() && !others.is_empty() {
        errors.forbidden(&modes_path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn storage(spec: &Value, path: &Path, errors: &mut Errors) {
    let Some(amount) = get(at(at(spec, "resources"), "requests"), "storage") else {
        errors.required(path, "");
        return;
    };
    if parse(amount).signum() <= 0 {
        errors.invalid(path, amount.as_str().unwrap_or(""), "must be greater than zero");
    } else {
        resources::quantity("storage", amount, path, errors);
    }
}

fn class_name(spec: &Value, name: &str, path: &Path, errors: &mut Errors) {
    let class = text(spec, name);
    if !class.is_empty() {
        check(errors, &path.child(name), class, names::dns1123_subdomain(class));
    }
}

fn data_source(source: &Value, path: &Path, errors: &mut Errors) {
    for name in ["name", "kind"] {
        required(errors, source, path, name);
    }
    let (group, kind) = (text(source, "apiGroup"), text(source, "kind"));
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        errors.invalid(
            path,
            kind,
            "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        );
    }
    if !group.is_empty() {
        check(errors, &path.child("apiGroup"), group, names::dns1123_subdomain(group));
    }
}

/// The two names of the source say the same, if both are there.
fn same_source(spec: &Value, path: &Path, errors: &mut Errors) {
    let (Some(old), Some(new)) = (get(spec, "dataSource"), get(spec, "dataSourceRef")) else {
        return;
    };
    let is_same =
        ["apiGroup", "kind", "name"].iter().all(|name| text(old, name) == text(new, name));
    if text(new, "namespace").is_empty() && !is_same {
        // The value that is shown is no value of the object but a path of Go's, which has no fields to show.
        errors.invalid_text(path, "{}", "must match dataSourceRef");
    }
}
