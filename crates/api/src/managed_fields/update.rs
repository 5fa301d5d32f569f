//! Records what a create, an update or a patch changed: the writer owns it from now on, and the others no longer do.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::compare::{Comparison, compare};
use super::conflict::Conflicts;
use super::entries::{Manager, Managers, Operation, Owned};
use super::field_set::FieldSet;
use super::reconcile::reconcile;
use super::validate::{Duplicates, TypeErrors, validate};
use super::{Request, Versions, values};
use crate::{meta, tree};

/// Entries of updaters in one object (Kubernetes v1.36). Each costs a set of fields in every read of the object.
const UPDATERS_MAX: usize = 10;

/// The manager into whose entries the oldest updaters are merged.
const ANCIENT: &str = "ancient-changes";

/// Fields that belong to the system and to nobody else.
const UNTRACKED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Why an object's owners cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TrackError {
    /// An object does not fit its type.
    Type(TypeErrors),
    /// Others own what is to be changed.
    Conflicts(Conflicts),
}

impl From<super::validate::TypeError> for TrackError {
    fn from(error: super::validate::TypeError) -> Self {
        Self::Type(TypeErrors(vec![error]))
    }
}

/// Records in `new`'s `metadata.managedFields` who owns its fields after a write that is not an apply.
///
/// `live` is the object as it was, for a create [`super::blank`]. `new` is the object as the client wants it: decoded, with defaults,
/// before admission and before the server sets anything. What `new` brings in `managedFields` counts as the owners before the write
/// if it is well-formed and comes through the object itself; [`keep_reset`] says how it is emptied.
pub fn update(live: &Value, new: &mut Value, request: &Request<'_>) {
    let managers = owners_before(live, new, request);
    if let Some(metadata) = new.get_mut("metadata") {
        tree::take(metadata, "managedFields");
    }
    // An object that nobody is recorded for stays so until it is applied.
    if managers.is_empty() && !meta::uid(live).is_empty() {
        return;
    }
    if let Ok(managers) = record(live, new, managers, request.manager, request) {
        managers.write(new);
        return;
    }
    // What cannot be recorded leaves the entries as they were.
    let theirs = tree::at(live, &["metadata", "managedFields"]).clone();
    if !theirs.is_null() {
        tree::map_mut(new, "metadata").insert("managedFields".to_owned(), theirs);
    }
}

/// The owners that the client sends, if it may and they are well-formed, else those of the live object.
fn owners_before(live: &Value, new: &Value, request: &Request<'_>) -> Managers {
    if !request.subresource.is_empty() {
        return Managers::of_object(live);
    }
    let sent = tree::at(new, &["metadata", "managedFields"]);
    if is_reset(sent) {
        return Managers::default();
    }
    match Managers::decode(sent) {
        Ok(managers) if !managers.is_empty() => managers,
        _ => Managers::of_object(live),
    }
}

/// An empty list, or a list of one empty entry, empties the record.
fn is_reset(managed_fields: &Value) -> bool {
    let is_empty = |entry: &Value| entry.as_object().is_some_and(serde_json::Map::is_empty);
    match managed_fields.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([entry]) => is_empty(entry),
        _ => false,
    }
}

/// Carries an empty `managedFields` of a body over to the settled tree, which has no empty lists: [`update`] must see it.
pub fn keep_reset(body: &Value, settled: &mut Value) {
    let sent = tree::at(body, &["metadata", "managedFields"]);
    if sent.as_array().is_some_and(Vec::is_empty) {
        let entry = Value::Array(vec![Value::Object(serde_json::Map::new())]);
        tree::map_mut(settled, "metadata").insert("managedFields".to_owned(), entry);
    }
}

