//! A persistent B+tree of one bucket's entries: cloning it is one reference count, and the clone never changes.
//!
//! A writer changes nodes in place as long as nobody else holds them and copies the path to them otherwise, so that readers of
//! a clone and the committer never wait for each other, however slow a reader is. Inner nodes know how many entries lie below,
//! which makes counting a range as cheap as finding it.
//!
//! Holds always
//! - Entries are in the order of their keys' rest, each rest once.
//! - A child's `first` is above every key of the children before it and not above any of its own (but the first child's, which
//!   counts as below everything).

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::value::Entry;

/// Most items of a node. More makes copies of a path dearer, fewer makes the tree taller: 64 pointers are half a KiB.
const NODE_ITEMS_MAX: usize = 64;

/// Below this a node is merged into a neighbour that has room.
const NODE_ITEMS_MIN: usize = 16;

/// The entries of one bucket at one revision.
pub(crate) struct Tree<V> {
    root: Arc<Node<V>>,
    len: usize,
}

enum Node<V> {
    Leaf(Vec<Arc<Entry<V>>>),
    Inner(Vec<Child<V>>),
}

struct Child<V> {
    first: Arc<str>,
    count: usize,
    node: Arc<Node<V>>,
}

impl<V> Clone for Tree<V> {
    fn clone(&self) -> Self {
        Self { root: Arc::clone(&self.root), len: self.len }
    }
}

impl<V> Clone for Node<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(entries) => Self::Leaf(entries.clone()),
            Self::Inner(children) => Self::Inner(children.clone()),
        }
    }
}

impl<V> Clone for Child<V> {
    fn clone(&self) -> Self {
        Self { first: Arc::clone(&self.first), count: self.count, node: Arc::clone(&self.node) }
    }
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Self { root: Arc::new(Node::Leaf(Vec::new())), len: 0 }
    }
}

impl<V> Tree<V> {
    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The entry at `rest`.
    pub(crate) fn get(&self, rest: &str) -> Option<&Arc<Entry<V>>> {
        let mut node = &self.root;
        loop {
            match &**node {
                Node::Leaf(entries) => {
                    let at = entries.binary_search_by(|entry| entry.key.rest().cmp(rest)).ok()?;
                    return entries.get(at);
                }
                Node::Inner(children) => node = &children.get(place(children, rest))?.node,
            }
        }
    }

    /// Puts the entry where its key says; gives back what was there.
    pub(crate) fn insert(&mut self, entry: Arc<Entry<V>>) -> Option<Arc<Entry<V>>> {
        let (old, split) = insert(&mut self.root, entry);
        if let Some(right) = split {
            let left = Child {
                first: Arc::from(""),
                count: self.len + 1 - right.count,
                node: Arc::clone(&self.root),
            };
            self.root = Arc::new(Node::Inner(vec![left, right]));
        }
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes the entry at `rest` out.
    pub(crate) fn remove(&mut self, rest: &str) -> Option<Arc<Entry<V>>> {
        self.get(rest)?; // So that a miss copies no node.
        let removed = remove(&mut self.root, rest);
        self.len -= usize::from(removed.is_some());
        while let Node::Inner(children) = &*self.root {
            match children.as_slice() {
                [] => self.root = Arc::new(Node::Leaf(Vec::new())),
                [only] => self.root = Arc::clone(&only.node),
                _ => break,
            }
        }
        removed
    }

    /// Calls `each` in order on all entries that `skip` does not hold for; `skip` must hold for a beginning of the order.
    pub(crate) fn visit(
        &self,
        skip: &dyn Fn(&str) -> bool,
        each: &mut dyn FnMut(&Arc<Entry<V>>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        visit(&self.root, skip, each)
    }

    /// How many entries `skip` holds for; it must hold for a beginning of the order.
    pub(crate) fn rank(&self, skip: &dyn Fn(&str) -> bool) -> usize {
        let mut node = &self.root;
        let mut rank = 0;
        loop {
            match &**node {
                Node::Leaf(entries) => {
                    return rank + entries.partition_point(|entry| skip(entry.key.rest()));
                }
                Node::Inner(children) => {
                    let at = first_kept(children, skip);
                    rank += children.iter().take(at).map(|child| child.count).sum::<usize>();
                    match children.get(at) {
                        Some(child) => node = &child.node,
                        None => return rank,
                    }
                }
            }
        }
    }
}

impl<V> Node<V> {
    fn items(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(children) => children.len(),
        }
    }
}

/// Which child a key belongs to.
fn place<V>(children: &[Child<V>], rest: &str) -> usize {
    children.partition_point(|child| &*child.first <= rest).saturating_sub(1)
}

/// The first child that can have entries which `skip` does not hold for: the next one's `first` is above all of its own.
fn first_kept<V>(children: &[Child<V>], skip: &dyn Fn(&str) -> bool) -> usize {
    children.get(1..).map_or(0, |others| others.partition_point(|child| skip(&child.first)))
}

/// Old entry, and what did not fit any more.
type Inserted<V> = (Option<Arc<Entry<V>>>, Option<Child<V>>);

fn insert<V>(node: &mut Arc<Node<V>>, entry: Arc<Entry<V>>) -> Inserted<V> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            match entries.binary_search_by(|other| other.key.rest().cmp(entry.key.rest())) {
                Ok(at) => (entries.get_mut(at).map(|slot| std::mem::replace(slot, entry)), None),
                Err(at) => {
                    let right = insert_or_split(entries, at, entry);
                    (None, right.map(|right| child_of(Node::Leaf(right))))
                }
            }
        }
        Node::Inner(children) => {
            let at = place(children, entry.key.rest());
            let Some(child) = children.get_mut(at) else {
                return (None, None); // An inner node has children.
            };
            let (old, split) = insert(&mut child.node, entry);
            child.count += usize::from(old.is_none());
            let Some(split) = split else { return (old, None) };
            child.count -= split.count;
            let right = insert_or_split(children, at + 1, split);
            (old, right.map(|right| child_of(Node::Inner(right))))
        }
    }
}

