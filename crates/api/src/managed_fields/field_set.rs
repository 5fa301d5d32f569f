//! A set of paths, kept as a tree.

use std::cmp::Ordering;

use super::node::Node;
use super::path::{Path, PathElement};

/// A set of paths. A path and what lies below it are members apart: `.spec` and `.spec.replicas` are two members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Sorted by element; each is a member or has children.
    entries: Vec<Entry>,
}

/// What a set has at a step and below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) element: PathElement,
    pub(super) is_member: bool,
    pub(super) children: FieldSet,
}

impl FieldSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// A set of paths of field names, such as `["metadata", "name"]`.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::new();
        for path in paths {
            set.insert(&Path::of_fields(path));
        }
        set
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a path. The empty path stands for the whole object, which nobody owns.
    pub fn insert(&mut self, path: &Path) {
        self.insert_elements(path.elements());
    }

    fn insert_elements(&mut self, elements: &[PathElement]) {
        let Some((first, rest)) = elements.split_first() else {
            return;
        };
        let mut children = Self::new();
        children.insert_elements(rest);
        self.add(first.clone(), rest.is_empty(), children);
    }

    /// Adds what a set has at a step and below; nothing if it is neither a member nor has children.
    pub(super) fn add(&mut self, element: PathElement, is_member: bool, children: Self) {
        if !is_member && children.is_empty() {
            return;
        }
        let entry = Entry { element, is_member, children };
        // Walks of sorted maps come in order.
        if self.entries.last().is_none_or(|last| last.element < entry.element) {
            self.entries.push(entry);
            return;
        }
        match self.entries.binary_search_by(|known| known.element.cmp(&entry.element)) {
            Ok(at) => {
                let known = &mut self.entries[at];
                known.is_member |= entry.is_member;
                known.children = known.children.union(&entry.children);
            }
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Whether a path is a member.
    pub fn has(&self, path: &Path) -> bool {
        let mut set = self;
        let mut is_member = false;
        for element in path.elements() {
            let Some(entry) = set.entry(element) else {
                return false;
            };
            (set, is_member) = (&entry.children, entry.is_member);
        }
        is_member
    }

    /// What the set has at a step.
    pub(super) fn entry(&self, element: &PathElement) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.element.cmp(element)).ok()?;
        self.entries.get(at)
    }

    /// What the set has at each step, in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The members of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.zip(other, |left, right| match (left, right) {
            (Some(left), Some(right)) => Some(Entry {
                element: left.element.clone(),
                is_member: left.is_member || right.is_member,
                children: left.children.union(&right.children),
            }),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        })
    }

    /// The members of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, |left, right| {
            let (left, right) = (left?, right?);
            Some(Entry {
                element: left.element.clone(),
                is_member: left.is_member && right.is_member,
                children: left.children.intersection(&right.children),
            })
        })
    }

    /// The members of this set that the other does not have; what lies below a member of the other stays.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.zip(other, |left, right| {
            let left = left?;
            let Some(right) = right else {
                return Some(left.clone());
            };
            Some(Entry {
                element: left.element.clone(),
                is_member: left.is_member && !right.is_member,
                children: left.children.difference(&right.children),
            })
        })
    }

    /// The members of this set that neither are in the other nor lie below a member of the other.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.zip(other, |left, right| {
            let left = left?;
            match right {
                None => Some(left.clone()),
                Some(right) if right.is_member => None,
                Some(right) => Some(Entry {
                    element: left.element.clone(),
                    is_member: left.is_member,
                    children: left.children.recursive_difference(&right.children),
                }),
            }
        })
    }

    /// Walks two sets side by side.
    fn zip(
        &self,
        other: &Self,
        mut join: impl FnMut(Option<&Entry>, Option<&Entry>) -> Option<Entry>,
    ) -> Self {
        let mut entries = Vec::with_capacity(self.entries.len());
        let (mut left, mut right) =
            (self.entries.iter().peekable(), other.entries.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (Some(left), Some(right)) => left.element.cmp(&right.element),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return Self { entries },
            };
            let from_left = if order.is_le() { left.next() } else { None };
            let from_right = if order.is_ge() { right.next() } else { None };
            let joined = join(from_left, from_right);
            entries.extend(joined.filter(|entry| entry.is_member || !entry.children.is_empty()));
        }
    }

    /// The members that no other member lies below.
    #[must_use]
    pub fn leaves(&self) -> Self {
        let leaf = |entry: &Entry| Entry {
            element: entry.element.clone(),
            is_member: entry.is_member && entry.children.is_empty(),
            children: entry.children.leaves(),
        };
        Self { entries: self.entries.iter().map(leaf).collect() }
    }

    /// All members in upstream's order: those of a level first, then what lies below them.
    pub fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        self.push_paths(&mut Vec::new(), &mut paths);
        paths
    }

    fn push_paths(&self, prefix: &mut Vec<PathElement>, paths: &mut Vec<Path>) {
        for entry in self.entries.iter().filter(|entry| entry.is_member) {
            let mut elements = prefix.clone();
            elements.push(entry.element.clone());
            paths.push(Path::new(elements));
        }
        for entry in &self.entries {
            prefix.push(entry.element.clone());
            entry.children.push_paths(prefix, paths);
            prefix.pop();
        }
    }

    /// The set with the declared fields of structs above members as members too.
    ///
    /// Sets leave them out; removing from an object needs them, so that a struct whose last field goes does not stay.
    #[must_use]
    pub(super) fn with_named_fields(&self, node: Option<Node<'_>>) -> Self {
        let entries = self.entries.iter().map(|entry| {
            let has_children = !entry.children.is_empty();
            let is_declared = match (&entry.element, node) {
                (PathElement::Field(name), Some(node)) => node.declares(name),
                _ => false,
            };
            Entry {
                element: entry.element.clone(),
                is_member: entry.is_member || (has_children && is_declared),
                children: entry
                    .children
                    .with_named_fields(node.and_then(|node| node.at(&entry.element))),
            }
        });
        Self { entries: entries.collect() }
    }

    /// The set with only the entries that `keep` keeps, changed as it likes.
    pub(super) fn map_entries(&self, keep: impl FnMut(&Entry) -> Option<Entry>) -> Self {
        let entries = self.entries.iter().filter_map(keep);
        Self {
            entries: entries
                .filter(|entry| entry.is_member || !entry.children.is_empty())
                .collect(),
        }
    }
}
