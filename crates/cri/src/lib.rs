//! The container runtime interface: sandboxes, containers and images in CRI v1 terms.
//!
//! [`Cri`] is the only door to containers that the node agent knows. [`PodoCri`] is our implementation, over the runtime,
//! the image store and the network mechanism, which nothing but this crate uses. Messages are those of [`v1`]; streams are
//! live values instead of the protocol's URLs.
//!
//! Not here: Pods (a sandbox is told what it is to be), volumes, probes, restarts, back-off.

mod container_events;
mod error;
pub mod podo;
mod runtime_service;
mod streams;
pub mod v1;

pub use container_events::{ContainerEvents, RuntimeEvent};
pub use error::{Code, CriError, Reason};
pub use podo::{CriConfig, OpenError, PodoCri};
pub use podo_image::{Credential, Keyring, PullSum};
pub use podo_runtime::LogLimit;
pub use podo_runtime::defaults::{MASKED_PATHS, READ_ONLY_PATHS};
pub use runtime_service::{Answer, Cri, PullOptions};
pub use streams::{
    Duplex, ExecStreams, ExitFuture, PortStream, ReadStream, TerminalSize, WriteStream,
};
