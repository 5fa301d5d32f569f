//! Lists of a strategic merge: what tells items apart, and in which order they end up.
//!
//! Items of maps are told apart by the merge key, scalars by themselves.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::PatchError;
use crate::patch::go;

/// What the items of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Maps.
    Map,
    /// Values of this Go type.
    Scalar(&'static str),
}

/// The kind of the items of all these lists: they must agree.
pub(super) fn kind(lists: &[&[Value]]) -> Result<Kind, PatchError> {
    let mut found = None;
    for value in lists.iter().flat_map(|list| list.iter()) {
        let kind = match value {
            Value::Array(_) if found.is_none() => return Err(PatchError::ListOfLists),
            Value::Object(_) => Kind::Map,
            other => Kind::Scalar(go::go_type(other)),
        };
        if *found.get_or_insert(kind) != kind {
            let lists: Vec<String> = lists.iter().map(|list| go::list_text(list)).collect();
            return Err(PatchError::ItemTypes { lists: format!("[{}]", lists.join(" ")) });
        }
    }
    found.ok_or(PatchError::NoItems)
}

/// What tells an item apart, as text: the merge key's value, or the item itself. `None` for a map without the key.
pub(super) fn identity(item: &Value, merge_key: Option<&str>) -> Option<String> {
    match (item, merge_key) {
        (Value::Object(map), Some(key)) => map.get(key).map(go::json),
        (_, Some(_)) => None,
        (scalar, None) => Some(go::json(scalar)),
    }
}

/// As [`identity`], an error where there is none.
pub(super) fn require_identity(
    item: &Value,
    merge_key: Option<&str>,
) -> Result<String, PatchError> {
    identity(item, merge_key).ok_or_else(|| match item {
        Value::Object(_) => PatchError::merge_key(item, merge_key.unwrap_or_default()),
        other => {
            PatchError::Type { expected: "map[string]interface {}", received: go::go_type(other) }
        }
    })
}

/// The place of each item in a list, by identity; the first counts.
#[derive(Debug, Default)]
pub(super) struct Ranks(HashMap<String, usize>);

impl Ranks {
    pub(super) fn new(order: &[Value], merge_key: Option<&str>) -> Result<Self, PatchError> {
        let mut ranks = HashMap::with_capacity(order.len());
        for (rank, item) in order.iter().enumerate() {
            ranks.entry(require_identity(item, merge_key)?).or_insert(rank);
        }
        Ok(Self(ranks))
    }

    fn of(&self, item: &Value, merge_key: Option<&str>) -> Option<usize> {
        self.0.get(&identity(item, merge_key)?).copied()
    }
}

/// Orders a merged list: items that the patch names as the patch orders them, the others as the server had them, interleaved with
/// the server's order as far as it knows both.
pub(super) fn enforce_order(
    merged: Vec<Value>,
    patch_order: &[Value],
    server_ranks: &Ranks,
    merge_key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    let patch_ranks = Ranks::new(patch_order, merge_key)?;
    let mut patch_items = Vec::new();
    let mut server_items = Vec::new();
    for item in merged {
        let identity = require_identity(&item, merge_key)?;
        let is_in_patch = patch_ranks.0.contains_key(&identity);
        if is_in_patch { &mut patch_items } else { &mut server_items }.push(item);
    }
    let patch_items = sort_by_ranks(patch_items, &patch_ranks, merge_key);
    let server_items = sort_by_ranks(server_items, server_ranks, merge_key);
    Ok(interleave(server_items, patch_items, server_ranks, merge_key))
}

fn interleave(
    left: Vec<Value>,
    right: Vec<Value>,
    ranks: &Ranks,
    merge_key: Option<&str>,
) -> Vec<Value> {
    let mut out = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let is_left_first = match (ranks.of(l, merge_key), ranks.of(r, merge_key)) {
            (Some(l), Some(r)) => l < r,
            _ => false,
        };
        out.extend(if is_left_first { left.next() } else { right.next() });
    }
    out.extend(left);
    out.extend(right);
    out
}

/// Sorts items by their ranks; items marked for deletion go to the end.
pub(super) fn sort_by_ranks(
    items: Vec<Value>,
    ranks: &Ranks,
    merge_key: Option<&str>,
) -> Vec<Value> {
    let is_marked = |item: &Value| {
        merge_key.is_some() && item.get("$patch").and_then(Value::as_str) == Some("delete")
    };
    let (deletions, kept): (Vec<_>, Vec<_>) = items.into_iter().partition(is_marked);
    let mut ranked: Vec<(Option<usize>, Value)> =
        kept.into_iter().map(|item| (ranks.of(&item, merge_key), item)).collect();
    if ranked.iter().all(|(rank, _)| rank.is_some()) {
        ranked.sort_by_key(|(rank, _)| *rank);
    } else {
        sort_partly_ranked(&mut ranked);
    }
    ranked.into_iter().map(|(_, item)| item).chain(deletions).collect()
}

/// Upstream takes an item of unknown rank for smaller than any other, in an insertion sort. Above so many items the exact order is
/// not worth quadratic time: unknown items then come first, in reverse.
const INSERTION_SORT_MAX: usize = 1000;

fn sort_partly_ranked(items: &mut [(Option<usize>, Value)]) {
    if items.len() > INSERTION_SORT_MAX {
        let unknown = items.iter().filter(|(rank, _)| rank.is_none()).count();
        items.sort_by_key(|(rank, _)| *rank);
        items[..unknown].reverse();
        return;
    }
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 {
            let is_less = match (items[at].0, items[at - 1].0) {
                (Some(this), Some(before)) => this < before,
                _ => true,
            };
            if !is_less {
                break;
            }
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// The items without repetitions, each where it stood first.
pub(super) fn deduplicated(items: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    items.into_iter().filter(|item| seen.insert(go::json(item))).collect()
}

/// The items sorted by what `%v` prints for them, as upstream compares scalars of any type.
pub(super) fn sorted_by_text(items: &[Value]) -> Vec<Value> {
    let mut sorted = items.to_vec();
    sorted.sort_by_cached_key(go::text);
    sorted
}
