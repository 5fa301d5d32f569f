//! Eviction: a deletion that says why, and that upstream refuses where a PodDisruptionBudget forbids it (Kubernetes v1.36
//! `pkg/registry/core/pod/storage/eviction.go`).
//!
//! Not here: budgets. The kind is not served, so no Pod has one, and every Pod may go.

use podo_api::{Status, Value, meta, tree};
use serde_json::json;

use super::set_condition;
use crate::admission;
use crate::api::Api;
use crate::call::{Call, Outcome, Target};
use crate::verbs::{DeleteRequest, amend, check_namespace, decode_object, delete_object};

/// Evicts a Pod.
pub(super) async fn evict(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let write = call.options.write("CreateOptions")?;
    let mut eviction = decode_object(call, write.field_validation)?;
    check_namespace(call, &mut eviction)?;
    if meta::name(&eviction) != &*call.target.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut request = DeleteRequest::of_options(tree::at(&eviction, &["deleteOptions"]))?;
    request.is_dry_run |= write.is_dry_run;
    admission::admit(api, call, &call.target, &mut eviction, request.is_dry_run)?;
    let pod = Target { subresource: None, ..call.target.clone() };
    if !request.is_dry_run {
        let now = api.clock.now().to_rfc3339();
        let change = |value: &mut Value| {
            request.check_preconditions(&pod, value)?;
            mark(value, &now);
            Ok(())
        };
        let marked = amend(api, &pod, &Value::Null, false, &change).await?;
        request = request.after_change(&marked);
    }
    delete_object(api, call, &pod, &request).await?;
    Ok(Outcome::Status(Status::success(201, None)))
}

/// Says that the Pod ends by no fault of its own: a Job does not count its failure.
fn mark(pod: &mut Value, now: &str) {
    let status = tree::as_map(pod).entry("status").or_insert_with(|| json!({}));
    set_condition(
        status,
        json!({
            "type": "DisruptionTarget", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
        }),
    );
}
