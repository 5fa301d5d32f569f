//! Brings a recorded set in line with a schema that has changed since: what became atomic is owned as a whole.

use super::field_set::{Entry, FieldSet};
use super::node::Node;
use super::path::PathElement;
use crate::schema::TypeRef;

/// The set as the type would have it; `None` if nothing changes.
pub(super) fn reconcile(set: &FieldSet, ty: Option<TypeRef<'_>>) -> Option<FieldSet> {
    let node = Node::root(ty);
    if node.is_open() || !needs_change(set, node) {
        return None;
    }
    Some(below(set, node))
}

/// Whether an atomic value has members below it.
fn needs_change(set: &FieldSet, node: Node<'_>) -> bool {
    set.entries().iter().any(|entry| {
        child(node, &entry.element).is_some_and(|node| {
            is_split(entry, node)
                || (!is_whole(node) && !node.is_open() && needs_change(&entry.children, node))
        })
    })
}

fn below(set: &FieldSet, node: Node<'_>) -> FieldSet {
    set.map_entries(|entry| {
        let mut entry = entry.clone();
        if let Some(node) = child(node, &entry.element) {
            if is_split(&entry, node) {
                entry.is_member = true;
                entry.children = FieldSet::new();
            } else if !is_whole(node) && !node.is_open() {
                entry.children = below(&entry.children, node);
            }
        }
        Some(entry)
    })
}

fn is_whole(node: Node<'_>) -> bool {
    match node {
        Node::List(list) => list.is_atomic(),
        node => node.is_atomic(),
    }
}

fn is_split(entry: &Entry, node: Node<'_>) -> bool {
    is_whole(node) && !entry.children.is_empty()
}

/// The type of what a step leads to. Items of lists are looked into whatever step leads to them.
fn child<'a>(node: Node<'a>, element: &PathElement) -> Option<Node<'a>> {
    match (node, element) {
        (Node::List(list), _) => Some(list.item_node()),
        (Node::Scalar(_), _) => None,
        (node, PathElement::Field(name)) => node.child(name),
        (Node::Map { .. }, _) => node.child(""),
        _ => None,
    }
}
