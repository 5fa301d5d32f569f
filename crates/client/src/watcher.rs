//! Watchers: what a list request finds, told as one state and then as each change of it.
//!
//! Reads     one list and then a watch; again from the start when the watch's revision is too old.
//! Holds always
//! - What is told leads from one revision to the next; it never goes back.
//! - What changed while the watch was broken is in the state that is told next.
//! - A server that is closing is not asked again and again without a pause.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use podo_api::{Object, Status};
use podo_base::{Backoff, BackoffPolicy, Stop};

use crate::client::Client;
use crate::transport::{Request, WatchItem};

/// How long to wait after a failure before the next list (client-go: 0.8 s to 30 s).
const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(200),
    maximum: Duration::from_secs(30),
    reset_after: Duration::from_secs(120),
};

/// Who is told.
pub trait Sink: Send + Sync {
    /// These are all objects at a revision.
    fn listed(&self, objects: Vec<Arc<Object>>, revision: u64);

    /// An object is new or changed.
    fn put(&self, object: Arc<Object>);

    /// An object is gone; this is how it last was, at the revision at which it went.
    fn removed(&self, object: Arc<Object>);

    /// Everything up to a revision was told.
    fn reached(&self, _revision: u64) {}
}

/// Tells `sink` of what `request`, that of a list, finds until `stop`.
pub async fn run(client: Client, request: Request, sink: impl Sink, stop: Stop) {
    let mut backoff = Backoff::new(RETRY);
    while !stop.is_requested() {
        match stop.or(follow(&client, &request, &sink)).await {
            None => return,
            // The server forgot the watch's revision: begin again at once.
            Some(Ok(())) => {}
            Some(Err(status)) => {
                let wait = backoff.fail(std::time::Instant::now());
                tracing::debug!(resource = request.plural, error = %status, ?wait, "watcher will list again");
                if !stop.sleep(wait).await {
                    return;
                }
            }
        }
    }
}

/// Lists, then watches until the watch cannot be gone on with.
async fn follow(client: &Client, request: &Request, sink: &impl Sink) -> Result<(), Status> {
    let list = client.list_of(request.clone()).await?;
    let mut revision = list.revision;
    sink.listed(list.items, revision);
    loop {
        let mut events = client.watch_of(request.clone(), revision).await?;
        let mut is_silent = true;
        while let Some(item) = events.next().await {
            is_silent = false;
            match item {
                WatchItem::Added(object) | WatchItem::Modified(object) => {
                    revision = object.resource_version;
                    sink.put(object);
                }
                WatchItem::Deleted(object) => {
                    revision = object.resource_version;
                    sink.removed(object);
                }
                WatchItem::Bookmark(seen) => {
                    revision = seen;
                    sink.reached(revision);
                }
                WatchItem::Error(status) if status.is_expired() => return Ok(()),
                WatchItem::Error(status) => return Err(status),
            }
        }
        // A watch that lives says something by and by, if only how far it is. One that ends before is of a server that closes: whoever
        // opened the next one at once would do nothing else, and in the server's own process nobody else would either.
        if is_silent {
            return Err(Status::unavailable("the watch ended before it said anything"));
        }
    }
}
