//! The one writer: takes what is queued as a group, decides, makes it durable with one sync, shows it, answers.
//!
//! Decisions within a group build on each other before anything is durable; so every answer, a refusal too, is given only once
//! the group is, for it may tell of what another transaction of the group wrote.
//!
//! Holds always
//! - Shown means durable; answered means shown.
//! - Revisions have no gap: a transaction that changes nothing takes none.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use crate::engine::{AppendError, Checkpoint, Engine, LoggedEntry, LoggedOp, LoggedTxn, Poison};
use crate::feed::End;
use crate::key::{Key, Revision};
use crate::queue::{Answer, Queued, Work};
use crate::shared::{Checkpoints, Shared};
use crate::store::Driver;
use crate::tree::Tree;
use crate::txn::{CommitError, Committed, Prepared, PreparedOp};
use crate::value::{Change, Entry, Event, Value};
use crate::view::Applied;

/// After a checkpoint that failed (no space, most likely) this many groups are written before the next is tried.
const CHECKPOINT_RETRY_GROUPS: u32 = 256;

/// The writer and what it owns.
pub(crate) struct Committer<V: Value> {
    engine: Box<dyn Engine>,
    shared: Arc<Shared<V>>,
    driver: Driver,
    running: Option<JoinHandle<bool>>,
    groups_until_retry: u32,
}

impl<V: Value> Committer<V> {
    pub(crate) fn new(engine: Box<dyn Engine>, shared: Arc<Shared<V>>, driver: Driver) -> Self {
        Self { engine, shared, driver, running: None, groups_until_retry: 0 }
    }

    /// Works until the queue is closed and empty, or the store is poisoned.
    pub(crate) fn run(mut self) {
        while self.step(true).is_continue() {}
    }

    /// Does the next piece of work; without waiting for one if not `is_waiting`. Breaks when there will be none any more.
    pub(crate) fn step(&mut self, is_waiting: bool) -> ControlFlow<()> {
        let flow = catch_unwind(AssertUnwindSafe(|| match self.shared.queue.work(is_waiting) {
            Work::Group(group) => self.commit(group),
            Work::Nudge => self.end_checkpoint(),
            Work::Stop => ControlFlow::Break(()),
        }));
        let flow = flow.unwrap_or_else(|_| self.poison(Poison::Panicked));
        if flow.is_break() {
            self.stop();
        }
        flow
    }

