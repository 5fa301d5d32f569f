//! What changed between two objects, as sets of fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::filter::Filter;
use super::node::{Kind, List, Node};
use super::path::PathElement;
use super::validate::TypeError;
use super::values::equal;
use crate::schema::TypeRef;

/// What changed between two objects. No field is in more than one of the sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Fields and items that only the new object has.
    pub added: FieldSet,
    /// Leaves that both have, with other values.
    pub modified: FieldSet,
    /// Fields and items that only the old object has.
    pub removed: FieldSet,
}

impl Comparison {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// The changes that count at an endpoint.
    pub(super) fn filtered(self, filter: Option<&Filter>) -> Self {
        let Some(filter) = filter else {
            return self;
        };
        Self {
            added: filter.apply(&self.added),
            modified: filter.apply(&self.modified),
            removed: filter.apply(&self.removed),
        }
    }

    fn add(&mut self, element: &PathElement, marks: Marks, below: Self) {
        for (set, is_member, children) in [
            (&mut self.added, marks.added, below.added),
            (&mut self.modified, marks.modified, below.modified),
            (&mut self.removed, marks.removed, below.removed),
        ] {
            if is_member || !children.is_empty() {
                set.add(element.clone(), is_member, children);
            }
        }
    }
}

/// In which sets a value itself is.
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    added: bool,
    modified: bool,
    removed: bool,
}

/// Compares two objects of a type. An error means that one does not fit the type.
pub fn compare(old: &Value, new: &Value, ty: Option<TypeRef<'_>>) -> Result<Comparison, TypeError> {
    let mut comparison = Comparison::default();
    walk(Node::root(ty), Some(old), Some(new), &mut comparison)?;
    Ok(comparison)
}

/// Collects what changed below the values; returns what is to be said of the values themselves. One of them is there.
fn walk(
    node: Node<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    below: &mut Comparison,
) -> Result<Marks, TypeError> {
    let mut marks = Marks::default();
    if let (Some(old), Some(new)) = (old, new)
        && equal(old, new)
    {
        return Ok(marks);
    }
    let (old_kind, new_kind) = (node.kind(old), node.kind(new));
    let is_leaf = match (old, new) {
        (_, None) => visit(node, old_kind, (old, new), below, &mut marks)?,
        (None, _) => visit(node, new_kind, (old, new), below, &mut marks)?,
        _ if old_kind == new_kind => visit(node, new_kind, (old, new), below, &mut marks)?,
        _ => {
            visit(node, old_kind, (old, new), below, &mut marks)?;
            visit(node, new_kind, (old, new), below, &mut marks)?
        }
    };
    if !is_leaf {
        marks.added |= old.is_none();
        marks.removed |= new.is_none();
    }
    Ok(marks)
}

/// An old and a new value; one of them is there.
type Pair<'v, T = Value> = (Option<&'v T>, Option<&'v T>);

/// Returns whether the values were compared as one.
fn visit(
    node: Node<'_>,
    kind: Kind,
    pair: Pair<'_>,
    below: &mut Comparison,
    marks: &mut Marks,
) -> Result<bool, TypeError> {
    let is_leaf = match kind {
        Kind::Scalar => true,
        Kind::List => {
            let lists = (pair.0.and_then(Value::as_array), pair.1.and_then(Value::as_array));
            let is_empty = |list: Option<&Vec<Value>>| list.is_none_or(Vec::is_empty);
            let is_leaf = node.list().is_atomic() || (is_empty(lists.0) && is_empty(lists.1));
            if !is_leaf {
                compare_lists(node.list(), lists, below)?;
            }
            is_leaf
        }
        Kind::Map | Kind::Open => {
            let maps = (pair.0.and_then(Value::as_object), pair.1.and_then(Value::as_object));
            let is_empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
            let is_leaf = node.is_atomic() || (is_empty(maps.0) && is_empty(maps.1));
            if !is_leaf {
                compare_maps(node, maps, below)?;
            }
            is_leaf
        }
    };
    if is_leaf {
        match pair {
            (None, _) => marks.added = true,
            (_, None) => marks.removed = true,
            (Some(old), Some(new)) => marks.modified |= !equal(old, new),
        }
    }
    Ok(is_leaf)
}

fn compare_maps(
    node: Node<'_>,
    maps: Pair<'_, Map<String, Value>>,
    below: &mut Comparison,
) -> Result<(), TypeError> {
    let (old, new) = maps;
    let mut child = |key: &str, old: Option<&Value>, new: Option<&Value>| {
        let mut inner = Comparison::default();
        let marks = walk(node.child(key).unwrap_or(Node::Deduced), old, new, &mut inner)?;
        below.add(&PathElement::field(key), marks, inner);
        Ok::<(), TypeError>(())
    };
    for (key, value) in old.into_iter().flatten() {
        child(key, Some(value), new.and_then(|new| new.get(key)))?;
    }
    for (key, value) in new.into_iter().flatten() {
        if !old.is_some_and(|old| old.contains_key(key)) {
            child(key, None, Some(value))?;
        }
    }
    Ok(())
}

/// The items of both lists that a step leads to; more than one is a duplicate.
type Items<'v> = (Vec<&'v Value>, Vec<&'v Value>);

fn compare_lists(
    list: List<'_>,
    lists: Pair<'_, Vec<Value>>,
    below: &mut Comparison,
) -> Result<(), TypeError> {
    let mut items: BTreeMap<PathElement, Items<'_>> = BTreeMap::new();
    let element = |index: usize, item: &Value| {
        list.element(item).map_err(|problem| TypeError::item(index, &problem))
    };
    for (index, item) in lists.0.into_iter().flatten().enumerate() {
        items.entry(element(index, item)?).or_default().0.push(item);
    }
    for (index, item) in lists.1.into_iter().flatten().enumerate() {
        items.entry(element(index, item)?).or_default().1.push(item);
    }
    for (element, (old, new)) in &items {
        let mut inner = Comparison::default();
        let marks = compare_items(list.item_node(), old, new, &mut inner)?;
        below.add(element, marks, inner);
    }
    Ok(())
}

/// Duplicates are compared as one; where they come or go, the single item on the other side goes or comes.
fn compare_items(
    node: Node<'_>,
    old: &[&Value],
    new: &[&Value],
    inner: &mut Comparison,
) -> Result<Marks, TypeError> {
    match (old, new) {
        ([], [_]) | ([_], [] | [_]) => {
            walk(node, old.first().copied(), new.first().copied(), inner)
        }
        ([_, _, ..], [_, _, ..]) => {
            let is_same =
                old.len() == new.len() && old.iter().zip(new).all(|(old, new)| equal(old, new));
            Ok(Marks { modified: !is_same, ..Marks::default() })
        }
        ([_, _, ..], single) => {
            let mut marks = Marks::default();
            if let [new] = single {
                marks = walk(node, None, Some(new), inner)?;
            }
            Ok(Marks { removed: true, ..marks })
        }
        (single, _) => {
            let mut marks = Marks::default();
            if let [old] = single {
                marks = walk(node, Some(old), None, inner)?;
            }
            Ok(Marks { added: true, ..marks })
        }
    }
}
