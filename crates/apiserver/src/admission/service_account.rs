//! ServiceAccount: every Pod acts as an account of its namespace and finds that account's token in its containers.

use podo_api::{Object, Status, Value, meta, tree};
use serde_json::json;

use super::{Operation, Request};
use crate::storage;

/// Where the token is mounted.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How long the token lives: an hour, and seven seconds by which upstream tells these tokens from others.
const TOKEN_SECONDS: i64 = 3607;

/// The annotation of a mirror Pod, which stands for a Pod of the node and may not use what the cluster keeps.
const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) fn admit(request: &Request<'_>, value: &mut Value) -> Result<(), Status> {
    if !request.is_main("pods") || request.operation != Operation::Create {
        return Ok(());
    }
    if meta::annotation(value, MIRROR).is_some() {
        return admit_mirror(request, value);
    }
    let spec = tree::as_map(value).entry("spec").or_insert(Value::Null);
    tree::set_default(spec, "serviceAccountName", "default");
    let name = tree::str_at(spec, &["serviceAccountName"]).to_owned();
    tree::set(spec, "serviceAccount", name.clone());
    let account = find(request, value, &name)?.view();
    let spec = tree::as_map(value).entry("spec").or_insert(Value::Null);
    if tree::items_at(spec, &["imagePullSecrets"]).is_empty() {
        tree::copy(spec, &account, "imagePullSecrets");
    }
    if wants_token(spec, &account) {
        mount_token(spec);
    }
    Ok(())
}

fn admit_mirror(request: &Request<'_>, value: &Value) -> Result<(), Status> {
    if !tree::str_at(value, &["spec", "serviceAccountName"]).is_empty() {
        return Err(request.forbidden(value, "a mirror pod may not reference service accounts"));
    }
    Ok(())
}

fn find(
    request: &Request<'_>,
    value: &Value,
    name: &str,
) -> Result<std::sync::Arc<Object>, Status> {
    let definition = podo_registry::find("", "v1", "serviceaccounts")
        .ok_or_else(|| Status::internal("service accounts are not served"))?;
    let namespace = &*request.target.namespace;
    let key = storage::key(definition, namespace, name);
    let entry = request.api.store.get(&key).map_err(|error| storage::read_failed(&error))?;
    entry.map(|entry| std::sync::Arc::clone(&entry.value)).ok_or_else(|| {
        let why = format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
        request.forbidden(value, why)
    })
}

/// The Pod decides, then the account; the default is yes.
fn wants_token(spec: &Value, account: &Value) -> bool {
    let field = "automountServiceAccountToken";
    spec.get(field).or_else(|| account.get(field)).and_then(Value::as_bool).unwrap_or(true)
}

fn mount_token(spec: &mut Value) {
    let name = format!("kube-api-access-{}", podo_base::name_suffix(5));
    let mut is_mounted = false;
    for list in ["initContainers", "containers"] {
        for container in tree::items_mut(spec, list) {
            is_mounted |= mount(container, &name);
        }
    }
    if !is_mounted {
        return;
    }
    let mut volumes = tree::items_at(spec, &["volumes"]).to_vec();
    volumes.push(volume(&name));
    tree::set(spec, "volumes", volumes);
}

/// Mounts the token in a container that has nothing there yet.
fn mount(container: &mut Value, name: &str) -> bool {
    let mounts = tree::items_at(container, &["volumeMounts"]);
    if mounts.iter().any(|mount| tree::str_at(mount, &["mountPath"]) == MOUNT_PATH) {
        return false;
    }
    let mut mounts = mounts.to_vec();
    mounts.push(json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH}));
    tree::set(container, "volumeMounts", mounts);
    true
}

fn volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
                ]}},
            ],
        },
    })
}
