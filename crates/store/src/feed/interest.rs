//! Who waits for what in one bucket: found by what an event touches, not by asking every watcher.
//!
//! Holds always: a slot is in exactly one index, the one of its filter.

use std::collections::BTreeMap;
use std::task::Waker;

use super::Filter;
use crate::key::Revision;
use crate::value::{Event, Value};

/// A watcher's place in the ring.
pub(super) struct Slot {
    pub(super) filter: Filter,
    /// The first event that may concern it.
    pub(super) pending: Option<u64>,
    /// Nothing up to here concerns it, whatever the ring holds.
    pub(super) after: Revision,
    /// The last answer to "up to where have you seen everything": it never goes back.
    pub(super) seen: Revision,
    waker: Option<Waker>,
}

impl Slot {
    /// Remembers whom to wake, and gives back whom it had remembered; without a waker (a look that does not wait) nobody new.
    pub(super) fn wait(&mut self, waker: Option<&Waker>) -> Option<Waker> {
        let waker = waker?;
        match &self.waker {
            Some(known) if known.will_wake(waker) => None,
            _ => self.waker.replace(waker.clone()),
        }
    }
}

type ByText = BTreeMap<Box<str>, Vec<usize>>;

/// The register.
#[derive(Default)]
pub(super) struct Interest {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// By length of the prefix, then by the prefix: an event asks once per length in use.
    prefixes: BTreeMap<usize, ByText>,
    exact: ByText,
    topics: ByText,
}

impl Interest {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Option<&mut Slot> {
        self.slots.get_mut(id)?.as_mut()
    }

    pub(super) fn add(&mut self, filter: Filter, pending: Option<u64>, after: Revision) -> usize {
        let id = self.free.pop().unwrap_or(self.slots.len());
        let (index, text) = self.index(&filter);
        index.entry(text).or_default().push(id);
        let slot = Some(Slot { filter, pending, after, seen: after, waker: None });
        match self.slots.get_mut(id) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        id
    }

    pub(super) fn remove(&mut self, id: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(id).and_then(Option::take)?;
        self.free.push(id);
        let (index, text) = self.index(&slot.filter);
        if let Some(ids) = index.get_mut(&text) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                index.remove(&text);
            }
        }
        self.prefixes.retain(|_, index| !index.is_empty());
        if self.is_empty() {
            *self = Self::default(); // A crowd has gone: so does its memory.
        }
        Some(slot)
    }

    fn index(&mut self, filter: &Filter) -> (&mut ByText, Box<str>) {
        match filter {
            Filter::Prefix(prefix) => {
                (self.prefixes.entry(prefix.len()).or_default(), prefix.clone())
            }
            Filter::Exact(rest) => (&mut self.exact, rest.clone()),
            Filter::Topic(topic) => (&mut self.topics, topic.clone()),
        }
    }

    /// Notes the event for all whom it concerns and collects those that wait.
    pub(super) fn mark<V: Value>(
        &mut self,
        event: &Event<V>,
        sequence: u64,
        wake: &mut Vec<Waker>,
    ) {
        let rest = event.key().rest();
        let topic = event.entry.value.topic();
        let before = event.previous.as_ref().and_then(|entry| entry.value.topic());
        let by_prefix =
            self.prefixes.iter().filter_map(|(length, index)| index.get(rest.get(..*length)?));
        let by_topic = topic.and_then(|topic| self.topics.get(topic));
        let by_topic_before =
            before.filter(|_| before != topic).and_then(|topic| self.topics.get(topic));
        let concerned =
            by_prefix.chain(self.exact.get(rest)).chain(by_topic).chain(by_topic_before);
        for id in concerned.flatten() {
            let Some(slot) = self.slots.get_mut(*id).and_then(Option::as_mut) else { continue };
            slot.pending.get_or_insert(sequence);
            wake.extend(slot.waker.take());
        }
    }

    pub(super) fn wake_all(&mut self, wake: &mut Vec<Waker>) {
        wake.extend(self.slots.iter_mut().flatten().filter_map(|slot| slot.waker.take()));
    }
}
