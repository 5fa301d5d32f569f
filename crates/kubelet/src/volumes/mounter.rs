//! [`Mounter`]: the few mounts that volumes need, as a trait so that tests need no root.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
use rustix::mount::{MountFlags, UnmountFlags};

/// The mounts that volumes need.
pub trait Mounter: Send + Sync + std::fmt::Debug + 'static {
    /// Mounts a file system in memory; without a size it takes as much as the kernel allows.
    fn tmpfs(&self, target: &Path, size_bytes: Option<u64>) -> io::Result<()>;

    /// Shows what `source` is open on at `target`, with everything mounted below it.
    fn bind(&self, source: BorrowedFd<'_>, target: &Path) -> io::Result<()>;

    /// Takes what is mounted at `target` away, also while it is in use.
    fn unmount(&self, target: &Path) -> io::Result<()>;
}

/// Mounts by the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelMounter;

impl Mounter for KernelMounter {
    fn tmpfs(&self, target: &Path, size_bytes: Option<u64>) -> io::Result<()> {
        let size = size_bytes.map(|bytes| format!("size={bytes}")).unwrap_or_default();
        // Secrets must not be swapped out; kernels before 6.4 do not know the option.
        let with_noswap =
            if size.is_empty() { "noswap".to_owned() } else { format!("{size},noswap") };
        let mount = |options: &str| -> io::Result<()> {
            let data = CString::new(options).map_err(io::Error::other)?;
            let flags = MountFlags::NODEV | MountFlags::NOSUID;
            Ok(rustix::mount::mount("tmpfs", target, "tmpfs", flags, data.as_c_str())?)
        };
        mount(&with_noswap).or_else(|error| match error.kind() {
            io::ErrorKind::InvalidInput => mount(&size),
            _ => Err(error),
        })
    }

    fn bind(&self, source: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
        let source = format!("/proc/self/fd/{}", source.as_raw_fd());
        Ok(rustix::mount::mount_bind_recursive(source, target)?)
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        Ok(rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?)
    }
}

/// Whether something is mounted exactly there.
pub(super) fn is_mount_root(path: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(rustix::fs::CWD, path, flags, StatxFlags::TYPE)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
