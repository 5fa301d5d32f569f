//! Container images of one node: names, registries, content, layers and root file systems.
//!
//! The door is [`ImageService`]. This crate never sees a Pod: names and credentials are given to it,
//! and errors carry what a caller needs to choose a reason ([`PullError::kind`]).
//!
//! Whatever comes from a registry or an archive is hostile until its digest is verified, and bounded
//! even then ([`Limits`]).

pub mod config;
pub mod content;
pub mod credentials;
pub mod digest;
pub mod gc;
pub mod layer;
pub mod limits;
pub mod manifest;
pub mod reference;
pub mod registry;
pub mod snapshot;

pub mod archive;
#[cfg(feature = "testkit")]
pub mod build;
pub mod builtin;
pub mod service;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

mod metadata;
mod single_flight;
mod tar_writer;

pub use config::RunConfig;
pub use credentials::{Credential, Keyring};
pub use digest::Digest;
pub use limits::Limits;
pub use reference::{Reference, ReferenceError};
pub use service::{
    FsUsage, Image, ImageService, ImageServiceConfig, Progress, ProgressSink, PullCause, PullError,
    PullErrorKind, PullSum, PullTally, RunningPull,
};
pub use snapshot::{Bind, Rootfs, SnapshotError};
