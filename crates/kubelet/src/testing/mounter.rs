//! Mounts that are only noted, for tests without root.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::volumes::Mounter;

/// Notes what would be mounted.
#[derive(Debug, Default)]
pub struct NoMounts {
    mounted: Mutex<Vec<(&'static str, PathBuf)>>,
}

impl NoMounts {
    /// What would be mounted, in order: `tmpfs` or `bind`, and where.
    pub fn mounted(&self) -> Vec<(&'static str, PathBuf)> {
        self.mounted.lock().clone()
    }
}

impl Mounter for NoMounts {
    fn tmpfs(&self, target: &Path, _size_bytes: Option<u64>) -> io::Result<()> {
        self.mounted.lock().push(("tmpfs", target.to_owned()));
        Ok(())
    }

    fn bind(&self, _source: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
        self.mounted.lock().push(("bind", target.to_owned()));
        Ok(())
    }

    fn unmount(&self, _target: &Path) -> io::Result<()> {
        Ok(())
    }
}
