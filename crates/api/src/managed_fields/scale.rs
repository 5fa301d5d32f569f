//! Ownership of `scale`: its one field is a field of the object behind it, and the entries are those of that object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::entries::{DecodeError, Manager, Managers, Owned};
use super::field_set::FieldSet;
use super::path::Path;

/// The version of Scale.
const SCALE_VERSION: &str = "autoscaling/v1";

/// Where each version of a kind has the number of replicas. A version without one has `None`; one that is not here is not served.
pub type ReplicasPaths<'a> = BTreeMap<&'a str, Option<Path>>;

fn replicas_in_scale() -> Path {
    Path::of_fields(&["spec", "replicas"])
}

fn only(path: &Path) -> FieldSet {
    let mut set = FieldSet::new();
    set.insert(path);
    set
}

/// The entries of the object that own the number of replicas, as entries of its Scale.
pub fn to_scale(parent: &Value, paths: &ReplicasPaths<'_>) -> Result<Value, DecodeError> {
    let mut scale = Managers::default();
    for (manager, owned) in Managers::decode(parent)?.0 {
        let path = paths.get(owned.api_version.as_str()).and_then(Option::as_ref);
        if path.is_some_and(|path| owned.set.has(path)) {
            let set = only(&replicas_in_scale());
            scale.0.insert(manager, Owned { set, api_version: SCALE_VERSION.to_owned(), ..owned });
        }
    }
    Ok(scale.encode())
}

/// The entries of the object after a write to its Scale, whose entries are now `scale`.
///
/// `api_version` is the version of the object through which Scale was reached.
pub fn to_parent(
    parent: &Value,
    scale: &Value,
    api_version: &str,
    paths: &ReplicasPaths<'_>,
) -> Result<Value, DecodeError> {
    let parent = Managers::decode(parent)?;
    let mut scale = Managers::decode(scale)?.0;
    let times: BTreeMap<Manager, Option<String>> =
        parent.0.iter().map(|(manager, owned)| (manager.clone(), owned.time.clone())).collect();
    let mut merged = Managers::default();
    for (manager, mut owned) in parent.0 {
        let Some(path) = paths.get(owned.api_version.as_str()) else {
            continue;
        };
        if let Some(path) = path.as_ref().filter(|path| owned.set.has(path))
            && scale.remove(&manager).is_none()
        {
            owned.set = owned.set.difference(&only(path));
        }
        if !owned.set.is_empty() {
            merged.0.insert(manager, owned);
        }
    }
    let Some(path) = paths.get(api_version).and_then(Option::as_ref) else {
        return Ok(merged.encode());
    };
    for (manager, owned) in scale {
        if owned.set.has(&replicas_in_scale()) {
            // Upstream takes the time from the object's entry of the same manager, if there is one.
            let time = times.get(&manager).cloned().flatten();
            let owned = Owned { set: only(path), api_version: api_version.to_owned(), time };
            merged.0.insert(manager, owned);
        }
    }
    Ok(merged.encode())
}
