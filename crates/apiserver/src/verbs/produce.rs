//! [`rewrite`]: the one way in which a stored object is changed, whether by PUT, PATCH or a subresource.
//!
//! Holds always
//! - What is written was made from what is replaced: every attempt starts from the object as it is, and the store swaps only
//!   that one.
//! - An attempt that changes nothing writes nothing.

use std::collections::HashSet;
use std::sync::Arc;

use podo_api::field::{Errors, Path};
use podo_api::schema::TypeRef;
use podo_api::{Object, Reason, Status, Value, json, managed_fields, meta, tree};
use podo_registry::{Definition, Generation, StatusPolicy, Verb, metadata};
use podo_store::{CommitError, Expect, Txn};

use super::{get, tracking};
use crate::admission::{self, Operation};
use crate::api::Api;
use crate::call::{Call, Outcome, Target};
use crate::options::WriteOptions;
use crate::service::Reservation;
use crate::storage;

/// How often an attempt that lost against another writer is repeated. Upstream gives a patch 5 attempts; an unconditional write
/// must win some time, and each loss means that another writer won.
const ATTEMPTS_MAX: usize = 64;

/// Makes the new object from the present one.
pub(crate) type Produced<'a> = &'a (dyn Fn(&Value) -> Result<Value, Status> + Send + Sync);

/// One attempt's objects.
struct Attempt {
    old: Value,
    old_object: Arc<Object>,
    new: Value,
    /// What was reserved for the object while it is being written.
    reservation: Reservation,
}

/// Changes the object of a call.
pub(crate) async fn rewrite(
    api: &Api,
    call: &Call,
    write: &WriteOptions,
    produced: Produced<'_>,
) -> Result<Outcome, Status> {
    let target = &call.target;
    for _ in 0..ATTEMPTS_MAX {
        let stored = get::find(api, target)?;
        let old_object = storage::view(target.definition, &stored);
        let old = old_object.value();
        let new = produced(&old)?;
        if call.verb == Verb::Update {
            check_uid(target, &new, &old)?;
        }
        check_version(target, &new, &old)?;
        let mut attempt = Attempt { old, old_object, new, reservation: Reservation::default() };
        let object = match finish(api, call, write, &mut attempt)? {
            Finished::Unchanged => Some(Arc::clone(&attempt.old_object)),
            Finished::Deleted => {
                // The answer is the object as it last was: upstream leaves the version of the last write in it.
                super::delete::remove(
                    api,
                    target,
                    &attempt.new,
                    stored.resource_version,
                    write.is_dry_run,
                )
                .await?
                .map(|_| verbatim(target.definition, &attempt.new))
            }
            Finished::Changed if write.is_dry_run => {
                Some(verbatim(target.definition, &attempt.new))
            }
            Finished::Changed => swap(api, target, &attempt.new, stored.resource_version).await?,
        };
        // Who lost against another writer tries again with what that one wrote. A client that named the version is refused then
        // by the check above; a patch that names none carries the version of what it was applied to.
        if let Some(object) = object {
            return Ok(Outcome::Object { code: 200, definition: target.definition, object });
        }
    }
    Err(Status::modified(target.resource(), &target.name))
}

fn verbatim(definition: &'static Definition, value: &Value) -> Arc<Object> {
    Arc::new(Object::new(value, definition.schema(), definition.field_values(value)))
}

/// What is to be done with the result of an attempt.
enum Finished {
    Unchanged,
    Changed,
    /// The last finalizer went: the object goes as well.
    Deleted,
}

/// The object that the client means must be this one. A patch that sets another UID is invalid instead: it was made from this one.
fn check_uid(target: &Target, new: &Value, old: &Value) -> Result<(), Status> {
    let (given, present) = (meta::uid(new), meta::uid(old));
    if given.is_empty() || given == present {
        Ok(())
    } else {
        Err(precondition_failed(target, "UID", given, present))
    }
}

/// The version that the client means must be that of the object.
fn check_version(target: &Target, new: &Value, old: &Value) -> Result<(), Status> {
    let version = meta::str(new, "resourceVersion");
    let number = match version {
        "" => 0,
        text => text.parse::<u64>().map_err(|_| {
            let shown = podo_api::field::quoted(text);
            Status::failure(
                Reason::Unknown,
                format!("strconv.ParseUint: parsing {shown}: invalid syntax"),
            )
        })?,
    };
    if number == 0 {
        if target.definition.allows_unconditional_update {
            return Ok(());
        }
        let mut errors = Errors::new();
        errors.invalid_value(
            &Path::new("metadata").child("resourceVersion"),
            0,
            "must be specified for an update",
        );
        return Err(Status::invalid(target.resource(), &target.name, errors));
    }
    if meta::resource_version(old) != Some(number) {
        return Err(Status::modified(target.resource(), &target.name));
    }
    Ok(())
}

