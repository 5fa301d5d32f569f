//! [`Activity`]: whether anything is asked on a connection, so that one on which nothing is can be closed.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a connection may be open without a request (Kubernetes v1.36 `IdleTimeout`). It counts from the first byte, so it
/// bounds as well how long a peer may take to begin to speak HTTP.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(90);

/// The requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    open_count: usize,
    /// When the last request ended.
    idle_since: Instant,
}

/// A request that is not answered to its end yet.
#[derive(Debug)]
pub(super) struct Busy(Activity);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { open_count: 0, idle_since: Instant::now() })))
    }

    /// A request begins; it ends when what this gives is dropped.
    pub(super) fn begin(&self) -> Busy {
        self.0.lock().open_count += 1;
        Busy(self.clone())
    }

    /// Returns when nothing was asked for [`IDLE_MAX`].
    pub(super) async fn idle(&self) {
        loop {
            let now = Instant::now();
            let deadline = {
                let state = self.0.lock();
                if state.open_count > 0 { now + IDLE_MAX } else { state.idle_since + IDLE_MAX }
            };
            if deadline <= now {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.open_count -= 1;
        state.idle_since = Instant::now();
    }
}
