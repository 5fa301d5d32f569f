//! Mounts taken from the host, detached, before the container's namespaces are entered.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use super::rootfs::{copy_tree, filesystem};
use crate::error::{At, Fault, FaultKind};
use crate::paths;
use crate::spec::{Mount, MountKind, MountSource, Propagation, ReadOnly, UserNamespace};
use crate::sys::mount_attr::{self, MountChange, NODEV, NOSUID, RDONLY};

/// A mount that only has to be put in its place.
pub(super) struct Prepared {
    pub(super) destination: PathBuf,
    pub(super) mount: OwnedFd,
    pub(super) is_directory: bool,
}

/// All mounts of a container, parents before what lies below them.
pub(super) fn prepare(
    mounts: &[Mount],
    namespace: Option<&OwnedFd>,
    user: Option<&UserNamespace>,
) -> Result<Vec<Prepared>, Fault> {
    let mut all =
        mounts.iter().map(|mount| one(mount, namespace, user)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by_key(|prepared| prepared.destination.components().count());
    Ok(all)
}

fn one(
    mount: &Mount,
    namespace: Option<&OwnedFd>,
    user: Option<&UserNamespace>,
) -> Result<Prepared, Fault> {
    let step = || format!("mount {:?}", mount.destination);
    let (detached, is_directory, propagation, idmap) = match &mount.kind {
        MountKind::Tmpfs { size_bytes, mode } => {
            let (uid, gid) = user.map_or((0, 0), UserNamespace::root_ids);
            let mut options = vec![
                ("mode", format!("{:o}", mode & 0o7777)),
                ("uid", uid.to_string()),
                ("gid", gid.to_string()),
            ];
            if *size_bytes > 0 {
                options.push(("size", size_bytes.to_string()));
            }
            let options: Vec<(&str, &str)> =
                options.iter().map(|(name, value)| (*name, value.as_str())).collect();
            (filesystem("tmpfs", &options, NOSUID | NODEV)?, true, Propagation::Private, false)
        }
        MountKind::Bind { source, propagation, idmap } => {
            let handle = open(source)?;
            let is_directory = paths::is_directory(handle.as_fd()).at(FaultKind::Mount, step())?;
            let copy = copy_tree(&handle, true).at(FaultKind::Mount, step())?;
            (copy, is_directory, *propagation, *idmap)
        }
    };
    let propagation = match propagation {
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::HostToContainer => libc::MS_SLAVE,
        Propagation::Bidirectional => 0, // The copy is a peer of the source's mount, if that is shared.
    };
    let idmap = namespace.filter(|_| idmap).map(AsFd::as_fd);
    let whole = MountChange { propagation, idmap, recursive: true, set: 0 };
    mount_attr::change(detached.as_fd(), &whole).at(FaultKind::Mount, step())?;
    if mount.read_only != ReadOnly::No {
        let recursive = mount.read_only == ReadOnly::Recursive;
        let read_only = MountChange { set: RDONLY, recursive, ..MountChange::default() };
        mount_attr::change(detached.as_fd(), &read_only).at(FaultKind::Mount, step())?;
    }
    Ok(Prepared { destination: mount.destination.clone().into(), mount: detached, is_directory })
}

fn open(source: &MountSource) -> Result<OwnedFd, Fault> {
    match source {
        MountSource::Path(path) => {
            rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .at(FaultKind::Mount, format!("open the mount source {path:?}"))
        }
        MountSource::Beneath { root, path } => paths::open_beneath(root, path)
            .at(FaultKind::Mount, format!("open {path:?} below {root:?}")),
    }
}

/// A copy of the mount at a path of the host.
pub(super) fn bind(path: &Path) -> Result<OwnedFd, Fault> {
    let step = || format!("copy the mount of {path:?}");
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let handle =
        rustix::fs::openat(CWD, path, flags, Mode::empty()).at(FaultKind::Mount, step())?;
    let copy = copy_tree(&handle, false).at(FaultKind::Mount, step())?;
    let private = MountChange { propagation: libc::MS_PRIVATE, ..MountChange::default() };
    mount_attr::change(copy.as_fd(), &private).at(FaultKind::Mount, step())?;
    Ok(copy)
}

/// Writes the namespaced settings of this process' namespaces, through a procfs of its own making: nothing that is
/// mounted anywhere can stand in its place (CVE-2019-16884, CVE-2025-52881).
pub(super) fn sysctls<'a>(
    settings: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<(), Fault> {
    let mut settings = settings.peekable();
    if settings.peek().is_none() {
        return Ok(());
    }
    let proc = filesystem("proc", &[], 0)?;
    for (name, value) in settings {
        let step = || format!("set {name}={value}");
        let path = Path::new("sys").join(name.replace('.', "/"));
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&proc, &path, flags, Mode::empty()).at(FaultKind::Kernel, step())?;
        std::io::Write::write_all(&mut fs::File::from(file), value.as_bytes())
            .at(FaultKind::Kernel, step())?;
    }
    Ok(())
}
