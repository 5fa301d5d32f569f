//! Applies a patch to a document, or joins two patches into one.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::PatchError;
use super::lists::{self, Kind, Ranks};
use super::lookup::{Lookup, Rule};
use crate::patch::go;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";

/// What is merged into what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    /// Whether directives are carried out rather than carried over.
    obeys: bool,
    /// Whether a `null` for a field that is not there is dropped.
    drops_nulls: bool,
}

impl Mode {
    /// A patch into an object.
    pub(super) const SERVER: Self = Self { obeys: true, drops_nulls: true };
    /// A patch into a patch.
    pub(super) const CLIENT: Self = Self { obeys: false, drops_nulls: false };
}

/// Merges a patch into a map.
pub(super) fn merge_map(
    mut original: Map<String, Value>,
    patch: &mut Map<String, Value>,
    lookup: Lookup<'_>,
    mode: Mode,
) -> Result<Map<String, Value>, PatchError> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch.clone())
            }
            Some("delete") => Ok(Map::new()),
            _ => Err(bad_directive(directive, patch)),
        };
    }
    retain_keys(&mut original, patch, mode)?;
    merge_ordered_lists(&mut original, patch, lookup, mode)?;
    for key in sorted_keys(patch) {
        merge_entry(&mut original, patch, &key, lookup, mode)?;
    }
    Ok(original)
}

fn sorted_keys(map: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<String> = map.keys().cloned().collect();
    keys.sort_unstable();
    keys
}

/// The unknown directive as Go prints it with `%s`.
fn bad_directive(directive: &Value, map: &Map<String, Value>) -> PatchError {
    let directive = match directive {
        Value::String(text) => text.clone(),
        Value::Null => "%!s(<nil>)".to_owned(),
        Value::Array(_) | Value::Object(_) => go::text(directive),
        other => format!("%!s({}={})", go::go_type(other), go::text(other)),
    };
    PatchError::Directive { directive, map: go::map_text(map) }
}

/// Obeys `$retainKeys`: drops what it does not name. Between patches it is carried over.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    mode: Mode,
) -> Result<(), PatchError> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    if !mode.obeys {
        return match original.get(RETAIN_KEYS) {
            Some(theirs) if *theirs != keys => {
                Err(PatchError::RetainKeysDiffer { left: go::text(theirs), right: go::text(&keys) })
            }
            Some(_) => Ok(()),
            None => {
                original.insert(RETAIN_KEYS.to_owned(), keys);
                Ok(())
            }
        };
    }
    let Value::Array(keys) = keys else {
        return Err(PatchError::RetainKeys);
    };
    let keys: HashSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let needs_naming = |key: &str, value: &Value| {
        !value.is_null() && !key.starts_with(DELETE_FROM) && !key.starts_with(SET_ORDER)
    };
    if patch.iter().any(|(key, value)| needs_naming(key, value) && !keys.contains(key.as_str())) {
        return Err(PatchError::RetainKeys);
    }
    original.retain(|key, _| keys.contains(key.as_str()));
    Ok(())
}

/// Merges the lists for which the patch gives an order.
fn merge_ordered_lists(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    lookup: Lookup<'_>,
    mode: Mode,
) -> Result<(), PatchError> {
    for key in sorted_keys(patch).into_iter().filter(|key| key.starts_with(SET_ORDER)) {
        let order = patch.remove(&key).unwrap_or(Value::Null);
        if !mode.obeys {
            let theirs = original.entry(key.clone()).or_insert_with(|| order.clone());
            if *theirs != order {
                return Err(PatchError::SetElementOrder);
            }
        }
        let Value::Array(order) = order else {
            return Err(PatchError::not_list(&order));
        };
        let field = parallel_field(&key, SET_ORDER).ok_or(PatchError::SetElementOrder)?;
        merge_ordered_list(original, patch, field, &order, lookup, mode)?;
    }
    Ok(())
}