/// Everything between the new object as the client wants it and the one that is written.
fn finish(
    api: &Api,
    call: &Call,
    write: &WriteOptions,
    attempt: &mut Attempt,
) -> Result<Finished, Status> {
    let definition = call.target.definition;
    let (old, new) = (&attempt.old, &mut attempt.new);
    tracking::update(api, call, write, old, new);
    carry(new, old);
    let mut request = admission::Request::new(api, call, Operation::Update, write.is_dry_run);
    admission::mutate(&mut request, new, Some(old))?;
    separate_status(call, new, old);
    if call.target.is_status() {
        (definition.prepare_status)(new, old);
    } else if let Some(strategy) = definition.strategy(call.target.subresource_name()) {
        (strategy.prepare)(new, old);
        bump_generation(definition, new, old);
    } else {
        (definition.prepare_update)(new, old);
        bump_generation(definition, new, old);
    }
    json::settle(new, definition.schema()).map_err(Status::internal)?;
    validate(call, new, old)?;
    admission::validate(&request, new, Some(old))?;
    json::settle_stored(new, definition.schema()).map_err(Status::internal)?;
    managed_fields::keep_times_if_unchanged(old, new);
    let finished = if should_delete(definition, new) {
        Finished::Deleted
    } else if new == old {
        Finished::Unchanged
    } else {
        Finished::Changed
    };
    attempt.reservation = request.reservation;
    Ok(finished)
}

/// Validation of a change: the metadata, the object, and what may change.
fn validate(call: &Call, new: &Value, old: &Value) -> Result<(), Status> {
    let definition = call.target.definition;
    let mut errors = Errors::new();
    // Upstream checks the metadata of every update twice, once for all kinds and once with the kind's own rules; clients see
    // both findings among the causes.
    for _ in 0..2 {
        metadata::validate(definition, new, &mut errors);
        metadata::validate_update(new, old, &mut errors);
    }
    if call.target.is_status() {
        (definition.validate_status)(new, old, &mut errors);
    } else if let Some(strategy) = definition.strategy(call.target.subresource_name()) {
        (strategy.validate)(new, old, &mut errors);
    } else {
        metadata::validate_finalizers(definition, new, &mut errors);
        (definition.validate_update)(new, old, &mut errors);
        (definition.validate)(new, &mut errors);
    }
    if !errors.is_empty() {
        return Err(Status::invalid(definition.names.kind(), meta::name(new), errors));
    }
    for warning in (definition.warnings)(new, Some(old)) {
        call.warnings.add(warning);
    }
    Ok(())
}

/// What no client can change: it is taken from the present object. Of what validation reports as immutable only what the client
/// left out is.
fn carry(new: &mut Value, old: &Value) {
    for field in ["resourceVersion", "generation", "selfLink", "creationTimestamp"] {
        meta::copy(new, old, field);
    }
    for field in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let is_blank = tree::at(new, &["metadata", field]).as_str() == Some("");
        let is_given = !matches!(tree::at(new, &["metadata", field]), Value::Null) && !is_blank;
        if !is_given || (field == "deletionTimestamp" && meta::is_deleting(old)) {
            meta::copy(new, old, field);
        }
    }
}

/// A write of the object keeps its status, a write of the status keeps everything else.
fn separate_status(call: &Call, new: &mut Value, old: &Value) {
    if call.target.definition.status == StatusPolicy::Whole {
        return;
    }
    if !call.target.is_status() {
        tree::copy(new, old, "status");
        return;
    }
    let fields: Vec<String> = tree::as_map(new)
        .keys()
        .chain(old.as_object().into_iter().flat_map(|map| map.keys()))
        .cloned()
        .collect();
    for field in fields {
        if !matches!(field.as_str(), "metadata" | "status" | "kind" | "apiVersion") {
            tree::copy(new, old, &field);
        }
    }
}

fn bump_generation(definition: &Definition, new: &mut Value, old: &Value) {
    let is_changed = match definition.generation {
        Generation::None => return,
        Generation::Spec => {
            !is_equal_settled(new, old, definition.schema(), &|field| field == "spec")
        }
        Generation::All => !is_equal_settled(new, old, definition.schema(), &|field| {
            !matches!(field, "metadata" | "status" | "kind" | "apiVersion")
        }),
    };
    if is_changed {
        meta::set(new, "generation", meta::generation(old) + 1);
    }
}

