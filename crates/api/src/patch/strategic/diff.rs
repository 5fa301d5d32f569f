//! Makes a patch from two documents.

use serde_json::{Map, Value};

use super::PatchError;
use super::lists::{self, Kind, Ranks};
use super::lookup::Lookup;
use crate::patch::go;

/// Which differences go into the patch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    /// `$setElementOrder` lists are made.
    pub(super) sets_order: bool,
    /// Only deletions are taken.
    pub(super) ignores_changes: bool,
    /// Deletions are not taken.
    pub(super) ignores_deletions: bool,
    /// `$retainKeys` is made for the map at hand.
    pub(super) retains_keys: bool,
}

/// The patch that turns one map into the other.
pub(super) fn diff_maps(
    original: &Map<String, Value>,
    modified: &Map<String, Value>,
    lookup: Lookup<'_>,
    options: Options,
) -> Result<Map<String, Value>, PatchError> {
    let mut patch = Map::new();
    for (key, new) in go::sorted(modified) {
        match original.get(key) {
            Some(old) => diff_entry(&mut patch, key, old, new, lookup, options)?,
            None if options.ignores_changes => {}
            None => {
                patch.insert(key.clone(), new.clone());
            }
        }
    }
    if !options.ignores_deletions {
        for key in original.keys().filter(|key| !modified.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    if options.retains_keys {
        note_retained_keys(&mut patch, original, modified);
    }
    Ok(patch)
}

/// Adds `$retainKeys` if the patch does something or something must go.
fn note_retained_keys(
    patch: &mut Map<String, Value>,
    original: &Map<String, Value>,
    modified: &Map<String, Value>,
) {
    let mut keys: Vec<&String> =
        modified.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key).collect();
    let loses_a_key =
        original.iter().any(|(key, value)| !value.is_null() && !modified.contains_key(key));
    if keys.is_empty() || (patch.is_empty() && !loses_a_key) {
        return;
    }
    keys.sort_unstable();
    let keys = keys.into_iter().map(|key| Value::String(key.clone())).collect();
    patch.insert("$retainKeys".to_owned(), Value::Array(keys));
}

fn diff_entry(
    patch: &mut Map<String, Value>,
    key: &str,
    old: &Value,
    new: &Value,
    lookup: Lookup<'_>,
    options: Options,
) -> Result<(), PatchError> {
    if key == "$patch" {
        if !old.is_string() || !new.is_string() {
            return Err(PatchError::DirectiveValue);
        }
        if old != new {
            patch.insert(key.to_owned(), new.clone());
        }
        return Ok(());
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            diff_structs(patch, key, old, new, lookup, options)
        }
        (Value::Array(old), Value::Array(new)) => {
            diff_list_entry(patch, key, old, new, lookup, options)
        }
        (old, new) => {
            if !options.ignores_changes && old != new {
                patch.insert(key.to_owned(), new.clone());
            }
            Ok(())
        }
    }
}

fn diff_structs(
    patch: &mut Map<String, Value>,
    key: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    lookup: Lookup<'_>,
    options: Options,
) -> Result<(), PatchError> {
    let rule = match lookup.map(key) {
        Ok(rule) => rule,
        // What the schema does not know is no trouble while it stays as it is.
        Err(_) if old == new => return Ok(()),
        Err(error) => return Err(error),
    };
    if rule.replaces {
        if !options.ignores_changes {
            patch.insert(key.to_owned(), Value::Object(new.clone()));
        }
        return Ok(());
    }
    let options = Options { retains_keys: rule.retains_keys, ..options };
    let inner = diff_maps(old, new, rule.inner, options)?;
    if !inner.is_empty() {
        patch.insert(key.to_owned(), Value::Object(inner));
    }
    Ok(())
}

fn diff_list_entry(
    patch: &mut Map<String, Value>,
    key: &str,
    old: &[Value],
    new: &[Value],
    lookup: Lookup<'_>,
    options: Options,
) -> Result<(), PatchError> {
    let rule = match lookup.list(key) {
        Ok(rule) => rule,
        Err(_) if old == new => return Ok(()),
        Err(error) => return Err(error),
    };
    if !rule.merges {
        if !options.ignores_changes && old != new {
            patch.insert(key.to_owned(), Value::Array(new.to_vec()));
        }
        return Ok(());
    }
    let options = Options { retains_keys: rule.retains_keys, ..options };
    let difference = diff_lists(old, new, rule.inner, rule.merge_key, options)?;
    for (name, list) in [
        (key.to_owned(), difference.items),
        (format!("$deleteFromPrimitiveList/{key}"), difference.deletions),
        (format!("$setElementOrder/{key}"), difference.order),
    ] {
        if !list.is_empty() {
            patch.insert(name, Value::Array(list));
        }
    }
    Ok(())
}

/// What a patch says about a merged list.
#[derive(Debug, Default)]
struct ListDifference {
    /// Items to add, change or (maps) delete.
    items: Vec<Value>,
    /// Scalars to delete.
    deletions: Vec<Value>,
    /// All items in their order.
    order: Vec<Value>,
}

