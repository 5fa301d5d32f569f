//! `fsGroup`: files of a volume belong to a group and are open to it (Kubernetes v1.36 `pkg/volume/volume_linux.go`).
//!
//! `fsGroupChangePolicy` is about volumes that outlive their Pods; of the kinds that there are upstream gives each to its group always.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Uid};

/// What a group gets on files and folders of a volume that it may write, and that it may only read.
const WRITABLE: u32 = 0o660;
const READABLE: u32 = 0o440;
const FOLDER: u32 = 0o110 | SET_GROUP;

/// What is made in a folder with this bit is of the folder's group.
pub(super) const SET_GROUP: u32 = 0o2000;

/// Sets the permissions of a file that is not a link.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Gives a path, not what a link leads to, to a user and a group.
pub(super) fn give(path: &Path, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    if user.is_none() && group.is_none() {
        return Ok(());
    }
    // -1 means no change to the kernel and is not an id.
    let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
    Ok(rustix::fs::chownat(CWD, path, user, group, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Opens a whole tree to a group.
pub(super) fn open_to_group(path: &Path, group: u32, is_read_only: bool) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    give(path, None, Some(group))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mut mode = metadata.mode() | if is_read_only { READABLE } else { WRITABLE };
    if metadata.is_dir() {
        mode |= FOLDER;
    }
    set_mode(path, mode & 0o7777)?;
    if metadata.is_dir() {
        for child in std::fs::read_dir(path)? {
            open_to_group(&child?.path(), group, is_read_only)?;
        }
    }
    Ok(())
}