/// Whether two objects agree in the fields that `counts` once both are in normal form.
fn is_equal_settled(
    new: &Value,
    old: &Value,
    ty: TypeRef<'_>,
    counts: &dyn Fn(&str) -> bool,
) -> bool {
    let mut settled = new.clone();
    if json::settle(&mut settled, ty).is_err() {
        return false;
    }
    ty.fields()
        .iter()
        .filter(|field| counts(&field.name))
        .all(|field| settled.get(&*field.name) == old.get(&*field.name))
}

/// Whether nothing holds a deleted object any longer.
fn should_delete(definition: &Definition, new: &Value) -> bool {
    let is_held = definition.hold_deletion.is_some_and(|hold| hold(&mut new.clone()));
    meta::is_deleting(new)
        && !is_held
        && meta::finalizers(new).next().is_none()
        && tree::int_at(new, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0) == 0
}

/// Replaces the object; `None` if somebody else was faster.
pub(crate) async fn swap(
    api: &Api,
    target: &Target,
    new: &Value,
    expected: u64,
) -> Result<Option<Arc<Object>>, Status> {
    let definition = target.definition;
    let key = storage::key(definition, &target.namespace, &target.name);
    let expect = Expect::Revision(podo_store::Revision(expected));
    match api.store.commit(Txn::put(key, expect, storage::draft(definition, new))).await {
        Ok(committed) => match committed.entries.into_iter().next().flatten() {
            Some(entry) => Ok(Some(storage::view(definition, &entry.value))),
            None => Err(Status::internal("the store gave no entry back")),
        },
        Err(CommitError::Conflict { .. }) => Ok(None),
        Err(error) => Err(storage::commit_failed(&error, target.resource(), &target.name)),
    }
}

/// Changes a stored object as the system, not as a client: no admission, no field managers, no generation.
pub(crate) async fn amend(
    api: &Api,
    target: &Target,
    meant: &Value,
    is_dry_run: bool,
    change: &(dyn Fn(&mut Value) -> Result<(), Status> + Send + Sync),
) -> Result<Arc<Object>, Status> {
    for _ in 0..ATTEMPTS_MAX {
        let stored = get::find(api, target)?;
        let old = stored.value();
        for (what, field) in [("UID", "uid"), ("ResourceVersion", "resourceVersion")] {
            let (given, present) = (meta::str(meant, field), meta::str(&old, field));
            if !given.is_empty() && given != present {
                return Err(precondition_failed(target, what, given, present));
            }
        }
        let mut new = old.clone();
        change(&mut new)?;
        json::settle(&mut new, target.definition.schema()).map_err(Status::internal)?;
        if new == old || is_dry_run {
            return Ok(stored);
        }
        if let Some(object) = swap(api, target, &new, stored.resource_version).await? {
            return Ok(object);
        }
    }
    Err(Status::modified(target.resource(), &target.name))
}

/// 409: the object is another one of the same name, or has changed since.
pub(super) fn precondition_failed(
    target: &Target,
    what: &str,
    given: &str,
    present: &str,
) -> Status {
    let key = storage::key(target.definition, &target.namespace, &target.name);
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
         {what} in precondition: {given}, {what} in object meta: {present}",
        key.bucket(),
        key.rest()
    );
    Status::conflict(target.resource(), &target.name, &why)
}

/// The namespace of the object must be that of the URL; where it names none it gets that. An object of the cluster has none.
pub(crate) fn check_namespace(call: &Call, value: &mut Value) -> Result<(), Status> {
    let target = &call.target;
    if !target.definition.is_namespaced() {
        meta::set(value, "namespace", Value::Null);
        return Ok(());
    }
    let given = meta::namespace(value);
    if given.is_empty() {
        meta::set(value, "namespace", &*target.namespace);
    } else if given != &*target.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// An owner is referred to once; repetitions are dropped with a warning. `moment` is when they were found, where that is told.
pub(super) fn dedup_owners(call: &Call, value: &mut Value, moment: &str) {
    let Some(owners) = meta::of_mut(value).get_mut("ownerReferences").and_then(Value::as_array_mut)
    else {
        return;
    };
    let mut seen: HashSet<Value> = HashSet::with_capacity(owners.len());
    let mut repeated: Vec<String> = Vec::new();
    owners.retain(|owner| {
        let is_new = seen.insert(owner.clone());
        if !is_new {
            repeated.push(tree::str_at(owner, &["uid"]).to_owned());
        }
        is_new
    });
    if !repeated.is_empty() {
        call.warnings.add(format!(
            ".metadata.ownerReferences contains duplicate entries{moment}; API server dedups owner references in 1.20+, and may reject \
             such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            repeated.join(",")
        ));
    }
}
