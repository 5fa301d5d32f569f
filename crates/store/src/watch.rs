//! A watcher: a place in its bucket's ring of events, read at the reader's own pace.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::engine::Poison;
use crate::feed::{End, Feed, Look};
use crate::key::Revision;
use crate::shared::Shared;
use crate::value::{Event, Value};

/// Why a watcher gives no more events.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WatchError {
    /// Events it had not read yet are gone: its reader was too slow, or started too far back. List again.
    #[error("too old revision: {after} ({compacted})")]
    Expired {
        /// What the watcher has seen.
        after: Revision,
        /// Everything up to here is forgotten.
        compacted: Revision,
    },
    /// A write to disk is in doubt; nothing is answered until a restart has read what is really there.
    #[error("store is poisoned")]
    Poisoned(#[source] Arc<Poison>),
}

/// Receives every change of what it watches, in the order of revisions, without gap and without repetition.
pub struct Watcher<V: Value> {
    shared: Arc<Shared<V>>,
    feed: Arc<Feed<V>>,
    id: usize,
}

impl<V: Value> Watcher<V> {
    pub(crate) fn new(shared: Arc<Shared<V>>, feed: Arc<Feed<V>>, id: usize) -> Self {
        Self { shared, feed, id }
    }

    /// The next event; if there is none yet, the task is woken when there is. `None` once the store is closed.
    ///
    /// After an error the same error is given again.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Arc<Event<V>>, WatchError>>> {
        match self.look(Some(cx.waker())) {
            Ok(Some(event)) => Poll::Ready(Some(Ok(event))),
            Ok(None) => Poll::Pending,
            Err(Some(error)) => Poll::Ready(Some(Err(error))),
            Err(None) => Poll::Ready(None),
        }
    }

    /// The next event if there is one already.
    pub fn try_next(&mut self) -> Result<Option<Arc<Event<V>>>, WatchError> {
        match self.look(None) {
            Ok(event) => Ok(event),
            Err(Some(error)) => Err(error),
            Err(None) => Ok(None),
        }
    }

    /// Waits for the next event, from a task.
    pub async fn next(&mut self) -> Option<Result<Arc<Event<V>>, WatchError>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Up to here the watcher has received everything that concerns it. Rises with the whole store, even if its own bucket is
    /// idle; never goes back. A watch from here on misses nothing and repeats nothing.
    pub fn revision(&self) -> Revision {
        // Read before the ring: what is published up to here is in the ring by now.
        let published = self.shared.published();
        self.feed.seen(self.id, published)
    }

    /// `Err(None)`: closed.
    fn look(&mut self, waker: Option<&Waker>) -> Result<Option<Arc<Event<V>>>, Option<WatchError>> {
        match self.feed.next(self.id, waker) {
            Look::Event(event) => Ok(Some(event)),
            Look::Nothing => Ok(None),
            Look::Expired => Err(Some(WatchError::Expired {
                after: self.feed.seen(self.id, Revision(0)),
                compacted: self.shared.view.read().compacted,
            })),
            Look::End(End::Closed) => Err(None),
            Look::End(End::Poisoned(poison)) => Err(Some(WatchError::Poisoned(poison))),
        }
    }
}

impl<V: Value> Drop for Watcher<V> {
    fn drop(&mut self) {
        self.feed.leave(self.id);
    }
}

impl<V: Value> fmt::Debug for Watcher<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("bucket", &self.feed.bucket).finish_non_exhaustive()
    }
}
