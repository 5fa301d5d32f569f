//! The node's own cgroups, in every hierarchy: taken away when nothing is in them any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use podo_runtime::mountinfo::entries;

/// cgroups within each other below the node's: QoS class, Pod, container and what a container makes itself.
const DEPTH_MAX: usize = 64;

/// Removes the cgroup `path` and those below it in every hierarchy. One with processes in it is an error.
pub(super) fn remove(path: &str) -> io::Result<()> {
    let path = path.trim_matches('/');
    if path.is_empty() || path.split('/').any(|name| name.is_empty() || name == "..") {
        return Ok(()); // Nothing of our own: the hierarchy's root is everybody's.
    }
    let mounts = mounts(&fs::read_to_string("/proc/self/mountinfo")?);
    mounts.iter().try_for_each(|mount| remove_tree(&mount.join(path), 0))
}

/// Where cgroup hierarchies are mounted, from the text of `/proc/PID/mountinfo`.
fn mounts(mountinfo: &str) -> Vec<PathBuf> {
    let cgroups = entries(mountinfo).filter(|entry| matches!(entry.kind, "cgroup" | "cgroup2"));
    cgroups.map(|entry| entry.point).collect()
}

fn remove_tree(path: &Path, depth: usize) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() && depth < DEPTH_MAX {
            remove_tree(&entry.path(), depth + 1)?;
        }
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hierarchy_is_found_and_nothing_else() {
        let text = "\
30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 24 0:29 / /data rw - ext4 /dev/vda rw\n";
        let expected = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"].map(PathBuf::from);
        assert_eq!(mounts(text), expected);
    }

    #[test]
    fn the_root_of_a_hierarchy_is_never_touched() {
        for path in ["", "/", "a/../..", "a//b"] {
            assert!(remove(path).is_ok(), "{path:?}");
        }
    }
}
