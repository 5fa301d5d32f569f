//! What every room of Podo stands on: time, randomness, tasks that can be stopped, back-off and error chains.
//!
//! Not here: anything that knows Kubernetes. Nothing in this crate does I/O but for reading the kernel's random source.

mod backoff;
mod clock;
mod error;
mod random;
mod tasks;

pub use backoff::{Backoff, BackoffPolicy};
pub use clock::{Clock, SystemClock, Timestamp};
pub use error::Chain;
pub use random::{name_suffix, random_bytes, uid};
pub use tasks::{Stop, StopHandle, TaskEnd, Tasks};
