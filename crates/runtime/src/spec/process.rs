//! A process: what runs, as whom, with which powers.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use crate::seccomp::Program;

/// What runs, as whom, with which powers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessSpec {
    /// Program and arguments. A program without `/` is looked up in the `PATH` of `env`.
    pub args: Vec<String>,
    /// `NAME=VALUE`, any bytes but zero. `HOME` is added from the image's `/etc/passwd` if missing.
    #[serde(with = "super::text")]
    pub env: Vec<OsString>,
    /// Working directory inside, made if missing; empty means `/`.
    pub cwd: String,
    /// As whom.
    pub user: UserSpec,
    /// Bit set of capabilities (bit n = capability n): bounding, permitted and effective. Inheritable and ambient are
    /// always empty (CVE-2022-29162). [`crate::capabilities::DEFAULT`].
    pub capabilities: u64,
    /// Nothing that it executes can gain powers.
    pub no_new_privileges: bool,
    /// System call filter; none is unconfined.
    pub seccomp: Option<Program>,
    /// Resource limits; what is not named is the shim's.
    pub limits: Vec<ResourceLimit>,
    /// `oom_score_adj`, -1000 … 1000. Lowering may be refused by the kernel; that is tolerated.
    pub oom_score_adj: Option<i32>,
    /// File mode creation mask; none means 0o022.
    pub umask: Option<u32>,
}

/// As whom a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserSpec {
    /// `""`, `user`, `uid`, `user:group`, `uid:gid`, as an image's `USER`. Names are looked up in the container's root.
    pub user: String,
    /// Primary group in place of the image's.
    pub gid: Option<u32>,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Also the groups that the image's `/etc/group` gives to the user.
    pub merge_image_groups: bool,
}

/// One `setrlimit` limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// `RLIMIT_*` number.
    pub resource: u32,
    /// In the resource's own unit; `u64::MAX` is none.
    pub soft: u64,
    /// Ceiling of the soft limit.
    pub hard: u64,
}

/// One more process in a running container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecSpec {
    /// The container.
    pub container: String,
    /// Program and arguments; everything else is as for the container's own process.
    pub args: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<String>,
    /// Instead of the container's.
    pub cwd: Option<String>,
    /// Instead of the container's.
    pub user: Option<UserSpec>,
    /// A terminal instead of pipes.
    pub tty: bool,
    /// With a terminal: its first size.
    pub size: Option<WindowSize>,
    /// Without a terminal: open a pipe for standard input (else `/dev/null`).
    pub stdin: bool,
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}
