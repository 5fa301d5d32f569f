//! DELETE of one object: at once, after a grace period, or when its finalizers are gone (Kubernetes v1.36
//! `k8s.io/apiserver/pkg/registry/generic/registry/store.go`).

use std::sync::Arc;
use std::time::Duration;

use podo_api::field::{ErrorKind, Errors, FieldError, Path, quoted};
use podo_api::status::{Details, GroupResource};
use podo_api::{Object, Status, Value, json, meta, tree};
use podo_base::Timestamp;
use podo_registry::{DefaultPropagation, Definition};
use podo_store::{CommitError, Expect, Revision, Txn};

use super::{body, get, produce};
use crate::admission::{self, Operation};
use crate::api::Api;
use crate::call::{Call, Outcome, Target};
use crate::options::Options;
use crate::storage;

/// How often an attempt that lost against another writer is repeated.
const ATTEMPTS_MAX: usize = 64;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeleteRequest {
    grace_seconds: Option<i64>,
    propagation: Option<String>,
    orphan_dependents: Option<bool>,
    uid: Option<String>,
    resource_version: Option<String>,
    pub(crate) is_dry_run: bool,
}

pub(super) async fn delete(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let request = DeleteRequest::read(call)?;
    let deleted = delete_object(api, call, &call.target, &request).await?;
    let definition = call.target.definition;
    if deleted.is_gone && !definition.returns_deleted {
        let details = Details {
            name: deleted.object.name.to_string(),
            group: definition.names.group.to_owned(),
            kind: definition.names.plural.to_owned(),
            uid: deleted.object.uid.to_string(),
            ..Details::default()
        };
        return Ok(Outcome::Status(Status::success(200, Some(details))));
    }
    let is_accepted = !deleted.is_gone && request.orphan_dependents == Some(false);
    let code = if is_accepted { 202 } else { 200 };
    Ok(Outcome::Object { code, definition, object: deleted.object })
}

/// What became of an object that was to be deleted.
pub(crate) struct Deleted {
    pub(crate) object: Arc<Object>,
    pub(crate) is_gone: bool,
}

impl DeleteRequest {
    /// The options of a call: from its body or, where that is empty, from its query.
    pub(crate) fn read(call: &Call) -> Result<Self, Status> {
        let mut errors = Errors::new();
        let request = match body::decode_options(call)? {
            Some(options) => Self::of_body(&options, &mut errors),
            None => Self::of_query(&call.options, &mut errors)?,
        };
        request.checked(errors)
    }

    /// The options of a decoded `DeleteOptions`.
    pub(crate) fn of_options(options: &Value) -> Result<Self, Status> {
        let mut errors = Errors::new();
        Self::of_body(options, &mut errors).checked(errors)
    }

    fn checked(self, mut errors: Errors) -> Result<Self, Status> {
        self.check(&mut errors);
        if errors.is_empty() {
            return Ok(self);
        }
        let kind = GroupResource { group: "meta.k8s.io", resource: "DeleteOptions" };
        Err(Status::invalid(kind, "", errors))
    }

    /// The same deletion of an object that its caller has changed since: a version that the object had to have is the one that it
    /// has now.
    pub(crate) fn after_change(self, object: &Object) -> Self {
        let resource_version = self.resource_version.map(|_| object.resource_version.to_string());
        Self { resource_version, ..self }
    }

    fn of_body(options: &Value, errors: &mut Errors) -> Self {
        let text = |path: &[&str]| tree::at(options, path).as_str().map(str::to_owned);
        let dry_run: Vec<&str> =
            tree::items_at(options, &["dryRun"]).iter().filter_map(Value::as_str).collect();
        Self {
            grace_seconds: tree::int_at(options, &["gracePeriodSeconds"]),
            propagation: text(&["propagationPolicy"]),
            orphan_dependents: tree::at(options, &["orphanDependents"]).as_bool(),
            uid: text(&["preconditions", "uid"]),
            resource_version: text(&["preconditions", "resourceVersion"]),
            is_dry_run: Options::check_dry_run(&dry_run, errors),
        }
    }

    fn of_query(options: &Options, errors: &mut Errors) -> Result<Self, Status> {
        let dry_run: Vec<&str> = options.all("dryRun").collect();
        Ok(Self {
            grace_seconds: options.integer("gracePeriodSeconds")?,
            propagation: options.get("propagationPolicy").map(str::to_owned),
            orphan_dependents: options
                .get("orphanDependents")
                .map(|_| options.flag("orphanDependents")),
            uid: options.get("preconditions.uid").map(str::to_owned),
            resource_version: options.get("preconditions.resourceVersion").map(str::to_owned),
            is_dry_run: Options::check_dry_run(&dry_run, errors),
        })
    }

