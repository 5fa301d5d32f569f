//! The store's handle: opening, reading, writing, watching, closing.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use parking_lot::Mutex;

use crate::committer::{Committer, delete_event, put_event};
use crate::engine::{Engine, LoggedEntry, LoggedTxn, OpenError, Poison, Sink};
use crate::feed::{Dropped, Filter};
use crate::key::{Key, Revision};
use crate::queue::{Answer, Commit};
use crate::read::{Page, Range, ReadError, Snapshot, get_at};
use crate::shared::{Reached, Shared, refuse_poisoned};
use crate::txn::{Prepared, Txn};
use crate::value::{Entry, Event, Value};
use crate::view::{Applied, HistoryBound, View};
use crate::watch::Watcher;

/// Milliseconds since 1970; may jump, history only gets shorter or longer by it.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// History kept by default: what Kubernetes v1.36 keeps (`--etcd-compaction-interval`). A client that was cut off for longer
/// has to list again.
pub const HISTORY_AGE: Duration = Duration::from_secs(5 * 60);

/// History kept by default in bytes: 5 minutes of 12,000 writes a second would be 3.6 GB; 64 MiB is some 10,000 changes of a
/// Pod, which is what a cluster of 100 nodes does in 5 minutes.
pub const HISTORY_BYTES: usize = 64 << 20;

/// Largest value by default: above the 3 MiB that Kubernetes v1.36 takes as the body of a request.
pub const VALUE_BYTES_MAX: usize = 4 << 20;

/// Who drives the committer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A thread of its own.
    Thread,
    /// The caller, by [`Store::step`]: nothing happens by itself, so that a simulation decides the order of everything.
    Manual,
}

/// What can be chosen.
#[derive(Clone)]
pub struct Config {
    /// Events older than this are forgotten.
    pub history_age: Duration,
    /// Events beyond this many bytes of values are forgotten, oldest first.
    pub history_bytes: usize,
    /// Largest value in bytes of its log form.
    pub value_bytes_max: usize,
    /// Who drives the committer.
    pub driver: Driver,
    /// The time.
    pub clock: Clock,
}

