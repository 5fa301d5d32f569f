//! mount_setattr(2).
#![expect(unsafe_code, reason = "mount_setattr has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Mount attribute bits of `linux/mount.h`.
pub(crate) const RDONLY: u64 = 0x0000_0001;
pub(crate) const NOSUID: u64 = 0x0000_0002;
pub(crate) const NODEV: u64 = 0x0000_0004;
pub(crate) const NOEXEC: u64 = 0x0000_0008;

/// What to change of a mount.
#[derive(Default)]
pub(crate) struct MountChange<'a> {
    /// Attribute bits to set.
    pub(crate) set: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or 0.
    pub(crate) propagation: u64,
    /// Ids are seen through this user namespace.
    pub(crate) idmap: Option<BorrowedFd<'a>>,
    /// The mounts below it too.
    pub(crate) recursive: bool,
}

/// Changes the mount whose root `mount` is.
pub(crate) fn change(mount: BorrowedFd<'_>, change: &MountChange<'_>) -> io::Result<()> {
    // SAFETY: `mount_attr` is plain data for which all zeroes mean "no change".
    let mut attr: libc::mount_attr = unsafe { std::mem::zeroed() };
    attr.attr_set = change.set;
    attr.propagation = change.propagation;
    if let Some(namespace) = change.idmap {
        attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attr.userns_fd = namespace.as_raw_fd().cast_unsigned().into();
    }
    let flags = libc::AT_EMPTY_PATH | if change.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is NUL-terminated and `attr` has the size that is passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of_val(&attr),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
