//! CREATE: a POST to a collection, and a PUT of a name that does not exist yet for the kinds that allow it.

use std::sync::Arc;

use podo_api::{Reason, Status, Value, json, meta, tree};
use podo_registry::{Generation, StatusPolicy, metadata};
use podo_store::{CommitError, Expect, Key, Txn};

use super::{body, produce, tracking};
use crate::admission::{self, Operation};
use crate::api::Api;
use crate::call::{Call, Outcome};
use crate::options::WriteOptions;
use crate::storage;

/// How often a clash of a generated name is met with another name (Kubernetes v1.36 `RetryGenerateName`).
const NAME_ATTEMPTS: usize = 8;

/// A generated name is cut to leave room for its end (Kubernetes v1.36 `names.SimpleNameGenerator`).
const NAME_BASE_MAX: usize = 58;

/// The length of the random end of a generated name.
const NAME_SUFFIX: usize = 5;

pub(super) async fn create(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let write = call.options.write("CreateOptions")?;
    let value = body::decode_object(call, write.field_validation)?;
    create_object(api, call, &write, value).await
}

/// Creates an object that was decoded and defaulted.
pub(super) async fn create_object(
    api: &Api,
    call: &Call,
    write: &WriteOptions,
    mut value: Value,
) -> Result<Outcome, Status> {
    let definition = call.target.definition;
    produce::check_namespace(call, &mut value)?;
    produce::dedup_owners(call, &mut value, "");
    let version = meta::str(&value, "resourceVersion").to_owned();
    wipe_system_fields(&mut value);
    tracking::create(api, call, write, &mut value);
    admission::await_service_account(api, &call.target, &value).await?;
    let mut request = admission::Request::new(api, call, Operation::Create, write.is_dry_run);
    admission::mutate(&mut request, &mut value, None)?;
    meta::set(&mut value, "uid", podo_base::uid());
    meta::set(&mut value, "creationTimestamp", api.clock.now().to_rfc3339());
    let is_generated =
        meta::name(&value).is_empty() && !meta::str(&value, "generateName").is_empty();
    for attempt in 1.. {
        // Without a name to generate there is one attempt.
        let mut value = if is_generated { value.clone() } else { std::mem::take(&mut value) };
        if is_generated {
            generate_name(&mut value);
        }
        finish(call, &mut value)?;
        admission::validate(&request, &value, None)?;
        if !write.is_dry_run && version.parse::<u64>().is_ok_and(|version| version != 0) {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Status::failure(Reason::Unknown, message));
        }
        let result = store(api, call, write, value).await;
        match result {
            Err(status) if is_generated && status.is_already_exists() => {
                if attempt >= NAME_ATTEMPTS {
                    return Err(name_clash(status));
                }
            }
            other => return other.map(|object| Outcome::Object { code: 201, definition, object }),
        }
    }
    Err(Status::internal("no name was free"))
}

fn name_clash(status: Status) -> Status {
    let message = format!(
        "{}, the server was not able to generate a unique name for the object",
        status.message
    );
    let mut details = status.details.map(|details| *details).unwrap_or_default();
    details.retry_after_seconds = 1;
    Status::about(Reason::AlreadyExists, message, details)
}

fn generate_name(value: &mut Value) {
    let base = meta::str(value, "generateName");
    let base: String = base.chars().take(NAME_BASE_MAX).collect();
    meta::set(value, "name", format!("{base}{}", podo_base::name_suffix(NAME_SUFFIX)));
}

/// What a client may not set when it creates an object.
fn wipe_system_fields(value: &mut Value) {
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
        "generation",
    ] {
        meta::set(value, field, Value::Null);
    }
}

/// The strategy of the kind and validation.
fn finish(call: &Call, value: &mut Value) -> Result<(), Status> {
    let definition = call.target.definition;
    if definition.status == StatusPolicy::Separate && !definition.keeps_new_status {
        tree::set(value, "status", Value::Null);
    }
    (definition.prepare_create)(value);
    if definition.generation != Generation::None {
        meta::set(value, "generation", 1);
    }
    json::settle(value, definition.schema()).map_err(Status::internal)?;
    let mut errors = podo_api::field::Errors::new();
    metadata::validate(definition, value, &mut errors);
    metadata::validate_finalizers(definition, value, &mut errors);
    (definition.validate)(value, &mut errors);
    if !errors.is_empty() {
        return Err(Status::invalid(definition.names.kind(), meta::name(value), errors));
    }
    for warning in (definition.warnings)(value, None) {
        call.warnings.add(warning);
    }
    json::settle_stored(value, definition.schema()).map_err(Status::internal)
}

/// 409: the name is taken.
fn taken(api: &Api, call: &Call, key: &Key, name: &str) -> Status {
    let mut status = Status::already_exists(call.target.resource(), name);
    let is_deleting = api
        .store
        .get(key)
        .ok()
        .flatten()
        .is_some_and(|entry| meta::is_deleting(&entry.value.view()));
    if is_deleting {
        status.message.insert_str(0, "object is being deleted: ");
    }
    status
}

async fn store(
    api: &Api,
    call: &Call,
    write: &WriteOptions,
    mut value: Value,
) -> Result<Arc<podo_api::Object>, Status> {
    let definition = call.target.definition;
    let name = &meta::name(&value).to_owned();
    let key = storage::key(definition, &call.target.namespace, name);
    if write.is_dry_run {
        let found = api.store.get(&key).map_err(|error| storage::read_failed(&error))?;
        if found.is_some() {
            return Err(taken(api, call, &key, name));
        }
        let object =
            podo_api::Object::new(&value, definition.schema(), definition.field_values(&value));
        return Ok(Arc::new(object));
    }
    // A version that is there is put right in the bytes, without a copy of the tree.
    meta::set(&mut value, "resourceVersion", "0");
    let txn = Txn::put(key.clone(), Expect::Absent, storage::draft(definition, &value));
    match api.store.commit(txn).await {
        Ok(committed) => match committed.entries.into_iter().next().flatten() {
            Some(entry) => Ok(storage::view(definition, &entry.value)),
            None => Err(Status::internal("the store gave no entry back")),
        },
        Err(CommitError::Conflict { .. }) => Err(taken(api, call, &key, name)),
        Err(error) => Err(storage::commit_failed(&error, call.target.resource(), name)),
    }
}
