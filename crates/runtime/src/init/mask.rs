//! Paths that look empty or cannot be written inside.
//!
//! What covers a path is a descriptor of the host's own null device, checked to be that device, or an empty read-only
//! tmpfs; never something that is found by a path inside (CVE-2025-31133).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::attach::onto;
use super::rootfs::{copy_tree, filesystem};
use crate::error::{At, Fault, FaultKind};
use crate::paths;
use crate::sys::mount_attr::{self, MountChange, NODEV, NOEXEC, NOSUID, RDONLY};

/// A handle of the null device, opened on the host and checked.
pub(super) fn null_device() -> Result<OwnedFd, Fault> {
    let step = "open the null device";
    let null = rustix::fs::openat(CWD, "/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let null = null.at(FaultKind::Mount, step)?;
    if is_null(null.as_fd()) {
        Ok(null)
    } else {
        Err(Fault::new(FaultKind::Mount, "/dev/null is not the null device"))
    }
}

/// Whether a descriptor is the null device, character 1:3.
pub(super) fn is_null(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(file).is_ok_and(|data| {
        FileType::from_raw_mode(data.st_mode) == FileType::CharacterDevice
            && data.st_rdev == rustix::fs::makedev(1, 3)
    })
}

/// The masks, made on the host: copies of its null device for files.
pub(super) struct Masks {
    null: OwnedFd,
}

impl Masks {
    /// Must be called where the host's mounts are seen.
    pub(super) fn prepare() -> Result<Self, Fault> {
        Ok(Self {
            null: copy_tree(&null_device()?, false).at(FaultKind::Mount, "copy the null device")?,
        })
    }

    /// Covers paths; those that do not exist need no cover.
    pub(super) fn hide(self, root: BorrowedFd<'_>, masked: &[String]) -> Result<(), Fault> {
        let mut null = Cover::Detached(self.null);
        let mut empty: Option<Cover> = None;
        for path in masked {
            let step = || format!("mask {path}");
            let Some(place) = find(root, path)? else { continue };
            let cover = if paths::is_directory(place.as_fd()).at(FaultKind::Mount, step())? {
                if empty.is_none() {
                    let attributes = RDONLY | NOSUID | NODEV | NOEXEC;
                    empty = Some(Cover::Detached(filesystem(
                        "tmpfs",
                        &[("size", "4k"), ("mode", "555")],
                        attributes,
                    )?));
                }
                empty.as_mut()
            } else {
                Some(&mut null)
            };
            if let Some(cover) = cover {
                cover.put(place.as_fd()).at(FaultKind::Mount, step())?;
            }
        }
        Ok(())
    }
}

/// Something that covers many places: the first time it is moved there, then copied from there.
enum Cover {
    Detached(OwnedFd),
    Placed(OwnedFd),
}

impl Cover {
    fn put(&mut self, place: BorrowedFd<'_>) -> rustix::io::Result<()> {
        match self {
            Self::Placed(first) => onto(copy_tree(first, false)?.as_fd(), place),
            Self::Detached(mount) => {
                onto(mount.as_fd(), place)?;
                let first = rustix::io::fcntl_dupfd_cloexec(&*mount, 3)?;
                *self = Self::Placed(first);
                Ok(())
            }
        }
    }
}

fn find(root: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>, Fault> {
    match paths::open_in(root, Path::new(path)) {
        Ok(place) => Ok(Some(place)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            Ok(None)
        }
        Err(error) => Err(error).at(FaultKind::Mount, format!("find {path}")),
    }
}

/// Makes paths read-only with all that is mounted below them.
pub(super) fn make_read_only(root: BorrowedFd<'_>, protected: &[String]) -> Result<(), Fault> {
    for path in protected {
        let step = || format!("make {path} read-only");
        let Some(place) = find(root, path)? else { continue };
        let copy = copy_tree(&place, true).at(FaultKind::Mount, step())?;
        let change = MountChange { set: RDONLY, recursive: true, ..MountChange::default() };
        mount_attr::change(copy.as_fd(), &change).at(FaultKind::Mount, step())?;
        onto(copy.as_fd(), place.as_fd()).at(FaultKind::Mount, step())?;
    }
    Ok(())
}
