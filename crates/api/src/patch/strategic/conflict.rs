//! Whether a patch and the changes that others made say different things about a field.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::PatchError;
use super::lists::{self, Kind};
use super::lookup::{Lookup, Rule};

/// Whether two patches of the same type contradict each other.
pub(super) fn conflicts(
    left: &Value,
    right: &Value,
    lookup: Lookup<'_>,
) -> Result<bool, PatchError> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => maps_conflict(left, right, lookup),
        (left, right) => Ok(left != right),
    }
}

fn maps_conflict(
    left: &Map<String, Value>,
    right: &Map<String, Value>,
    lookup: Lookup<'_>,
) -> Result<bool, PatchError> {
    if left.get("$patch") != right.get("$patch") {
        return Ok(true);
    }
    for (key, left) in left.iter().filter(|(key, _)| *key != "$patch" && *key != "$retainKeys") {
        if let Some(right) = right.get(key)
            && values_conflict(key, left, right, lookup)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn values_conflict(
    key: &str,
    left: &Value,
    right: &Value,
    lookup: Lookup<'_>,
) -> Result<bool, PatchError> {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let rule = lookup.map(key)?;
            if rule.replaces {
                return Ok(left.get("$patch") != right.get("$patch"));
            }
            maps_conflict(left, right, rule.inner)
        }
        // The lists that stand beside others have no field of their own; they conflict when they differ.
        (Value::Array(_), Value::Array(_)) if key.starts_with('$') => Ok(left != right),
        (Value::Array(left), Value::Array(right)) => lists_conflict(left, right, lookup.list(key)?),
        (left, right) => Ok(left != right),
    }
}

fn lists_conflict(left: &[Value], right: &[Value], rule: Rule<'_>) -> Result<bool, PatchError> {
    let kind = lists::kind(&[left, right])?;
    match (rule.merges, kind) {
        (true, Kind::Scalar(_)) => Ok(false),
        (true, Kind::Map) => {
            let mut others = HashMap::with_capacity(right.len());
            for item in right {
                others.insert(lists::require_identity(item, rule.merge_key)?, item);
            }
            for item in left {
                if let Some(other) = others.get(&lists::require_identity(item, rule.merge_key)?)
                    && conflicts(item, other, rule.inner)?
                {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (false, _) if left.len() != right.len() => Ok(true),
        (false, Kind::Scalar(_)) => Ok(lists::sorted_by_text(left) != lists::sorted_by_text(right)),
        (false, Kind::Map) => {
            for (left, right) in left.iter().zip(right) {
                if conflicts(left, right, rule.inner)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}