    fn check(&self, errors: &mut Errors) {
        let path = Path::new("propagationPolicy");
        let Some(policy) = &self.propagation else { return };
        if self.orphan_dependents.is_some() {
            errors.invalid(
                &path,
                policy,
                "orphanDependents and deletionPropagation cannot be both set",
            );
        }
        if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
            errors.push(FieldError {
                kind: ErrorKind::NotSupported,
                field: path,
                value: Some(quoted(policy)),
                detail: "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                    .to_owned(),
            });
        }
    }

    /// The object must be the one that the client means.
    pub(crate) fn check_preconditions(&self, target: &Target, old: &Value) -> Result<(), Status> {
        let conflict = |what: &str, given: &str, present: &str, guess: &str| {
            let why = format!(
                "the {what} in the precondition ({given}) does not match the {what} in record ({present}). The object might \
                 have been {guess}"
            );
            Err(Status::conflict(target.definition.names.kind(), &target.name, &why))
        };
        match &self.uid {
            Some(uid) if uid != meta::uid(old) => {
                return conflict("UID", uid, meta::uid(old), "deleted and then recreated");
            }
            _ => {}
        }
        let present = meta::str(old, "resourceVersion");
        match &self.resource_version {
            Some(version) if version != present => {
                conflict("ResourceVersion", version, present, "modified")
            }
            _ => Ok(()),
        }
    }

    fn wants_orphans(&self, definition: &Definition, old: &Value) -> bool {
        if let Some(orphan) = self.orphan_dependents {
            return orphan;
        }
        match self.propagation.as_deref() {
            Some(policy) => policy == "Orphan",
            None => match meta::finalizers(old).find(|name| matches!(*name, ORPHAN | FOREGROUND)) {
                Some(finalizer) => finalizer == ORPHAN,
                None => definition.propagation == DefaultPropagation::Orphan,
            },
        }
    }

    fn wants_foreground(&self, old: &Value) -> bool {
        if self.orphan_dependents.is_some() {
            return false;
        }
        match self.propagation.as_deref() {
            Some(policy) => policy == "Foreground",
            None => {
                meta::finalizers(old).find(|name| matches!(*name, ORPHAN | FOREGROUND))
                    == Some(FOREGROUND)
            }
        }
    }

    /// The finalizers of an object whose deletion begins: those of the garbage collector as the request says.
    fn finalizers(&self, definition: &Definition, old: &Value) -> Vec<String> {
        let mut finalizers: Vec<String> = meta::finalizers(old)
            .filter(|name| !matches!(*name, ORPHAN | FOREGROUND))
            .map(str::to_owned)
            .collect();
        if self.wants_orphans(definition, old) {
            finalizers.push(ORPHAN.to_owned());
        }
        if self.wants_foreground(old) {
            finalizers.push(FOREGROUND.to_owned());
        }
        finalizers
    }
}

/// What a deletion does to an object next.
#[derive(Debug, PartialEq)]
enum Step {
    /// A deletion is under way that this one does not speed up.
    Pending,
    /// The object is marked and stays for now.
    Mark(Value),
    /// The object is marked and then removed.
    MarkAndRemove(Value),
    /// The object is removed.
    Remove,
}

/// Deletes the object of a target as a request asks.
pub(crate) async fn delete_object(
    api: &Api,
    call: &Call,
    target: &Target,
    request: &DeleteRequest,
) -> Result<Deleted, Status> {
    for _ in 0..ATTEMPTS_MAX {
        let stored = get::find(api, target)?;
        let present = storage::view(target.definition, &stored);
        let old = present.value();
        let admission =
            admission::Request::of_target(api, call, target, Operation::Delete, request.is_dry_run);
        admission::validate(&admission, &Value::Null, Some(&old))?;
        request.check_preconditions(target, &old)?;
        let version = stored.resource_version;
        let done = match plan(target.definition, request, &old, api.clock.now()) {
            Step::Pending => Some(Deleted { object: present, is_gone: false }),
            Step::Mark(new) => mark(api, target, new, version, request.is_dry_run)
                .await?
                .map(|object| Deleted { object, is_gone: false }),
            Step::MarkAndRemove(new) => {
                match mark(api, target, new, version, request.is_dry_run).await? {
                    Some(marked) => {
                        let object = remove_marked(api, target, marked, request.is_dry_run).await?;
                        Some(Deleted { object, is_gone: true })
                    }
                    None => None,
                }
            }
            Step::Remove => remove(api, target, &old, version, request.is_dry_run)
                .await?
                .map(|object| Deleted { object, is_gone: true }),
        };
        // Who lost against another writer tries again; preconditions are checked again as well.
        if let Some(deleted) = done {
            return Ok(deleted);
        }
    }
    Err(Status::modified(target.resource(), &target.name))
}

