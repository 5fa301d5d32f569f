//! RuntimeClass: a Pod may name only a way of running that the cluster has.

use podo_api::{Status, Value, tree};

use super::{Operation, Request};
use crate::storage;

pub(super) fn admit(request: &Request<'_>, value: &Value) -> Result<(), Status> {
    let name = tree::str_at(value, &["spec", "runtimeClassName"]);
    if !request.is_main("pods") || request.operation != Operation::Create || name.is_empty() {
        return Ok(());
    }
    if exists(request, name)? {
        return Ok(());
    }
    let shown = podo_api::field::quoted(name);
    Err(request.forbidden(value, format!("pod rejected: RuntimeClass {shown} not found")))
}

/// What a Pod costs beyond its containers is for a class to say; there is none here that does.
pub(super) fn validate(request: &Request<'_>, value: &Value) -> Result<(), Status> {
    let has_overhead =
        tree::at(value, &["spec", "overhead"]).as_object().is_some_and(|list| !list.is_empty());
    if !request.is_main("pods") || request.operation != Operation::Create || !has_overhead {
        return Ok(());
    }
    let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
    Err(request.forbidden(value, why))
}

fn exists(request: &Request<'_>, name: &str) -> Result<bool, Status> {
    let Some(definition) = podo_registry::find("node.k8s.io", "v1", "runtimeclasses") else {
        return Ok(false);
    };
    let found = request.api.store.get(&storage::key(definition, "", name));
    Ok(found.map_err(|error| storage::read_failed(&error))?.is_some())
}
