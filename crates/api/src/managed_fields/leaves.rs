//! The set of all fields and items of an object: what an applied configuration owns.

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::node::{Kind, List, Node};
use super::path::PathElement;
use super::validate::TypeError;
use crate::schema::TypeRef;

/// All leaves and list items of an object, the keys of its maps, and what is empty or `null`.
pub fn of(object: &Value, ty: Option<TypeRef<'_>>) -> Result<FieldSet, TypeError> {
    let mut set = FieldSet::new();
    walk(Node::root(ty), object, &mut set)?;
    Ok(set)
}

/// Collects what lies below the value; tells whether the value itself is a member.
fn walk(node: Node<'_>, value: &Value, set: &mut FieldSet) -> Result<bool, TypeError> {
    match (node.kind(Some(value)), value) {
        (Kind::Scalar, _) => Ok(true),
        (Kind::List, _) if node.list().is_atomic() => Ok(true),
        (Kind::List, Value::Array(items)) => walk_list(node.list(), items, set).map(|()| false),
        (Kind::Map | Kind::Open, _) if node.is_atomic() => Ok(true),
        (Kind::Map | Kind::Open, Value::Object(map)) => walk_map(node, map, set).map(|()| false),
        _ => Ok(false),
    }
}

fn walk_map(node: Node<'_>, map: &Map<String, Value>, set: &mut FieldSet) -> Result<(), TypeError> {
    for (key, value) in map {
        let child = node.child(key).unwrap_or(Node::Deduced);
        let mut below = FieldSet::new();
        let is_leaf = walk(child, value, &mut below)?;
        let is_empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        let is_member = is_leaf || is_empty || !node.declares(key);
        set.add(PathElement::field(key), is_member, below);
    }
    Ok(())
}

fn walk_list(list: List<'_>, items: &[Value], set: &mut FieldSet) -> Result<(), TypeError> {
    let mut elements = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        elements.push(list.element(item).map_err(|problem| TypeError::item(index, &problem))?);
    }
    let mut sorted: Vec<&PathElement> = elements.iter().collect();
    sorted.sort_unstable();
    let occurs_once = |element: &PathElement| {
        let at = sorted.partition_point(|other| *other < element);
        sorted.get(at + 1).is_none_or(|next| *next != element)
    };
    let node = list.item_node();
    for (element, item) in elements.iter().zip(items) {
        // Items that occur twice are owned together, as one.
        let mut below = FieldSet::new();
        if occurs_once(element) {
            walk(node, item, &mut below)?;
        }
        set.add(element.clone(), true, below);
    }
    Ok(())
}
