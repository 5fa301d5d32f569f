//! The patch that brings a Pod's status on the server to what it is, and nothing else.

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::patch::strategic;
use podo_api::{Status, Value, schema};
use serde_json::json;

/// The patch from one status to another; `None` if they are the same. It is for the Pod of this UID only.
pub(crate) fn patch(
    uid: &str,
    old: &k8s::PodStatus,
    new: &k8s::PodStatus,
) -> Result<Option<Value>, Status> {
    if old == new {
        return Ok(None);
    }
    let old = json!({"status": serde_json::to_value(old).map_err(Status::internal)?});
    let new = json!({"status": serde_json::to_value(new).map_err(Status::internal)?});
    let ty = schema::builtin()
        .get("core/v1.Pod")
        .ok_or_else(|| Status::internal("the schema has no Pod"))?;
    let mut patch = strategic::create_two_way(&old, &new, ty).map_err(Status::internal)?;
    if patch.as_object().is_none_or(serde_json::Map::is_empty) {
        return Ok(None);
    }
    patch["metadata"] = json!({"uid": uid});
    Ok(Some(patch))
}
