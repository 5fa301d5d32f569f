//! What a node's runtime is opened with, why it cannot be, and what opening had to repair.

use std::path::PathBuf;

use podo_image::registry::RegistryConfig;
use podo_network::{Ipv4Cidr, NetworkError, Reconciled};
use podo_runtime::{LogLimit, RuntimeError};

/// What a node's runtime is opened with. Complete and immutable.
#[derive(Clone, Debug)]
pub struct CriConfig {
    /// What outlives a reboot: images, layers, records, the address pool.
    pub data_dir: PathBuf,
    /// What a reboot may take: sockets, pins. Private to root.
    pub run_dir: PathBuf,
    /// Name of the instance, 1 to 63 of a-z, 0-9 and -: keeps instances on one host apart.
    pub instance: String,
    /// Static program that answers `shim DIRECTORY`, `pause` and `hello`.
    pub executable: PathBuf,
    /// Version of the program: the runtime's, and the tag of the built-in image.
    pub version: String,
    /// cgroup below which all `cgroup_parent`s lie, without a leading `/`.
    pub cgroup_root: String,
    /// Image whose program holds a sandbox's namespaces in place of the built-in one; pulled if missing.
    pub pause_image: Option<String>,
    /// How registries are reached.
    pub registry: RegistryConfig,
    /// Addresses of this node's sandboxes.
    pub pod_cidr: Ipv4Cidr,
    /// Addresses of all nodes' sandboxes; contains `pod_cidr`.
    pub cluster_cidr: Ipv4Cidr,
    /// Addresses of all nodes, this one's first.
    pub node_addresses: Vec<std::net::Ipv4Addr>,
    /// How large a container's log may grow; none if the caller rotates it.
    pub log_limit: Option<LogLimit>,
    /// Largest packet on a sandbox's link; that of the link to the outside if not given.
    pub mtu: Option<u32>,
}

/// Why a node's runtime cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A directory cannot be used.
    #[error("directory {path:?} cannot be used")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The image store.
    #[error("image store cannot be opened")]
    Images(#[from] podo_image::service::OpenError),
    /// The built-in image.
    #[error("built-in image cannot be registered")]
    Builtin(#[from] podo_image::layer::LayerError),
    /// The network.
    #[error("network cannot be opened")]
    Network(#[from] NetworkError),
    /// The runtime.
    #[error("sandboxes cannot be found")]
    Runtime(#[from] RuntimeError),
    /// The program ends.
    #[error("opening was interrupted")]
    Interrupted,
}

/// What opening had to take away or repair. All zero unless there was a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Sandboxes that were never finished, or whose record is lost.
    pub sandboxes: usize,
    /// Containers likewise.
    pub containers: usize,
    /// Root file systems and mounts that nobody had.
    pub root_file_systems: usize,
    /// Addresses, links, rules, host ports, pins.
    pub network: Reconciled,
    /// Files that could not be taken away; they are tried again at the next opening.
    pub leaks: usize,
}

impl Repaired {
    /// Whether nothing had to be done.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}
