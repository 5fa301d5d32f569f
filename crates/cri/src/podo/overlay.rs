//! Layers of an image as one read-only tree, mounted nowhere.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};

/// A detached mount of `lower` (the topmost first) that nobody can write to, nor run programs from. `empty` is an empty
/// directory: overlayfs wants two layers where it has none to write to.
pub(super) fn read_only(lower: &[PathBuf], empty: &Path) -> io::Result<OwnedFd> {
    let mut layers: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
    if layers.len() < 2 {
        layers.push(empty);
    }
    podo_runtime::overlay::join_as_data(&layers).map_err(io::Error::other)
}

/// Mounts a detached mount at a directory. What is mounted there is nobody else's to see changes of.
pub(super) fn attach(mount: &OwnedFd, at: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(mount.as_fd(), "", rustix::fs::CWD, at, flags)?;
    Ok(mount_change(at, MountPropagationFlags::PRIVATE)?)
}

/// Takes a mount away; none is fine.
pub(super) fn detach(at: &Path) -> io::Result<()> {
    match unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
