//! Which tokens a node may ask for: those of the Pods that it runs, for whom these Pods are to show them.

use podo_api::{Status, Value, meta, tree};

use super::{Operation, Write, node_of, quoted};
use crate::authz::Attributes;
use crate::authz::pod_references::ephemeral_claim;

pub(super) fn request(write: &Write<'_>) -> Result<(), Status> {
    if write.operation() != Operation::Create {
        return Ok(());
    }
    let reference = tree::at(write.value, &["spec", "boundObjectRef"]);
    let text = |field: &str| tree::str_at(reference, &[field]);
    let is_bound = text("apiVersion") == "v1" && text("kind") == "Pod" && !text("name").is_empty();
    write.require(is_bound, || "node requested token not bound to a pod".to_owned())?;
    let uid = text("uid");
    write.require(!uid.is_empty(), || {
        "node requested token with a pod binding without a uid".to_owned()
    })?;
    let pod = write.read("pods", text("name"))?;
    write.require(meta::uid(&pod) == uid, || {
        format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted \
             and then recreated"
        )
    })?;
    write.require(node_of(&pod) == write.node, || {
        "node requested token bound to a pod scheduled on a different node".to_owned()
    })?;
    audience(write, &pod)
}

/// Whom the token is for must be somebody to whom the Pod is to show one (KEP-740).
fn audience(write: &Write<'_>, pod: &Value) -> Result<(), Status> {
    let audiences = tree::items_at(write.value, &["spec", "audiences"]);
    write.require(audiences.len() <= 1, || "node may only request 0 or 1 audiences".to_owned())?;
    let own = write.request.api.tokens.audiences();
    let asked = audiences.first().and_then(Value::as_str).unwrap_or("");
    // No audience means this server's own.
    let is_own = |audience: &str| audience.is_empty() || own.iter().any(|known| known == audience);
    let is_meant = |audience: &str| audience == asked || is_own(audience) && is_own(asked);
    let volumes = tree::items_at(pod, &["spec", "volumes"]);
    if volumes.iter().any(|volume| shows(write, pod, volume, &is_meant)) || may_ask(write, asked) {
        return Ok(());
    }
    write.deny(format!("audience {} not found in pod spec volume", quoted(asked)))
}

fn may_ask(write: &Write<'_>, audience: &str) -> bool {
    let attributes = Attributes {
        verb: "request-serviceaccounts-token-audience",
        version: "v1",
        resource: audience,
        name: write.name(),
        namespace: &write.request.target.namespace,
        ..Attributes::path(write.request.user)
    };
    !audience.is_empty() && write.request.api.authorize(&attributes).is_ok()
}

fn shows(write: &Write<'_>, pod: &Value, volume: &Value, is_meant: &dyn Fn(&str) -> bool) -> bool {
    let sources = tree::items_at(volume, &["projected", "sources"]).iter();
    let mut tokens = sources
        .map(|source| tree::at(source, &["serviceAccountToken"]))
        .filter(|token| !token.is_null());
    if tokens.any(|token| is_meant(tree::str_at(token, &["audience"]))) {
        return true;
    }
    let driver = driver_of(write, pod, volume);
    driver.is_some_and(|driver| {
        let requests = tree::items_at(&driver, &["spec", "tokenRequests"]);
        requests.iter().any(|request| is_meant(tree::str_at(request, &["audience"])))
    })
}

/// The CSI driver that mounts a volume.
fn driver_of(write: &Write<'_>, pod: &Value, volume: &Value) -> Option<Value> {
    let inline = tree::str_at(volume, &["csi", "driver"]);
    let driver =
        if inline.is_empty() { claimed_driver(write, pod, volume)? } else { inline.to_owned() };
    let definition = podo_registry::find("storage.k8s.io", "v1", "csidrivers")?;
    let key = crate::storage::key(definition, "", &driver);
    Some(write.request.api.store.get(&key).ok()??.value.view())
}

fn claimed_driver(write: &Write<'_>, pod: &Value, volume: &Value) -> Option<String> {
    let claim = if tree::at(volume, &["ephemeral"]).is_null() {
        tree::str_at(volume, &["persistentVolumeClaim", "claimName"]).to_owned()
    } else {
        ephemeral_claim(meta::name(pod), volume)
    };
    if claim.is_empty() {
        return None;
    }
    let claim = write.read("persistentvolumeclaims", &claim).ok()?;
    let volume =
        write.read("persistentvolumes", tree::str_at(&claim, &["spec", "volumeName"])).ok()?;
    let driver = tree::str_at(&volume, &["spec", "csi", "driver"]);
    (!driver.is_empty()).then(|| driver.to_owned())
}
