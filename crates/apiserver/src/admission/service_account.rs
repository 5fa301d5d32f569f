//! ServiceAccount: every Pod acts as an account of its namespace and finds that account's token in its containers.

use std::sync::Arc;
use std::time::Duration;

use podo_api::{Object, Status, Value, meta, tree};
use podo_store::Filter;
use serde_json::json;

use super::mountable_secrets::{EPHEMERAL, Mountable};
use super::{Operation, Request};
use crate::api::Api;
use crate::authz::pod_references::{MIRROR, PodReferences};
use crate::call::Target;
use crate::storage;

/// The account of Pods that name none.
const DEFAULT: &str = "default";

/// How long a Pod waits for it (Kubernetes v1.36 asks ten times, up to 200 ms apart).
const DEFAULT_WAIT: Duration = Duration::from_secs(2);

/// Where the token is mounted.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What the names of the volumes with tokens begin with.
const VOLUME_PREFIX: &str = "kube-api-access-";

/// How long the token lives: an hour, and seven seconds by which upstream tells these tokens from others.
const TOKEN_SECONDS: i64 = 3607;

pub(super) fn admit(request: &Request<'_>, value: &mut Value) -> Result<(), Status> {
    if !request.is_main("pods") || request.operation != Operation::Create {
        return Ok(());
    }
    if meta::annotation(value, MIRROR).is_some() {
        return admit_mirror(request, value);
    }
    let spec = tree::as_map(value).entry("spec").or_insert(Value::Null);
    tree::set_default(spec, "serviceAccountName", DEFAULT);
    let name = tree::str_at(spec, &["serviceAccountName"]).to_owned();
    tree::set(spec, "serviceAccount", name.clone());
    let account = account(request, value, &name)?.view();
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
    if !PodReferences::of(value).secrets.is_empty() {
        return Err(request.forbidden(value, "a mirror pod may not reference secrets"));
    }
    let volumes = tree::items_at(value, &["spec", "volumes"]).iter();
    let mut sources = volumes.flat_map(|volume| tree::items_at(volume, &["projected", "sources"]));
    if sources.any(|source| !tree::at(source, &["serviceAccountToken"]).is_null()) {
        let why = "a mirror pod may not use ServiceAccountToken volume projections";
        return Err(request.forbidden(value, why));
    }
    Ok(())
}

/// Which Secrets a Pod may refer to, as its account bounds it.
pub(super) fn validate(request: &Request<'_>, value: &Value) -> Result<(), Status> {
    let names = &request.definition().names;
    let is_pod = (names.group, names.plural) == ("", "pods");
    let spec = tree::at(value, &["spec"]);
    let refuse: fn(&Mountable<'_>, &Value) -> Option<String> =
        match (request.operation, request.target.subresource_name()) {
            (Operation::Create, "") if is_pod && meta::annotation(value, MIRROR).is_none() => {
                |bounds, spec| bounds.refuse_spec(spec)
            }
            (Operation::Update, "ephemeralcontainers") if is_pod => {
                |bounds, spec| bounds.refuse_containers(spec, &EPHEMERAL)
            }
            _ => return Ok(()),
        };
    let account = account(request, value, tree::str_at(spec, &["serviceAccountName"]))?.view();
    match Mountable::of(&account).and_then(|bounds| refuse(&bounds, spec)) {
        Some(why) => Err(request.forbidden(value, why)),
        None => Ok(()),
    }
}

/// Waits for the account `default` of a namespace that is new: its controller makes it when it sees the namespace.
pub(crate) async fn await_default(api: &Api, target: &Target, pod: &Value) -> Result<(), Status> {
    let names = &target.definition.names;
    let is_pod = (names.group, names.plural) == ("", "pods") && target.subresource.is_none();
    let account = tree::str_at(pod, &["spec", "serviceAccountName"]);
    if !is_pod || !matches!(account, "" | DEFAULT) || meta::annotation(pod, MIRROR).is_some() {
        return Ok(());
    }
    let (Some(accounts), Some(namespaces)) = (
        podo_registry::find("", "v1", "serviceaccounts"),
        podo_registry::find("", "v1", "namespaces"),
    ) else {
        return Ok(());
    };
    let failed = |error| storage::read_failed(&error);
    let key = storage::key(accounts, &target.namespace, DEFAULT);
    let filter = Filter::Exact(key.rest().into());
    let mut watcher =
        api.store.watch(&accounts.bucket(), filter, api.store.revision()).map_err(failed)?;
    let has_namespace = api.store.get(&storage::key(namespaces, "", &target.namespace));
    if has_namespace.map_err(failed)?.is_some() && api.store.get(&key).map_err(failed)?.is_none() {
        // What came or did not come is seen when the account is looked up.
        let _came = tokio::time::timeout(DEFAULT_WAIT, watcher.next()).await;
    }
    Ok(())
}

fn account(request: &Request<'_>, value: &Value, name: &str) -> Result<Arc<Object>, Status> {
    let definition = podo_registry::find("", "v1", "serviceaccounts")
        .ok_or_else(|| Status::internal("service accounts are not served"))?;
    let namespace = &*request.target.namespace;
    let key = storage::key(definition, namespace, name);
    let entry = request.api.store.get(&key).map_err(|error| storage::read_failed(&error))?;
    entry.map(|entry| Arc::clone(&entry.value)).ok_or_else(|| {
        let why = format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
        request.forbidden(value, why)
    })
}

/// The Pod decides, then the account; the default is yes.
fn wants_token(spec: &Value, account: &Value) -> bool {
    let field = "automountServiceAccountToken";
    spec.get(field).or_else(|| account.get(field)).and_then(Value::as_bool).unwrap_or(true)
}

/// Mounts a token where containers have none, from the Pod's own volume of that kind if it came with one (Kubernetes v1.36
/// `mountServiceAccountToken`).
fn mount_token(spec: &mut Value) {
    let names = tree::items_at(spec, &["volumes"]).iter().map(|it| tree::str_at(it, &["name"]));
    let own = names.filter(|name| name.starts_with(VOLUME_PREFIX)).map(ToOwned::to_owned).next();
    let has_own = own.is_some();
    let name = own.unwrap_or_else(|| format!("{VOLUME_PREFIX}{}", podo_base::name_suffix(5)));
    let mut is_mounted = false;
    for list in ["initContainers", "containers"] {
        for container in tree::items_mut(spec, list) {
            is_mounted |= mount(container, &name);
        }
    }
    if has_own || !is_mounted {
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
