//! Field ownership: notes in `managedFields` who wrote what, before admission adds fields that are nobody's.

use podo_api::managed_fields::{self, Filter, Request, SingleVersion};
use podo_api::{Value, object};
use podo_registry::{Definition, StatusPolicy};

use crate::api::Api;
use crate::call::Call;
use crate::options::WriteOptions;

/// Notes who created the fields of a new object.
pub(super) fn create(api: &Api, call: &Call, write: &WriteOptions, new: &mut Value) {
    let (api_version, kind) = object::group_version_kind(new);
    let blank = managed_fields::blank(Some(call.target.definition.schema()), api_version, kind);
    update(api, call, write, &blank, new);
}

/// Notes who changed the fields in which `new` differs from `old`.
pub(super) fn update(api: &Api, call: &Call, write: &WriteOptions, old: &Value, new: &mut Value) {
    let definition = call.target.definition;
    let api_version = definition.names.api_version();
    let filter = filter(call, definition);
    let versions = SingleVersion {
        api_version: &api_version,
        ty: Some(definition.schema()),
        filter: filter.as_ref(),
    };
    let now = api.clock.now().to_rfc3339();
    let request = Request {
        manager: if write.manager.is_empty() { &call.agent } else { &write.manager },
        api_version: &api_version,
        kind: definition.names.kind,
        subresource: call.target.subresource_name(),
        now: &now,
        versions: &versions,
    };
    managed_fields::update(old, new, &request);
}

/// What the endpoint resets: writes of the object its status, writes of the status the rest.
fn filter(call: &Call, definition: &Definition) -> Option<Filter> {
    if definition.status == StatusPolicy::Whole {
        return None;
    }
    match call.target.subresource_name() {
        "" | "finalize" => Some(Filter::except(&[&["status"]])),
        "status" => Some(Filter::except(definition.status_resets)),
        _ => None,
    }
}
