//! Owners that are known to be gone. A UID never comes back, so what is absent once stays absent.

use std::collections::{HashSet, VecDeque};

use super::graph::KindIndex;
use super::uid::Uid;

/// How many are remembered, the youngest (Kubernetes v1.36 `NewReferenceCache(500)`): at about 200 bytes each.
const MAX: usize = 500;

/// An owner as a reference names it, with the namespace in which it was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) kind: KindIndex,
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
    pub(super) uid: Uid,
}

/// Owners that are gone.
#[derive(Debug, Default)]
pub(super) struct Absent {
    known: HashSet<Owner>,
    order: VecDeque<Owner>,
}

impl Absent {
    pub(super) fn add(&mut self, owner: Owner) {
        if !self.known.insert(owner.clone()) {
            return;
        }
        self.order.push_back(owner);
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, owner: &Owner) -> bool {
        self.known.contains(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_for_the_youngest() {
        let owner = |index: usize| Owner {
            kind: 0,
            namespace: "".into(),
            name: "a".into(),
            uid: Uid::of(&index.to_string()),
        };
        let mut absent = Absent::default();
        for index in 0..=MAX {
            absent.add(owner(index));
            absent.add(owner(index));
        }
        let has = |index| absent.contains(&owner(index));
        assert_eq!((has(0), has(1), has(MAX)), (false, true, true));
    }
}
