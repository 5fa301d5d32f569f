//! One container.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Device, DeviceRule, Mount, ProcessSpec, Resources, Rootfs};

/// One container of a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Unique within the sandbox; the characters of a sandbox id.
    pub id: String,
    /// The first process.
    pub process: ProcessSpec,
    /// A running container of the sandbox in whose PID namespace it is; none: as the sandbox says.
    pub pid_target: Option<String>,
    /// The root file system.
    pub rootfs: Rootfs,
    /// Mount the root file system read-only.
    pub read_only_root: bool,
    /// Made in the order of their depth, after `/proc`, `/dev`, `/sys`.
    pub mounts: Vec<Mount>,
    /// Paths that look empty inside; [`crate::defaults::MASKED_PATHS`]. Ignored when privileged.
    pub masked_paths: Vec<String>,
    /// Paths that cannot be written inside; [`crate::defaults::READ_ONLY_PATHS`]. Ignored when privileged.
    pub read_only_paths: Vec<String>,
    /// Every host device, writable `/sys` and cgroups, nothing masked. Capabilities and seccomp stay the process' own.
    pub privileged: bool,
    /// Devices beyond the standard ones, allowed by their access.
    pub devices: Vec<Device>,
    /// Rules of the device cgroup beyond the standard ones.
    pub device_rules: Vec<DeviceRule>,
    /// Name of the container's cgroup below the sandbox's; empty means the id.
    pub cgroup: String,
    /// Limits of that cgroup.
    pub resources: Resources,
    /// File for standard output and error, in the CRI log format. None discards what no attached client reads.
    pub log: Option<PathBuf>,
    /// Folder that the log lies beneath and that no container can replace: from there on no link is followed, and folders that
    /// are missing are made. None: the folder that the log is in.
    pub log_root: Option<PathBuf>,
    /// How large the log may grow; none if somebody else cares.
    pub log_limit: Option<LogLimit>,
    /// What standard input is.
    pub stdin: Stdin,
    /// Standard streams are one terminal.
    pub tty: bool,
    /// Signal number that asks the container to end; 0 means SIGTERM.
    pub stop_signal: i32,
    /// The caller's own data, given back by [`crate::list`].
    pub annotations: BTreeMap<String, String>,
}

/// How large a log may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimit {
    /// A file that would grow beyond this is put aside; one entry may be larger.
    pub file_bytes_max: u64,
    /// Files kept, the one being written included; at least 1.
    pub files_max: u16,
    /// A file that is older than so many seconds is put aside when more is written; `None`: however old it is.
    #[serde(default)]
    pub age_secs_max: Option<u64>,
}

/// What a container's standard input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// Open for the container's whole life.
    Open,
    /// Ends when the first attached client ends its side.
    Once,
}
