//! [`Kept`]: a projection of some buckets of the store, brought up to date when it is asked.
//!
//! There is no task: whoever asks first after a write applies the events since. While nothing was written at all, asking costs
//! two loads and a shared lock; while only other buckets were written, a look into rings that have nothing new.
//!
//! Holds always: what a reader sees contains every transaction that was published before it asked.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use podo_store::{Filter, Key, Range, ReadError, WatchError, Watcher};

use crate::storage::{Store, Stored, StoredEntry};

/// A bucket that could not be joined right behind its snapshot is read again; each loss means that all its history was
/// forgotten in between, which needs hundreds of thousands of writes.
const JOIN_ATTEMPTS_MAX: usize = 8;

/// What happened to one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) key: &'a Key,
    /// What is there; `None` if nothing is.
    pub(super) new: Option<&'a StoredEntry>,
    /// What was there before, if anything.
    pub(super) old: Option<&'a StoredEntry>,
}

/// Something that is made of the objects of some buckets.
pub(super) trait Mirrored: Default {
    /// The buckets.
    const BUCKETS: &'static [&'static str];

    /// Forgets everything that came from a bucket.
    fn reset(&mut self, bucket: &str);

    /// Takes a change over.
    fn apply(&mut self, change: Change<'_>);
}

/// A projection and how far it has got.
pub(super) struct Kept<T> {
    /// One more than the revision up to which the state is known to be complete; 0 before the first look.
    checked: AtomicU64,
    state: RwLock<State<T>>,
}

struct State<T> {
    value: T,
    watchers: Vec<Option<Watcher<Stored>>>,
}

impl<T: Mirrored> Default for Kept<T> {
    fn default() -> Self {
        let watchers = T::BUCKETS.iter().map(|_| None).collect();
        Self {
            checked: AtomicU64::new(0),
            state: RwLock::new(State { value: T::default(), watchers }),
        }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("checked", &self.checked).finish_non_exhaustive()
    }
}

impl<T: Mirrored> Kept<T> {
    /// Reads the projection as of now.
    pub(super) fn read<R>(
        &self,
        store: &Store,
        read: impl FnOnce(&T) -> R,
    ) -> Result<R, ReadError> {
        // Taken before the rings are looked into: they hold at least what is published up to here.
        let wanted = store.revision().0 + 1;
        if self.checked.load(Ordering::Acquire) < wanted {
            let mut state = self.state.write();
            state.catch_up(store)?;
            self.checked.fetch_max(wanted, Ordering::AcqRel);
        }
        Ok(read(&self.state.read().value))
    }
}

impl<T: Mirrored> State<T> {
    fn catch_up(&mut self, store: &Store) -> Result<(), ReadError> {
        for (bucket, watcher) in T::BUCKETS.iter().zip(&mut self.watchers) {
            follow(store, bucket, watcher, &mut self.value)?;
        }
        Ok(())
    }
}

fn follow<T: Mirrored>(
    store: &Store,
    bucket: &'static str,
    watcher: &mut Option<Watcher<Stored>>,
    value: &mut T,
) -> Result<(), ReadError> {
    loop {
        let joined = match watcher {
            Some(joined) => joined,
            None => watcher.insert(join(store, bucket, value)?),
        };
        match joined.try_next() {
            Ok(Some(event)) => {
                let is_there = event.change != podo_store::Change::Deleted;
                let new = is_there.then_some(&event.entry);
                value.apply(Change { key: event.key(), new, old: event.previous.as_ref() });
            }
            Ok(None) => return Ok(()),
            Err(WatchError::Expired { .. }) => *watcher = None,
            Err(WatchError::Poisoned(poison)) => return Err(ReadError::Poisoned(poison)),
        }
    }
}

/// Reads a bucket whole and stands right behind what was read.
fn join<T: Mirrored>(
    store: &Store,
    bucket: &'static str,
    value: &mut T,
) -> Result<Watcher<Stored>, ReadError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let snapshot = store.snapshot(bucket, None)?;
        match store.watch(bucket, Filter::Prefix("".into()), snapshot.revision()) {
            Ok(watcher) => {
                value.reset(bucket);
                let _all = snapshot.visit(&Range::all(bucket), |entry| {
                    value.apply(Change { key: &entry.key, new: Some(entry), old: None });
                    ControlFlow::Continue(())
                });
                return Ok(watcher);
            }
            Err(ReadError::Compacted { .. }) if attempt < JOIN_ATTEMPTS_MAX => {}
            Err(error) => return Err(error),
        }
    }
}
