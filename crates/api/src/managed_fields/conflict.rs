//! Fields that an apply would change although others own them.

use std::collections::BTreeMap;
use std::fmt;

use super::entries::{Manager, Managers, Operation};
use super::field_set::FieldSet;
use super::path::Path;
use crate::field::quoted;

/// A field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns it.
    pub manager: Manager,
    /// The version in which it owns it.
    pub api_version: String,
    /// The field.
    pub path: Path,
}

impl Conflict {
    /// The manager in upstream's words: `"m"`, `"m" with subresource "status"`, `"m" using apps/v1`.
    fn owner(&self) -> String {
        let mut text = quoted(&self.manager.name);
        if !self.manager.subresource.is_empty() {
            text.push_str(" with subresource ");
            text.push_str(&quoted(&self.manager.subresource));
        }
        if self.manager.operation == Operation::Update {
            text.push_str(" using ");
            text.push_str(&self.api_version);
        }
        text
    }

    /// The message of the cause in the Status.
    pub fn message(&self) -> String {
        format!("conflict with {}", self.owner())
    }
}

/// All conflicts of an apply, sorted by manager. The text is the message of the Status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflicts {
    /// The conflicts with these sets of other managers.
    pub(super) fn new(managers: &Managers, sets: &BTreeMap<Manager, FieldSet>) -> Self {
        let mut sets: Vec<(&Manager, &FieldSet)> = sets.iter().collect();
        sets.sort_by_cached_key(|(manager, _)| manager.identifier());
        let conflicts = sets.into_iter().flat_map(|(manager, set)| {
            let owned = managers.0.get(manager);
            let api_version = owned.map_or_else(String::new, |owned| owned.api_version.clone());
            set.paths().into_iter().map(move |path| Conflict {
                manager: manager.clone(),
                api_version: api_version.clone(),
                path,
            })
        });
        Self(conflicts.collect())
    }

    /// The fields in conflict.
    pub(super) fn set(&self) -> FieldSet {
        let mut set = FieldSet::new();
        for conflict in &self.0 {
            set.insert(&conflict.path);
        }
        set
    }

    /// The conflicts outside a set.
    pub(super) fn outside(&self, set: &FieldSet) -> Self {
        Self(self.0.iter().filter(|conflict| !set.has(&conflict.path)).cloned().collect())
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [conflict] = self.0.as_slice() {
            return write!(
                f,
                "Apply failed with 1 conflict: {}: {}",
                conflict.message(),
                conflict.path
            );
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut owner = None;
        for conflict in &self.0 {
            let separator = if owner.is_none() { "" } else { "\n" };
            if owner != Some(&conflict.manager) {
                write!(f, "{separator}conflicts with {}:", conflict.owner())?;
                owner = Some(&conflict.manager);
            }
            write!(f, "\n- {}", conflict.path)?;
        }
        Ok(())
    }
}

impl std::error::Error for Conflicts {}
