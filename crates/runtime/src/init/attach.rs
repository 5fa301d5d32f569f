//! Putting mounts in their places inside the container's root.
//!
//! A place is a descriptor that the kernel resolved within the root; the mount goes onto that descriptor, not onto a path
//! (CVE-2021-30465). Places for `/proc`, `/sys`, `/dev` must be real directories (CVE-2019-19921), and nothing may be
//! mounted inside a procfs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::{MoveMountFlags, move_mount};

use super::prepare::Prepared;
use super::rootfs::{copy_tree, filesystem};
use crate::cgroup::Layout;
use crate::error::{At, Fault, FaultKind};
use crate::paths::{self, Want};
use crate::sys::mount_attr::{NODEV, NOEXEC, NOSUID, RDONLY};

const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// Controllers that programs in containers read: limits and use of processor and memory.
const SHOWN_CONTROLLERS: [&str; 6] = ["cpu", "cpuacct", "cpuset", "memory", "pids", "hugetlb"];

/// Puts a detached mount onto a descriptor.
pub(super) fn onto(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags)
}

/// Puts a mount of the system's own at a directory that must not be reached through links.
fn system(root: BorrowedFd<'_>, mount: &OwnedFd, path: &str) -> Result<(), Fault> {
    let step = || format!("mount {path}");
    let path = Path::new(path);
    // Makes it if it is missing; the second look refuses one that is reached through a link.
    paths::ensure_in(root, path, Want::Directory).at(FaultKind::Mount, step())?;
    let place = paths::open_without_links(root, path).at(FaultKind::Mount, step())?;
    onto(mount.as_fd(), place.as_fd()).at(FaultKind::Mount, step())
}

/// What the attachment of the system's own file systems needs.
pub(super) struct System<'a> {
    pub(super) dev: &'a OwnedFd,
    pub(super) terminals: &'a OwnedFd,
    pub(super) shm: &'a OwnedFd,
    pub(super) layout: &'a Layout,
    pub(super) is_privileged: bool,
    pub(super) console: Option<&'a OwnedFd>,
}

/// `/proc`, `/dev` and what is in it, `/sys` and the cgroups in it. Must run in the container's namespaces: each of these
/// file systems shows those of its maker.
pub(super) fn system_mounts(root: BorrowedFd<'_>, parts: &System<'_>) -> Result<(), Fault> {
    let strict = NOSUID | NODEV | NOEXEC;
    system(root, &filesystem("proc", &[], strict)?, "/proc")?;
    system(root, parts.dev, "/dev")?;
    system(root, parts.terminals, "/dev/pts")?;
    system(root, &filesystem("mqueue", &[], strict)?, "/dev/mqueue")?;
    system(root, parts.shm, "/dev/shm")?;
    if let Some(terminal) = parts.console {
        let step = "mount /dev/console";
        let place = paths::open_without_links(root, Path::new("/dev/console"))
            .at(FaultKind::Mount, step)?;
        let copy = copy_tree(terminal, false).at(FaultKind::Mount, step)?;
        onto(copy.as_fd(), place.as_fd()).at(FaultKind::Mount, step)?;
    }
    let sys = if parts.is_privileged { strict } else { strict | RDONLY };
    system(root, &filesystem("sysfs", &[], sys)?, "/sys")?;
    cgroups(root, parts.layout, sys)
}

fn cgroups(root: BorrowedFd<'_>, layout: &Layout, attributes: u64) -> Result<(), Fault> {
    if layout.has_v2_controllers() {
        return system(root, &filesystem("cgroup2", &[], attributes)?, "/sys/fs/cgroup");
    }
    let top = filesystem("tmpfs", &[("mode", "755"), ("size", "64k")], NOSUID | NODEV | NOEXEC)?;
    system(root, &top, "/sys/fs/cgroup")?;
    for (mount, controllers) in layout.v1() {
        if !controllers.iter().all(|name| SHOWN_CONTROLLERS.contains(&name.as_str())) {
            continue;
        }
        let Some(name) = mount.file_name().and_then(|name| name.to_str()) else { continue };
        let options: Vec<(&str, &str)> =
            controllers.iter().map(|controller| (controller.as_str(), "")).collect();
        system(
            root,
            &filesystem("cgroup", &options, attributes)?,
            &format!("/sys/fs/cgroup/{name}"),
        )?;
        for controller in controllers.iter().filter(|controller| *controller != name) {
            let _ = rustix::fs::symlinkat(name, &top, controller.as_str()); // A convenience, as hosts have it.
        }
    }
    Ok(())
}

/// A mount that the caller asked for.
pub(super) fn requested(root: BorrowedFd<'_>, prepared: &Prepared) -> Result<(), Fault> {
    let step = || format!("mount {:?}", prepared.destination);
    let want = if prepared.is_directory { Want::Directory } else { Want::File };
    let place = paths::ensure_in(root, &prepared.destination, want).at(FaultKind::Mount, step())?;
    let filesystem = rustix::fs::fstatfs(&place).at(FaultKind::Mount, step())?;
    if filesystem.f_type == PROC_SUPER_MAGIC {
        return Err(Fault::new(
            FaultKind::Mount,
            format!("{}: nothing can be mounted inside /proc", step()),
        ));
    }
    onto(prepared.mount.as_fd(), place.as_fd()).at(FaultKind::Mount, step())
}