    /// Ends what is under way. After a poisoning this is already answered everywhere.
    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            // Joined even when poisoned: the thread holds files of a directory that is about to be unlocked.
            let is_finished = running.join().unwrap_or(false);
            if self.shared.view.read().poison().is_none() {
                let _only_leaves_files_behind = self.engine.end_checkpoint(is_finished);
            }
        }
        self.shared.finish(&End::Closed);
    }

    fn poison(&self, poison: Poison) -> ControlFlow<()> {
        self.shared.finish(&End::Poisoned(Arc::new(poison)));
        ControlFlow::Break(())
    }

    fn commit(&mut self, queued: Vec<Queued<V>>) -> ControlFlow<()> {
        let mut group = Group::new(&self.shared);
        let mut replies = Vec::with_capacity(queued.len());
        for Queued { txn, reply } in queued {
            replies.push((reply, group.decide(txn)));
        }
        let Group { applied, logs, .. } = group;
        let outcome =
            if logs.is_empty() { Ok(()) } else { self.engine.append(&logged(&applied, &logs)) };
        match outcome {
            Ok(()) => {
                self.shared.publish(&applied);
                for (reply, answer) in replies {
                    reply.answer(answer);
                }
                self.begin_checkpoint()
            }
            Err(AppendError::Full) => {
                // Refusals may rest on what was not written, so all are told the same.
                for (reply, _) in replies {
                    reply.answer(Err(CommitError::Full));
                }
                // A new base may be what makes room.
                self.begin_checkpoint()
            }
            Err(AppendError::Poisoned(poison)) => {
                let poison = Arc::new(poison);
                self.shared.finish(&End::Poisoned(Arc::clone(&poison)));
                for (reply, _) in replies {
                    reply.answer(Err(CommitError::Poisoned(Arc::clone(&poison))));
                }
                ControlFlow::Break(())
            }
        }
    }

    fn begin_checkpoint(&mut self) -> ControlFlow<()> {
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            return self.end_checkpoint(); // It may have died without a nudge.
        }
        self.groups_until_retry = self.groups_until_retry.saturating_sub(1);
        let is_due = self.engine.wants_checkpoint() && self.groups_until_retry == 0;
        if self.running.is_some() || !is_due {
            return ControlFlow::Continue(());
        }
        let (revision, trees) = {
            let view = self.shared.view.read();
            let trees = view.buckets.values().map(|bucket| bucket.tree.clone());
            (view.revision, trees.collect::<Vec<_>>())
        };
        let checkpoint = match self.engine.begin_checkpoint(revision) {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => return ControlFlow::Continue(()),
            Err(AppendError::Full) => {
                self.note_checkpoint(false);
                return ControlFlow::Continue(());
            }
            Err(AppendError::Poisoned(poison)) => return self.poison(poison),
        };
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let is_finished = write_checkpoint(checkpoint, &trees).is_ok();
            shared.queue.nudge();
            is_finished
        };
        match self.driver {
            Driver::Manual => {
                let is_finished = work();
                self.settle_checkpoint(is_finished)
            }
            Driver::Thread => {
                let thread = thread::Builder::new().name("store-checkpoint".to_owned());
                match thread.spawn(work) {
                    Ok(running) => {
                        self.running = Some(running);
                        ControlFlow::Continue(())
                    }
                    Err(_) => self.settle_checkpoint(false),
                }
            }
        }
    }

    /// Looks whether the checkpoint under way is done.
    fn end_checkpoint(&mut self) -> ControlFlow<()> {
        match self.running.take() {
            // It nudges as its last act, so joining does not wait long.
            Some(running) => {
                let is_finished = running.join().unwrap_or(false);
                self.settle_checkpoint(is_finished)
            }
            None => ControlFlow::Continue(()),
        }
    }

    fn settle_checkpoint(&mut self, is_finished: bool) -> ControlFlow<()> {
        // What cannot be dropped now is dropped at the next start.
        let _only_leaves_files_behind = self.engine.end_checkpoint(is_finished);
        self.note_checkpoint(is_finished);
        ControlFlow::Continue(())
    }

    fn note_checkpoint(&mut self, is_finished: bool) {
        let Checkpoints { finished, failed } = &self.shared.checkpoints;
        let counter = if is_finished { finished } else { failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.groups_until_retry = if is_finished { 0 } else { CHECKPOINT_RETRY_GROUPS };
    }
}