fn diff_lists(
    old: &[Value],
    new: &[Value],
    lookup: Lookup<'_>,
    merge_key: Option<&str>,
    options: Options,
) -> Result<ListDifference, PatchError> {
    if old.is_empty() {
        let items = if options.ignores_changes { Vec::new() } else { new.to_vec() };
        return Ok(ListDifference { items, ..ListDifference::default() });
    }
    match lists::kind(&[old, new])? {
        Kind::Map => diff_lists_of_maps(old, new, lookup, merge_key.unwrap_or_default(), options),
        Kind::Scalar(_) => diff_lists_of_scalars(old, new, options),
    }
}

fn diff_lists_of_maps(
    old: &[Value],
    new: &[Value],
    lookup: Lookup<'_>,
    merge_key: &str,
    options: Options,
) -> Result<ListDifference, PatchError> {
    let (changes, deletions) = pair_maps(old, new, lookup, merge_key, options)?;
    let ranks = Ranks::new(new, Some(merge_key))?;
    let mut items = lists::sort_by_ranks(changes, &ranks, Some(merge_key));
    items.extend(deletions);
    let is_same_order = old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| old.get(merge_key) == new.get(merge_key));
    let has_items = !items.is_empty();
    let needs_order = options.sets_order
        && ((!options.ignores_changes && (has_items || !is_same_order))
            || (!options.ignores_deletions && has_items));
    let order = if needs_order {
        new.iter().map(|item| only_key(item, merge_key)).collect()
    } else {
        Vec::new()
    };
    Ok(ListDifference { items, order, ..ListDifference::default() })
}

/// A map of the merge key alone.
fn only_key(item: &Value, merge_key: &str) -> Value {
    let value = item.get(merge_key).cloned().unwrap_or(Value::Null);
    Value::Object(Map::from_iter([(merge_key.to_owned(), value)]))
}

/// Walks both lists in the order of their keys: what is changed or new, and what is gone.
fn pair_maps(
    old: &[Value],
    new: &[Value],
    lookup: Lookup<'_>,
    merge_key: &str,
    options: Options,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut old = by_key(old, merge_key)?.into_iter().peekable();
    let mut new = by_key(new, merge_key)?.into_iter().peekable();
    let (mut changes, mut deletions) = (Vec::new(), Vec::new());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return Ok((changes, deletions)),
        };
        let gone = if order.is_le() { old.next() } else { None };
        let came = if order.is_ge() { new.next() } else { None };
        match (gone, came) {
            (Some((_, old)), Some((_, new))) => {
                let mut inner = diff_maps(old, new, lookup, options)?;
                if !inner.is_empty() {
                    inner.insert(merge_key.to_owned(), new[merge_key].clone());
                    changes.push(Value::Object(inner));
                }
            }
            (Some((_, old)), None) if !options.ignores_deletions => {
                let mut directive = Map::new();
                directive.insert(merge_key.to_owned(), old[merge_key].clone());
                directive.insert("$patch".to_owned(), Value::String("delete".to_owned()));
                deletions.push(Value::Object(directive));
            }
            (None, Some((_, new))) if !options.ignores_changes => {
                changes.push(Value::Object(new.clone()));
            }
            _ => {}
        }
    }
}

/// A map with what `%v` prints for its key.
type Keyed<'a> = (String, &'a Map<String, Value>);

/// The maps with what `%v` prints for their keys, in that order.
fn by_key<'a>(items: &'a [Value], merge_key: &str) -> Result<Vec<Keyed<'a>>, PatchError> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let map = item.as_object().ok_or(PatchError::Type {
            expected: "map[string]interface {}",
            received: go::go_type(item),
        })?;
        let key = map.get(merge_key).ok_or_else(|| PatchError::merge_key(item, merge_key))?;
        keyed.push((go::text(key), map));
    }
    keyed.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(keyed)
}

fn diff_lists_of_scalars(
    old: &[Value],
    new: &[Value],
    options: Options,
) -> Result<ListDifference, PatchError> {
    let (old_sorted, new_sorted) = (lists::sorted_by_text(old), lists::sorted_by_text(new));
    let (mut added, mut gone) = (Vec::new(), Vec::new());
    let mut left = old_sorted.iter().peekable();
    let mut right = new_sorted.iter().peekable();
    loop {
        let order = match (left.peek(), right.peek()) {
            (Some(left), Some(right)) => go::text(left).cmp(&go::text(right)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => break,
        };
        if order.is_le() {
            gone.extend(
                left.next().filter(|_| order.is_lt() && !options.ignores_deletions).cloned(),
            );
        }
        if order.is_ge() {
            added.extend(
                right.next().filter(|_| order.is_gt() && !options.ignores_changes).cloned(),
            );
        }
    }
    let ranks = Ranks::new(new, None)?;
    let deletions = lists::deduplicated(gone);
    // Upstream has sorted the old list by now, and compares it so.
    let needs_order = options.sets_order
        && ((!options.ignores_deletions && !deletions.is_empty())
            || (!options.ignores_changes && old_sorted != new));
    let order = if needs_order { new.to_vec() } else { Vec::new() };
    Ok(ListDifference { items: lists::sort_by_ranks(added, &ranks, None), deletions, order })
}
