//! Binding: the scheduler's word on which node runs a Pod.

use podo_api::field::{Errors, Path};
use podo_api::status::GroupResource;
use podo_api::{Reason, Status, Value, meta, tree};
use podo_registry::Verb;
use serde_json::json;

use crate::admission;
use crate::api::Api;
use crate::call::{Call, Outcome, Target};
use crate::verbs::{amend, check_namespace, decode_object};

use super::set_condition;

/// How errors name the subresource.
const RESOURCE: GroupResource<'static> = GroupResource { group: "", resource: "pods/binding" };

/// Binds a Pod; `name` is that of the URL, empty where the URL names none.
pub(super) async fn bind(api: &Api, call: &Call, name: &str) -> Result<Outcome, Status> {
    let write = call.options.write("CreateOptions")?;
    let mut binding = decode_object(call, write.field_validation)?;
    check_namespace(call, &mut binding)?;
    let given = meta::name(&binding);
    if !name.is_empty() && name != given {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    check_target(&binding)?;
    let pods = podo_registry::find("", "v1", "pods")
        .ok_or_else(|| Status::internal("pods are not served"))?;
    let target = Target {
        definition: pods,
        namespace: call.target.namespace.clone(),
        name: given.into(),
        subresource: pods.subresource("binding"),
    };
    admission::admit(api, call, &target, &mut binding, write.is_dry_run)?;
    let target = Target { subresource: None, ..target };
    let now = api.clock.now().to_rfc3339();
    amend(api, &target, &binding, write.is_dry_run, &|pod| assign(pod, &binding, &now)).await?;
    debug_assert_eq!(call.verb, Verb::Create);
    Ok(Outcome::Status(Status::success(201, None)))
}

fn check_target(binding: &Value) -> Result<(), Status> {
    let mut errors = Errors::new();
    let target = Path::new("target");
    let kind = tree::str_at(binding, &["target", "kind"]);
    if !matches!(kind, "" | "Node") {
        errors.push(podo_api::field::FieldError {
            kind: podo_api::field::ErrorKind::NotSupported,
            field: target.child("kind"),
            value: Some(podo_api::field::quoted(kind)),
            detail: "supported values: \"Node\", \"<empty>\"".to_owned(),
        });
    }
    if tree::str_at(binding, &["target", "name"]).is_empty() {
        errors.required(&target.child("name"), "");
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Status::failure(Reason::Unknown, errors.to_string()))
    }
}

fn assign(pod: &mut Value, binding: &Value, now: &str) -> Result<(), Status> {
    let name = meta::name(pod).to_owned();
    let conflict = |why: String| Err(Status::conflict(RESOURCE, &name, &why));
    if meta::is_deleting(pod) {
        return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let node = tree::str_at(pod, &["spec", "nodeName"]);
    if !node.is_empty() {
        return conflict(format!("pod {name} is already assigned to node \"{node}\""));
    }
    if !tree::items_at(pod, &["spec", "schedulingGates"]).is_empty() {
        return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    tree::set(
        tree::as_map(pod).entry("spec").or_insert(Value::Null),
        "nodeName",
        tree::str_at(binding, &["target", "name"]),
    );
    for field in ["annotations", "labels"] {
        for (key, value) in meta::pairs(binding, field) {
            let pairs = meta::of_mut(pod).entry(field).or_insert_with(|| json!({}));
            tree::set(pairs, key, value);
        }
    }
    set_scheduled(pod, now);
    Ok(())
}

fn set_scheduled(pod: &mut Value, now: &str) {
    let status = tree::as_map(pod).entry("status").or_insert_with(|| json!({}));
    tree::set(status, "nominatedNodeName", Value::Null);
    set_condition(
        status,
        json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
        }),
    );
}
