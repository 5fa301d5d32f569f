//! The bounded queue between writers and the committer, and the future of one commit.
//!
//! When the queue is full, commits stay pending outside of it, in the order in which they came.
//!
//! Holds always: a commit that entered the queue is answered, whatever happens to the committer.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Condvar, Mutex};

use crate::engine::Poison;
use crate::feed::End;
use crate::shared::Shared;
use crate::txn::{CommitError, Committed, Prepared};
use crate::value::Value;

/// Most transactions that wait for the committer: two groups of 1,024 and as many again while one is on its way to disk.
pub(crate) const QUEUE_TXNS_MAX: usize = 4096;

/// Most bytes that wait for the committer; at least one transaction always fits.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Most transactions made durable with one sync: beyond this a sync costs little per transaction and latency grows.
const GROUP_TXNS_MAX: usize = 1024;

/// Most bytes made durable with one sync, at least one transaction: about 10 ms of a slow SSD.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// What a commit gives.
pub(crate) type Answer<V> = Result<Committed<V>, CommitError<V>>;

/// Where one commit's answer is put.
pub(crate) struct Reply<V: Value>(Mutex<ReplyState<V>>);

enum ReplyState<V: Value> {
    Waiting(Option<Waker>),
    Answered(Answer<V>),
    Taken,
}

/// The committer's side of a reply. Dropping it unanswered, which only a panic does, answers so.
pub(crate) struct Responder<V: Value>(Arc<Reply<V>>);

impl<V: Value> Responder<V> {
    /// Puts the answer and wakes who waits for it.
    pub(crate) fn answer(self, answer: Answer<V>) {
        self.0.answer(answer);
    }
}

impl<V: Value> Drop for Responder<V> {
    fn drop(&mut self) {
        if matches!(&*self.0.0.lock(), ReplyState::Waiting(_)) {
            self.0.answer(Err(CommitError::Poisoned(Arc::new(Poison::Panicked))));
        }
    }
}

impl<V: Value> Reply<V> {
    fn answer(&self, answer: Answer<V>) {
        let before = std::mem::replace(&mut *self.0.lock(), ReplyState::Answered(answer));
        if let ReplyState::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Answer<V>> {
        let mut state = self.0.lock();
        match &mut *state {
            ReplyState::Waiting(waker) => {
                let replaced = waker.replace(cx.waker().clone());
                drop(state);
                drop(replaced);
                Poll::Pending
            }
            ReplyState::Answered(_) => match std::mem::replace(&mut *state, ReplyState::Taken) {
                ReplyState::Answered(answer) => Poll::Ready(answer),
                ReplyState::Waiting(_) | ReplyState::Taken => Poll::Pending,
            },
            ReplyState::Taken => Poll::Pending,
        }
    }
}

/// A transaction in the queue.
pub(crate) struct Queued<V: Value> {
    pub(crate) txn: Prepared<V>,
    pub(crate) reply: Responder<V>,
}

/// What the committer is to do.
pub(crate) enum Work<V: Value> {
    /// Make these durable.
    Group(Vec<Queued<V>>),
    /// Look after a finished checkpoint.
    Nudge,
    /// Stop: the queue is closed and empty.
    Stop,
}

/// The queue.
pub(crate) struct Queue<V: Value> {
    state: Mutex<QueueState<V>>,
    ready: Condvar,
}

struct QueueState<V: Value> {
    txns: VecDeque<Queued<V>>,
    bytes: usize,
    /// Commits that found no room, by the ticket they drew.
    outside: BTreeMap<u64, Waker>,
    next_ticket: u64,
    is_nudged: bool,
    /// Set by [`Queue::close`]: nothing enters any more.
    is_closed: bool,
    /// Set when the committer is gone.
    end: Option<End>,
}

impl<V: Value> QueueState<V> {
    fn has_room(&self, bytes: usize) -> bool {
        self.txns.is_empty()
            || (self.txns.len() < QUEUE_TXNS_MAX && self.bytes + bytes <= QUEUE_BYTES_MAX)
    }

    fn take_group(&mut self) -> Vec<Queued<V>> {
        let mut bytes = 0;
        let mut group = Vec::new();
        while let Some(next) = self.txns.front() {
            let is_full = group.len() >= GROUP_TXNS_MAX || bytes + next.txn.bytes > GROUP_BYTES_MAX;
            if is_full && !group.is_empty() {
                break;
            }
            bytes += next.txn.bytes;
            group.extend(self.txns.pop_front());
        }
        self.bytes -= bytes;
        group
    }

    /// As many commits outside as there may be room for now.
    fn take_outside(&mut self) -> Vec<Waker> {
        let room = QUEUE_TXNS_MAX.saturating_sub(self.txns.len());
        let mut wake = Vec::new();
        while wake.len() < room
            && let Some((_, waker)) = self.outside.pop_first()
        {
            wake.push(waker);
        }
        wake
    }
}

impl<V: Value> Queue<V> {
    pub(crate) fn new() -> Self {
        let state = QueueState {
            txns: VecDeque::new(),
            bytes: 0,
            outside: BTreeMap::new(),
            next_ticket: 0,
            is_nudged: false,
            is_closed: false,
            end: None,
        };
        Self { state: Mutex::new(state), ready: Condvar::new() }
    }

    /// The next work; waits for it if `is_waiting`, else [`Work::Nudge`] if there is none.
    pub(crate) fn work(&self, is_waiting: bool) -> Work<V> {
        let mut state = self.state.lock();
        loop {
            let group = state.take_group();
            if !group.is_empty() {
                let wake = state.take_outside();
                drop(state);
                wake.into_iter().for_each(Waker::wake);
                return Work::Group(group);
            }
            if state.is_closed {
                return Work::Stop;
            }
            if std::mem::take(&mut state.is_nudged) || !is_waiting {
                return Work::Nudge;
            }
            self.ready.wait(&mut state);
        }
    }

