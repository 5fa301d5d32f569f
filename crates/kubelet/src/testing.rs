//! A runtime, an API server and a clock in memory, for tests of whoever drives a node agent.
//!
//! Not here: anything that a running node uses.

mod clock;
mod cri;
mod mounter;
mod server;

pub use clock::TokioClock;
pub use cri::FakeCri;
pub use mounter::NoMounts;
pub use server::FakeServer;
