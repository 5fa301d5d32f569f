//! WATCH: every change of what a selection wants, in order, from a revision on.
//!
//! Holds always
//! - No gap and no repetition: the state it begins with and the events after it meet at one revision.
//! - A watcher that is too slow is told so (`Expired`) and ends; nothing is skipped silently.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use podo_api::{Object, Status};
use podo_registry::Definition;
use podo_store::{Change, Filter, Range, ReadError, Revision, WatchError, Watcher};
use tokio::time::{Instant, Sleep};

use super::list::{check_reached, parse_version};
use crate::api::Api;
use crate::call::{Call, Outcome};
use crate::event_bytes::EventKind;
use crate::options::ListOptions;
use crate::selection::Selection;
use crate::storage::{self, Stored};

/// How often a watch that allows bookmarks gets one (Kubernetes v1.36, watch cache: about a minute).
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);

/// The last bookmark comes so long before the watch ends.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// How long a watch lives that names no time (Kubernetes v1.36 `--min-request-timeout`, and up to twice that).
const LIFE_MIN: Duration = Duration::from_secs(1800);

/// How long a watch lives at most, whatever it asks for: time can be counted to there.
const LIFE_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// An event of the store.
pub(crate) type StoreEvent = Arc<podo_store::Event<Stored>>;

/// One thing that a watch says.
#[derive(Debug)]
pub enum WatchItem {
    /// An object and what happened to it; with the store's event if it can be shared with other watchers.
    Event(EventKind, Arc<Object>, Option<StoreEvent>),
    /// Everything up to a revision was seen; the flag ends the initial events.
    Bookmark(u64, bool),
    /// The watch ends for this reason.
    Error(Status),
}

/// A watch that is under way.
pub struct Watch {
    definition: &'static Definition,
    selection: Selection,
    watcher: Watcher<Stored>,
    initial: VecDeque<Arc<Object>>,
    /// The revision of the bookmark that ends the initial events.
    initial_end: Option<u64>,
    bookmark: Option<Pin<Box<Sleep>>>,
    end: Pin<Box<Sleep>>,
    end_at: Instant,
    is_over: bool,
    /// Why the watch is over before it began.
    error: Option<Status>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("resource", &self.definition.names.plural)
            .finish_non_exhaustive()
    }
}

/// From where a watch begins.
struct Begin {
    /// Whether the present state comes first.
    with_state: bool,
    /// The revision after which events follow, if it is not the present one.
    after: Option<u64>,
}

pub(super) fn watch(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let options = call.options.list(true)?;
    let definition = call.target.definition;
    let selection = Selection::new(definition, &call.target, &options)?;
    let begin = begin(api, &options)?;
    let prefix = storage::prefix(definition, &call.target.namespace);
    let (initial, after) = initial_state(api, definition, &prefix, &selection, &begin)?;
    let filter = selection.store_filter(&prefix);
    let watcher = api.store.watch(&definition.bucket(), filter, Revision(after));
    let watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => return watch_failed(api, definition, &selection, &error, &options),
    };
    let wants_end = options.send_initial_events == Some(true) && options.allows_bookmarks;
    let watch = Watch::new(definition, selection, watcher, &options)
        .beginning_with(initial, wants_end.then_some(after));
    Ok(Outcome::Watch(Box::new(watch)))
}

fn begin(api: &Api, options: &ListOptions) -> Result<Begin, Status> {
    let version = match options.resource_version.as_str() {
        "" => 0,
        text => parse_version(text)?,
    };
    // A client that knows a version which the store never had was here before the store was put back. Upstream lets it wait, and
    // it misses what happens until that version comes again; told so, it lists anew.
    check_reached(api, version)?;
    let with_state = match options.send_initial_events {
        Some(wanted) => wanted,
        None => version == 0,
    };
    let after = (version > 0 && !with_state).then_some(version);
    Ok(Begin { with_state, after })
}

/// The objects that come first, and the revision that they show.
fn initial_state(
    api: &Api,
    definition: &'static Definition,
    prefix: &str,
    selection: &Selection,
    begin: &Begin,
) -> Result<(VecDeque<Arc<Object>>, u64), Status> {
    if let Some(after) = begin.after {
        return Ok((VecDeque::new(), after));
    }
    let snapshot = api
        .store
        .snapshot(&definition.bucket(), None)
        .map_err(|error| storage::read_failed(&error))?;
    let mut initial = VecDeque::new();
    if begin.with_state {
        let range = Range { prefix, ..Range::default() };
        // Every entry is visited: the closure never breaks.
        let _all = snapshot.visit(&range, |entry| {
            if selection.matches(&entry.value) {
                initial.push_back(Arc::clone(&entry.value));
            }
            std::ops::ControlFlow::Continue(())
        });
    }
    Ok((initial, snapshot.revision().0))
}

/// A watch from a version that is forgotten answers 200 and tells it as its only event, as upstream does.
fn watch_failed(
    api: &Api,
    definition: &'static Definition,
    selection: &Selection,
    error: &ReadError,
    options: &ListOptions,
) -> Result<Outcome, Status> {
    let ReadError::Compacted { at, compacted } = error else {
        return Err(storage::read_failed(error));
    };
    let status = Status::expired(format!("too old resource version: {at} ({compacted})"));
    let watcher = api
        .store
        .watch(&definition.bucket(), Filter::Exact("".into()), api.store.revision())
        .map_err(|error| storage::read_failed(&error))?;
    let mut watch = Watch::new(definition, selection.clone(), watcher, options);
    watch.is_over = true;
    watch.error = Some(status);
    Ok(Outcome::Watch(Box::new(watch)))
}

