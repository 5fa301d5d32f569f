//! Server-side apply: merges a configuration into the live object, and removes what the applier owned and does not name any more.

use std::collections::BTreeMap;

use serde_json::Value;

use super::conflict::Conflicts;
use super::entries::{DecodeError, Manager, Managers, Operation, Owned};
use super::field_set::FieldSet;
use super::leaves::of;
use super::merge::merge;
use super::node::Node;
use super::remove::remove;
use super::update::{self, TrackError, Transfer, transfer};
use super::validate::{Duplicates, TypeErrors, validate};
use super::{Request, Versions, blank, compare, values};
use crate::patch::go;
use crate::tree;

/// The manager to whom the fields of an object that nobody is recorded for are attributed when it is first applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// The manager whose client-side apply passes over to server-side apply.
const KUBECTL: &str = "kubectl";

/// The annotation in which client-side apply keeps the configuration.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Bytes that all annotations may have (Kubernetes v1.36).
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// Why a configuration is not applied. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// The body is of another kind or version than the endpoint: a bad request.
    #[error("invalid object type: {object_type}")]
    ObjectType {
        /// Group, version and kind of the body.
        object_type: String,
    },
    /// The body sets owners: a bad request.
    #[error("metadata.managedFields must be nil")]
    ManagedFields,
    /// The body does not fit the type: 500 without a reason.
    #[error("failed to create typed patch object ({object}): {errors}")]
    Body {
        /// Namespace, name and type of the body.
        object: String,
        /// What does not fit.
        errors: TypeErrors,
    },
    /// The live object does not fit the type: 500 without a reason.
    #[error("failed to create typed live object ({object}): {errors}")]
    Live {
        /// Namespace, name and type of the live object.
        object: String,
        /// What does not fit.
        errors: TypeErrors,
    },
    /// The owners of the live object are malformed: 500 without a reason.
    #[error("failed to decode managed fields: {problem}")]
    Owners {
        /// Why. Part of the text, which clients see whole.
        problem: DecodeError,
    },
    /// Others own fields that would change: a conflict, with a cause for each.
    #[error("{0}")]
    Conflicts(Conflicts),
}

impl ApplyError {
    /// Whether the request is bad, rather than in conflict or beyond the server.
    pub fn is_bad_request(&self) -> bool {
        matches!(self, Self::ObjectType { .. } | Self::ManagedFields)
    }
}

/// An object after an apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The object with its owners. Values that were removed may be `null`; defaults are not filled in.
    pub object: Value,
    /// Whether the object, but for its owners, is as it was.
    pub is_unchanged: bool,
}

/// Applies a configuration to the live object, for a create [`super::blank`].
///
/// `live` is settled. `config` is the body as it was sent, without defaults. Conflicts with others are errors unless `force` is set,
/// which takes the fields from them.
pub fn apply(
    live: &Value,
    config: &Value,
    force: bool,
    request: &Request<'_>,
) -> Result<Applied, ApplyError> {
    check_type(config, request)?;
    let managers = Managers::decode(tree::at(live, &["metadata", "managedFields"]))
        .map_err(|problem| ApplyError::Owners { problem })?;
    let (object, managers) = apply_as_kubectl(live, config, managers, force, request)?;
    let is_unchanged = object.is_none();
    let mut object = object.unwrap_or_else(|| live.clone());
    if request.manager == KUBECTL {
        keep_last_applied(&mut object, config);
    }
    managers.write(&mut object);
    Ok(Applied { object, is_unchanged })
}

fn check_type(config: &Value, request: &Request<'_>) -> Result<(), ApplyError> {
    let (api_version, kind) =
        (tree::str_at(config, &["apiVersion"]), tree::str_at(config, &["kind"]));
    if (api_version, kind) == (request.api_version, request.kind) {
        return Ok(());
    }
    Err(ApplyError::ObjectType { object_type: object_type(api_version, kind) })
}

