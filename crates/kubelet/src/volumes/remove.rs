//! Removing a Pod's folder: links are removed and not followed, mounts are unmounted before what is below them is touched.

use std::io;
use std::path::Path;

use super::mounter::{self, Mounter};

/// How deep a tree may be; deeper ones are refused rather than running out of stack.
const DEPTH_MAX: usize = 512;

/// Removes a tree. One that is not there is fine.
pub(super) fn tree(mounter: &dyn Mounter, path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => entry(mounter, path, metadata.is_dir(), 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn entry(mounter: &dyn Mounter, path: &Path, is_dir: bool, depth: usize) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other("folders are nested too deep"));
    }
    // Mounts can stand on one another.
    while mounter::is_mount_root(path) {
        mounter.unmount(path)?;
    }
    if !is_dir {
        return std::fs::remove_file(path);
    }
    for child in std::fs::read_dir(path)? {
        let child = child?;
        entry(mounter, &child.path(), child.file_type()?.is_dir(), depth + 1)?;
    }
    std::fs::remove_dir(path)
}
