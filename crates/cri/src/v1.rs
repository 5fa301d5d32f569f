//! The messages of CRI v1, as Kubernetes v1.36 has them: `runtime.v1` of `k8s.io/cri-api`, restated.
//!
//! Holds always: names, numbers and types are the protocol's, so that a socket can carry these values as they are. A field
//! that is not here (all of Windows', and what upstream has deprecated) is skipped when read and never written.
//!
//! Not here: what the verbs do ([`crate::Cri`]), services of a socket.

#![expect(
    missing_docs,
    reason = "fields carry the protocol's names; only units and rules are added"
)]

mod container;
mod event;
mod image;
mod metric;
mod mount;
mod resources;
mod sandbox;
mod security;
mod signal;
mod stats;
mod streaming;
mod version;

pub use container::*;
pub use event::*;
pub use image::*;
pub use metric::*;
pub use mount::*;
pub use resources::*;
pub use sandbox::*;
pub use security::*;
pub use signal::Signal;
pub use stats::*;
pub use streaming::*;
pub use version::*;

/// The condition that the runtime answers.
pub const RUNTIME_READY: &str = "RuntimeReady";

/// The condition that sandboxes can have a network.
pub const NETWORK_READY: &str = "NetworkReady";

impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("AuthConfig");
        shown.field("username", &self.username).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
