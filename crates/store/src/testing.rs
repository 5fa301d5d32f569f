//! What the crate's own tests share: a value, a clock, randomness with a seed, and stores that are stepped by hand.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::disk::faulty::FaultyDisk;
use crate::*;

/// Text that knows the revision it was stamped with; the topic is what stands in front of a `:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) stamp: Revision,
}

impl Text {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), stamp: Revision(0) }
    }
}

impl Value for Text {
    type EventCache = std::sync::OnceLock<String>;

    fn stamped(mut self, revision: Revision) -> Self {
        self.stamp = revision;
        self
    }

    fn to_log(&self, out: &mut Vec<u8>) {
        out.extend(self.text.as_bytes());
    }

    fn from_log(_key: &Key, revision: Revision, bytes: &[u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|error| DecodeError(Box::new(error)))?;
        Ok(Self::new(text).stamped(revision))
    }

    fn weight(&self) -> usize {
        self.text.len()
    }

    fn topic(&self) -> Option<&str> {
        Some(self.text.split_once(':')?.0)
    }
}

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub(crate) fn advance(&self, by: Duration) -> u64 {
        let ms = by.as_millis() as u64;
        self.0.fetch_add(ms, Ordering::SeqCst) + ms
    }
}

pub(crate) fn config(clock: &ManualClock) -> Config {
    let ms = Arc::clone(&clock.0);
    let clock: Clock = Arc::new(move || ms.load(Ordering::SeqCst));
    Config { driver: Driver::Manual, ..Config::new(clock) }
}

/// A store that keeps nothing, stepped by hand.
pub(crate) fn memory() -> Store<Text> {
    Store::open(Memory, config(&ManualClock::default())).expect("a store in memory opens")
}

/// A store on a disk, stepped by hand, with checkpoints after a few KB.
pub(crate) fn on(disk: &FaultyDisk) -> Result<Store<Text>, OpenError> {
    let engine = Embedded::new(disk.attach());
    let engine = engine.with_checkpoint_log_bytes_min(4000).with_allocate_bytes(16_000);
    Store::open(engine, config(&ManualClock::default()))
}

pub(crate) fn key(text: &str) -> Key {
    let (bucket, rest) = text.split_once('/').expect("a key has a bucket");
    Key::new(bucket, rest)
}

/// Puts and waits; gives the revision.
pub(crate) fn put(store: &Store<Text>, at: &str, text: &str) -> Revision {
    let committed = store.commit_blocking(Txn::put(key(at), Expect::Any, Text::new(text)));
    committed.expect("the put succeeds").revision
}

/// Deletes and waits; gives the revision.
pub(crate) fn delete(store: &Store<Text>, at: &str) -> Revision {
    let committed = store.commit_blocking(Txn::delete(key(at), Expect::Exists));
    committed.expect("the deletion succeeds").revision
}

pub(crate) fn watch_all(store: &Store<Text>, bucket: &str, after: Revision) -> Watcher<Text> {
    store.watch(bucket, Filter::Prefix("".into()), after).expect("history reaches back")
}

/// Everything the watcher has, as lines such as `2 updated a=x (was w)`.
pub(crate) fn drain(watcher: &mut Watcher<Text>) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(event) = watcher.try_next().expect("the watcher goes on") {
        lines.push(line(&event));
    }
    lines
}

pub(crate) fn line(event: &Event<Text>) -> String {
    let change = format!("{:?}", event.change).to_lowercase();
    let was = match &event.previous {
        Some(previous) => format!(" (was {})", previous.value.text),
        None => String::new(),
    };
    assert_eq!(event.entry.value.stamp, event.revision(), "an event's value carries its revision");
    format!("{} {change} {}={}{was}", event.revision(), event.key().rest(), event.entry.value.text)
}

/// A page as `key=text` words.
pub(crate) fn words(page: &Page<Text>) -> String {
    let word = |entry: &Arc<Entry<Text>>| format!("{}={}", entry.key.rest(), entry.value.text);
    page.items.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Wakes(AtomicU64);

impl Wakes {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
