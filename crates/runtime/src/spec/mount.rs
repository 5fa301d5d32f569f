//! Root file systems and mounts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a container's root file system comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rootfs {
    /// Layers, mounted inside the container's mount namespace only.
    Overlay(Overlay),
    /// A directory as it is.
    Directory(PathBuf),
}

impl Default for Rootfs {
    fn default() -> Self {
        Self::Directory(PathBuf::new())
    }
}

/// An overlayfs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overlay {
    /// Read-only layers, the topmost first; at least one.
    pub lower: Vec<PathBuf>,
    /// Where changes go; none makes the whole read-only. In a user namespace it is given to the root of that namespace, and
    /// new files have the host's ids of who makes them; the lower layers keep the image's.
    pub upper: Option<PathBuf>,
    /// overlayfs' work directory, on the file system of `upper`; needed with it.
    pub work: Option<PathBuf>,
    /// Do not sync the upper layer to disk: faster; lost at a power failure, when the container is lost anyway.
    pub volatile: bool,
}

/// One mount in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path inside, made if missing; resolved within the container's root.
    pub destination: String,
    /// What is mounted there.
    pub kind: MountKind,
    /// Who may write.
    #[serde(default)]
    pub read_only: ReadOnly,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// Something of the host, with the mounts below it.
    Bind {
        /// What of the host.
        source: MountSource,
        /// Whether later mounts are seen across.
        #[serde(default)]
        propagation: Propagation,
        /// In a user namespace: files keep the ids that they have inside (needs the file system's support).
        #[serde(default)]
        idmap: bool,
    },
    /// Memory, empty at first.
    Tmpfs {
        /// 0 means the kernel's default, half of memory.
        #[serde(default)]
        size_bytes: u64,
        /// Permission bits of its root.
        mode: u32,
    },
}

/// What of the host a bind mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A trusted path: links in it are followed.
    Path(PathBuf),
    /// A path below a trusted root that containers may write in: it cannot lead out of the root, whatever links it has
    /// (CVE-2017-1002101, CVE-2021-25741).
    Beneath {
        /// Trusted directory.
        root: PathBuf,
        /// Relative path below it.
        path: PathBuf,
    },
}

/// Who may write through a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadOnly {
    /// Not read-only.
    #[default]
    No,
    /// The mount itself; mounts below it stay as they are.
    Top,
    /// The mount and all mounts below it.
    Recursive,
}

/// Whether mounts made later are seen across a bind mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propagation {
    /// Neither way.
    #[default]
    Private,
    /// The host's are seen inside.
    HostToContainer,
    /// Both ways; the source's mount must be shared on the host for it to have an effect.
    Bidirectional,
}
