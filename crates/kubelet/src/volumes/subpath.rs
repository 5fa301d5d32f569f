//! `subPath`: a part of a volume, found below the volume's root whatever links its owner has put there.
//!
//! Holds always: what is bound is what the kernel found beneath the root in one look-up; nobody can change it between check and use
//! (CVE-2017-1002101, CVE-2021-25741).

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::mounter::{self, Mounter};

/// Binds `sub_path` of the volume at `root` to `target`, making what is missing on the way, for a mount that is
/// read-only as well (Kubernetes v1.36 `makeMounts`).
pub(super) fn prepare(
    mounter: &dyn Mounter,
    root: &Path,
    sub_path: &Path,
    target: &Path,
) -> io::Result<()> {
    let part = open(root, sub_path)?;
    let metadata = rustix::fs::fstat(&part)?;
    let is_dir = FileType::from_raw_mode(metadata.st_mode) == FileType::Directory;
    // A container that is started again gets what the path is now.
    while mounter::is_mount_root(target) {
        mounter.unmount(target)?;
    }
    if is_dir {
        std::fs::create_dir_all(target)?;
    } else {
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::OpenOptions::new().create(true).append(true).open(target)?;
    }
    mounter.bind(part.as_fd(), target)
}

/// Opens a path beneath a root; folders that are missing are made like the root.
fn open(root: &Path, sub_path: &Path) -> io::Result<OwnedFd> {
    let is_plain =
        sub_path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !is_plain {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "path must not contain '..'"));
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags, Mode::empty())?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&root, sub_path, flags, Mode::empty(), beneath) {
        Ok(found) => Ok(found),
        Err(rustix::io::Errno::NOENT) => make(root, sub_path),
        Err(error) => Err(error.into()),
    }
}

/// Makes the folders of a path that are missing, following no link on the way, and opens the last.
fn make(root: OwnedFd, sub_path: &Path) -> io::Result<OwnedFd> {
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&root)?.st_mode & 0o7777);
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    let mut folder = root;
    for part in sub_path.components() {
        let Component::Normal(name) = part else { continue };
        let is_new = match rustix::fs::mkdirat(&folder, name, mode) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let made = rustix::fs::openat2(&folder, name, flags, Mode::empty(), beneath)?;
        // The mode again: the process' umask took part of it away.
        if is_new {
            rustix::fs::fchmod(&made, mode)?;
        }
        folder = made;
    }
    Ok(folder)
}
