//! Namespace: a scope for names. Its deletion begins with its contents; only when the namespace controller has emptied
//! `spec.finalizers` is it gone.

use podo_api::field::{Errors, Path};
use podo_api::names;
use podo_api::{Value, meta, tree};
use serde_json::json;

use super::pod::view::{at, list, text, texts};
use crate::{
    Column, Definition, Description, Names, Scope, Selectable, StatusPolicy, Strategy, Subresource,
    Verb, name, status_of, table,
};

/// The label that holds the name, so that selectors can find a namespace by it (KEP-2161).
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The finalizer that waits for the contents.
const FINALIZER: &str = "kubernetes";

/// Finalizers that need no domain.
const STANDARD_FINALIZERS: &[&str] = &["kubernetes", "orphan", "foregroundDeletion"];

const TY: &str = "core/v1.Namespace";

/// Namespace.
pub(crate) static NAMESPACE: Definition = Definition {
    names: Names {
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short: &["ns"],
        ..Definition::BASE.names
    },
    ty: TY,
    scope: Scope::Cluster,
    verbs: &[
        Verb::Create,
        Verb::Delete,
        Verb::Get,
        Verb::List,
        Verb::Patch,
        Verb::Update,
        Verb::Watch,
    ],
    subresources: &[
        Subresource {
            name: "finalize",
            kind: ("", "v1", "Namespace"),
            ty: TY,
            verbs: &[Verb::Update],
        },
        status_of("", "v1", "Namespace", TY),
    ],
    status: StatusPolicy::Separate,
    strategies: &[Strategy {
        subresource: "finalize",
        prepare: |_, _| {},
        validate: validate_finalize,
    }],
    check_name: name::dns_label,
    columns: &[
        table::NAME,
        Column {
            name: "Status",
            kind: "string",
            format: "",
            description: Description::Text("The status of the namespace"),
            priority: 0,
            cell: |namespace| text(at(namespace, "status"), "phase").into(),
        },
        table::AGE,
    ],
    selectable: &[Selectable {
        label: "status.phase",
        read: |namespace| text(at(namespace, "status"), "phase").to_owned(),
    }],
    default,
    prepare_create,
    prepare_update: |new, old| {
        let finalizers = at(at(old, "spec"), "finalizers").clone();
        set_finalizers(new, finalizers);
    },
    validate,
    validate_status,
    hold_deletion: Some(hold_deletion),
    returns_deleted: true,
    ..Definition::BASE
};

fn default(namespace: &mut Value) {
    label_with_name(namespace);
    let status = tree::as_map(namespace).entry("status").or_insert_with(|| json!({}));
    tree::set_default(status, "phase", "Active");
}

fn label_with_name(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    if !name.is_empty() {
        let labels = meta::of_mut(namespace).entry("labels").or_insert_with(|| json!({}));
        tree::set(labels, NAME_LABEL, name);
    }
}

fn prepare_create(namespace: &mut Value) {
    label_with_name(namespace); // A generated name was not there yet when the defaults were set.
    tree::set(namespace, "status", json!({"phase": "Active"}));
    let mut finalizers = list(at(namespace, "spec"), "finalizers").to_vec();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.into());
    }
    set_finalizers(namespace, finalizers.into());
}

fn set_finalizers(namespace: &mut Value, finalizers: Value) {
    let spec = tree::as_map(namespace).entry("spec").or_insert_with(|| json!({}));
    tree::set(spec, "finalizers", finalizers);
}

fn validate(namespace: &Value, errors: &mut Errors) {
    let path = Path::new("spec").child("finalizers");
    for finalizer in texts(at(namespace, "spec"), "finalizers") {
        finalizer_name(finalizer, &path, errors);
    }
}

fn validate_finalize(new: &Value, _old: &Value, errors: &mut Errors) {
    let path = Path::new("spec").child("finalizers");
    for (index, finalizer) in texts(at(new, "spec"), "finalizers").enumerate() {
        finalizer_name(finalizer, &path.index(index), errors);
    }
}

fn finalizer_name(finalizer: &str, path: &Path, errors: &mut Errors) {
    errors.invalid_all(path, finalizer, names::qualified_name(finalizer));
    if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
        let why = "name is neither a standard finalizer name nor is it fully qualified";
        errors.invalid(path, finalizer, why);
    }
}

fn validate_status(new: &Value, _old: &Value, errors: &mut Errors) {
    let phase = text(at(new, "status"), "phase");
    let (expected, when) =
        if meta::is_deleting(new) { ("Terminating", "not empty") } else { ("Active", "empty") };
    if phase != expected {
        let why = format!("may only be '{expected}' if `deletionTimestamp` is {when}");
        errors.invalid(&Path::new("status").child("Phase"), phase, why);
    }
}

fn hold_deletion(namespace: &mut Value) -> bool {
    let status = tree::as_map(namespace).entry("status").or_insert_with(|| json!({}));
    tree::set(status, "phase", "Terminating");
    !list(at(namespace, "spec"), "finalizers").is_empty()
}
