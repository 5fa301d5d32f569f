//! Limits and devices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Limits of one cgroup; what is `None` is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Relative CPU time, 2 … 262144, in cgroup v1's unit (1024 = one CPU's worth).
    pub cpu_shares: Option<u64>,
    /// CPU time per period in microseconds; 0 or less means no limit.
    pub cpu_quota_us: Option<i64>,
    /// Length of a period in microseconds, 1000 … 1000000; the kernel's default is 100000.
    pub cpu_period_us: Option<u64>,
    /// CPUs, as `0-3,7`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, as `0`.
    pub cpuset_mems: Option<String>,
    /// Bytes of memory; 0 or less means no limit.
    pub memory_limit_bytes: Option<i64>,
    /// Bytes of memory and swap together; 0 or less means no limit. Skipped where the kernel does not account swap.
    pub memory_swap_bytes: Option<i64>,
    /// Processes and threads; 0 or less means no limit.
    pub pids_limit: Option<i64>,
    /// On cgroup v2: out of memory ends all processes of the cgroup, not one.
    pub oom_group: bool,
    /// Limits of huge pages: size as in the file's name (`2MB`) → bytes. Sizes that the kernel lacks are skipped.
    pub hugepages: BTreeMap<String, u64>,
    /// cgroup v2 files written as they are (`memory.min` → `1048576`); ignored on v1.
    pub unified: BTreeMap<String, String>,
}

/// Whether a device is read in characters or in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// Character device.
    Character,
    /// Block device.
    Block,
}

/// A device node in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path inside, below `/dev`.
    pub path: String,
    /// Its kind.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner inside.
    pub uid: u32,
    /// Group inside.
    pub gid: u32,
    /// What the cgroup allows: letters of `rwm`.
    pub access: String,
}

/// One rule of the device cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// `None`: both kinds.
    pub kind: Option<DeviceKind>,
    /// `None`: every number.
    pub major: Option<u32>,
    /// `None`: every number.
    pub minor: Option<u32>,
    /// Letters of `rwm`.
    pub access: String,
    /// Allowed or denied.
    pub allow: bool,
}
