//! Reading: one consistent snapshot of a bucket, of the current revision or of one that history still reaches.
//!
//! An older snapshot is the current tree with the changes since then undone: the first event of a key after a revision says
//! what the key was at it. So history costs nothing but its events, and only who reads an old revision pays for its age.
//!
//! Holds always: a snapshot never changes, and holding one delays no writer.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::engine::Poison;
use crate::feed::Feed;
use crate::key::{Key, Revision};
use crate::shared::{Shared, refuse_poisoned};
use crate::tree::Tree;
use crate::value::{Entry, Value};

/// Why something cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// History does not reach back to the revision any more.
    #[error("revision {at} is forgotten: history starts at {compacted}")]
    Compacted {
        /// What was asked for.
        at: Revision,
        /// The oldest revision that can be read.
        compacted: Revision,
    },
    /// The store has not reached the revision yet.
    #[error("revision {at} is in the future: the store is at {current}")]
    Future {
        /// What was asked for.
        at: Revision,
        /// The store's revision.
        current: Revision,
    },
    /// A write to disk is in doubt; nothing is answered until a restart has read what is really there.
    #[error("store is poisoned")]
    Poisoned(#[source] Arc<Poison>),
    /// The store is closed and will not reach the revision.
    #[error("store is closed")]
    Closed,
}

/// Which entries of a bucket, and from when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// Only keys whose rest begins so; all if empty.
    pub prefix: &'a str,
    /// Only keys whose rest is after this one: the last of the page before.
    pub start_after: Option<&'a str>,
    /// Most entries to give.
    pub limit: Option<usize>,
    /// The revision to read; the current one if `None`. Pages of one list read the revision of the first.
    pub at: Option<Revision>,
}

impl<'a> Range<'a> {
    /// Everything in a bucket.
    pub fn all(bucket: &'a str) -> Self {
        Self { bucket, ..Self::default() }
    }

    /// Whether the key lies before the range.
    fn skips(&self, rest: &str) -> bool {
        rest < self.prefix || self.start_after.is_some_and(|last| rest <= last)
    }

    /// Whether the key does not lie behind the range.
    fn reaches(&self, rest: &str) -> bool {
        rest < self.prefix || rest.starts_with(self.prefix)
    }

    fn has(&self, rest: &str) -> bool {
        !self.skips(rest) && self.reaches(rest)
    }
}

/// A part of a bucket.
#[derive(Debug)]
pub struct Page<V> {
    /// In the order of their keys.
    pub items: Vec<Arc<Entry<V>>>,
    /// The revision all of them were read at; watching from here misses nothing and repeats nothing.
    pub revision: Revision,
    /// Whether the range goes on behind the last item.
    pub more: bool,
    /// How many entries of the range lie behind the last item.
    pub remaining: usize,
}

/// One bucket at one revision. It keeps what it shows in memory as long as it lives.
pub struct Snapshot<V: Value> {
    tree: Tree<V>,
    /// What was otherwise at the snapshot's revision: the entry then, `None` if there was none.
    undone: BTreeMap<Arc<str>, Option<Arc<Entry<V>>>>,
    revision: Revision,
    /// Where to keep the tree if the reader stops before the end: the next page will ask for it.
    paged: Option<Arc<Feed<V>>>,
}

impl<V: Value> Snapshot<V> {
    pub(crate) fn take(
        shared: &Shared<V>,
        bucket: &str,
        at: Option<Revision>,
    ) -> Result<Self, ReadError> {
        let view = shared.view.read();
        refuse_poisoned(&view)?;
        let current = view.revision;
        let revision = at.unwrap_or(current);
        if revision > current {
            return Err(ReadError::Future { at: revision, current });
        }
        if revision < view.compacted {
            return Err(ReadError::Compacted { at: revision, compacted: view.compacted });
        }
        let Some(found) = view.buckets.get(bucket) else {
            return Ok(Self {
                tree: Tree::default(),
                undone: BTreeMap::new(),
                revision,
                paged: None,
            });
        };
        let tree = found.tree.clone();
        let feed = Arc::clone(&found.feed);
        drop(view);
        if revision == current {
            return Ok(Self { tree, undone: BTreeMap::new(), revision, paged: Some(feed) });
        }
        if let Some(tree) = feed.paged(revision) {
            return Ok(Self { tree, undone: BTreeMap::new(), revision, paged: None });
        }
        let undone = undo(&feed, revision, current);
        // Checked last: the events were all there if they still are.
        let compacted = shared.view.read().compacted;
        if revision < compacted {
            return Err(ReadError::Compacted { at: revision, compacted });
        }
        Ok(Self { tree, undone, revision, paged: None })
    }

