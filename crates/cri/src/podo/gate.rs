//! Where verbs go through on their way to a blocking thread: bounded, counted, closable.
//!
//! Work that has begun runs to its end whether or not somebody still waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::{Code, CriError};

/// Verbs at work at once. Each is some milliseconds of system calls on its own thread; two cores are busy with far fewer, and
/// one that hangs on a dead network file system does not stop the others.
const VERBS_MAX: u32 = 64;

/// The gate.
#[derive(Debug)]
pub(super) struct Gate(Arc<Semaphore>);

/// What verbs answer once the gate is closed.
pub(super) fn closed() -> CriError {
    CriError::new(Code::Unavailable, "the container runtime is shutting down")
}

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(VERBS_MAX as usize)))
    }

    /// Runs `work` on a blocking thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, CriError> + Send + 'static,
    ) -> Result<T, CriError> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(|_| closed())?;
        let worked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        let panicked =
            |error| CriError::new(Code::Internal, format!("a verb ended early: {error}"));
        worked.await.map_err(panicked)?
    }

    /// Lets nobody in any more and waits for those inside, up to `budget`.
    pub(super) async fn close(&self, budget: Duration) {
        let inside = self.0.acquire_many(VERBS_MAX);
        if tokio::time::timeout(budget, inside).await.is_err() {
            tracing::warn!("verbs of the container runtime are still at work at its end");
        }
        self.0.close();
    }
}
