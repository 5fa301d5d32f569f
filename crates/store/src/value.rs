//! What the store keeps: values it knows only as bytes and weights, the entries that hold them, and the events that change them.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::key::{Key, Revision};

/// What a store can hold. The store never looks inside.
pub trait Value: Clone + Send + Sync + 'static {
    /// What readers of an event may keep with it to share, such as its encodings; dropped with the event.
    type EventCache: Default + Send + Sync + 'static;

    /// The value as it is seen at `revision` (the API's `resourceVersion` goes in here).
    ///
    /// Called once by the committer before the value can be seen, and once more when it is deleted, with the revision of the
    /// deletion.
    #[must_use]
    fn stamped(self, revision: Revision) -> Self;

    /// Appends the bytes to log. Called on the writer's own thread, before [`Value::stamped`]: the log keeps the revision itself.
    fn to_log(&self, out: &mut Vec<u8>);

    /// The stamped value that was logged as `bytes`.
    fn from_log(key: &Key, revision: Revision, bytes: &[u8]) -> Result<Self, DecodeError>;

    /// Bytes of memory the value takes, more or less; the bound of history is counted in it.
    fn weight(&self) -> usize;

    /// A word by which watchers may select ([`crate::Filter::Topic`]), such as the node of a Pod.
    fn topic(&self) -> Option<&str> {
        None
    }
}

/// A value in the log cannot be read by this version of the program.
#[derive(Debug, thiserror::Error)]
#[error("stored value cannot be decoded")]
pub struct DecodeError(#[source] pub Box<dyn Error + Send + Sync>);

/// A value at its key, as it stood from `revision` on.
pub struct Entry<V> {
    /// Where it lives.
    pub key: Key,
    /// The transaction that wrote it.
    pub revision: Revision,
    /// The transaction that made the key exist, since it last did not.
    pub create_revision: Revision,
    /// How often it was written since then; 1 at creation.
    pub version: u64,
    /// What was written, stamped with `revision`.
    pub value: V,
}

/// Tells the key and the revisions; never the value, which may be a secret.
impl<V> fmt::Debug for Entry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("revision", &self.revision)
            .field("create_revision", &self.create_revision)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What an event did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The key did not exist before.
    Created,
    /// The key has another value.
    Updated,
    /// The key does not exist any more.
    Deleted,
}

/// One change of one key. Every watcher of a bucket receives the same `Arc`.
pub struct Event<V: Value> {
    /// What happened.
    pub change: Change,
    /// The entry after the change; for a deletion the last one, restamped with the revision of the deletion.
    pub entry: Arc<Entry<V>>,
    /// The entry before the change; `None` only for a creation.
    pub previous: Option<Arc<Entry<V>>>,
    /// Shared by all who receive the event.
    pub cache: V::EventCache,
}

/// What an event costs beside its values: two allocations, its places in ring and history, and the caller's cache cell.
const EVENT_OVERHEAD_BYTES: usize = 256;

impl<V: Value> Event<V> {
    pub(crate) fn new(
        change: Change,
        entry: Arc<Entry<V>>,
        previous: Option<Arc<Entry<V>>>,
    ) -> Arc<Self> {
        Arc::new(Self { change, entry, previous, cache: V::EventCache::default() })
    }

    /// The transaction that made the change.
    pub fn revision(&self) -> Revision {
        self.entry.revision
    }

    /// The key that changed.
    pub fn key(&self) -> &Key {
        &self.entry.key
    }

    /// Bytes that keeping the event costs. The value after the change is counted although the tree may hold it as well: that
    /// stands for what receivers keep in the event's cache.
    pub(crate) fn weight(&self) -> usize {
        let previous = self.previous.as_ref().map_or(0, |entry| entry.value.weight());
        EVENT_OVERHEAD_BYTES + self.entry.value.weight() + previous
    }
}

impl<V: Value> fmt::Debug for Event<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("change", &self.change)
            .field("entry", &self.entry)
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}
