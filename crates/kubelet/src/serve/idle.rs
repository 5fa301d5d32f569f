//! The end of connections that nobody uses.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long nothing may pass on a connection (Kubernetes v1.36 `--streaming-connection-idle-timeout`).
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);

/// How long the peer may take to take leave once all is said. Cutting it off at once could lose what is on its way (a TCP reset).
pub(super) const LINGER: Duration = Duration::from_secs(3);

/// When something passed last.
#[derive(Debug)]
pub(super) struct Idle(Mutex<Instant>);

impl Idle {
    /// A connection on which something passed just now.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Something passes.
    pub(super) fn touch(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Waits until nothing has passed for too long.
    pub(super) async fn expired(&self) {
        loop {
            let deadline = *self.0.lock() + IDLE_TIMEOUT;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}
