//! What a selection found, and what could not be had: visited to the end, and then told together.
//!
//! Holds     the two levels of kubectl's errors: those of an object stand for themselves; those of reading files and lists are one.

use std::vec;

use super::super::fault::{Fault, Outcome};
use super::Item;

/// Objects in the order in which they are visited.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Each object, or why it cannot be worked on.
    pub(super) steps: Vec<Result<Item, Fault>>,
    /// What could not be read or listed.
    pub(super) unread: Vec<Fault>,
}

impl Found {
    /// Visits the objects one after another.
    pub(crate) fn visit(self) -> Visit {
        Visit { steps: self.steps.into_iter(), faults: Vec::new(), unread: self.unread }
    }

    /// All objects at once, and what is wrong with the others.
    pub(crate) fn infos(self) -> (Vec<Item>, Option<Fault>) {
        let mut visit = self.visit();
        let items: Vec<Item> = std::iter::from_fn(|| visit.next()).collect();
        (items, visit.end().err())
    }

    /// All objects, if nothing is wrong with any.
    pub(crate) fn all_or_fault(self) -> Result<Vec<Item>, Fault> {
        let (items, fault) = self.infos();
        fault.map_or(Ok(items), Err)
    }

    /// All objects, or the first thing that is wrong.
    pub(crate) fn first_fault(self) -> Result<Vec<Item>, Fault> {
        match self.unread.into_iter().next() {
            Some(fault) => Err(fault),
            None => self.steps.into_iter().collect(),
        }
    }

    /// Whether there is nothing to visit, and nothing wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.unread.is_empty()
    }

    /// The objects.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.steps.iter().flatten()
    }

    /// How many objects there are.
    pub(crate) fn count(&self) -> usize {
        self.steps.iter().flatten().count()
    }
}

/// A visit that goes on after a fault.
#[derive(Debug)]
pub(crate) struct Visit {
    steps: vec::IntoIter<Result<Item, Fault>>,
    faults: Vec<Fault>,
    unread: Vec<Fault>,
}

impl Visit {
    /// The next object.
    pub(crate) fn next(&mut self) -> Option<Item> {
        loop {
            match self.steps.next()? {
                Ok(item) => return Some(item),
                Err(fault) => self.faults.push(fault),
            }
        }
    }

    /// Keeps what is wrong with the object that was visited last.
    pub(crate) fn failed(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// What was wrong: first what came of the objects, then what could not be read.
    pub(crate) fn end(mut self) -> Outcome {
        if !self.unread.is_empty() {
            self.faults.push(Fault::Many(self.unread));
        }
        Fault::all(self.faults)
    }
}
