//! NamespaceLifecycle: nothing is created in a namespace that does not exist or is being deleted, and some namespaces stay.

use podo_api::{Status, Value, meta};

use super::{Operation, Request};
use crate::storage;

/// Namespaces that cannot be deleted (Kubernetes v1.36 `immortalNamespaces`).
const IMMORTAL: &[&str] = &["default", "kube-system", "kube-public"];

/// Kinds that are answered without being kept, so they need no namespace.
fn is_review(request: &Request<'_>) -> bool {
    matches!(request.definition().storage, podo_registry::Storage::None)
}

pub(super) fn admit(request: &Request<'_>, value: &Value) -> Result<(), Status> {
    if request.operation != Operation::Create
        || !request.definition().is_namespaced()
        || is_review(request)
    {
        return Ok(());
    }
    let namespace = &*request.target.namespace;
    let Some(namespaces) = podo_registry::find("", "v1", "namespaces") else {
        return Err(Status::internal("namespaces are not served"));
    };
    let key = storage::key(namespaces, "", namespace);
    let entry = request.api.store.get(&key).map_err(|error| storage::read_failed(&error))?;
    let Some(entry) = entry else {
        return Err(Status::not_found(namespaces.names.resource(), namespace));
    };
    if !meta::is_deleting(&entry.value.view()) {
        return Ok(());
    }
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    Err(request.forbidden(value, why).with_cause(
        "NamespaceTerminating",
        "metadata.namespace",
        format!("namespace {namespace} is being terminated"),
    ))
}

pub(super) fn validate(request: &Request<'_>) -> Result<(), Status> {
    let is_immortal = request.operation == Operation::Delete
        && request.is_main("namespaces")
        && IMMORTAL.contains(&&*request.target.name);
    if is_immortal {
        return Err(request.forbidden(&Value::Null, "this namespace may not be deleted"));
    }
    Ok(())
}
