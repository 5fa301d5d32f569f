//! Tasks with an owner: nothing runs outside a [`Tasks`], which asks its tasks to stop, waits for them, and names those that would not.
//!
//! Holds always
//! - A task that is spawned is joined or aborted before its `Tasks` is gone.
//! - A panic in a task is caught and reported with the task's name; it never passes silently.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

/// Says when to stop. Cheap to clone; every wait takes one or has a bound.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The other end of a [`Stop`].
#[derive(Debug)]
pub struct StopHandle(watch::Sender<bool>);

impl StopHandle {
    /// A handle that has not been used to stop anything yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// A new receiver of the signal.
    pub fn stop(&self) -> Stop {
        Stop(self.0.subscribe())
    }

    /// Tells every receiver to stop. Saying it twice changes nothing.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}

impl Default for StopHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Waits until it is time to stop. Also returns when the handle is gone.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        // An error means that the owner is gone, which is a request to stop as well.
        let _gone = receiver.wait_for(|stop| *stop).await;
    }

    /// Whether it is time to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Runs `work` until it ends or until it is time to stop, in which case the answer is `None`.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.requested() => None,
            value = work => Some(value),
        }
    }

    /// Waits for `length`; false if it was time to stop before.
    pub async fn sleep(&self, length: Duration) -> bool {
        self.or(tokio::time::sleep(length)).await.is_some()
    }
}

/// A group of named tasks that stop together.
#[derive(Debug)]
pub struct Tasks {
    name: &'static str,
    handle: StopHandle,
    set: JoinSet<()>,
    names: HashMap<Id, Cow<'static, str>>,
}

/// Why a task ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum TaskEnd {
    /// The task returned by itself.
    #[error("task {0:?} ended by itself")]
    Returned(String),
    /// The task panicked.
    #[error("task {0:?} panicked: {1}")]
    Panicked(String, String),
}

impl Tasks {
    /// An empty group.
    pub fn new(name: &'static str) -> Self {
        Self { name, handle: StopHandle::new(), set: JoinSet::new(), names: HashMap::new() }
    }

    /// The signal that this group's tasks are stopped by.
    pub fn stop_signal(&self) -> Stop {
        self.handle.stop()
    }

    /// Starts a task. It should end soon after the [`Stop`] it was built with says so.
    ///
    /// Its state is boxed: that is gone when the task ends, while what the group keeps of it stays until it is joined, which may be much
    /// later.
    pub fn spawn(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.reap();
        let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
        let id = self.set.spawn(task).id();
        self.names.insert(id, name.into());
    }

    /// How many tasks are running.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether no task is running.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Waits for the first task to end. Never returns while there is none.
    pub async fn first_exit(&mut self) -> TaskEnd {
        match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => TaskEnd::Returned(self.forget(id)),
            Some(Err(error)) => self.panicked(&error),
            None => std::future::pending().await,
        }
    }

    /// Asks all tasks to stop, waits up to `budget`, then aborts the rest and logs their names.
    pub async fn stop(mut self, budget: Duration) {
        self.handle.trigger();
        let joined = tokio::time::timeout(budget, async {
            while let Some(ended) = self.set.join_next_with_id().await {
                let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
                let task = name_of(&mut self.names, id);
                if let Err(error) = &ended {
                    tracing::error!(group = self.name, %task, %error, "task panicked");
                }
            }
        });
        if joined.await.is_err() {
            for task in self.names.values() {
                tracing::warn!(group = self.name, %task, "task would not stop and was aborted");
            }
            self.set.shutdown().await;
        }
    }

    /// Forgets tasks that have ended by themselves, so that a long-lived group of short tasks stays small.
    fn reap(&mut self) {
        while let Some(ended) = self.set.try_join_next_with_id() {
            match ended {
                Ok((id, ())) => {
                    self.forget(id);
                }
                Err(error) => {
                    let end = self.panicked(&error);
                    tracing::error!(group = self.name, error = %end, "task panicked");
                }
            }
        }
    }

    fn panicked(&mut self, error: &JoinError) -> TaskEnd {
        TaskEnd::Panicked(self.forget(error.id()), error.to_string())
    }

    fn forget(&mut self, id: Id) -> String {
        name_of(&mut self.names, id).into_owned()
    }
}

/// Takes the name of a task that has ended.
fn name_of(names: &mut HashMap<Id, Cow<'static, str>>, id: Id) -> Cow<'static, str> {
    names.remove(&id).unwrap_or(Cow::Borrowed("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_are_asked_to_stop_and_joined() {
        let mut tasks = Tasks::new("test");
        let stop = tasks.stop_signal();
        let (done, mut seen) = tokio::sync::mpsc::channel(1);
        tasks.spawn("waits", async move {
            stop.requested().await;
            done.send(()).await.expect("receiver lives");
        });
        tasks.stop(Duration::from_secs(5)).await;
        assert_eq!(seen.recv().await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_will_not_stop_is_aborted() {
        let mut tasks = Tasks::new("test");
        tasks.spawn("deaf", std::future::pending());
        tasks.stop(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_panic_is_told_with_the_name_of_its_task() {
        let mut tasks = Tasks::new("test");
        tasks.spawn("fragile", async { panic!("on purpose") });
        let end = tasks.first_exit().await.to_string();
        assert!(end.contains("fragile"), "{end}");
    }
}
