//! What readers see: every bucket's tree and ring at the last durable revision, and how far back history reaches.
//!
//! Holds always
//! - The view stands between two transactions, never inside one, and only durable ones are in it.
//! - Every ring holds exactly the events of its bucket after `compacted`.
//!
//! Not here: locks and wakers ([`crate::shared`]), reading at an older revision ([`crate::read`]).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use crate::engine::Poison;
use crate::feed::{Dropped, End, Feed};
use crate::key::Revision;
use crate::tree::Tree;
use crate::value::{Change, Entry, Event, Value};

/// Most transactions forgotten under one hold of the lock, so that readers get in between.
const COMPACT_TXNS_MAX: usize = 1024;

/// How far back history reaches. Whatever it says, the newest transaction is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HistoryBound {
    pub(crate) age_ms: u64,
    pub(crate) bytes: usize,
}

/// A transaction that is durable, with what it did.
pub(crate) struct Applied<V: Value> {
    pub(crate) revision: Revision,
    pub(crate) at_ms: u64,
    pub(crate) events: Vec<Arc<Event<V>>>,
}

/// One bucket.
pub(crate) struct Bucket<V: Value> {
    pub(crate) tree: Tree<V>,
    pub(crate) feed: Arc<Feed<V>>,
}

/// The events of one transaction in one bucket's ring.
struct Retained<V: Value> {
    revision: Revision,
    at_ms: u64,
    bytes: usize,
    events: usize,
    feed: Arc<Feed<V>>,
}

/// The published state.
pub(crate) struct View<V: Value> {
    pub(crate) revision: Revision,
    pub(crate) compacted: Revision,
    pub(crate) buckets: BTreeMap<Arc<str>, Bucket<V>>,
    pub(crate) end: Option<End>,
    history: VecDeque<Retained<V>>,
    history_bytes: usize,
    history_events: usize,
    /// The clock may go back; history does not.
    newest_at_ms: u64,
}

impl<V: Value> View<V> {
    pub(crate) fn new() -> Self {
        Self {
            revision: Revision(0),
            compacted: Revision(0),
            buckets: BTreeMap::new(),
            end: None,
            history: VecDeque::new(),
            history_bytes: 0,
            history_events: 0,
            newest_at_ms: 0,
        }
    }

    /// The poison, if a write is in doubt.
    pub(crate) fn poison(&self) -> Option<&Arc<Poison>> {
        match &self.end {
            Some(End::Poisoned(poison)) => Some(poison),
            Some(End::Closed) | None => None,
        }
    }

    pub(crate) fn get(&self, bucket: &str, rest: &str) -> Option<&Arc<Entry<V>>> {
        self.buckets.get(bucket)?.tree.get(rest)
    }

    pub(crate) fn bucket_mut(&mut self, name: &str) -> &mut Bucket<V> {
        if !self.buckets.contains_key(name) {
            let name: Arc<str> = Arc::from(name);
            let feed = Feed::new(Arc::clone(&name), self.end.clone());
            self.buckets.insert(Arc::clone(&name), Bucket { tree: Tree::default(), feed });
        }
        self.buckets.get_mut(name).expect("it is there or was just put there")
    }

    /// An entry of the snapshot that the log starts from.
    pub(crate) fn restore(&mut self, entry: Entry<V>) {
        let tree = &mut self.bucket_mut(entry.key.bucket()).tree;
        tree.insert(Arc::new(entry));
    }

    /// Everything restored stands at this revision; nothing before it is known.
    pub(crate) fn restored(&mut self, revision: Revision) {
        self.revision = revision;
        self.compacted = revision;
    }

    /// Makes a durable transaction visible and collects who is to be woken.
    pub(crate) fn apply(&mut self, applied: &Applied<V>, wake: &mut Vec<Waker>) {
        debug_assert_eq!(applied.revision, self.revision.next(), "revisions have no gap");
        self.newest_at_ms = self.newest_at_ms.max(applied.at_ms);
        let mut rest = applied.events.as_slice();
        while let Some(first) = rest.first() {
            // Events are sorted by bucket: a ring gets its part of the transaction at once.
            let name = first.key().bucket();
            let count = rest.iter().take_while(|event| event.key().bucket() == name).count();
            let (events, others) = rest.split_at(count);
            rest = others;
            self.apply_bucket(applied.revision, events, wake);
        }
        self.revision = applied.revision;
    }

    fn apply_bucket(
        &mut self,
        revision: Revision,
        events: &[Arc<Event<V>>],
        wake: &mut Vec<Waker>,
    ) {
        let Some(first) = events.first() else { return };
        let at_ms = self.newest_at_ms;
        let bucket = self.bucket_mut(first.key().bucket());
        for event in events {
            match event.change {
                Change::Created | Change::Updated => bucket.tree.insert(Arc::clone(&event.entry)),
                Change::Deleted => bucket.tree.remove(event.key().rest()),
            };
        }
        bucket.feed.push(events, wake);
        let feed = Arc::clone(&bucket.feed);
        let bytes = events.iter().map(|event| event.weight()).sum();
        self.history_bytes += bytes;
        self.history_events += events.len();
        self.history.push_back(Retained { revision, at_ms, bytes, events: events.len(), feed });
    }

    /// Forgets what is beyond the bound, a stretch at a time; `true` if there is more to forget. What is forgotten goes into
    /// `dropped`, to be freed when no lock is held.
    pub(crate) fn compact(
        &mut self,
        now_ms: u64,
        bound: HistoryBound,
        dropped: &mut Dropped<V>,
    ) -> bool {
        let oldest_ms = now_ms.saturating_sub(bound.age_ms);
        for _ in 0..COMPACT_TXNS_MAX {
            let Some(front) = self.history.front() else { return false };
            let is_beyond = front.at_ms < oldest_ms || self.history_bytes > bound.bytes;
            if !is_beyond || front.revision == self.revision {
                return false;
            }
            let revision = front.revision;
            self.compacted = revision;
            while self.history.front().is_some_and(|front| front.revision == revision) {
                let Some(front) = self.history.pop_front() else { break };
                self.history_bytes -= front.bytes;
                self.history_events -= front.events;
                front.feed.pop(front.events, revision, dropped);
            }
        }
        true
    }

    /// Forgets buckets in which nothing is and nobody waits.
    pub(crate) fn drop_idle_buckets(&mut self) {
        self.buckets.retain(|_, bucket| {
            bucket.tree.len() > 0 || Arc::strong_count(&bucket.feed) > 1 || !bucket.feed.is_idle()
        });
        if self.history.len() < self.history.capacity() / 4 {
            self.history.shrink_to_fit();
        }
    }

    /// How many events are retained and what they cost.
    pub(crate) fn history(&self) -> (usize, usize) {
        (self.history_events, self.history_bytes)
    }

    /// Ends the view: nothing will be written any more, and if it is poisoned nothing read.
    pub(crate) fn finish(&mut self, end: End, wake: &mut Vec<Waker>) {
        for bucket in self.buckets.values() {
            bucket.feed.finish(&end, wake);
        }
        self.end = Some(end);
    }
}
