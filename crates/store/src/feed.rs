//! The events of one bucket: a single ring that all its watchers read, and the register of who waits for what.
//!
//! A watcher is a place in the ring, not a queue: the first event that may concern it. While there is none it costs nothing on
//! a write, can never be left behind, and however many events pass that do not concern it, it is not woken for them. Only an
//! event that does concern it and fell out of the ring unread expires it.
//!
//! Holds always
//! - The events of one transaction enter the ring together.
//! - A watcher's `pending` is at or before the first event it has yet to receive; without one there is no such event.
//!
//! - Nothing of a caller's is dropped under the lock: a waker or a value may own what needs the lock to go.
//!
//! Not here: how long events are kept ([`crate::view`]).

mod interest;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use crate::engine::Poison;
use crate::key::Revision;
use crate::tree::Tree;
use crate::value::{Event, Value};
use interest::Interest;

/// What a watcher wants to see of its bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Keys whose rest begins so; everything if empty.
    Prefix(Box<str>),
    /// This key's rest and no other.
    Exact(Box<str>),
    /// Events whose entry has this [`Value::topic`] before or after.
    Topic(Box<str>),
}

impl Filter {
    fn matches<V: Value>(&self, event: &Event<V>) -> bool {
        match self {
            Self::Prefix(prefix) => event.key().rest().starts_with(&**prefix),
            Self::Exact(rest) => event.key().rest() == &**rest,
            Self::Topic(topic) => {
                let before = event.previous.as_ref().and_then(|entry| entry.value.topic());
                event.entry.value.topic() == Some(topic) || before == Some(topic)
            }
        }
    }
}

/// What was forgotten, to be freed when no lock is held.
pub(crate) struct Dropped<V: Value> {
    events: Vec<Arc<Event<V>>>,
    trees: Vec<Tree<V>>,
}

impl<V: Value> Default for Dropped<V> {
    fn default() -> Self {
        Self { events: Vec::new(), trees: Vec::new() }
    }
}

/// Why a feed has ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Closed,
    Poisoned(Arc<Poison>),
}

/// What a look into the ring gave.
pub(crate) enum Look<V: Value> {
    Event(Arc<Event<V>>),
    Nothing,
    Expired,
    End(End),
}

/// Most events looked at under one hold of the lock; a watcher that has to look further lets the committer in between.
const SCAN_EVENTS_MAX: usize = 1024;

/// Most snapshots kept for lists that are read page by page; a page of another one is put together from the events.
const PAGED_SNAPSHOTS_MAX: usize = 4;

/// The ring of one bucket.
pub(crate) struct Feed<V: Value> {
    /// The bucket's name: the one copy that all its keys share.
    pub(crate) bucket: Arc<str>,
    state: Mutex<State<V>>,
}

struct State<V: Value> {
    /// The sequence number of the oldest event in the ring.
    start: u64,
    events: VecDeque<Arc<Event<V>>>,
    interest: Interest,
    /// Oldest first.
    paged: Vec<(Revision, Tree<V>)>,
    end: Option<End>,
}

impl<V: Value> Feed<V> {
    pub(crate) fn new(bucket: Arc<str>, end: Option<End>) -> Arc<Self> {
        let state = State {
            start: 0,
            events: VecDeque::new(),
            interest: Interest::default(),
            paged: Vec::new(),
            end,
        };
        Arc::new(Self { bucket, state: Mutex::new(state) })
    }

    /// Adds the events of one transaction and collects who is to be woken.
    pub(crate) fn push(&self, events: &[Arc<Event<V>>], wake: &mut Vec<Waker>) {
        let mut state = self.state.lock();
        for event in events {
            let sequence = state.end_sequence();
            state.interest.mark(event, sequence, wake);
            state.events.push_back(Arc::clone(event));
        }
    }

    /// Drops the oldest `count` events into `dropped`; `compacted` is the revision of the last of them.
    pub(crate) fn pop(&self, count: usize, compacted: Revision, dropped: &mut Dropped<V>) {
        let mut state = self.state.lock();
        let count = count.min(state.events.len());
        dropped.events.extend(state.events.drain(..count));
        state.start += count as u64;
        let forgotten = state.paged.extract_if(.., |(revision, _)| *revision < compacted);
        dropped.trees.extend(forgotten.map(|(_, tree)| tree));
        if state.events.len() < state.events.capacity() / 4 {
            state.events.shrink_to_fit(); // A burst is over.
        }
    }

    /// Ends the feed for all its watchers, waking them.
    pub(crate) fn finish(&self, end: &End, wake: &mut Vec<Waker>) {
        let mut state = self.state.lock();
        state.end = Some(end.clone());
        state.interest.wake_all(wake);
    }