/// The owners after an update by `name`.
pub(super) fn record(
    live: &Value,
    new: &Value,
    managers: Managers,
    name: &str,
    request: &Request<'_>,
) -> Result<Managers, TrackError> {
    let versions = request.versions;
    let live = in_version(live, request);
    let new = in_version(new, request);
    let ty = versions.type_of(request.api_version);
    validate(&new, ty, Duplicates::Allowed).map_err(TrackError::Type)?;
    let managers = reconciled(managers, versions);
    let (mut managers, changes) =
        transfer(&live, &new, managers, &Transfer { workflow: None, forces: true, request })?;
    let mut taken = changes.modified.union(&changes.added);
    if let Some(filter) = versions.filter(request.api_version) {
        taken = filter.apply(&taken);
    }
    let taken = tracked(&taken);
    if !taken.is_empty() {
        let manager = manager(name, Operation::Update, request);
        let set = match managers.0.get(&manager) {
            Some(owned) => taken.union(&owned.set),
            None => taken,
        };
        let api_version = request.api_version.to_owned();
        managers.0.insert(manager, Owned { set, api_version, time: Some(request.now.to_owned()) });
    }
    cap_updaters(&mut managers);
    Ok(managers)
}

/// What tells the writer's entry apart.
pub(super) fn manager(name: &str, operation: Operation, request: &Request<'_>) -> Manager {
    Manager {
        name: if name.is_empty() { "unknown" } else { name }.to_owned(),
        operation,
        api_version: match operation {
            Operation::Apply => String::new(),
            Operation::Update => request.api_version.to_owned(),
        },
        subresource: request.subresource.to_owned(),
    }
}

/// The set without what belongs to the system.
pub(super) fn tracked(set: &FieldSet) -> FieldSet {
    set.difference(&FieldSet::of_fields(UNTRACKED))
}

/// The object in the version of the request.
pub(super) fn in_version<'v>(object: &'v Value, request: &Request<'_>) -> Cow<'v, Value> {
    let versions = request.versions;
    versions.convert(object, request.api_version).unwrap_or(Cow::Borrowed(object))
}

/// The owners with their sets in line with the schema; those of versions that are gone are dropped.
pub(super) fn reconciled(managers: Managers, versions: &dyn Versions) -> Managers {
    let kept = managers.0.into_iter().filter_map(|(manager, mut owned)| {
        if !versions.serves(&owned.api_version) {
            return None;
        }
        if let Some(set) = reconcile(&owned.set, versions.type_of(&owned.api_version)) {
            owned.set = set;
        }
        Some((manager, owned))
    });
    Managers(kept.collect())
}

/// Whose write it is, and whether it takes fields from others without asking.
pub(super) struct Transfer<'a> {
    /// The applier, whose own fields are no conflict.
    pub(super) workflow: Option<&'a Manager>,
    /// Whether conflicts are overridden.
    pub(super) forces: bool,
    /// The request.
    pub(super) request: &'a Request<'a>,
}

/// Takes what changed from its owners. Returns them with the changes in the version of the request.
pub(super) fn transfer(
    old: &Value,
    new: &Value,
    mut managers: Managers,
    transfer: &Transfer<'_>,
) -> Result<(Managers, Comparison), TrackError> {
    let mut changes =
        Changes { old, new, versions: transfer.request.versions, known: HashMap::new() };
    changes.compare_as_they_are(transfer.request.api_version)?;
    let mut conflicts = BTreeMap::new();
    let mut removed = BTreeMap::new();
    let mut gone = Vec::new();
    for (manager, owned) in
        managers.0.iter().filter(|(manager, _)| Some(*manager) != transfer.workflow)
    {
        let Some(changes) = changes.in_version(&owned.api_version)? else {
            gone.push(manager.clone());
            continue;
        };
        let conflict = owned.set.intersection(&changes.modified.union(&changes.added));
        if !conflict.is_empty() {
            conflicts.insert(manager.clone(), conflict);
        }
        if !changes.removed.is_empty() {
            removed.insert(manager.clone(), changes.removed.clone());
        }
    }
    if !transfer.forces && !conflicts.is_empty() {
        return Err(TrackError::Conflicts(Conflicts::new(&managers, &conflicts)));
    }
    for manager in gone {
        managers.0.remove(&manager);
    }
    for (manager, set) in conflicts.iter().chain(&removed) {
        if let Some(owned) = managers.0.get_mut(manager) {
            owned.set = owned.set.difference(set);
        }
    }
    managers.0.retain(|_, owned| !owned.set.is_empty());
    let changes = changes.known.remove(transfer.request.api_version);
    Ok((managers, changes.unwrap_or_default()))
}

