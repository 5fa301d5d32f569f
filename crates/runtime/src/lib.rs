//! The container runtime: sandboxes and containers from plain specs, with nothing but the kernel.
//!
//! A [`Sandbox`] is a small process of its own (the shim, this program's executable run again) that survives its server;
//! it holds namespaces, streams, logs and exits. This crate is both sides: the client ([`Launcher`], [`Sandbox`],
//! [`Connection`], [`list`]) and the roles that the executable must dispatch before anything else
//! ([`shim_main`], [`pause_main`]).
//!
//! ```text
//! server ──[wire]── shim ─┬─ pause               net, uts, ipc (pid, user) namespaces
//!                         ├─ container's first   mount, pid, cgroup namespaces of its own
//!                         └─ further processes
//! ```
//! Synchronous; knows no Pod, no image, no network address, no async runtime. All `unsafe` is in `sys`.

#![expect(
    clippy::unnecessary_debug_formatting,
    reason = "values in messages are quoted, paths too"
)]

pub mod capabilities;
pub mod cgroup;
mod check;
mod client;
mod clock;
pub mod defaults;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod init;
mod log_format;
pub mod mountinfo;
pub mod overlay;
mod paths;
mod pause;
mod records;
mod rediscovery;
pub mod seccomp;
mod shim;
mod spec;
mod sys;
pub mod users;
pub mod wire;

pub use client::{Attached, Connection, ExecHandle, Incoming, Launcher, Sandbox};
pub use error::{Fault, FaultKind, RuntimeError};
pub use pause::pause_main;
pub use records::{
    ContainerState, CreateRecord, ExitRecord, Phase, SandboxRecord, SandboxState, StartRecord,
};
pub use rediscovery::{Found, Health, list, purge};
pub use shim::shim_main;
pub use spec::*;
pub use sys::misc::trim_heap;