    /// Whether a transaction waits.
    pub(crate) fn is_loaded(&self) -> bool {
        !self.state.lock().txns.is_empty()
    }

    /// Makes the committer look around.
    pub(crate) fn nudge(&self) {
        self.state.lock().is_nudged = true;
        self.ready.notify_one();
    }

    /// Lets nothing in any more; what is in the queue is still committed.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let wake = std::mem::take(&mut state.outside);
        drop(state);
        self.ready.notify_one();
        wake.into_values().for_each(Waker::wake);
    }

    /// The committer is gone: answers all that is left and that will come.
    pub(crate) fn finish(&self, end: &End) {
        let mut state = self.state.lock();
        state.end.get_or_insert_with(|| end.clone());
        state.is_closed = true;
        state.bytes = 0;
        let left = std::mem::take(&mut state.txns);
        let wake = std::mem::take(&mut state.outside);
        drop(state);
        for queued in left {
            queued.reply.answer(Err(refusal(Some(end))));
        }
        wake.into_values().for_each(Waker::wake);
    }

    /// Lets the transaction in if there is room; else gives it back after drawing or renewing `ticket`.
    fn enter(
        &self,
        txn: Prepared<V>,
        ticket: &mut Option<u64>,
        waker: &Waker,
    ) -> Result<Arc<Reply<V>>, Refused<V>> {
        let mut state = self.state.lock();
        if state.is_closed || state.end.is_some() {
            return Err(Refused::For(refusal(state.end.as_ref())));
        }
        if !state.has_room(txn.bytes) {
            let number = *ticket.get_or_insert(state.next_ticket);
            state.next_ticket = state.next_ticket.max(number + 1);
            let replaced = state.outside.insert(number, waker.clone());
            drop(state);
            drop(replaced);
            return Err(Refused::NoRoom(txn));
        }
        let waited = ticket.take().and_then(|number| state.outside.remove(&number));
        let reply = Arc::new(Reply(Mutex::new(ReplyState::Waiting(Some(waker.clone())))));
        state.bytes += txn.bytes;
        state.txns.push_back(Queued { txn, reply: Responder(Arc::clone(&reply)) });
        let is_first = state.txns.len() == 1;
        drop(state);
        drop(waited);
        if is_first {
            self.ready.notify_one();
        }
        Ok(reply)
    }

    /// The holder of a ticket gave up. If it had been told of room, the next in line is told instead.
    fn leave(&self, ticket: u64) {
        let mut state = self.state.lock();
        let mine = state.outside.remove(&ticket);
        let next = if mine.is_none() { state.outside.pop_first() } else { None };
        drop(state);
        drop(mine);
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}

/// A transaction did not enter the queue.
enum Refused<V: Value> {
    NoRoom(Prepared<V>),
    For(CommitError<V>),
}

fn refusal<V: Value>(end: Option<&End>) -> CommitError<V> {
    match end {
        Some(End::Poisoned(poison)) => CommitError::Poisoned(Arc::clone(poison)),
        Some(End::Closed) | None => CommitError::Closed,
    }
}

/// A commit under way. Dropping it after it was first polled does not undo it: the transaction may still happen.
#[must_use = "a commit does nothing until it is polled"]
pub struct Commit<V: Value> {
    shared: Arc<Shared<V>>,
    stage: Stage<V>,
}

enum Stage<V: Value> {
    Refused(CommitError<V>),
    Outside { txn: Prepared<V>, ticket: Option<u64> },
    Inside(Arc<Reply<V>>),
    Done,
}

// Nothing in it is ever pinned.
impl<V: Value> Unpin for Commit<V> {}

impl<V: Value> Commit<V> {
    pub(crate) fn new(shared: Arc<Shared<V>>, txn: Result<Prepared<V>, CommitError<V>>) -> Self {
        let stage = match txn {
            Ok(txn) => Stage::Outside { txn, ticket: None },
            Err(error) => Stage::Refused(error),
        };
        Self { shared, stage }
    }
}

impl<V: Value> Future for Commit<V> {
    type Output = Answer<V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match std::mem::replace(&mut this.stage, Stage::Done) {
            Stage::Refused(error) => Poll::Ready(Err(error)),
            Stage::Outside { txn, mut ticket } => {
                match this.shared.queue.enter(txn, &mut ticket, cx.waker()) {
                    Ok(reply) => {
                        this.stage = Stage::Inside(reply);
                        Poll::Pending // The waker went in with the transaction.
                    }
                    Err(Refused::NoRoom(txn)) => {
                        this.stage = Stage::Outside { txn, ticket };
                        Poll::Pending
                    }
                    Err(Refused::For(error)) => Poll::Ready(Err(error)),
                }
            }
            Stage::Inside(reply) => {
                let poll = reply.poll(cx);
                if poll.is_pending() {
                    this.stage = Stage::Inside(reply);
                }
                poll
            }
            Stage::Done => Poll::Pending, // Polled after it was ready: allowed to hang, not to panic.
        }
    }
}

impl<V: Value> Drop for Commit<V> {
    fn drop(&mut self) {
        if let Stage::Outside { ticket: Some(ticket), .. } = self.stage {
            self.shared.queue.leave(ticket);
        }
    }
}

impl<V: Value> fmt::Debug for Commit<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").finish_non_exhaustive()
    }
}
