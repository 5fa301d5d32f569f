//! The root file system as a detached mount.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};

use crate::error::{At, Fault, FaultKind};
use crate::overlay::{self, Layers, directory};
use crate::spec::{Overlay, Rootfs, UserNamespace};
use crate::sys::mount_attr::{self, MountChange};

/// A new detached mount of a file system without a source.
pub(super) fn filesystem(
    kind: &str,
    options: &[(&str, &str)],
    attributes: u64,
) -> Result<OwnedFd, Fault> {
    let step = |what: &str| format!("{what} {kind}");
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at(FaultKind::Mount, step("open"))?;
    for (name, value) in options {
        let set = if value.is_empty() {
            fsconfig_set_flag(&context, *name)
        } else {
            fsconfig_set_string(&context, *name, *value)
        };
        set.at(FaultKind::Mount, format!("set {name}={value} of {kind}"))?;
    }
    fsconfig_create(&context).at(FaultKind::Mount, step("make"))?;
    // fsmount(2) takes the low half of what mount_setattr(2) takes.
    let attributes = MountAttrFlags::from_bits_truncate(u32::try_from(attributes).unwrap_or(0));
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).at(FaultKind::Mount, step("mount"))
}

/// A detached copy of what is mounted at a handle.
pub(super) fn copy_tree(handle: &OwnedFd, is_recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if is_recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(handle.as_fd(), "", flags)
}

/// Opens a layer; through the user namespace's ids if there is one.
fn layer(path: &Path, user_namespace: Option<&OwnedFd>) -> Result<OwnedFd, Fault> {
    let handle = directory(path)?;
    let Some(namespace) = user_namespace else { return Ok(handle) };
    let copy =
        copy_tree(&handle, false).at(FaultKind::Mount, format!("copy the mount of {path:?}"))?;
    let change = MountChange { idmap: Some(namespace.as_fd()), ..MountChange::default() };
    mount_attr::change(copy.as_fd(), &change)
        .at(FaultKind::Mount, format!("map the ids of {path:?}"))?;
    Ok(copy)
}

/// The root file system of a spec, detached, with private propagation.
pub(crate) fn prepare(
    rootfs: &Rootfs,
    user: Option<(&OwnedFd, &UserNamespace)>,
) -> Result<OwnedFd, Fault> {
    let user_namespace = user.map(|(namespace, _)| namespace);
    let mount = match rootfs {
        Rootfs::Overlay(overlay) => overlay::join(|| layers(overlay, user))?,
        Rootfs::Directory(path) => {
            let copy = copy_tree(&directory(path)?, false);
            let copy = copy.at(FaultKind::Mount, format!("copy the mount of {path:?}"))?;
            let idmap = user_namespace.map(AsFd::as_fd);
            mount_attr::change(copy.as_fd(), &MountChange { idmap, ..MountChange::default() })
                .at(FaultKind::Mount, format!("map the ids of {path:?}"))?;
            copy
        }
    };
    let private = MountChange { propagation: libc::MS_PRIVATE, ..MountChange::default() };
    mount_attr::change(mount.as_fd(), &private).at(FaultKind::Mount, "make the root private")?;
    Ok(mount)
}

fn layers(overlay: &Overlay, user: Option<(&OwnedFd, &UserNamespace)>) -> Result<Layers, Fault> {
    if user.is_some() && !overlay::takes_detached_layers() {
        return Err(Fault::new(FaultKind::Mount, "users of a Pod's own need Linux 6.5 or later"));
    }
    let namespace = user.map(|(namespace, _)| namespace);
    let lower =
        overlay.lower.iter().map(|path| layer(path, namespace)).collect::<Result<Vec<_>, _>>()?;
    let changes = match (&overlay.upper, &overlay.work) {
        (Some(upper), Some(work)) => Some((directory(upper)?, directory(work)?)),
        (None, _) => None,
        (Some(_), None) => {
            return Err(Fault::new(
                FaultKind::Invalid,
                "an overlay's upper needs its work directory",
            ));
        }
    };
    if let (Some(upper), Some((_, user))) = (&overlay.upper, user) {
        // The layers' ids are mapped; new files keep the host's ids of who makes them, and so must the directory above.
        let (uid, gid) = user.root_ids();
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::chown(upper.as_path(), Some(uid), Some(gid))
            .at(FaultKind::Mount, format!("give {upper:?} to the user namespace"))?;
    }
    Ok(Layers { lower, changes, volatile: overlay.volatile })
}