/// The changes between two objects, by the version in which they are seen.
struct Changes<'a> {
    old: &'a Value,
    new: &'a Value,
    versions: &'a dyn Versions,
    known: HashMap<String, Comparison>,
}

impl Changes<'_> {
    /// Compares the objects, which are in this version already.
    fn compare_as_they_are(&mut self, api_version: &str) -> Result<(), TrackError> {
        let changes = compare(self.old, self.new, self.versions.type_of(api_version))?;
        let changes = changes.filtered(self.versions.filter(api_version));
        self.known.insert(api_version.to_owned(), changes);
        Ok(())
    }

    /// The changes in a version; `None` if it is not served any more.
    fn in_version(&mut self, api_version: &str) -> Result<Option<&Comparison>, TrackError> {
        if !self.known.contains_key(api_version) {
            let converted = (
                self.versions.convert(self.old, api_version),
                self.versions.convert(self.new, api_version),
            );
            let (Some(old), Some(new)) = converted else {
                return Ok(None);
            };
            let changes = compare(&old, &new, self.versions.type_of(api_version))?;
            let changes = changes.filtered(self.versions.filter(api_version));
            self.known.insert(api_version.to_owned(), changes);
        }
        Ok(self.known.get(api_version))
    }
}

/// Merges the oldest updaters of each version into one entry until few enough are left.
fn cap_updaters(managers: &mut Managers) {
    let mut updaters: Vec<(String, String, Manager)> = managers
        .0
        .iter()
        .filter(|(manager, _)| manager.operation == Operation::Update)
        .map(|(manager, owned)| {
            (owned.time.clone().unwrap_or_default(), manager.identifier(), manager.clone())
        })
        .collect();
    let mut count = updaters.len();
    if count <= UPDATERS_MAX {
        return;
    }
    updaters.sort_unstable();
    let mut first_of_version: HashMap<String, Manager> = HashMap::new();
    for (_, _, manager) in updaters {
        if count <= UPDATERS_MAX {
            return;
        }
        let version = manager.api_version.clone();
        let Some(first) = first_of_version.get(&version) else {
            first_of_version.insert(version, manager);
            continue;
        };
        let bucket =
            Manager { name: ANCIENT.to_owned(), subresource: String::new(), ..manager.clone() };
        if manager == bucket {
            continue;
        }
        if !managers.0.contains_key(&bucket)
            && let Some(owned) = managers.0.remove(first)
        {
            managers.0.insert(bucket.clone(), owned);
        }
        if let Some(merged) = managers.0.remove(&manager)
            && let Some(owned) = managers.0.get_mut(&bucket)
        {
            owned.set = owned.set.union(&merged.set);
            owned.time = merged.time; // The more recent of the two.
            count -= 1;
        }
    }
}

/// Takes the times of the entries back to the old ones if nothing else changed, so that a write without effect is none.
pub fn keep_times_if_unchanged(old: &Value, new: &mut Value) {
    let entries = |object: &Value| tree::items_at(object, &["metadata", "managedFields"]).to_vec();
    let (before, after) = (entries(old), entries(new));
    let is_timeless_equal = |left: &Value, right: &Value| {
        let timeless = |entry: &Value| {
            let mut entry = entry.clone();
            tree::take(&mut entry, "time");
            entry
        };
        timeless(left) == timeless(right)
    };
    if before.is_empty()
        || before.len() != after.len()
        || before == after
        || !before.iter().zip(&after).all(|(left, right)| is_timeless_equal(left, right))
    {
        return;
    }
    tree::map_mut(new, "metadata").insert("managedFields".to_owned(), Value::Array(before));
    if !values::equal(old, new) {
        tree::map_mut(new, "metadata").insert("managedFields".to_owned(), Value::Array(after));
    }
}