    /// Whether nobody would miss the feed.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.events.is_empty() && state.interest.is_empty()
    }

    /// A watcher of what comes after `after`.
    pub(crate) fn join(&self, filter: Filter, after: Revision) -> usize {
        let mut state = self.state.lock();
        let unseen = state.events.partition_point(|event| event.revision() <= after);
        let pending = (unseen < state.events.len()).then_some(state.start + unseen as u64);
        state.interest.add(filter, pending, after)
    }

    /// The watcher is gone.
    pub(crate) fn leave(&self, id: usize) {
        let gone = self.state.lock().interest.remove(id);
        drop(gone);
    }

    /// The watcher's next event; if there is none, `waker` is called when there is.
    pub(crate) fn next(&self, id: usize, waker: Option<&Waker>) -> Look<V> {
        let mut replaced = None;
        loop {
            let look = self.state.lock().scan(id, waker, &mut replaced);
            if let Some(look) = look {
                return look;
            }
        }
    }

    /// The revision up to which the watcher has received everything, given that the store had reached `published` before.
    pub(crate) fn seen(&self, id: usize, published: Revision) -> Revision {
        self.state.lock().seen(id, published)
    }

    /// At most [`SCAN_EVENTS_MAX`] events after `after` up to `until`; `None` if they are no longer all there, knowing that
    /// everything after `compacted` was when the caller looked.
    pub(crate) fn events_after(&self, after: Revision, until: Revision) -> Vec<Arc<Event<V>>> {
        let state = self.state.lock();
        let from = state.events.partition_point(|event| event.revision() <= after);
        let mut events: Vec<Arc<Event<V>>> = Vec::new();
        for event in state.events.range(from..) {
            // Not in the middle of a transaction: the caller goes on after the last revision.
            let last = events.last().map(|event| event.revision());
            let is_new = last != Some(event.revision());
            if event.revision() > until || (events.len() >= SCAN_EVENTS_MAX && is_new) {
                break;
            }
            events.push(Arc::clone(event));
        }
        events
    }

    /// Keeps the tree for the next page of a list at `revision`.
    pub(crate) fn keep_paged(&self, revision: Revision, tree: &Tree<V>) {
        let mut state = self.state.lock();
        if state.paged.iter().any(|(kept, _)| *kept == revision) {
            return;
        }
        let is_full = state.paged.len() >= PAGED_SNAPSHOTS_MAX;
        let oldest = is_full.then(|| state.paged.remove(0));
        state.paged.push((revision, tree.clone()));
        drop(state);
        drop(oldest);
    }

    /// The tree kept for `revision`.
    pub(crate) fn paged(&self, revision: Revision) -> Option<Tree<V>> {
        let state = self.state.lock();
        state.paged.iter().find(|(kept, _)| *kept == revision).map(|(_, tree)| tree.clone())
    }
}

impl<V: Value> State<V> {
    fn end_sequence(&self) -> u64 {
        self.start + self.events.len() as u64
    }

    fn at(&self, sequence: u64) -> Option<&Arc<Event<V>>> {
        let index = usize::try_from(sequence.checked_sub(self.start)?).ok()?;
        self.events.get(index)
    }

    /// Looks at a stretch of the ring; `None` means that there is more to look at.
    fn scan(
        &mut self,
        id: usize,
        waker: Option<&Waker>,
        replaced: &mut Option<Waker>,
    ) -> Option<Look<V>> {
        if let Some(end) = &self.end {
            return Some(Look::End(end.clone()));
        }
        let end = self.end_sequence();
        let Some(slot) = self.interest.get_mut(id) else {
            return Some(Look::Nothing); // A watcher owns its slot until it is dropped.
        };
        let Some(pending) = slot.pending else {
            *replaced = slot.wait(waker);
            return Some(Look::Nothing);
        };
        let Some(from) = pending.checked_sub(self.start) else {
            return Some(Look::Expired);
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.events.len());
        let stretch = self.events.range(from..).take(SCAN_EVENTS_MAX);
        let found = stretch
            .enumerate()
            .find(|(_, event)| event.revision() > slot.after && slot.filter.matches(event));
        let next = match &found {
            Some((index, _)) => pending + *index as u64 + 1,
            None => (pending + SCAN_EVENTS_MAX as u64).min(end),
        };
        slot.pending = (next < end).then_some(next);
        if let Some((_, event)) = found {
            let event = Arc::clone(event);
            self.seen(id, event.revision());
            return Some(Look::Event(event));
        }
        if slot.pending.is_some() {
            return None;
        }
        *replaced = slot.wait(waker);
        Some(Look::Nothing)
    }

    fn seen(&mut self, id: usize, published: Revision) -> Revision {
        let pending = self.interest.get_mut(id).and_then(|slot| slot.pending);
        let before_pending = pending.map(|pending| {
            // Everything before the pending event was received or did not concern the watcher.
            self.at(pending).map_or(Revision(0), |event| Revision(event.revision().0 - 1))
        });
        let Some(slot) = self.interest.get_mut(id) else { return published };
        slot.seen = slot.seen.max(before_pending.unwrap_or(published));
        slot.seen
    }
}
