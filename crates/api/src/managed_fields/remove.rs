//! Takes fields and items out of an object.

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::node::{Kind, Node};
use super::path::PathElement;
use crate::schema::TypeRef;

/// The object without the members of the set. What is left empty becomes `null`.
pub(super) fn remove(object: &Value, set: &FieldSet, ty: Option<TypeRef<'_>>) -> Value {
    walk(Node::root(ty), object, set)
}

fn walk(node: Node<'_>, value: &Value, set: &FieldSet) -> Value {
    match (node.kind(Some(value)), value) {
        (Kind::Scalar, _) => value.clone(),
        (Kind::List, Value::Array(items)) if !node.list().is_atomic() => {
            let list = node.list();
            let item_node = list.item_node();
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                let entry = list.element(item).ok().and_then(|element| set.entry(&element));
                match entry {
                    None => kept.push(item.clone()),
                    Some(entry) if entry.is_member => {}
                    Some(entry) => kept.push(walk(item_node, item, &entry.children)),
                }
            }
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        (Kind::Map | Kind::Open, Value::Object(map)) if !node.is_atomic() => {
            let mut kept = Map::new();
            for (key, value) in map {
                let child = || node.child(key).unwrap_or(Node::Deduced);
                match set.entry(&PathElement::field(key)) {
                    None => kept.insert(key.clone(), value.clone()),
                    Some(entry) if entry.is_member => None,
                    Some(entry) => kept.insert(key.clone(), walk(child(), value, &entry.children)),
                };
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        _ => Value::Null,
    }
}
