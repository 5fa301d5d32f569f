//! The node agent: Pods of one node brought from their objects to running containers, and their statuses back.
//!
//! Pods arrive by a watch. Each has a worker, a state machine that wakes on events and never looks around for its own sake.
//! Containers are seen through the container runtime interface only, the API server through the client only.
//!
//! Not here: probes, hooks, eviction, static Pods.

mod admission;
mod beneath;
mod blocking;
mod config;
mod container;
mod context;
mod events;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod images;
mod kubelet;
mod logs;
mod node;
mod observed;
mod pod;
mod pods;
mod qos_cgroups;
mod resize;
mod restart_all;
mod runtime;
mod serve;
mod sources;
mod status;
mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod volumes;
mod worker;

pub use config::{KUBELET_VERSION, KubeletConfig, LOG_FILE_BYTES_MAX, LOG_FILES_MAX};
pub use context::Repairs;
pub use handle::{ContainerRef, FindError, KubeletHandle};
pub use kubelet::{Kubelet, StartError};
pub use logs::{LogError, LogRequest, LogStream, LogStreams};
pub use qos_cgroups::{ClassCgroups, ClassLimits};
pub use serve::{ContainerTarget, LogBytes, Node, serve};
pub use volumes::{KernelMounter, Mounter};
