//! The controller runner: takes keys from a queue and reconciles them, with back-off, panics caught, and numbers to look at.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use podo_api::Status;
use podo_base::{BackoffPolicy, Stop};

use crate::informer::Key;
use crate::queue::Queue;

/// How long a key that failed waits (client-go's rate limiter: 5 ms doubling up to 1,000 s; nobody wants to wait so long).
pub const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(5),
    maximum: Duration::from_secs(60),
    reset_after: Duration::from_secs(60),
};

/// A reconcile that takes longer is given up and tried again.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(120);

/// When a key is to be looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When something about it changes.
    OnChange,
    /// After this time, or when something changes before.
    After(Duration),
}

/// What a controller did so far.
#[derive(Debug, Default)]
pub struct RunStats {
    /// Reconciles that ended well.
    pub succeeded: AtomicU64,
    /// Reconciles that failed and will be tried again.
    pub failed: AtomicU64,
}

/// Reconciles keys until `stop`. Errors mean "try me again"; a permanent problem is a condition of the object and no error.
pub async fn run<F, R>(
    name: &'static str,
    queue: Arc<Queue<Key>>,
    stats: Arc<RunStats>,
    reconcile: F,
    stop: Stop,
) where
    F: Fn(Key) -> R,
    R: Future<Output = Result<Next, Status>>,
{
    while let Some(key) = stop.or(queue.next()).await {
        let work = tokio::time::timeout(
            RECONCILE_TIMEOUT,
            AssertUnwindSafe(reconcile(key.clone())).catch_unwind(),
        );
        let Some(result) = stop.or(work).await else { return };
        let is_failed = match result {
            Ok(Ok(Ok(next))) => {
                if let Next::After(wait) = next {
                    queue.add_after(key.clone(), wait);
                }
                false
            }
            Ok(Ok(Err(status))) => {
                tracing::debug!(controller = name, namespace = &*key.0, name = &*key.1, error = %status, "reconcile failed");
                true
            }
            Ok(Err(_panic)) => {
                tracing::error!(
                    controller = name,
                    namespace = &*key.0,
                    name = &*key.1,
                    "reconcile panicked"
                );
                true
            }
            Err(_elapsed) => {
                tracing::warn!(
                    controller = name,
                    namespace = &*key.0,
                    name = &*key.1,
                    "reconcile took too long"
                );
                true
            }
        };
        let counter = if is_failed { &stats.failed } else { &stats.succeeded };
        counter.fetch_add(1, Ordering::Relaxed);
        queue.done(&key, is_failed);
    }
}
