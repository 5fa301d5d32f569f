//! The decisions of the garbage collector, by what the server said (Kubernetes v1.36 `attemptToDeleteItem`).

#[cfg(test)]
mod tests;

use super::ownership::{FOREGROUND, ORPHAN, Ownership};

/// What is to be done about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Nothing: it has no owners, or it goes already.
    Nothing,
    /// Its dependents lose their reference to it, then it loses the finalizer.
    Orphan,
    /// It loses the finalizer when no dependent blocks it.
    AwaitDependents,
    /// Its owners decide whether it stays.
    Judge,
}

/// How an owner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is there.
    Solid,
    /// It is there and being deleted, and waits for its dependents to be gone.
    Waiting,
    /// It is gone.
    Dangling,
}

/// What becomes of an object because of its owners.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays as it is.
    Keep,
    /// It stays without the references to these owners.
    Unlink(Vec<String>),
    /// It is deleted.
    Delete {
        propagation: &'static str,
        /// It blocks no owner any longer: one of its own dependents may wait for it in a circle.
        unblocks: bool,
    },
}

/// What the graph says about the dependents of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dependents {
    /// There are some.
    pub(super) exist: bool,
    /// One of them waits for dependents.
    pub(super) wait: bool,
}

/// What is to be done about an object that says this of itself.
pub(super) fn duty(ownership: &Ownership) -> Duty {
    if ownership.orphans_dependents() {
        Duty::Orphan
    } else if ownership.awaits_dependents() {
        Duty::AwaitDependents
    } else if ownership.is_deleting() || ownership.references.is_empty() {
        Duty::Nothing
    } else {
        Duty::Judge
    }
}

/// What becomes of an object whose owners, in the order of its references, stand so.
pub(super) fn verdict(
    ownership: &Ownership,
    standings: &[Standing],
    dependents: Dependents,
) -> Verdict {
    if standings.contains(&Standing::Solid) {
        let lost = ownership.references.iter().zip(standings);
        let lost = lost.filter(|(_, standing)| **standing != Standing::Solid);
        let lost: Vec<String> = lost.map(|(reference, _)| reference.uid.clone()).collect();
        return if lost.is_empty() { Verdict::Keep } else { Verdict::Unlink(lost) };
    }
    if standings.contains(&Standing::Waiting) && dependents.exist {
        return Verdict::Delete { propagation: "Foreground", unblocks: dependents.wait };
    }
    let propagation = if ownership.has_finalizer(ORPHAN) {
        "Orphan"
    } else if ownership.has_finalizer(FOREGROUND) {
        "Foreground"
    } else {
        "Background"
    };
    Verdict::Delete { propagation, unblocks: false }
}
