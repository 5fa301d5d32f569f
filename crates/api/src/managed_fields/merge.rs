//! Merges a configuration into an object by the schema: nothing is removed, and what both have takes the configuration's value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::node::{Kind, List, Node};
use super::path::PathElement;
use super::validate::TypeError;
use crate::schema::TypeRef;

/// The object with the configuration merged in. Both must fit the type.
pub(super) fn merge(
    live: &Value,
    config: &Value,
    ty: Option<TypeRef<'_>>,
) -> Result<Value, TypeError> {
    let merged = walk(Node::root(ty), Some(live), Some(config))?;
    Ok(merged.unwrap_or_else(|| Value::Object(Map::new())))
}

/// The merged value; `None` if nothing comes of it.
fn walk(
    node: Node<'_>,
    live: Option<&Value>,
    config: Option<&Value>,
) -> Result<Option<Value>, TypeError> {
    let kind = if config.is_none() { node.kind(live) } else { node.kind(config) };
    match kind {
        Kind::Scalar => Ok(leaf(live, config)),
        Kind::List => {
            let lists = (live.and_then(Value::as_array), config.and_then(Value::as_array));
            let is_empty = |list: Option<&Vec<Value>>| list.is_none_or(Vec::is_empty);
            if node.list().is_atomic() || (is_empty(lists.0) && is_empty(lists.1)) {
                return Ok(leaf(live, config));
            }
            let none = Vec::new();
            let items =
                merge_lists(node.list(), lists.0.unwrap_or(&none), lists.1.unwrap_or(&none))?;
            Ok((!items.is_empty()).then_some(Value::Array(items)))
        }
        Kind::Map | Kind::Open => {
            let maps = (live.and_then(Value::as_object), config.and_then(Value::as_object));
            let is_empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
            if node.is_atomic() || (is_empty(maps.0) && is_empty(maps.1)) {
                return Ok(leaf(live, config));
            }
            let merged = merge_maps(node, maps.0, maps.1)?;
            Ok((!merged.is_empty()).then_some(Value::Object(merged)))
        }
    }
}

fn leaf(live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    config.or(live).cloned()
}

fn merge_maps(
    node: Node<'_>,
    live: Option<&Map<String, Value>>,
    config: Option<&Map<String, Value>>,
) -> Result<Map<String, Value>, TypeError> {
    let mut merged = Map::new();
    let keys: BTreeSet<&String> = live
        .into_iter()
        .flatten()
        .chain(config.into_iter().flatten())
        .map(|(key, _)| key)
        .collect();
    for key in keys {
        let (live, config) =
            (live.and_then(|map| map.get(key)), config.and_then(|map| map.get(key)));
        if let Some(value) = walk(node.child(key).unwrap_or(Node::Deduced), live, config)? {
            merged.insert(key.clone(), value);
        }
    }
    Ok(merged)
}

/// A list with the steps to its items.
struct Indexed<'v> {
    elements: Vec<PathElement>,
    /// `None` for a step that leads to more than one item.
    items: BTreeMap<PathElement, Option<&'v Value>>,
}

impl<'v> Indexed<'v> {
    fn new(list: List<'_>, items: &'v [Value]) -> Result<Self, TypeError> {
        let mut indexed =
            Self { elements: Vec::with_capacity(items.len()), items: BTreeMap::new() };
        for (index, item) in items.iter().enumerate() {
            let element = list.element(item).map_err(|problem| TypeError::item(index, &problem))?;
            let single = (!indexed.items.contains_key(&element)).then_some(item);
            indexed.items.insert(element.clone(), single);
            indexed.elements.push(element);
        }
        Ok(indexed)
    }

    fn has(&self, element: &PathElement) -> bool {
        self.items.contains_key(element)
    }

    /// The item that a step leads to. Duplicates of the live list are not merged with: they give way.
    fn get(&self, element: &PathElement) -> Option<&'v Value> {
        self.items.get(element).copied().flatten()
    }
}

/// Merges lists item by item. The order is the live one where the configuration leaves it, else the configuration's, with items that
/// only the live list has staying between their neighbours.
fn merge_lists(list: List<'_>, live: &[Value], config: &[Value]) -> Result<Vec<Value>, TypeError> {
    let node = list.item_node();
    let (ours, theirs) = (Indexed::new(list, live)?, Indexed::new(list, config)?);
    let mut shared: VecDeque<&PathElement> =
        theirs.elements.iter().filter(|element| ours.has(element)).collect();
    let mut next_shared = shared.pop_front();
    let mut merged_already: BTreeSet<&PathElement> = BTreeSet::new();
    let mut out = Vec::with_capacity(live.len().max(config.len()));
    let (mut at, mut config_at) = (0, 0);
    while at < ours.elements.len() || config_at < theirs.elements.len() {
        if let (Some(element), Some(wanted)) =
            (ours.elements.get(at), theirs.elements.get(config_at))
        {
            if element == wanted {
                merged_already.insert(wanted);
                out.extend(walk(node, ours.get(element), theirs.get(element))?);
                (at, config_at) = (at + 1, config_at + 1);
                next_shared = shared.pop_front();
                continue;
            }
            if theirs.has(element) && next_shared.is_some_and(|next| next != element) {
                // It is in both lists, but its turn has not come.
                at += 1;
                continue;
            }
        }
        if let Some(element) = ours.elements.get(at) {
            if !theirs.has(element) {
                out.extend(walk(node, live.get(at), None)?);
                at += 1;
                continue;
            }
            if merged_already.contains(element) {
                at += 1;
            }
        }
        if let Some(wanted) = theirs.elements.get(config_at) {
            merged_already.insert(wanted);
            out.extend(walk(node, ours.get(wanted), theirs.get(wanted))?);
            config_at += 1;
            if next_shared.is_some_and(|next| next == wanted) {
                next_shared = shared.pop_front();
            }
        }
    }
    Ok(out)
}