/// Group, version and kind as Go prints them: `apps/v1, Kind=Deployment`, without a group `/v1, Kind=Pod`.
fn object_type(api_version: &str, kind: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

fn object_text(object: &Value) -> String {
    let meta = |field| tree::str_at(object, &["metadata", field]);
    let ty = object_type(tree::str_at(object, &["apiVersion"]), tree::str_at(object, &["kind"]));
    format!("{}/{}; {ty}", meta("namespace"), meta("name"))
}

/// Applies; what kubectl has set by client-side apply and nobody has changed since is no conflict for kubectl.
fn apply_as_kubectl(
    live: &Value,
    config: &Value,
    managers: Managers,
    force: bool,
    request: &Request<'_>,
) -> Result<(Option<Value>, Managers), ApplyError> {
    let outcome = apply_as(live, config, managers.clone(), force, request);
    let Err(ApplyError::Conflicts(conflicts)) = &outcome else {
        return outcome;
    };
    if request.manager != KUBECTL {
        return outcome;
    }
    let Some(allowed) = last_applied_fields(live, request) else {
        return outcome;
    };
    if !conflicts.set().difference(&allowed).is_empty() {
        return Err(ApplyError::Conflicts(conflicts.outside(&allowed)));
    }
    apply_as(live, config, managers, true, request)
}

/// The fields of the client-side applied configuration that the live object still has as applied.
fn last_applied_fields(live: &Value, request: &Request<'_>) -> Option<FieldSet> {
    let text = tree::str_at(live, &["metadata", "annotations", LAST_APPLIED]);
    let applied: Value = serde_json::from_str(text).ok()?;
    if tree::str_at(&applied, &["apiVersion"]) != request.api_version {
        return None;
    }
    let ty = request.versions.type_of(request.api_version);
    let live = update::in_version(live, request);
    for object in [&*live, &applied] {
        validate(object, ty, Duplicates::Refused).ok()?;
    }
    let changes = compare(&applied, &live, ty).ok()?;
    let fields = of(&applied, ty).ok()?;
    Some(
        fields
            .difference(&changes.modified)
            .difference(&changes.added)
            .difference(&changes.removed),
    )
}

/// Applies, with the owners of fields that were set before the first apply recorded.
fn apply_as(
    live: &Value,
    config: &Value,
    mut managers: Managers,
    force: bool,
    request: &Request<'_>,
) -> Result<(Option<Value>, Managers), ApplyError> {
    if managers.is_empty() {
        let ty = request.versions.type_of(request.api_version);
        let nothing = blank(ty, request.api_version, request.kind);
        managers = update::record(&nothing, live, managers, BEFORE_FIRST_APPLY, request)
            .map_err(|error| track_error(error, live))?;
    }
    let manager = update::manager(request.manager, Operation::Apply, request);
    let (object, mut managers) = merge_config(live, config, managers, &manager, force, request)?;
    if let Some(mut owned) = managers.0.remove(&manager) {
        owned.set = update::tracked(&owned.set);
        if object.is_some() {
            owned.time = Some(request.now.to_owned());
        }
        if !owned.set.is_empty() {
            managers.0.insert(manager, owned);
        }
    }
    Ok((object, managers))
}

fn track_error(error: TrackError, live: &Value) -> ApplyError {
    match error {
        TrackError::Type(errors) => ApplyError::Live { object: object_text(live), errors },
        TrackError::Conflicts(conflicts) => ApplyError::Conflicts(conflicts),
    }
}

/// The merged object, `None` if it is as the live one, and the owners.
fn merge_config(
    live: &Value,
    config: &Value,
    managers: Managers,
    manager: &Manager,
    force: bool,
    request: &Request<'_>,
) -> Result<(Option<Value>, Managers), ApplyError> {
    if tree::at(config, &["metadata", "managedFields"]).is_array() {
        return Err(ApplyError::ManagedFields);
    }
    let versions = request.versions;
    let ty = versions.type_of(request.api_version);
    let body_error = |errors| ApplyError::Body { object: object_text(config), errors };
    let live_error = |errors| ApplyError::Live { object: object_text(live), errors };
    validate(config, ty, Duplicates::Refused).map_err(body_error)?;
    let converted = update::in_version(live, request);
    validate(&converted, ty, Duplicates::Allowed).map_err(live_error)?;

    let mut managers = update::reconciled(managers, versions);
    let one = |error| TypeErrors(vec![error]);
    let merged = merge(&converted, config, ty).map_err(|error| live_error(one(error)))?;
    let mut set = of(config, ty).map_err(|error| body_error(one(error)))?;
    if let Some(filter) = versions.filter(request.api_version) {
        set = filter.apply(&set);
    }
    let last = managers.0.remove(manager);
    let time = last.as_ref().and_then(|owned| owned.time.clone());
    let api_version = request.api_version.to_owned();
    managers.0.insert(manager.clone(), Owned { set, api_version, time });
    let pruned = prune(merged, &managers, last.as_ref(), request);
    let transfer_options = Transfer { workflow: Some(manager), forces: force, request };
    let (managers, _) = transfer(&converted, &pruned, managers, &transfer_options)
        .map_err(|error| track_error(error, live))?;
    let is_unchanged = values::equal(&converted, &pruned);
    Ok(((!is_unchanged).then_some(pruned), managers))
}

/// Removes the fields that the applier owned last time, does not name now, and that nobody else owns.
fn prune(merged: Value, managers: &Managers, last: Option<&Owned>, request: &Request<'_>) -> Value {
    let versions = request.versions;
    let Some(last) = last.filter(|last| !last.set.is_empty()) else {
        return merged;
    };
    let Some(converted) = versions.convert(&merged, &last.api_version) else {
        return merged;
    };
    let ty = versions.type_of(&last.api_version);
    let owned_last = last.set.with_named_fields(Some(Node::root(ty)));
    let pruned = remove(&converted, &owned_last, ty);
    let pruned = add_back_owned(&converted, pruned, &last.api_version, managers, versions);
    let pruned = match versions.convert(&pruned, &last.api_version) {
        Some(pruned) => {
            // What nobody applied, or what updaters own, was not the applier's to remove.
            let gone = members(&converted, versions, &last.api_version)
                .difference(&members(&pruned, versions, &last.api_version))
                .intersection(&owned_last);
            remove(&converted, &gone, ty)
        }
        None => converted.into_owned(),
    };
    versions
        .convert(&pruned, request.api_version)
        .map(std::borrow::Cow::into_owned)
        .unwrap_or(pruned)
}

/// All members of an object, with the named fields above them.
fn members(object: &Value, versions: &dyn Versions, api_version: &str) -> FieldSet {
    let ty = versions.type_of(api_version);
    of(object, ty).unwrap_or_default().with_named_fields(Some(Node::root(ty)))
}

/// Adds back what was removed and somebody owns, the applier's new configuration included.
fn add_back_owned(
    merged: &Value,
    mut pruned: Value,
    pruned_version: &str,
    managers: &Managers,
    versions: &dyn Versions,
) -> Value {
    let mut owned_by_version: BTreeMap<&str, FieldSet> = BTreeMap::new();
    for owned in managers.0.values() {
        let set = owned_by_version.entry(&owned.api_version).or_default();
        *set = set.union(&owned.set);
    }
    // The pruned version first: fields that conversion needs must be back before the others.
    let first = owned_by_version.remove_entry(pruned_version);
    for (version, owned) in first.into_iter().chain(owned_by_version) {
        let converted = (versions.convert(merged, version), versions.convert(&pruned, version));
        let (Some(merged), Some(kept)) = converted else {
            continue;
        };
        let ty = versions.type_of(version);
        let keep =
            members(&kept, versions, version).union(&owned.with_named_fields(Some(Node::root(ty))));
        let gone = members(&merged, versions, version).difference(&keep);
        pruned = remove(&merged, &gone, ty);
    }
    pruned
}

/// Keeps the annotation of client-side apply in step, so that going back to it works.
fn keep_last_applied(object: &mut Value, config: &Value) {
    if tree::str_at(object, &["metadata", "annotations", LAST_APPLIED]).is_empty() {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations") {
        tree::take(annotations, LAST_APPLIED);
    }
    let text = format!("{}\n", go::json(&config));
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations else {
        return;
    };
    annotations.insert(LAST_APPLIED.to_owned(), Value::String(text));
    let bytes = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    if annotations.iter().map(bytes).sum::<usize>() > ANNOTATIONS_BYTES_MAX {
        annotations.remove(LAST_APPLIED);
    }
}
