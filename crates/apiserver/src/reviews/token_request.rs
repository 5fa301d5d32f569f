//! `serviceaccounts/token`: a token for a service account, bound to a Pod, a Secret or a node if that is wanted
//! (Kubernetes v1.36 `pkg/registry/core/serviceaccount/storage/token.go`).

use std::sync::Arc;
use std::time::Duration;

use podo_api::field::{Errors, Path, quoted};
use podo_api::status::GroupResource;
use podo_api::{Object, Status, Value, meta, tree};
use serde_json::json;

use super::{answer, strings, track};
use crate::admission;
use crate::api::Api;
use crate::call::{Call, Outcome, Target};
use crate::token::{Bound, Reference, TokenSpec};
use crate::verbs::{decode_object, find};

const KIND: GroupResource<'static> =
    GroupResource { group: "authentication.k8s.io", resource: "TokenRequest" };
const TYPE: &str = "authentication/v1.TokenRequest";

/// How long a token lives that does not say.
const DEFAULT_SECONDS: i64 = 60 * 60;

/// The shortest life of a token.
const SECONDS_MIN: i64 = 10 * 60;

/// Answers the create of a token.
pub(crate) async fn create(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let write = call.options.write("CreateOptions")?;
    let mut request = decode_object(call, write.field_validation)?;
    tree::set_default(spec_of(&mut request), "expirationSeconds", DEFAULT_SECONDS);
    check_names(call, &request)?;
    let account = read(api, call, "serviceaccounts", &call.target.name)?;
    check_uid(call, &account, &request)?;
    track(api, call, &write.manager, &mut request);
    let now = api.clock.now();
    complete(api, call, &account, &mut request);
    meta::set(&mut request, "creationTimestamp", now.to_rfc3339());
    validate(&request)?;
    admission::admit(api, call, &call.target, &mut request, write.is_dry_run)?;
    let seconds = seconds_of(&request);
    let spec = TokenSpec {
        namespace: call.target.namespace.to_string(),
        account: Reference::new(&account.name, &account.uid),
        bound: bound(api, call, tree::at(&request, &["spec", "boundObjectRef"]))?,
        audiences: strings(&request, &["spec", "audiences"]),
        seconds,
    };
    let token = api.tokens.issue(&spec, now).await?;
    let expires_at = now.plus(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    tree::set(
        &mut request,
        "status",
        json!({"token": token, "expirationTimestamp": expires_at.to_rfc3339()}),
    );
    answer(request, TYPE)
}

fn spec_of(request: &mut Value) -> &mut Value {
    tree::as_map(request).entry("spec").or_insert(Value::Null)
}

fn seconds_of(request: &Value) -> i64 {
    tree::int_at(request, &["spec", "expirationSeconds"]).unwrap_or(DEFAULT_SECONDS)
}

/// The body may name the account and must then name the one of the URL.
fn check_names(call: &Call, request: &Value) -> Result<(), Status> {
    for (field, wanted, what) in [
        ("name", &*call.target.name, "must match the service account name if specified"),
        (
            "namespace",
            &*call.target.namespace,
            "must match the service account namespace if specified",
        ),
    ] {
        let given = meta::str(request, field);
        if !given.is_empty() && given != wanted {
            let mut errors = Errors::new();
            errors.invalid(&Path::new("metadata").child(field), given, what);
            return Err(Status::invalid(KIND, &call.target.name, errors));
        }
    }
    Ok(())
}

/// The body may say which life of the account it means.
fn check_uid(call: &Call, account: &Object, request: &Value) -> Result<(), Status> {
    let given = meta::uid(request);
    if given.is_empty() || given == &*account.uid {
        return Ok(());
    }
    let why = format!(
        "the UID in the token request ({given}) does not match the UID of the service account ({})",
        account.uid
    );
    Err(Status::conflict(KIND, &call.target.name, &why))
}

/// What a request need not say.
fn complete(api: &Api, call: &Call, account: &Object, request: &mut Value) {
    if tree::items_at(request, &["spec", "audiences"]).is_empty() {
        tree::set(spec_of(request), "audiences", json!(api.tokens.audiences()));
    }
    meta::set(request, "name", &*call.target.name);
    meta::set(request, "namespace", &*call.target.namespace);
    meta::set(request, "uid", &*account.uid);
    tree::set(request, "status", Value::Null);
}

fn validate(request: &Value) -> Result<(), Status> {
    let mut errors = Errors::new();
    let path = Path::new("spec").child("expirationSeconds");
    let seconds = seconds_of(request);
    if seconds < SECONDS_MIN {
        errors.invalid_value(&path, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        errors.invalid_value(&path, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(KIND, "", errors)) }
}

/// An object of the core group, in the namespace of the account if it has one.
fn read(api: &Api, call: &Call, plural: &str, name: &str) -> Result<Arc<Object>, Status> {
    let definition = podo_registry::find("", "v1", plural);
    let definition =
        definition.ok_or_else(|| Status::internal(format!("{plural} are not served")))?;
    let namespace =
        if definition.is_namespaced() { call.target.namespace.clone() } else { "".into() };
    find(api, &Target { definition, namespace, name: name.into(), subresource: None })
}

/// What the token is bound to.
fn bound(api: &Api, call: &Call, wanted: &Value) -> Result<Bound, Status> {
    if wanted.is_null() {
        return Ok(Bound::Account);
    }
    let text = |field: &str| tree::str_at(wanted, &[field]);
    let (kind, name) = (text("kind"), text("name"));
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let plural = match (group, kind) {
        ("", "Pod") => "pods",
        ("", "Secret") => "secrets",
        ("", "Node") => "nodes",
        _ => {
            let message =
                format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
            return Err(Status::bad_request(message));
        }
    };
    let object = read(api, call, plural, name)?;
    let reference = Reference::new(name, &object.uid);
    let bound = match kind {
        "Pod" => bound_to_pod(api, call, &object, reference)?,
        "Secret" => Bound::Secret(reference),
        _ => Bound::Node(reference),
    };
    let uid = text("uid");
    if !uid.is_empty() && *uid != *object.uid {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted \
             and then recreated"
        );
        return Err(Status::conflict(GroupResource { group, resource: kind }, name, &why));
    }
    Ok(bound)
}

fn bound_to_pod(api: &Api, call: &Call, object: &Object, pod: Reference) -> Result<Bound, Status> {
    let value = object.view();
    let account = &*call.target.name;
    if tree::str_at(&value, &["spec", "serviceAccountName"]) != account {
        let account = quoted(account);
        return Err(Status::bad_request(format!(
            "cannot bind token for serviceaccount {account} to pod running with different serviceaccount name."
        )));
    }
    let node = tree::str_at(&value, &["spec", "nodeName"]);
    if node.is_empty() {
        return Ok(Bound::Pod { pod, node: None });
    }
    // A node that is not there (any more) is named all the same: it says where the Pod is.
    let uid = match read(api, call, "nodes", node) {
        Ok(found) => found.uid.to_string(),
        Err(status) if status.is_not_found() => String::new(),
        Err(status) => return Err(status),
    };
    Ok(Bound::Pod { pod, node: Some(Reference::new(node, &uid)) })
}