/// Inserts; a full list is halved first and its right part given back. Appending to a full list leaves it full, so that keys
/// written in order (a snapshot read back) make full nodes.
fn insert_or_split<T>(items: &mut Vec<T>, at: usize, item: T) -> Option<Vec<T>> {
    if items.len() < NODE_ITEMS_MAX {
        items.insert(at, item);
        return None;
    }
    if at >= NODE_ITEMS_MAX {
        return Some(vec![item]);
    }
    let middle = NODE_ITEMS_MAX / 2;
    let mut right = items.split_off(middle);
    if at <= middle {
        items.insert(at, item);
    } else {
        right.insert(at - middle, item);
    }
    Some(right)
}

fn child_of<V>(node: Node<V>) -> Child<V> {
    let (first, count) = match &node {
        Node::Leaf(entries) => {
            (entries.first().map(|entry| Arc::clone(entry.key.rest_shared())), entries.len())
        }
        Node::Inner(children) => (
            children.first().map(|child| Arc::clone(&child.first)),
            children.iter().map(|child| child.count).sum(),
        ),
    };
    Child { first: first.unwrap_or_else(|| Arc::from("")), count, node: Arc::new(node) }
}

fn remove<V>(node: &mut Arc<Node<V>>, rest: &str) -> Option<Arc<Entry<V>>> {
    match Arc::make_mut(node) {
        Node::Leaf(entries) => {
            let at = entries.binary_search_by(|entry| entry.key.rest().cmp(rest)).ok()?;
            Some(entries.remove(at))
        }
        Node::Inner(children) => {
            let at = place(children, rest);
            let child = children.get_mut(at)?;
            let removed = remove(&mut child.node, rest)?;
            child.count -= 1;
            if child.count == 0 {
                children.remove(at);
            } else if child.node.items() < NODE_ITEMS_MIN && !merge(children, at) && at > 0 {
                merge(children, at - 1);
            }
            Some(removed)
        }
    }
}

/// Merges the child at `at` with the one after it, if there is one and both fit into one node.
fn merge<V>(children: &mut Vec<Child<V>>, at: usize) -> bool {
    let fits = match children.get(at..at + 2) {
        Some([left, right]) => left.node.items() + right.node.items() <= NODE_ITEMS_MAX,
        _ => false,
    };
    if !fits {
        return false;
    }
    let right = children.remove(at + 1);
    let Some(left) = children.get_mut(at) else { return false };
    left.count += right.count;
    match (Arc::make_mut(&mut left.node), &*right.node) {
        (Node::Leaf(left), Node::Leaf(right)) => left.extend(right.iter().cloned()),
        (Node::Inner(left), Node::Inner(below)) => {
            // The first child's `first` counts as below everything only while it is the first.
            left.extend(below.iter().enumerate().map(|(position, child)| Child {
                first: Arc::clone(if position == 0 { &right.first } else { &child.first }),
                count: child.count,
                node: Arc::clone(&child.node),
            }));
        }
        _ => debug_assert!(false, "siblings are of one kind"),
    }
    true
}

fn visit<V>(
    node: &Node<V>,
    skip: &dyn Fn(&str) -> bool,
    each: &mut dyn FnMut(&Arc<Entry<V>>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match node {
        Node::Leaf(entries) => {
            let start = entries.partition_point(|entry| skip(entry.key.rest()));
            entries.iter().skip(start).try_for_each(each)
        }
        Node::Inner(children) => {
            let mut kept = children.iter().skip(first_kept(children, skip));
            if let Some(first) = kept.next() {
                visit(&first.node, skip, each)?;
            }
            kept.try_for_each(|child| visit_all(&child.node, each))
        }
    }
}

/// Without asking of any entry whether it is skipped: an entry's key is memory that has to be fetched.
fn visit_all<V>(
    node: &Node<V>,
    each: &mut dyn FnMut(&Arc<Entry<V>>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match node {
        Node::Leaf(entries) => entries.iter().try_for_each(each),
        Node::Inner(children) => children.iter().try_for_each(|child| visit_all(&child.node, each)),
    }
}
