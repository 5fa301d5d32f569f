//! What the store's handle, its committer, its watchers and its pending commits hold in common.
//!
//! Locks, always taken in this order: the view, then one bucket's ring. Under none
//! of them, nor under the one of those who wait, is a waker called or dropped or a value freed: that may need the same lock.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, RwLock};

use crate::feed::{Dropped, End};
use crate::key::{Key, Revision};
use crate::queue::Queue;
use crate::read::ReadError;
use crate::store::Clock;
use crate::value::Value;
use crate::view::{Applied, HistoryBound, View};

/// Most transactions made visible under one hold of the view's lock.
const PUBLISH_TXNS_MAX: usize = 64;

/// The shared part of a store.
pub(crate) struct Shared<V: Value> {
    pub(crate) view: RwLock<View<V>>,
    pub(crate) queue: Queue<V>,
    pub(crate) clock: Clock,
    pub(crate) bound: HistoryBound,
    pub(crate) value_bytes_max: usize,
    pub(crate) checkpoints: Checkpoints,
    published: AtomicU64,
    waiting: Mutex<Waiting>,
}

/// How checkpoints went.
#[derive(Default)]
pub(crate) struct Checkpoints {
    pub(crate) finished: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// Who waits for a revision.
#[derive(Default)]
struct Waiting {
    wakers: BTreeMap<(Revision, u64), Waker>,
    next_id: u64,
}

impl<V: Value> Shared<V> {
    pub(crate) fn new(
        view: View<V>,
        clock: Clock,
        bound: HistoryBound,
        value_bytes_max: usize,
    ) -> Self {
        Self {
            published: AtomicU64::new(view.revision.0),
            view: RwLock::new(view),
            queue: Queue::new(),
            clock,
            bound,
            value_bytes_max,
            checkpoints: Checkpoints::default(),
            waiting: Mutex::default(),
        }
    }

    /// Up to here every event is in its ring.
    pub(crate) fn published(&self) -> Revision {
        Revision(self.published.load(Ordering::Acquire))
    }

    /// The key sharing its bucket's one copy of the name, if there is such a bucket.
    pub(crate) fn interned(&self, key: Key) -> Key {
        match self.view.read().buckets.get(key.bucket()) {
            Some(bucket) => key.interned(&bucket.feed.bucket),
            None => key,
        }
    }

    /// Makes durable transactions visible, in order, and wakes who waits for them.
    pub(crate) fn publish(&self, applied: &[Applied<V>]) {
        let now_ms = (self.clock)();
        for stretch in applied.chunks(PUBLISH_TXNS_MAX) {
            let mut wake = Vec::new();
            let mut dropped = Dropped::default();
            let mut view = self.view.write();
            for applied in stretch {
                view.apply(applied, &mut wake);
            }
            view.compact(now_ms, self.bound, &mut dropped);
            let revision = view.revision;
            drop(view);
            self.published.store(revision.0, Ordering::Release);
            self.take_waiting(revision, &mut wake);
            wake.into_iter().for_each(Waker::wake);
        }
    }

    /// Forgets history that is too old or too much, also when nothing is written.
    pub(crate) fn compact(&self, now_ms: u64) {
        loop {
            let mut dropped = Dropped::default();
            let mut view = self.view.write();
            let is_more = view.compact(now_ms, self.bound, &mut dropped);
            if !is_more {
                view.drop_idle_buckets();
                return;
            }
        }
    }

    /// Ends everything: waiting commits, watchers and whoever waits for a revision.
    pub(crate) fn finish(&self, end: &End) {
        let mut wake = Vec::new();
        {
            let mut view = self.view.write();
            if view.end.is_none() {
                view.finish(end.clone(), &mut wake);
            }
        }
        self.take_waiting(Revision(u64::MAX), &mut wake);
        wake.into_iter().for_each(Waker::wake);
        self.queue.finish(end);
    }

    fn take_waiting(&self, upto: Revision, wake: &mut Vec<Waker>) {
        let mut waiting = self.waiting.lock();
        while let Some(first) = waiting.wakers.first_entry() {
            if first.key().0 > upto {
                return;
            }
            wake.push(first.remove());
        }
    }
}

/// Waits until the store has reached a revision. See [`crate::Store::reached`].
pub struct Reached<V: Value> {
    shared: Arc<Shared<V>>,
    revision: Revision,
    id: Option<u64>,
}

impl<V: Value> Reached<V> {
    pub(crate) fn new(shared: Arc<Shared<V>>, revision: Revision) -> Self {
        Self { shared, revision, id: None }
    }
}

impl<V: Value> Future for Reached<V> {
    type Output = Result<Revision, ReadError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        {
            // Registered before looking: a commit in between finds the waker.
            let mut waiting = self.shared.waiting.lock();
            let id = self.id.unwrap_or(waiting.next_id);
            if self.id.is_none() {
                waiting.next_id += 1;
            }
            let replaced = waiting.wakers.insert((self.revision, id), cx.waker().clone());
            drop(waiting);
            drop(replaced);
            self.id = Some(id);
        }
        let view = self.shared.view.read();
        match &view.end {
            Some(End::Poisoned(poison)) => {
                Poll::Ready(Err(ReadError::Poisoned(Arc::clone(poison))))
            }
            _ if view.revision >= self.revision => Poll::Ready(Ok(view.revision)),
            Some(End::Closed) => Poll::Ready(Err(ReadError::Closed)),
            None => Poll::Pending,
        }
    }
}

impl<V: Value> Drop for Reached<V> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let gone = self.shared.waiting.lock().wakers.remove(&(self.revision, id));
            drop(gone);
        }
    }
}

impl<V: Value> fmt::Debug for Reached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reached").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// The poison as readers are told of it.
pub(crate) fn refuse_poisoned<V: Value>(view: &View<V>) -> Result<(), ReadError> {
    match view.poison() {
        Some(poison) => Err(ReadError::Poisoned(Arc::clone(poison))),
        None => Ok(()),
    }
}
