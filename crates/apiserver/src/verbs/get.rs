//! GET of one object.

use std::sync::Arc;

use podo_api::{Object, Status};

use crate::api::Api;
use crate::call::{Call, Outcome, Target};
use crate::storage;

pub(super) fn get(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let target = &call.target;
    let version = call.options.get("resourceVersion").unwrap_or("");
    if !version.is_empty() {
        super::list::check_reached(api, super::list::parse_version(version)?)?;
    }
    let object = storage::view(target.definition, &find(api, target)?);
    Ok(Outcome::Object { code: 200, definition: target.definition, object })
}

/// The stored object of a target, or 404.
pub(crate) fn find(api: &Api, target: &Target) -> Result<Arc<Object>, Status> {
    let key = storage::key(target.definition, &target.namespace, &target.name);
    match api.store.get(&key).map_err(|error| storage::read_failed(&error))? {
        Some(entry) => Ok(Arc::clone(&entry.value)),
        None => Err(Status::not_found(target.resource(), &target.name)),
    }
}
