//! The sandbox: the namespaces that a group of containers shares.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ProcessSpec, Resources, Rootfs};

/// The namespaces that containers share, and the process that holds them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxSpec {
    /// Names the sandbox's directory below the run directory: letters, digits, `.`, `_`, `-`; at most 128.
    pub id: String,
    /// Host name in the sandbox's UTS namespace; none keeps the host's. Without effect on a host network.
    pub hostname: Option<String>,
    /// Whose network the containers see.
    pub network: NetworkMode,
    /// Whose processes the containers see.
    pub pid: PidMode,
    /// Use the host's IPC namespace and its `/dev/shm`.
    pub host_ipc: bool,
    /// Ids inside that differ from the host's.
    pub user_namespace: Option<UserNamespace>,
    /// Namespaced kernel settings, `net.ipv4.ip_forward` style; what is not namespaced is refused.
    pub sysctls: BTreeMap<String, String>,
    /// Size of the `/dev/shm` that all containers share; 0 means 64 MiB.
    pub shm_bytes: u64,
    /// cgroup of the whole group, below each hierarchy's mount: `kubepods/pod1234`. Made if missing.
    pub cgroup: String,
    /// Limits of that cgroup.
    pub resources: Resources,
    /// A program of an image that holds the namespaces in place of the built-in pause.
    pub pause: Option<PauseImage>,
    /// `oom_score_adj` of the pause process and the shim.
    pub oom_score_adj: Option<i32>,
    /// The caller's own data, given back by [`crate::list`].
    pub annotations: BTreeMap<String, String>,
}

/// Whose network a sandbox has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// A new network namespace with its loopback up, bound to a file at this path (made) until the sandbox is removed.
    Pinned(PathBuf),
    /// A new network namespace that only the sandbox's processes hold.
    #[default]
    Private,
    /// The host's network, and with it the host's UTS namespace.
    Host,
}

/// Whose processes a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PidMode {
    /// Each container its own.
    #[default]
    Container,
    /// One PID namespace for the sandbox, with the pause process as its init.
    Sandbox,
    /// The host's.
    Host,
}

/// A user namespace for the sandbox and all its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNamespace {
    /// User ids; the id 0 inside must be mapped.
    pub uids: Vec<IdMap>,
    /// Group ids; the id 0 inside must be mapped.
    pub gids: Vec<IdMap>,
}

impl UserNamespace {
    /// The host's (uid, gid) of root inside.
    pub(crate) fn root_ids(&self) -> (u32, u32) {
        let of = |maps: &[IdMap]| maps.iter().find(|map| map.inside == 0).map_or(0, |map| map.host);
        (of(&self.uids), of(&self.gids))
    }
}

/// A range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id on the host.
    pub host: u32,
    /// How many.
    pub count: u32,
}

/// A pause program out of an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PauseImage {
    /// Its file system; always mounted read-only.
    pub rootfs: Rootfs,
    /// The program.
    pub process: ProcessSpec,
}