/// Every decision of a deletion.
fn plan(definition: &Definition, request: &DeleteRequest, old: &Value, now: Timestamp) -> Step {
    let mut new = old.clone();
    if let Some(hold) = definition.hold_deletion {
        let is_first = !meta::is_deleting(old);
        let is_held = hold(&mut new);
        if is_first {
            meta::set(&mut new, "deletionTimestamp", now.to_rfc3339());
            return Step::Mark(new);
        }
        return if is_held || meta::finalizers(old).next().is_some() {
            Step::Pending
        } else {
            Step::Remove
        };
    }
    let grace = match plan_grace(definition, request, old, &mut new, now) {
        Grace::Pending => return Step::Pending,
        Grace::None => None,
        Grace::Seconds(seconds) => Some(seconds),
    };
    let finalizers = request.finalizers(definition, old);
    let is_held = !finalizers.is_empty();
    meta::set(&mut new, "finalizers", if is_held { Value::from(finalizers) } else { Value::Null });
    match grace {
        Some(seconds) if seconds > 0 || is_held => Step::Mark(new),
        Some(_) => Step::MarkAndRemove(new),
        None if is_held => {
            mark_deleting(&mut new, 0, now);
            if new == *old { Step::Pending } else { Step::Mark(new) }
        }
        None => Step::Remove,
    }
}

/// What the grace period of a deletion comes to.
enum Grace {
    /// The kind has none, or it is over.
    None,
    /// One is running already that is at least as short.
    Pending,
    /// It is so long; the object is marked.
    Seconds(i64),
}

fn plan_grace(
    definition: &Definition,
    request: &DeleteRequest,
    old: &Value,
    new: &mut Value,
    now: Timestamp,
) -> Grace {
    let Some(grace) = definition.grace else { return Grace::None };
    let asked = request.grace_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds });
    if !meta::is_deleting(old) {
        let seconds = grace(old, asked);
        mark_deleting(new, seconds, now);
        return Grace::Seconds(seconds);
    }
    // A grace period that is over, or that nobody set, holds nothing back: a server that stopped between the mark and the removal
    // left such an object, and the next deletion removes it.
    let running = tree::int_at(old, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
    if running == 0 {
        return Grace::None;
    }
    match asked {
        Some(seconds) if seconds < running => {
            let deadline = Timestamp::parse(meta::str(old, "deletionTimestamp")).unwrap_or(now);
            let deadline =
                Timestamp::from_seconds(deadline.as_seconds().saturating_sub(running - seconds));
            meta::set(new, "deletionTimestamp", deadline.to_rfc3339());
            meta::set(new, "deletionGracePeriodSeconds", seconds);
            Grace::Seconds(seconds)
        }
        _ => Grace::Pending,
    }
}

/// Marks an object as being deleted; the first time, that is a change of what it should be.
fn mark_deleting(new: &mut Value, grace_seconds: i64, now: Timestamp) {
    if meta::is_deleting(new) {
        return;
    }
    let grace = Duration::from_secs(u64::try_from(grace_seconds).unwrap_or(0));
    meta::set(new, "deletionTimestamp", now.plus(grace).to_rfc3339());
    meta::set(new, "deletionGracePeriodSeconds", grace_seconds);
    if meta::generation(new) > 0 {
        meta::set(new, "generation", meta::generation(new) + 1);
    }
}

async fn mark(
    api: &Api,
    target: &Target,
    mut new: Value,
    expected: u64,
    is_dry_run: bool,
) -> Result<Option<Arc<Object>>, Status> {
    let definition = target.definition;
    json::settle(&mut new, definition.schema()).map_err(Status::internal)?;
    if is_dry_run {
        let object = Object::new(&new, definition.schema(), definition.field_values(&new));
        return Ok(Some(Arc::new(object)));
    }
    produce::swap(api, target, &new, expected).await
}

/// Removes an object that was marked for it, whatever others wrote to it meanwhile; that one of them removed it is a success too.
async fn remove_marked(
    api: &Api,
    target: &Target,
    marked: Arc<Object>,
    is_dry_run: bool,
) -> Result<Arc<Object>, Status> {
    let mut last = marked;
    for _ in 0..ATTEMPTS_MAX {
        let removed = remove(api, target, &last.value(), last.resource_version, is_dry_run).await?;
        if let Some(object) = removed {
            return Ok(object);
        }
        match get::find(api, target) {
            Ok(present) if present.uid == last.uid => last = present,
            Err(status) if !status.is_not_found() => return Err(status),
            _gone => return Ok(last),
        }
    }
    Err(Status::modified(target.resource(), &target.name))
}

/// Removes an object; `None` if somebody else was faster. Answers with `last` at the revision of the removal.
pub(super) async fn remove(
    api: &Api,
    target: &Target,
    last: &Value,
    expected: u64,
    is_dry_run: bool,
) -> Result<Option<Arc<Object>>, Status> {
    let definition = target.definition;
    let object = Object::new(last, definition.schema(), definition.field_values(last));
    if is_dry_run {
        return Ok(Some(Arc::new(object)));
    }
    let key = storage::key(definition, &target.namespace, &target.name);
    match api.store.commit(Txn::delete(key, Expect::Revision(Revision(expected)))).await {
        Ok(committed) => Ok(Some(Arc::new(object.at_version(committed.revision.0)))),
        Err(CommitError::Conflict { .. }) => Ok(None),
        Err(error) => Err(storage::commit_failed(&error, target.resource(), &target.name)),
    }
}
