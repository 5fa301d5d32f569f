//! Podo's network mechanism on one node.
//!
//! Owns     links, addresses, routes, neighbours and packet rules of one instance, the node's
//!          address pool, and pins of network namespaces.
//! Reads    `/proc/sys/net`, the kernel's tables through netlink, its journal in the state
//!          directory.
//!
//! Knows endpoint identifiers, namespace paths and addresses; it never sees a Pod. All calls block
//! for as long as the kernel works, which is well under two milliseconds; nothing shells out.
//!
//! [`Network`] is the door; the other modules are the mechanisms behind it.

#![deny(clippy::indexing_slicing, reason = "bytes from outside never panic")]

pub mod address;
mod cidr;
pub mod conntrack;
pub mod endpoint;
pub mod firewall;
pub mod forwarding;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod hostport;
mod instance;
pub mod link;
pub mod neighbor;
pub mod netlink;
pub mod netns;
mod network;
pub mod nft;
pub mod pool;
pub mod route;
mod sys;
pub mod sysctl;

pub use cidr::{CidrError, Ipv4Cidr};
pub use hostport::{HostPort, HostSocket, Transport};
pub use instance::{Instance, InstanceError};
pub use network::{Attachment, Ensured, Network, NetworkConfig, NetworkError, Reconciled};