fn merge_ordered_list(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    field: &str,
    order: &[Value],
    lookup: Lookup<'_>,
    mode: Mode,
) -> Result<(), PatchError> {
    let server = original.get(field).map(list_items).transpose()?;
    let wanted = patch.get(field).map(list_items).transpose()?;
    let rule = lookup.list(field)?;
    check_order(wanted, order, rule.merge_key)?;
    if server.is_none() && wanted.is_none() {
        return Ok(());
    }
    let server_ranks = Ranks::new(server.unwrap_or_default(), rule.merge_key)?;
    lists::kind(&[server.unwrap_or_default(), wanted.unwrap_or_default()])?;
    let merged = match (original.remove(field), patch.get_mut(field)) {
        (Some(server), None) => server,
        (None, Some(wanted)) => {
            remove_directives(wanted);
            wanted.clone()
        }
        (Some(server), Some(wanted)) => merge_list(server, wanted, rule, false, mode)?,
        (None, None) => return Ok(()),
    };
    patch.remove(field);
    let Value::Array(merged) = merged else {
        return Err(PatchError::not_list(&merged));
    };
    let ordered = lists::enforce_order(merged, order, &server_ranks, rule.merge_key)?;
    original.insert(field.to_owned(), Value::Array(ordered));
    Ok(())
}

fn list_items(value: &Value) -> Result<&[Value], PatchError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| PatchError::not_list(value))
}

/// The items of the patch must stand in the order that it gives, all of them.
fn check_order(
    patch: Option<&[Value]>,
    order: &[Value],
    merge_key: Option<&str>,
) -> Result<(), PatchError> {
    let patch = patch.unwrap_or_default();
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut order_left = order.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let identity = lists::require_identity(item, merge_key)?;
        loop {
            let Some(next) = order_left.next() else {
                return Err(PatchError::Order {
                    patch: go::list_text(patch),
                    order: go::list_text(order),
                });
            };
            if lists::require_identity(next, merge_key)? == identity {
                break;
            }
        }
    }
    Ok(())
}

/// The field that a parallel list such as `$setElementOrder/env` is about.
fn parallel_field<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    key.strip_prefix(prefix)?.strip_prefix('/')
}

fn merge_entry(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    key: &str,
    lookup: Lookup<'_>,
    mode: Mode,
) -> Result<(), PatchError> {
    let Some(new) = patch.get_mut(key) else {
        return Ok(());
    };
    let deletes = key.starts_with(DELETE_FROM);
    if deletes && !mode.obeys {
        original.insert(key.to_owned(), new.clone());
        return Ok(());
    }
    let field = if deletes {
        parallel_field(key, DELETE_FROM).ok_or(PatchError::PrimitiveList)?
    } else {
        key
    };
    if new.is_null() {
        original.remove(field);
        if mode.drops_nulls {
            return Ok(());
        }
    }
    let old = original.remove(field);
    let merged = match (old, &mut *new) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            Some(Value::Object(merge_struct(old, new, lookup.map(field)?, mode)?))
        }
        (Some(old @ Value::Array(_)), Value::Array(_)) => {
            Some(merge_list(old, new, lookup.list(field)?, deletes, mode)?)
        }
        (old, _) if deletes => old,
        (old, new) => take_new(old.as_ref(), new, mode),
    };
    if let Some(merged) = merged {
        original.insert(field.to_owned(), merged);
    }
    Ok(())
}

fn merge_struct(
    old: Map<String, Value>,
    new: &mut Map<String, Value>,
    rule: Rule<'_>,
    mode: Mode,
) -> Result<Map<String, Value>, PatchError> {
    if rule.replaces { Ok(new.clone()) } else { merge_map(old, new, rule.inner, mode) }
}

/// The patch's value in place of another or of none, without directives; `None` if it is only a directive.
fn take_new(old: Option<&Value>, new: &mut Value, mode: Mode) -> Option<Value> {
    let is_same_type = old.is_some_and(|old| go::go_type(old) == go::go_type(new));
    if mode.drops_nulls && !is_same_type {
        drop_nulls(new);
    }
    remove_directives(new).then(|| new.clone())
}

/// Removes the `null` members of all maps.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Removes what carries a directive; false if that is the value itself.
fn remove_directives(value: &mut Value) -> bool {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => return false,
        Value::Object(map) => map.retain(|_, value| remove_directives(value)),
        Value::Array(items) => items.retain_mut(remove_directives),
        _ => {}
    }
    true
}

