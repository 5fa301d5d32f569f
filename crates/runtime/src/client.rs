//! The caller's side: starting shims and talking to them.
//!
//! Calls block, each with a bound. An asynchronous caller uses [`Connection`]: its descriptor is nonblocking and can be
//! polled, [`Connection::send`] and [`Connection::try_recv`] never wait.

mod connection;
mod exec;
mod launcher;
mod sandbox;

pub use connection::{Connection, Incoming};
pub use exec::{Attached, ExecHandle};
pub use launcher::Launcher;
pub use sandbox::Sandbox;

use std::time::Duration;

/// Answers of a shim: making a container touches disks and may pull in a network file system.
const CALL_LIMIT: Duration = Duration::from_secs(120);

/// The end of a shim after its last answer.
const END_LIMIT: Duration = Duration::from_secs(10);