fn write_checkpoint<V: Value>(
    mut checkpoint: Box<dyn Checkpoint>,
    trees: &[Tree<V>],
) -> io::Result<()> {
    let mut outcome = Ok(());
    let mut bytes = Vec::new();
    for tree in trees {
        let flow = tree.visit(&|_| false, &mut |entry| {
            bytes.clear();
            entry.value.to_log(&mut bytes);
            outcome = checkpoint.entry(&LoggedEntry {
                bucket: entry.key.bucket(),
                rest: entry.key.rest(),
                revision: entry.revision,
                create_revision: entry.create_revision,
                version: entry.version,
                value: &bytes,
            });
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if flow.is_break() {
            break;
        }
    }
    outcome?;
    checkpoint.finish()
}

/// The bytes of one applied transaction's values, per event.
type Logs = Vec<Option<Vec<u8>>>;

/// What the log is given of the group.
fn logged<'a, V: Value>(applied: &'a [Applied<V>], logs: &'a [Logs]) -> Vec<LoggedTxn<'a>> {
    let txn = |(applied, logs): (&'a Applied<V>, &'a Logs)| LoggedTxn {
        revision: applied.revision,
        at_ms: applied.at_ms,
        ops: applied
            .events
            .iter()
            .zip(logs)
            .map(|(event, log)| LoggedOp {
                bucket: event.key().bucket(),
                rest: event.key().rest(),
                value: log.as_deref(),
            })
            .collect(),
    };
    applied.iter().zip(logs).map(txn).collect()
}

/// Transactions decided upon but not yet durable.
struct Group<'a, V: Value> {
    shared: &'a Shared<V>,
    revision: Revision,
    at_ms: u64,
    /// What the group changed so far, over what is shown.
    changed: BTreeMap<Key, Option<Arc<Entry<V>>>>,
    applied: Vec<Applied<V>>,
    logs: Vec<Logs>,
}

impl<'a, V: Value> Group<'a, V> {
    fn new(shared: &'a Shared<V>) -> Self {
        Self {
            revision: shared.view.read().revision,
            at_ms: (shared.clock)(),
            shared,
            changed: BTreeMap::new(),
            applied: Vec::new(),
            logs: Vec::new(),
        }
    }

    fn current(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        match self.changed.get(key) {
            Some(entry) => entry.clone(),
            None => self.shared.view.read().get(key.bucket(), key.rest()).cloned(),
        }
    }

    fn decide(&mut self, txn: Prepared<V>) -> Answer<V> {
        let mut found = Vec::with_capacity(txn.ops.len());
        for op in &txn.ops {
            let current = self.current(&op.key);
            if !op.expect.holds(current.as_deref()) {
                return Err(CommitError::Conflict { key: op.key.clone(), current });
            }
            found.push(current);
        }
        let revision = self.revision.next();
        let mut entries = Vec::with_capacity(txn.ops.len());
        let mut changes = Vec::with_capacity(txn.ops.len());
        for (op, current) in txn.ops.into_iter().zip(found) {
            let Some((event, log)) = change(self.shared, revision, op, current) else {
                entries.push(None);
                continue;
            };
            entries.push(Some(Arc::clone(&event.entry)));
            let after = (event.change != Change::Deleted).then(|| Arc::clone(&event.entry));
            self.changed.insert(event.key().clone(), after);
            changes.push((event, log));
        }
        if changes.is_empty() {
            return Ok(Committed { revision: self.revision, entries });
        }
        // By bucket, as the view wants them; within one in the order of the operations.
        changes.sort_by(|(left, _), (right, _)| left.key().bucket().cmp(right.key().bucket()));
        let (events, logs) = changes.into_iter().unzip();
        self.applied.push(Applied { revision, at_ms: self.at_ms, events });
        self.logs.push(logs);
        self.revision = revision;
        Ok(Committed { revision, entries })
    }
}

/// An event and the bytes of its value for the log.
type Changed<V> = (Arc<Event<V>>, Option<Vec<u8>>);

/// What an operation whose expectation holds does; `None` if there is nothing to delete.
fn change<V: Value>(
    shared: &Shared<V>,
    revision: Revision,
    op: PreparedOp<V>,
    current: Option<Arc<Entry<V>>>,
) -> Option<Changed<V>> {
    match op.put {
        Some((value, log)) => {
            let key = match &current {
                Some(current) => current.key.clone(), // Shares what is there.
                None => shared.interned(op.key),
            };
            Some((put_event(key, revision, value.stamped(revision), current), Some(log)))
        }
        None => Some((delete_event(revision, current?), None)),
    }
}

/// The event of a put; the value is stamped already.
pub(crate) fn put_event<V: Value>(
    key: Key,
    revision: Revision,
    value: V,
    current: Option<Arc<Entry<V>>>,
) -> Arc<Event<V>> {
    let entry = Arc::new(Entry {
        key,
        revision,
        create_revision: current.as_ref().map_or(revision, |current| current.create_revision),
        version: current.as_ref().map_or(1, |current| current.version + 1),
        value,
    });
    let change = if current.is_some() { Change::Updated } else { Change::Created };
    Event::new(change, entry, current)
}

/// The event of a deletion.
pub(crate) fn delete_event<V: Value>(revision: Revision, current: Arc<Entry<V>>) -> Arc<Event<V>> {
    let last = Arc::new(Entry {
        key: current.key.clone(),
        revision,
        create_revision: current.create_revision,
        version: current.version,
        value: current.value.clone().stamped(revision),
    });
    Event::new(Change::Deleted, last, Some(current))
}
