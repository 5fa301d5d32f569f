//! JSON merge patch (RFC 7396) with the semantics of the library that Kubernetes v1.36 uses, and the three-way patch of `kubectl apply`
//! for kinds without a schema.

use serde_json::{Map, Value};

use super::{Precondition, go};

/// Why a document is not a merge patch: a bad request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Field validation is on and the document is not an object.
    #[error(
        "error decoding patch: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    )]
    NotObject {
        /// What it is instead.
        kind: &'static str,
    },
    /// The document can be no patch at all.
    #[error("Invalid JSON Patch")]
    NotPatch,
}

/// Takes a document for a patch.
///
/// `is_checked` is whether field validation is on (`Warn` or `Strict`); without it a list passes and becomes the result of [`apply`].
pub fn decode(document: Value, is_checked: bool) -> Result<Value, DecodeError> {
    match document {
        Value::Object(_) => Ok(document),
        Value::Null => Err(DecodeError::NotPatch),
        other if is_checked => Err(DecodeError::NotObject { kind: go::json_kind(&other) }),
        Value::Array(_) => Ok(document),
        _ => Err(DecodeError::NotPatch),
    }
}

/// Applies a merge patch: objects merge, `null` removes, everything else replaces.
pub fn apply(document: Value, patch: Value) -> Value {
    match (document, patch) {
        (Value::Object(mut document), Value::Object(patch)) => {
            merge_map(&mut document, patch);
            Value::Object(document)
        }
        (Value::Object(_), patch) => patch,
        (_, mut patch) => {
            prune_nulls(&mut patch);
            patch
        }
    }
}

fn merge_map(document: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        if value.is_null() {
            document.remove(&key);
            continue;
        }
        let current = document.remove(&key).unwrap_or(Value::Null);
        document.insert(key, apply(current, value));
    }
}

/// Removes the `null` members of objects; those of lists stay.
fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}

/// Why no three-way patch can be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CreateError {
    /// The additions and the deletions contradict each other.
    #[error(
        "patch:\n{}\nconflicts with changes made from original to current:\n{}\n",
        go::json(additions),
        go::json(deletions)
    )]
    Conflict {
        /// What is to be set.
        additions: Value,
        /// What is to be removed.
        deletions: Value,
    },
    /// The patch would change a field that must stay.
    #[error("precondition failed for: {}", go::text(patch))]
    Precondition {
        /// The patch.
        patch: Value,
    },
}

/// The merge patch that turns `original` into `modified`.
pub fn create_two_way(original: &Value, modified: &Value) -> Value {
    let empty = Map::new();
    let maps = (original.as_object().unwrap_or(&empty), modified.as_object().unwrap_or(&empty));
    Value::Object(difference(maps.0, maps.1))
}

/// The merge patch that brings `current` to what `modified` says, and removes what `original`, the configuration applied last, said and
/// `modified` does not.
pub fn create_three_way(
    original: &Value,
    modified: &Value,
    current: &Value,
    preconditions: &[Precondition<'_>],
) -> Result<Value, CreateError> {
    let additions = nulls(&create_two_way(current, modified), false);
    let deletions = nulls(&create_two_way(original, modified), true);
    if conflicts(&additions, &deletions) {
        return Err(CreateError::Conflict { additions, deletions });
    }
    let patch = join(deletions, additions);
    if preconditions.iter().all(|precondition| precondition.holds(&patch)) {
        return Ok(patch);
    }
    Err(CreateError::Precondition { patch })
}

fn difference(original: &Map<String, Value>, modified: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, new) in modified {
        match (original.get(key), new) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let inner = difference(old, new);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Some(old), new) if old == new => {}
            _ => {
                patch.insert(key.clone(), new.clone());
            }
        }
    }
    for key in original.keys().filter(|key| !modified.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

/// Keeps only the `null`s of a patch, or all but the `null`s. An object that is left without members goes, one that was set empty is a value.
fn nulls(patch: &Value, keeps_nulls: bool) -> Value {
    let mut kept = Map::new();
    for (key, value) in patch.as_object().into_iter().flatten() {
        match value {
            Value::Null if keeps_nulls => {
                kept.insert(key.clone(), Value::Null);
            }
            Value::Null => {}
            Value::Object(map) if !map.is_empty() => {
                let inner = nulls(value, keeps_nulls);
                if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                    kept.insert(key.clone(), inner);
                }
            }
            _ if keeps_nulls => {}
            _ => {
                kept.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(kept)
}

/// Whether two patches say different things about a field.
fn conflicts(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => left
            .iter()
            .any(|(key, left)| right.get(key).is_some_and(|right| conflicts(left, right))),
        (Value::Array(left), Value::Array(right)) => {
            left.len() != right.len()
                || left.iter().zip(right).any(|(left, right)| conflicts(left, right))
        }
        (left, right) => left != right,
    }
}

/// Joins the patch of deletions with that of additions, which share no field.
fn join(deletions: Value, additions: Value) -> Value {
    match (deletions, additions) {
        (Value::Object(mut joined), Value::Object(additions)) => {
            for (key, value) in additions {
                let current = joined.remove(&key).unwrap_or(Value::Null);
                joined.insert(key, join(current, value));
            }
            Value::Object(joined)
        }
        (_, addition) => addition,
    }
}

#[cfg(test)]
mod tests;