/// Merges a list, replaces it, or takes the patch's items out of it.
fn merge_list(
    original: Value,
    patch: &mut Value,
    rule: Rule<'_>,
    deletes: bool,
    mode: Mode,
) -> Result<Value, PatchError> {
    let (Value::Array(original), Value::Array(patch)) = (original, &mut *patch) else {
        return Err(PatchError::not_list(patch));
    };
    if !rule.merges && !deletes {
        return Ok(Value::Array(patch.clone()));
    }
    if original.is_empty() && patch.is_empty() {
        return Ok(Value::Array(original));
    }
    let merged = match lists::kind(&[&original, patch])? {
        Kind::Map => merge_maps(original, patch, rule, mode)?,
        Kind::Scalar(_) if deletes && mode.obeys => {
            let gone: HashSet<String> = patch.iter().map(go::json).collect();
            original.into_iter().filter(|item| !gone.contains(&go::json(item))).collect()
        }
        Kind::Scalar(_) => {
            let server_ranks = Ranks::new(&original, rule.merge_key)?;
            let both = lists::deduplicated(original.into_iter().chain(patch.iter().cloned()));
            lists::enforce_order(both, patch, &server_ranks, rule.merge_key)?
        }
    };
    Ok(Value::Array(merged))
}

fn merge_maps(
    original: Vec<Value>,
    patch: &mut [Value],
    rule: Rule<'_>,
    mode: Mode,
) -> Result<Vec<Value>, PatchError> {
    let Some(merge_key) = rule.merge_key else {
        return Err(PatchError::NoMergeKey { kind: rule.inner.kind() });
    };
    let (original, replaces) = obey_item_directives(original, patch, merge_key)?;
    let plain = |item: &&mut Value| item.get(DIRECTIVE).is_none();
    if replaces {
        let kept = patch.iter_mut().filter(plain).map(|item| item.clone()).collect::<Vec<_>>();
        let ranks = Ranks::new(&kept, rule.merge_key)?;
        return lists::enforce_order(kept, &[], &ranks, rule.merge_key);
    }
    let server_ranks = Ranks::new(&original, rule.merge_key)?;
    let mut merged = original;
    let mut places: HashMap<String, usize> = HashMap::with_capacity(merged.len());
    for (place, item) in merged.iter().enumerate() {
        places.entry(lists::require_identity(item, rule.merge_key)?).or_insert(place);
    }
    let mut order = Vec::with_capacity(patch.len());
    for item in patch.iter_mut().filter(plain) {
        let identity = lists::require_identity(item, rule.merge_key)?;
        order.push(item.clone());
        if let Some(&place) = places.get(&identity) {
            merge_item(&mut merged[place], item, rule.inner, mode)?;
        } else {
            places.insert(identity, merged.len());
            merged.push(item.clone());
        }
    }
    lists::enforce_order(merged, &order, &server_ranks, rule.merge_key)
}

fn merge_item(
    old: &mut Value,
    new: &mut Value,
    lookup: Lookup<'_>,
    mode: Mode,
) -> Result<(), PatchError> {
    if let (Value::Object(map), Value::Object(new)) = (&mut *old, new) {
        *old = Value::Object(merge_map(std::mem::take(map), new, lookup, mode)?);
    }
    Ok(())
}

/// Takes out the items that the patch deletes; tells whether the patch replaces the list.
fn obey_item_directives(
    mut original: Vec<Value>,
    patch: &[Value],
    merge_key: &str,
) -> Result<(Vec<Value>, bool), PatchError> {
    let mut replaces = false;
    let mut gone = HashSet::new();
    for item in patch {
        match item.get(DIRECTIVE).map(|directive| (directive, directive.as_str())) {
            None => {}
            Some((_, Some("delete"))) => {
                gone.insert(lists::require_identity(item, Some(merge_key))?);
            }
            Some((_, Some("replace"))) => replaces = true,
            Some((_, Some("merge"))) => return Err(PatchError::MergeDirective),
            Some((directive, _)) => {
                let map = item.as_object().cloned().unwrap_or_default();
                return Err(bad_directive(directive, &map));
            }
        }
    }
    if !gone.is_empty() {
        let is_gone = |item: &Value| {
            lists::identity(item, Some(merge_key)).is_some_and(|identity| gone.contains(&identity))
        };
        original.retain(|item| !is_gone(item));
    }
    Ok((original, replaces))
}