impl Watch {
    fn new(
        definition: &'static Definition,
        selection: Selection,
        watcher: Watcher<Stored>,
        options: &ListOptions,
    ) -> Self {
        let life = match options.timeout_seconds {
            0 => LIFE_MIN + LIFE_MIN.mul_f64(f64::from(podo_base::random_bytes::<1>()[0]) / 256.0),
            seconds => Duration::from_secs(seconds).min(LIFE_MAX),
        };
        let now = Instant::now();
        let bookmark = options
            .allows_bookmarks
            .then(|| Box::pin(tokio::time::sleep_until(now + bookmark_wait(life))));
        Self {
            definition,
            selection,
            watcher,
            initial: VecDeque::new(),
            initial_end: None,
            bookmark,
            end: Box::pin(tokio::time::sleep_until(now + life)),
            end_at: now + life,
            is_over: false,
            error: None,
        }
    }

    fn beginning_with(mut self, initial: VecDeque<Arc<Object>>, end: Option<u64>) -> Self {
        self.initial = initial;
        self.initial_end = end;
        self
    }

    /// The kind of the objects.
    pub fn definition(&self) -> &'static Definition {
        self.definition
    }

    /// The next item; `None` at the end.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<WatchItem> {
        if let Some(item) = self.next_ready() {
            return Some(item);
        }
        if self.is_over {
            return None;
        }
        loop {
            tokio::select! {
                biased;
                () = &mut self.end => {
                    self.is_over = true;
                    return None;
                }
                event = self.watcher.next() => match event {
                    Some(Ok(event)) => {
                        if let Some(item) = self.select(event) {
                            return Some(item);
                        }
                    }
                    Some(Err(error)) => return Some(self.fail(&error)),
                    None => {
                        self.is_over = true;
                        return None;
                    }
                },
                () = sleeping(&mut self.bookmark) => return Some(self.bookmark()),
            }
        }
    }

    /// The next item if there is one without waiting.
    pub fn next_ready(&mut self) -> Option<WatchItem> {
        if let Some(object) = self.initial.pop_front() {
            let object = storage::view(self.definition, &object);
            return Some(WatchItem::Event(EventKind::Added, object, None));
        }
        if let Some(revision) = self.initial_end.take() {
            return Some(WatchItem::Bookmark(revision, true));
        }
        if self.is_over {
            return self.error.take().map(WatchItem::Error);
        }
        loop {
            match self.watcher.try_next() {
                Ok(Some(event)) => {
                    if let Some(item) = self.select(event) {
                        return Some(item);
                    }
                }
                Ok(None) => return None,
                Err(error) => return Some(self.fail(&error)),
            }
        }
    }

    fn fail(&mut self, error: &WatchError) -> WatchItem {
        self.is_over = true;
        WatchItem::Error(match error {
            WatchError::Expired { after, compacted } => {
                Status::expired(format!("too old resource version: {after} ({compacted})"))
            }
            WatchError::Poisoned(_) => Status::internal(podo_base::Chain(error)),
        })
    }

    fn bookmark(&mut self) -> WatchItem {
        let left = self.end_at.saturating_duration_since(Instant::now());
        let wait = bookmark_wait(left);
        if let Some(bookmark) = &mut self.bookmark {
            bookmark.as_mut().reset(Instant::now() + wait);
        }
        WatchItem::Bookmark(self.watcher.revision().0, false)
    }

    /// What an event of the store means to this watch, if anything.
    fn select(&self, event: StoreEvent) -> Option<WatchItem> {
        let is_selected =
            event.change != Change::Deleted && self.selection.matches(&event.entry.value);
        let was_selected =
            event.previous.as_ref().is_some_and(|previous| self.selection.matches(&previous.value));
        let kind = match (was_selected, is_selected) {
            (false, false) => return None,
            (false, true) => EventKind::Added,
            (true, true) => EventKind::Modified,
            (true, false) => EventKind::Deleted,
        };
        let leaves = kind == EventKind::Deleted && event.change != Change::Deleted;
        let object = match &event.previous {
            // It is there but not selected any longer: what it was, at the revision of the change.
            Some(previous) if leaves => Arc::new(previous.value.at_version(event.revision().0)),
            _ => Arc::clone(&event.entry.value),
        };
        let object = storage::view(self.definition, &object);
        Some(WatchItem::Event(kind, object, (!leaves).then_some(event)))
    }
}

/// When the next bookmark is due in a watch that lives so long.
fn bookmark_wait(left: Duration) -> Duration {
    match left.checked_sub(BOOKMARK_BEFORE_END) {
        Some(last) if last < BOOKMARK_PERIOD && !last.is_zero() => last,
        _ => BOOKMARK_PERIOD,
    }
}

async fn sleeping(sleep: &mut Option<Pin<Box<Sleep>>>) {
    match sleep {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
}