impl Config {
    /// The defaults, with a committer's thread.
    pub fn new(clock: Clock) -> Self {
        Self {
            history_age: HISTORY_AGE,
            history_bytes: HISTORY_BYTES,
            value_bytes_max: VALUE_BYTES_MAX,
            driver: Driver::Thread,
            clock,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("history_age", &self.history_age)
            .field("history_bytes", &self.history_bytes)
            .field("value_bytes_max", &self.value_bytes_max)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

/// Numbers about a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The last durable transaction.
    pub revision: Revision,
    /// The oldest revision that can be read or watched from.
    pub compacted: Revision,
    /// How many keys exist.
    pub keys: usize,
    /// How many events history holds.
    pub history_events: usize,
    /// What they cost in bytes.
    pub history_bytes: usize,
    /// Checkpoints of the log since the start.
    pub checkpoints: u64,
    /// Checkpoints that could not be written (no space, most likely); the log grows until one can.
    pub checkpoints_failed: u64,
}

/// A revisioned key-value store. Share it by `Arc`; dropping it closes it.
pub struct Store<V: Value> {
    shared: Arc<Shared<V>>,
    driven: Mutex<Driven<V>>,
}

enum Driven<V: Value> {
    Thread(JoinHandle<()>),
    Manual(Committer<V>),
    Over,
}

impl<V: Value> Store<V> {
    /// Locks and reads the log, then starts the committer.
    pub fn open(engine: impl Engine, config: Config) -> Result<Self, OpenError> {
        let mut engine: Box<dyn Engine> = Box::new(engine);
        let bound = HistoryBound {
            age_ms: u64::try_from(config.history_age.as_millis()).unwrap_or(u64::MAX),
            bytes: config.history_bytes,
        };
        let now_ms = (config.clock)();
        let mut recovery = Recovery { view: View::new(), now_ms, bound };
        engine.recover(&mut recovery)?;
        let shared =
            Arc::new(Shared::new(recovery.view, config.clock, bound, config.value_bytes_max));
        let committer = Committer::new(engine, Arc::clone(&shared), config.driver);
        let driven = match config.driver {
            Driver::Manual => Driven::Manual(committer),
            Driver::Thread => {
                let thread = thread::Builder::new().name("store-commit".to_owned());
                let thread = thread.spawn(move || committer.run()).map_err(OpenError::Thread)?;
                Driven::Thread(thread)
            }
        };
        Ok(Self { shared, driven: Mutex::new(driven) })
    }

    /// The last durable transaction.
    pub fn revision(&self) -> Revision {
        self.shared.view.read().revision
    }

    /// The oldest revision that can be read or watched from.
    pub fn compacted(&self) -> Revision {
        self.shared.view.read().compacted
    }

    /// Why nothing is answered any more, if so.
    pub fn poison(&self) -> Option<Arc<Poison>> {
        self.shared.view.read().poison().cloned()
    }

    /// Numbers, for metrics.
    pub fn stats(&self) -> Stats {
        let view = self.shared.view.read();
        let (history_events, history_bytes) = view.history();
        Stats {
            revision: view.revision,
            compacted: view.compacted,
            keys: view.buckets.values().map(|bucket| bucket.tree.len()).sum(),
            history_events,
            history_bytes,
            checkpoints: self.shared.checkpoints.finished.load(Ordering::Relaxed),
            checkpoints_failed: self.shared.checkpoints.failed.load(Ordering::Relaxed),
        }
    }

    /// The entry at the key.
    pub fn get(&self, key: &Key) -> Result<Option<Arc<Entry<V>>>, ReadError> {
        let view = self.shared.view.read();
        refuse_poisoned(&view)?;
        Ok(view.get(key.bucket(), key.rest()).cloned())
    }

    /// The entry at the key as it was at a revision.
    pub fn get_at(&self, key: &Key, at: Revision) -> Result<Option<Arc<Entry<V>>>, ReadError> {
        get_at(&self.shared, key, at)
    }

    /// One bucket at one revision, the current one if `None`, to read in several steps.
    pub fn snapshot(&self, bucket: &str, at: Option<Revision>) -> Result<Snapshot<V>, ReadError> {
        Snapshot::take(&self.shared, bucket, at)
    }

    /// A page of a bucket.
    pub fn range(&self, range: &Range<'_>) -> Result<Page<V>, ReadError> {
        Ok(self.snapshot(range.bucket, range.at)?.page(range))
    }

    /// Calls `each` on a range's entries in order until it breaks, without copying any; `limit` is the visitor's to keep.
    /// Gives the revision that was read, and whether the visitor broke. The visitor may take its time and call the store.
    pub fn visit(
        &self,
        range: &Range<'_>,
        each: impl FnMut(&Arc<Entry<V>>) -> ControlFlow<()>,
    ) -> Result<(Revision, ControlFlow<()>), ReadError> {
        let snapshot = self.snapshot(range.bucket, range.at)?;
        Ok((snapshot.revision(), snapshot.visit(range, each)))
    }

    /// Everything that happens in a bucket after a revision, as far as the filter lets it through. A revision in the future
    /// waits for what comes after it.
    pub fn watch(
        &self,
        bucket: &str,
        filter: Filter,
        after: Revision,
    ) -> Result<Watcher<V>, ReadError> {
        loop {
            {
                let view = self.shared.view.read();
                refuse_poisoned(&view)?;
                if after < view.compacted {
                    let compacted = view.compacted;
                    return Err(ReadError::Compacted { at: after, compacted });
                }
                if let Some(bucket) = view.buckets.get(bucket) {
                    // Joined under the view's lock: nothing is forgotten in between.
                    let id = bucket.feed.join(filter, after);
                    let feed = Arc::clone(&bucket.feed);
                    return Ok(Watcher::new(Arc::clone(&self.shared), feed, id));
                }
            }
            self.shared.view.write().bucket_mut(bucket);
        }
    }

    /// Waits until the store is at `revision` or later; gives where it is. Fails when the store is poisoned or closed, so
    /// waiting for `Revision(u64::MAX)` is waiting for that.
    pub fn reached(&self, revision: Revision) -> Reached<V> {
        Reached::new(Arc::clone(&self.shared), revision)
    }

    /// Asks for a transaction; it is answered when it is durable and visible. Values are encoded in this call.
    pub fn commit(&self, txn: Txn<V>) -> Commit<V> {
        let prepared = Prepared::new(txn, self.shared.value_bytes_max);
        Commit::new(Arc::clone(&self.shared), prepared)
    }

    /// [`Store::commit`], waiting on this thread; under [`Driver::Manual`] it steps the committer itself.
    pub fn commit_blocking(&self, txn: Txn<V>) -> Answer<V> {
        let mut commit = pin!(self.commit(txn));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(answer) = commit.as_mut().poll(&mut cx) {
                return answer;
            }
            if !self.step() {
                thread::park();
            }
        }
    }

    /// Forgets history that is too old; the owner calls it now and then (every 10 s), or an idle store keeps what it has.
    pub fn tick(&self, now_ms: u64) {
        self.shared.compact(now_ms);
    }

    /// Under [`Driver::Manual`]: commits one group of what is queued. `false` if nothing was, or the store drives itself.
    pub fn step(&self) -> bool {
        let mut driven = self.driven.lock();
        let Driven::Manual(committer) = &mut *driven else { return false };
        let is_loaded = self.shared.queue.is_loaded();
        if committer.step(false).is_break() {
            *driven = Driven::Over;
        }
        is_loaded
    }

    /// Commits what is queued, refuses what comes, ends all watchers and unlocks the log. Reads go on.
    pub fn close(&self) {
        self.shared.queue.close();
        let mut driven = self.driven.lock();
        match std::mem::replace(&mut *driven, Driven::Over) {
            Driven::Thread(thread) => {
                // Its panics were caught and have poisoned the store.
                let _caught_within = thread.join();
            }
            Driven::Manual(mut committer) => while committer.step(false).is_continue() {},
            Driven::Over => {}
        }
    }
}

impl<V: Value> Drop for Store<V> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<V: Value> fmt::Debug for Store<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Builds the view from the log.
struct Recovery<V: Value> {
    view: View<V>,
    now_ms: u64,
    bound: HistoryBound,
}

fn decoded<V: Value>(key: &Key, revision: Revision, bytes: &[u8]) -> Result<V, OpenError> {
    V::from_log(key, revision, bytes).map_err(|error| OpenError::Value {
        key: key.clone(),
        revision,
        source: error.0,
    })
}

impl<V: Value> Sink for Recovery<V> {
    fn entry(&mut self, logged: &LoggedEntry<'_>) -> Result<(), OpenError> {
        let bucket = self.view.bucket_mut(logged.bucket);
        let key = Key::new(Arc::clone(&bucket.feed.bucket), logged.rest);
        let value = decoded(&key, logged.revision, logged.value)?;
        self.view.restore(Entry {
            key,
            revision: logged.revision,
            create_revision: logged.create_revision,
            version: logged.version,
            value,
        });
        Ok(())
    }

    fn base(&mut self, revision: Revision) -> Result<(), OpenError> {
        self.view.restored(revision);
        Ok(())
    }

    fn txn(&mut self, logged: &LoggedTxn<'_>) -> Result<(), OpenError> {
        let mut events: Vec<Arc<Event<V>>> = Vec::with_capacity(logged.ops.len());
        for op in &logged.ops {
            let current = self.view.get(op.bucket, op.rest).cloned();
            let event = match (op.value, current) {
                (Some(bytes), current) => {
                    let name = Arc::clone(&self.view.bucket_mut(op.bucket).feed.bucket);
                    let key = match &current {
                        Some(current) => current.key.clone(),
                        None => Key::new(name, op.rest),
                    };
                    let value = decoded(&key, logged.revision, bytes)?;
                    put_event(key, logged.revision, value, current)
                }
                (None, Some(current)) => delete_event(logged.revision, current),
                (None, None) => continue, // Only what changes something is logged.
            };
            events.push(event);
        }
        let applied = Applied { revision: logged.revision, at_ms: logged.at_ms, events };
        self.view.apply(&applied, &mut Vec::new());
        self.view.compact(self.now_ms, self.bound, &mut Dropped::default());
        Ok(())
    }
}
