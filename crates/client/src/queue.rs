//! A work queue: keys that need attention, each at most once, some of them later.
//!
//! Holds always
//! - A key that is being worked on is not given out a second time; if it is added meanwhile, it is given out again afterwards.
//! - The queue is bounded by the number of distinct keys: adding a key twice costs nothing.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use podo_base::{Backoff, BackoffPolicy};
use tokio::sync::Notify;

#[derive(Debug)]
struct State<K> {
    ready: VecDeque<K>,
    /// Keys that wait in `ready`, or that were added while they were being worked on.
    dirty: HashSet<K>,
    working: HashSet<K>,
    later: BTreeSet<(Instant, K)>,
    failures: HashMap<K, Backoff>,
}

/// A queue of keys.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    retry: BackoffPolicy,
}

impl<K: Clone + Eq + Hash + Ord> Queue<K> {
    /// An empty queue whose failed keys come back after these waits.
    pub fn new(retry: BackoffPolicy) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            working: HashSet::new(),
            later: BTreeSet::new(),
            failures: HashMap::new(),
        };
        Self { state: Mutex::new(state), changed: Notify::new(), retry }
    }

    /// Adds a key that needs attention now.
    pub fn add(&self, key: K) {
        let mut state = self.state.lock();
        if state.dirty.insert(key.clone()) && !state.working.contains(&key) {
            state.ready.push_back(key);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Adds a key that needs attention after a time.
    pub fn add_after(&self, key: K, wait: Duration) {
        if wait.is_zero() {
            return self.add(key);
        }
        self.state.lock().later.insert((Instant::now() + wait, key));
        self.changed.notify_one();
    }

    /// The next key; it counts as being worked on until [`Queue::done`].
    pub async fn next(&self) -> K {
        loop {
            let wake_at = match self.take() {
                Ok(key) => return key,
                Err(wake_at) => wake_at,
            };
            match wake_at {
                None => self.changed.notified().await,
                Some(at) => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(at.into()) => {}
                    }
                }
            }
        }
    }

    /// Ends the work on a key. After a failure it comes back, later each time.
    pub fn done(&self, key: &K, is_failed: bool) {
        let wait = {
            let mut state = self.state.lock();
            state.working.remove(key);
            let wait = if is_failed {
                let retry = self.retry;
                let backoff =
                    state.failures.entry(key.clone()).or_insert_with(|| Backoff::new(retry));
                Some(backoff.fail(Instant::now()))
            } else {
                state.failures.remove(key);
                None
            };
            if state.dirty.contains(key) {
                state.ready.push_back(key.clone());
            }
            wait
        };
        match wait {
            Some(wait) => self.add_after(key.clone(), wait),
            None => self.changed.notify_one(),
        }
    }

    /// How many keys wait for attention now.
    pub fn len(&self) -> usize {
        self.state.lock().ready.len()
    }

    /// Whether no key waits for attention now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A key that is ready, or when the next one will be.
    fn take(&self) -> Result<K, Option<Instant>> {
        let mut state = self.state.lock();
        let now = Instant::now();
        while let Some((at, _)) = state.later.first()
            && *at <= now
        {
            if let Some((_, key)) = state.later.pop_first()
                && state.dirty.insert(key.clone())
                && !state.working.contains(&key)
            {
                state.ready.push_back(key);
            }
        }
        let Some(key) = state.ready.pop_front() else {
            return Err(state.later.first().map(|(at, _)| *at));
        };
        state.dirty.remove(&key);
        state.working.insert(key.clone());
        if !state.ready.is_empty() {
            self.changed.notify_one();
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: BackoffPolicy = BackoffPolicy {
        initial: Duration::from_millis(10),
        maximum: Duration::from_secs(1),
        reset_after: Duration::from_secs(60),
    };

    #[tokio::test]
    async fn a_key_is_given_out_once_however_often_it_was_added() {
        let queue = Queue::new(RETRY);
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!((queue.next().await, queue.next().await, queue.is_empty()), ("a", "b", true));
    }

    #[tokio::test]
    async fn a_key_that_is_added_while_it_is_worked_on_comes_again_afterwards() {
        let queue = Queue::new(RETRY);
        queue.add("a");
        let key = queue.next().await;
        queue.add("a");
        assert!(queue.is_empty());
        queue.done(&key, false);
        assert_eq!(queue.next().await, "a");
    }

    #[tokio::test]
    async fn a_key_that_failed_comes_back_later() {
        let queue = Queue::new(RETRY);
        queue.add("a");
        let key = queue.next().await;
        let failed_at = Instant::now();
        queue.done(&key, true);
        assert!(queue.is_empty());
        assert_eq!(queue.next().await, "a");
        assert!(failed_at.elapsed() >= Duration::from_millis(10));
    }
}
