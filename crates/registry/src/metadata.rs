//! Validation of `metadata`, the same for every kind (Kubernetes v1.36 `k8s.io/apimachinery/pkg/api/validation`).

use podo_api::field::{Errors, Path, quoted};
use podo_api::{Value, meta, names, tree};

use crate::Definition;

/// The size of all annotations together (upstream `TotalAnnotationSizeLimitB`).
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// The finalizers that upstream defines without a domain.
const STANDARD_FINALIZERS: &[&str] = &["orphan", "foregroundDeletion", "kubernetes"];

/// The text for a field that may never change.
pub const IMMUTABLE: &str = "field is immutable";

fn path(field: &str) -> Path {
    Path::new("metadata").child(field)
}

/// Validates the metadata of an object that is to be created or was changed.
pub fn validate(definition: &Definition, value: &Value, errors: &mut Errors) {
    let generate_name = meta::str(value, "generateName");
    if !generate_name.is_empty() {
        let messages = (definition.check_name)(generate_name, true);
        errors.invalid_all(&path("generateName"), generate_name, messages);
    }
    let name = meta::name(value);
    if name.is_empty() {
        errors.required(&path("name"), "name or generateName is required");
    } else {
        errors.invalid_all(&path("name"), name, (definition.check_name)(name, false));
    }
    validate_namespace(definition, meta::namespace(value), errors);
    if meta::generation(value) < 0 {
        errors.invalid_value(
            &path("generation"),
            meta::generation(value),
            "must be greater than or equal to 0",
        );
    }
    labels(tree::at(value, &["metadata", "labels"]), &path("labels"), errors);
    annotations(tree::at(value, &["metadata", "annotations"]), &path("annotations"), errors);
    owners(meta::owners(value), errors);
    finalizers(value, errors);
}

fn validate_namespace(definition: &Definition, namespace: &str, errors: &mut Errors) {
    let path = path("namespace");
    if !definition.is_namespaced() {
        if !namespace.is_empty() {
            errors.forbidden(&path, "not allowed on this type");
        }
    } else if namespace.is_empty() {
        errors.required(&path, "");
    } else {
        errors.invalid_all(&path, namespace, names::dns1123_label(namespace));
    }
}

/// Validates labels, wherever they stand.
pub fn labels(labels: &Value, path: &Path, errors: &mut Errors) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        errors.invalid_all(path, key, names::qualified_name(key));
        let value = value.as_str().unwrap_or("");
        errors.invalid_all(path, value, names::label_value(value));
    }
}

/// Validates annotations, wherever they stand.
pub fn annotations(annotations: &Value, path: &Path, errors: &mut Errors) {
    let mut total = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        errors.invalid_all(path, key, names::annotation_key(key));
        total += key.len() + value.as_str().map_or(0, str::len);
    }
    if total > ANNOTATIONS_BYTES_MAX {
        errors.too_long(path, ANNOTATIONS_BYTES_MAX);
    }
}

fn owners(owners: &[Value], errors: &mut Errors) {
    let list = path("ownerReferences");
    let mut controller: Option<String> = None;
    for owner in owners {
        owner_reference(owner, &list, errors);
        if !tree::is_true(owner, &["controller"]) {
            continue;
        }
        let name = format!("{}/{}", tree::str_at(owner, &["kind"]), tree::str_at(owner, &["name"]));
        match &controller {
            Some(_) if errors.is_full() => {}
            Some(first) => errors.invalid_text(
                &list,
                owners_text(owners),
                format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                ),
            ),
            None => controller = Some(name),
        }
    }
}

/// How upstream shows the list in an error: a Go value, which carries no information beyond the list itself.
fn owners_text(owners: &[Value]) -> String {
    Value::from(owners.to_vec()).to_string()
}

fn owner_reference(owner: &Value, list: &Path, errors: &mut Errors) {
    let text = |field: &str| tree::str_at(owner, &[field]);
    if text("apiVersion").split('/').next_back().is_none_or(str::is_empty) {
        errors.invalid(&list.child("apiVersion"), text("apiVersion"), "version must not be empty");
    }
    for field in ["kind", "name", "uid"] {
        if text(field).is_empty() {
            errors.invalid(&list.child(field), "", "must not be empty");
        }
    }
    let is_event =
        text("kind") == "Event" && matches!(text("apiVersion"), "v1" | "events.k8s.io/v1");
    if is_event {
        let detail = format!(
            "{}, Kind=Event is disallowed from being an owner",
            group_version(text("apiVersion"))
        );
        errors.invalid(list, "", detail);
    }
}

fn group_version(api_version: &str) -> String {
    if api_version.contains('/') { api_version.to_owned() } else { format!("/{api_version}") }
}

fn finalizers(value: &Value, errors: &mut Errors) {
    let path = path("finalizers");
    let (mut orphan, mut foreground) = (false, false);
    for finalizer in meta::finalizers(value) {
        errors.invalid_all(&path, finalizer, names::qualified_name(finalizer));
        orphan |= finalizer == "orphan";
        foreground |= finalizer == "foregroundDeletion";
    }
    if orphan && foreground {
        let shown = go_strings(meta::finalizers(value));
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.invalid_text(&path, shown, detail);
    }
}

/// Validates what most kinds ask of finalizers beyond [`validate`] (Kubernetes v1.36 `validateKubeFinalizerName`), when an object is
/// created and when more than its status changes.
pub fn validate_finalizers(definition: &Definition, value: &Value, errors: &mut Errors) {
    if !definition.checks_finalizers {
        return;
    }
    for (index, finalizer) in meta::finalizers(value).enumerate() {
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(&path("finalizers").index(index), finalizer, detail);
        }
    }
}

/// A list of strings as Go's `%#v` prints it, without the type.
fn go_strings<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.map(quoted).collect();
    format!("[{}]", items.join(","))
}

/// Validates a change of metadata (new, old), beyond [`validate`].
pub fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if meta::is_deleting(old) {
        let known: Vec<&str> = meta::finalizers(old).collect();
        let added: Vec<String> = meta::finalizers(new)
            .filter(|finalizer| !known.contains(finalizer))
            .map(quoted)
            .collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.forbidden(&path("finalizers"), detail);
        }
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let (now, before) =
            (tree::at(new, &["metadata", field]), tree::at(old, &["metadata", field]));
        if now != before {
            errors.invalid_value(&path(field), now.clone(), IMMUTABLE);
        }
    }
    // These are checked with every change as well, so a client finds them among the causes once for each.
    labels(tree::at(new, &["metadata", "labels"]), &path("labels"), errors);
    annotations(tree::at(new, &["metadata", "annotations"]), &path("annotations"), errors);
    owners(meta::owners(new), errors);
}
