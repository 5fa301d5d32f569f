//! Layers of an image as one read-only tree, mounted nowhere.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, unmount,
};

/// A detached mount of `lower` (the topmost first) that nobody can write to, nor run programs from. `empty` is an empty
/// directory: overlayfs wants two layers where it has none to write to.
pub(super) fn read_only(lower: &[PathBuf], empty: &Path) -> io::Result<OwnedFd> {
    let mut layers: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
    if layers.len() < 2 {
        layers.push(empty);
    }
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let handles = set_layers(&context, &layers)?;
    fsconfig_create(&context)?;
    drop(handles);
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// One by one since Linux 6.5; before that in one text of at most 255 bytes, so by descriptor. What is returned must stay
/// open until the file system is made.
fn set_layers(context: &OwnedFd, layers: &[&Path]) -> io::Result<Vec<OwnedFd>> {
    for (index, layer) in layers.iter().enumerate() {
        match fsconfig_set_string(context.as_fd(), "lowerdir+", *layer) {
            Err(Errno::INVAL) if index == 0 => return set_layers_by_descriptor(context, layers),
            set => set?,
        }
    }
    Ok(Vec::new())
}

fn set_layers_by_descriptor(context: &OwnedFd, layers: &[&Path]) -> io::Result<Vec<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |layer: &&Path| rustix::fs::open(*layer, flags, Mode::empty());
    let handles = layers.iter().map(open).collect::<Result<Vec<OwnedFd>, Errno>>()?;
    let names = handles.iter().map(|handle| format!("/proc/self/fd/{}", handle.as_raw_fd()));
    let text = names.collect::<Vec<_>>().join(":");
    fsconfig_set_string(context.as_fd(), "lowerdir", text.as_str())?;
    Ok(handles)
}

/// Mounts a detached mount at a directory. What is mounted there is nobody else's to see changes of.
pub(super) fn attach(mount: &OwnedFd, at: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(mount.as_fd(), "", rustix::fs::CWD, at, flags)?;
    Ok(mount_change(at, MountPropagationFlags::PRIVATE)?)
}

/// Takes a mount away; none is fine.
pub(super) fn detach(at: &Path) -> io::Result<()> {
    match unmount(at, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
