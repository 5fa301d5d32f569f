//! What a node may do to Pods: make mirrors of those that it got elsewhere, delete, evict and tell the status of its own.

use podo_api::{Status, Value, meta, tree};

use super::{Operation, Write, node_of};
use crate::authz::pod_references::{MIRROR, PodReferences};

pub(super) fn pod(write: &Write<'_>) -> Result<(), Status> {
    let node = write.quoted_node();
    match write.operation() {
        Operation::Create => create(write),
        Operation::Delete => {
            let is_own = write.old.is_some_and(|pod| node_of(pod) == write.node);
            write.require(is_own, || {
                format!("node {node} can only delete pods with spec.nodeName set to itself")
            })
        }
        operation => {
            let operation = super::quoted(super::operation_name(operation));
            write.deny(format!("unexpected operation {operation}, node {node} can only create and delete mirror pods"))
        }
    }
}

fn create(write: &Write<'_>) -> Result<(), Status> {
    let (pod, node) = (write.value, write.quoted_node());
    write.require(meta::annotation(pod, MIRROR).is_some(), || {
        format!(
            "pod does not have \"{MIRROR}\" annotation, node {node} can only create mirror pods"
        )
    })?;
    write.require(node_of(pod) == write.node, || {
        format!("node {node} can only create pods with spec.nodeName set to itself")
    })?;
    owner(write)?;
    let found = PodReferences::of(pod);
    let claims_devices = !tree::items_at(pod, &["spec", "resourceClaims"]).is_empty();
    for (refers, what) in [
        (!found.service_account.is_empty(), "reference a service account"),
        (!found.secrets.is_empty(), "reference secrets"),
        (!found.config_maps.is_empty(), "reference configmaps"),
        (found.has_trust_bundles, "reference clustertrustbundles"),
        (!found.claims.is_empty(), "reference persistentvolumeclaims"),
        (claims_devices || !found.resource_claims.is_empty(), "reference resourceclaims"),
    ] {
        write.require(!refers, || format!("node {node} can not create pods that {what}"))?;
    }
    Ok(())
}

/// A mirror belongs to the node that makes it, and holds nobody's deletion up.
fn owner(write: &Write<'_>) -> Result<(), Status> {
    let node = write.quoted_node();
    let owner = match meta::owners(write.value) {
        [owner] => owner,
        [] => {
            return write.deny(format!(
                "node {node} can only create pods with an owner reference set to itself"
            ));
        }
        _ => {
            return write.deny(format!(
                "node {node} can only create pods with a single owner reference set to itself"
            ));
        }
    };
    let text = |field: &str| tree::str_at(owner, &[field]);
    let is_itself =
        text("apiVersion") == "v1" && text("kind") == "Node" && text("name") == write.node;
    write.require(is_itself, || {
        format!("node {node} can only create pods with an owner reference set to itself")
    })?;
    write.require(tree::is_true(owner, &["controller"]), || {
        format!("node {node} can only create pods with a controller owner reference set to itself")
    })?;
    write.require(!tree::is_true(owner, &["blockOwnerDeletion"]), || {
        format!("node {node} must not set blockOwnerDeletion on an owner reference")
    })?;
    let present = write.read("nodes", write.node)?;
    let (claimed, uid) = (text("uid"), meta::uid(&present));
    write.require(claimed == uid, || {
        format!("node {} UID mismatch: expected {claimed} got {uid}", write.node)
    })
}

pub(super) fn status(write: &Write<'_>) -> Result<(), Status> {
    let (Operation::Update, Some(old)) = (write.operation(), write.old) else {
        return write.unexpected_operation();
    };
    let (pod, node) = (write.value, write.quoted_node());
    write.require(node_of(old) == write.node, || {
        format!("node {node} can only update pod status for pods with spec.nodeName set to itself")
    })?;
    let labels = |pod: &Value| {
        tree::at(pod, &["metadata", "labels"]).as_object().filter(|map| !map.is_empty()).cloned()
    };
    write.require(labels(pod) == labels(old), || {
        format!("node {node} cannot update labels through pod status")
    })?;
    write.require(claims(pod) == claims(old), || {
        format!("node {node} cannot update resource claim statues")
    })?;
    let extended = |pod: &Value| tree::at(pod, &["status", "extendedResourceClaimStatus"]).clone();
    write.require(extended(pod) == extended(old), || {
        format!("node {node} cannot update extended resource claim status")
    })
}

/// Which device claims were made for a Pod.
fn claims(pod: &Value) -> Vec<(&str, Option<&str>)> {
    let statuses = tree::items_at(pod, &["status", "resourceClaimStatuses"]).iter();
    statuses
        .map(|status| {
            (tree::str_at(status, &["name"]), tree::at(status, &["resourceClaimName"]).as_str())
        })
        .collect()
}

pub(super) fn eviction(write: &Write<'_>) -> Result<(), Status> {
    if write.operation() != Operation::Create {
        return write.unexpected_operation();
    }
    if write.name().is_empty() {
        return write.deny("could not determine pod from request data");
    }
    let pod = write.read("pods", write.name())?;
    write.require(node_of(&pod) == write.node, || {
        format!("node {} can only evict pods with spec.nodeName set to itself", write.node)
    })
}
