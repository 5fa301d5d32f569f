//! Large bodies: checking one takes a thread for as long as it lasts, which must not be one that other requests wait for.
//!
//! Holds always
//! - The threads that serve connections work on small bodies only; large ones have threads of their own.
//! - They are worked on a few at a time, so that with all of them busy there is processor time for everybody else.

use std::future::Future;
use std::pin::Pin;

use podo_api::Status;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// A body that takes longer than a moment: dozens of times a common Pod.
const BYTES_MIN: usize = 64 << 10;

/// How many are worked on at a time.
const AT_A_TIME: usize = 2;

/// The places for large bodies.
#[derive(Debug)]
pub(crate) struct Heavy(Semaphore);

impl Default for Heavy {
    fn default() -> Self {
        Self(Semaphore::new(AT_A_TIME))
    }
}

impl Heavy {
    /// Does the work on a body of so many bytes where it holds up nobody. It comes pinned: a future that is handed on by value has
    /// room twice in the one that awaits it, which every request would pay.
    pub(super) async fn carry_out<T>(
        &self,
        bytes: usize,
        work: Pin<&mut impl Future<Output = Result<T, Status>>>,
    ) -> Result<T, Status> {
        let runtime = Handle::current();
        if bytes < BYTES_MIN || runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return work.await;
        }
        let _place = self.0.acquire().await.map_err(|error| Status::internal(error.to_string()))?;
        tokio::task::block_in_place(|| runtime.block_on(work))
    }
}
