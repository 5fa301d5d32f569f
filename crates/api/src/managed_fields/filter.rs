//! The fields that an endpoint resets: nobody comes to own them through it.

use super::field_set::{Entry, FieldSet};
use super::path::PathElement;

/// Which members of a set count at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All but these fields and what lies below them.
    Except(FieldSet),
    /// Only these fields, what lies below them and the way to them.
    Only(Vec<Vec<Step>>),
}

/// A step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A field.
    Field(&'static str),
    /// Any field or item.
    Any,
}

impl Filter {
    /// All but these fields, such as `[["status"]]`.
    pub fn except(paths: &[&[&str]]) -> Self {
        Self::Except(FieldSet::of_fields(paths))
    }

    /// The members that count.
    pub(super) fn apply(&self, set: &FieldSet) -> FieldSet {
        match self {
            Self::Except(fields) => set.recursive_difference(fields),
            Self::Only(patterns) => {
                let patterns: Vec<&[Step]> = patterns.iter().map(Vec::as_slice).collect();
                only(set, &patterns)
            }
        }
    }
}

fn only(set: &FieldSet, patterns: &[&[Step]]) -> FieldSet {
    if patterns.iter().any(|pattern| pattern.is_empty()) {
        return set.clone();
    }
    set.map_entries(|entry| {
        let rest: Vec<&[Step]> = patterns
            .iter()
            .filter_map(|pattern| {
                let (first, rest) = pattern.split_first()?;
                fits(first, &entry.element).then_some(rest)
            })
            .collect();
        if rest.is_empty() {
            return None;
        }
        let children = only(&entry.children, &rest);
        Some(Entry { element: entry.element.clone(), is_member: entry.is_member, children })
    })
}

fn fits(step: &Step, element: &PathElement) -> bool {
    match (step, element) {
        (Step::Any, _) => true,
        (Step::Field(name), PathElement::Field(field)) => **field == **name,
        _ => false,
    }
}