    /// The revision that is shown.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The entry at `rest`.
    pub fn get(&self, rest: &str) -> Option<&Arc<Entry<V>>> {
        match self.undone.get(rest) {
            Some(then) => then.as_ref(),
            None => self.tree.get(rest),
        }
    }

    /// How many entries the range has; its `limit`, `bucket` and `at` do not matter.
    pub fn count(&self, range: &Range<'_>) -> usize {
        let mut count = self.count_current(range);
        for (rest, then) in self.undone.iter().filter(|(rest, _)| range.has(rest)) {
            match (then.is_some(), self.tree.get(rest).is_some()) {
                (true, false) => count += 1,
                (false, true) => count -= 1,
                _ => {}
            }
        }
        count
    }

    /// The same in the current tree.
    fn count_current(&self, range: &Range<'_>) -> usize {
        let end = self.tree.rank(&|rest| range.skips(rest) || range.reaches(rest));
        end - self.tree.rank(&|rest| range.skips(rest))
    }

    /// Calls `each` on the range's entries in order until it breaks; its `limit`, `bucket` and `at` do not matter.
    pub fn visit(
        &self,
        range: &Range<'_>,
        mut each: impl FnMut(&Arc<Entry<V>>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        // Counted instead of compared: to compare, the key of every entry would have to be fetched.
        let mut left = self.count_current(range);
        let mut undone = self.undone.iter().filter(|(rest, _)| range.has(rest)).peekable();
        let _end_of_range = self.tree.visit(&|rest| range.skips(rest), &mut |entry| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            let mut is_replaced = false;
            while let Some((other, then)) =
                undone.next_if(|(other, _)| ***other <= *entry.key.rest())
            {
                is_replaced = **other == *entry.key.rest();
                flow = then.as_ref().map_or(ControlFlow::Continue(()), &mut each);
                flow?;
            }
            if !is_replaced {
                flow = each(entry);
            }
            flow
        });
        if flow.is_continue() {
            flow = undone.filter_map(|(_, then)| then.as_ref()).try_for_each(each);
        }
        if flow.is_break()
            && let Some(feed) = &self.paged
        {
            feed.keep_paged(self.revision, &self.tree);
        }
        flow
    }

    /// The first `limit` entries of the range, and what is left; its `bucket` and `at` do not matter.
    pub fn page(&self, range: &Range<'_>) -> Page<V> {
        let limit = range.limit.unwrap_or(usize::MAX);
        let mut items = Vec::with_capacity(self.count_current(range).min(limit));
        let flow = self.visit(range, |entry| {
            if items.len() >= limit {
                return ControlFlow::Break(());
            }
            items.push(Arc::clone(entry));
            ControlFlow::Continue(())
        });
        let more = flow.is_break();
        let start_after = items.last().map(|entry| entry.key.rest()).or(range.start_after);
        let remaining = if more { self.count(&Range { start_after, ..*range }) } else { 0 };
        Page { more, remaining, revision: self.revision, items }
    }
}

impl<V: Value> fmt::Debug for Snapshot<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// What was otherwise at `revision` than it is at `current`.
fn undo<V: Value>(
    feed: &Feed<V>,
    revision: Revision,
    current: Revision,
) -> BTreeMap<Arc<str>, Option<Arc<Entry<V>>>> {
    let mut undone = BTreeMap::new();
    let mut after = revision;
    loop {
        let events = feed.events_after(after, current);
        let Some(last) = events.last() else { return undone };
        after = last.revision();
        for event in events {
            // The first change after the revision says what was before it; later ones do not.
            let rest = event.key().rest_shared();
            if !undone.contains_key(rest) {
                undone.insert(Arc::clone(rest), event.previous.clone());
            }
        }
    }
}

/// The entry at a key, at a revision that history reaches.
pub(crate) fn get_at<V: Value>(
    shared: &Shared<V>,
    key: &Key,
    at: Revision,
) -> Result<Option<Arc<Entry<V>>>, ReadError> {
    let snapshot = Snapshot::take(shared, key.bucket(), Some(at))?;
    Ok(snapshot.get(key.rest()).cloned())
}
