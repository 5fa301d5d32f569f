//! Commands for users: a kubectl of our own, compatible in flags, output and exit codes with kubectl v1.36.
//!
//! Holds     kinds are learned from the server's discovery, as any client does; the server's table is not linked.

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod kubectl;

pub use kubectl::{Defaults, Streams, kubectl_main, run};
