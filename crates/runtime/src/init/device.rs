//! `/dev`: a small tmpfs with the standard devices, and the container's own terminals.
//!
//! Everything is made while the mount is still detached, so nothing of the image or of another container can lie in the
//! way (CVE-2025-31133, CVE-2025-52565 and their kin need a path that somebody can exchange).

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::pty::OpenptFlags;

use super::rootfs::filesystem;
use crate::error::{At, Fault, FaultKind};
use crate::paths::{self, Want};
use crate::spec::{Device, DeviceKind, UserNamespace, WindowSize};
use crate::sys::mount_attr::{NOEXEC, NOSUID};

/// Devices of the host that a privileged container gets; a machine has some hundreds.
const HOST_DEVICES_MAX: usize = 8192;

/// Not devices, or each container's own.
const NOT_HOST_DEVICES: [&str; 9] =
    ["pts", "shm", "fd", "mqueue", "console", "lxc", "lxd-fuse", ".lxc", ".udev"];

/// The container's `/dev`, detached.
pub(super) fn prepare(
    devices: &[Device],
    is_privileged: bool,
    has_terminal: bool,
    user: Option<&UserNamespace>,
) -> Result<OwnedFd, Fault> {
    let (uid, gid) = user.map_or((0, 0), UserNamespace::root_ids);
    let options =
        [("mode", "755"), ("size", "65536k"), ("uid", &uid.to_string()), ("gid", &gid.to_string())];
    let dev = filesystem("tmpfs", &options, NOSUID)?;
    let here = dev.as_fd();
    for (name, major, minor) in crate::defaults::DEVICES {
        node(here, Path::new(name), FileType::CharacterDevice, (major, minor), 0o666, (uid, gid))?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
        ("core", "/proc/kcore"),
    ] {
        rustix::fs::symlinkat(target, here, name)
            .at(FaultKind::Mount, format!("link /dev/{name}"))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        rustix::fs::mkdirat(here, name, Mode::from_raw_mode(0o755))
            .at(FaultKind::Mount, "make a directory in /dev")?;
    }
    if has_terminal {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(here, "console", flags, Mode::from_raw_mode(0o600))
            .at(FaultKind::Mount, "make /dev/console")?;
    }
    if is_privileged {
        host_devices(here, Path::new("/dev"), Path::new(""), &mut 0)?;
    }
    for device in devices {
        let inside = device.path.strip_prefix("/dev/").map(Path::new);
        let inside = inside.ok_or_else(|| {
            Fault::new(FaultKind::Invalid, format!("device {:?} is not below /dev", device.path))
        })?;
        let kind = match device.kind {
            DeviceKind::Character => FileType::CharacterDevice,
            DeviceKind::Block => FileType::BlockDevice,
        };
        let owner = (device.uid.saturating_add(uid), device.gid.saturating_add(gid));
        node(here, inside, kind, (device.major, device.minor), device.mode, owner)?;
    }
    Ok(dev)
}

fn node(
    dev: BorrowedFd<'_>,
    path: &Path,
    kind: FileType,
    number: (u32, u32),
    mode: u32,
    owner: (u32, u32),
) -> Result<(), Fault> {
    let step = || format!("make the device {path:?}");
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Fault::new(FaultKind::Invalid, step()));
    };
    let nested = if parent.as_os_str().is_empty() {
        None
    } else {
        Some(paths::ensure_in(dev, parent, Want::Directory).at(FaultKind::Mount, step())?)
    };
    let parent = nested.as_ref().map_or(dev, AsFd::as_fd);
    let device = rustix::fs::makedev(number.0, number.1);
    let mode = Mode::from_raw_mode(mode & 0o777);
    match rustix::fs::mknodat(parent, name, kind, mode, device) {
        Err(rustix::io::Errno::EXIST) => return Ok(()), // The standard one, or a host's of the same name.
        made => made.at(FaultKind::Mount, step())?,
    }
    if owner == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    rustix::fs::chownat(parent, name, Some(uid), Some(gid), rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
        .at(FaultKind::Mount, step())
}

/// The host's devices with their numbers, modes and owners.
fn host_devices(
    dev: BorrowedFd<'_>,
    host: &Path,
    inside: &Path,
    count: &mut usize,
) -> Result<(), Fault> {
    let Ok(entries) = fs::read_dir(host.join(inside)) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if inside.as_os_str().is_empty() && NOT_HOST_DEVICES.iter().any(|skipped| name == *skipped)
        {
            continue;
        }
        let path = inside.join(&name);
        let Ok(data) = entry.metadata() else { continue }; // Of a link itself, not of its target.
        if data.is_dir() && path.components().count() < 5 {
            host_devices(dev, host, &path, count)?;
        }
        let kind = match data.file_type() {
            kind if kind.is_char_device() => FileType::CharacterDevice,
            kind if kind.is_block_device() => FileType::BlockDevice,
            _ => continue,
        };
        *count += 1;
        if *count > HOST_DEVICES_MAX {
            return Err(Fault::new(
                FaultKind::Mount,
                format!("the host has more than {HOST_DEVICES_MAX} devices"),
            ));
        }
        let number = (rustix::fs::major(data.rdev()), rustix::fs::minor(data.rdev()));
        node(dev, &path, kind, number, data.mode(), (data.uid(), data.gid()))?;
    }
    Ok(())
}

/// A container's own instance of devpts. The shim keeps it to open terminals for further processes.
pub(crate) struct Terminals {
    mount: OwnedFd,
    owner: (u32, u32),
}

impl Terminals {
    /// A new instance, mounted nowhere.
    pub(crate) fn new(user: Option<&UserNamespace>) -> Result<Self, Fault> {
        const TTY_GROUP: u32 = 5; // Of every distribution, and what grantpt(3) expects.
        let owner = user.map_or((0, 0), UserNamespace::root_ids);
        let gid = owner.1.saturating_add(TTY_GROUP).to_string();
        let options = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", &gid)];
        let mount = filesystem("devpts", &options, NOSUID | NOEXEC)?;
        Ok(Self { mount, owner })
    }

    /// The mount, to be put at `/dev/pts`.
    pub(super) fn mount(&self) -> &OwnedFd {
        &self.mount
    }

    /// A new terminal: the master's side and the process' side.
    pub(crate) fn open(&self, size: Option<WindowSize>) -> Result<(OwnedFd, OwnedFd), Fault> {
        let step = "open a terminal";
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = rustix::fs::openat(&self.mount, "ptmx", flags, Mode::empty())
            .at(FaultKind::Kernel, step)?;
        rustix::pty::unlockpt(&master).at(FaultKind::Kernel, step)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let peer = rustix::pty::ioctl_tiocgptpeer(&master, flags).at(FaultKind::Kernel, step)?;
        let (uid, gid) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
        if self.owner != (0, 0) {
            rustix::fs::fchown(&peer, Some(uid), Some(gid)).at(FaultKind::Kernel, step)?;
        }
        if let Some(size) = size {
            resize(master.as_fd(), size)?;
        }
        Ok((master, peer))
    }
}

/// Sets a terminal's size.
pub(crate) fn resize(terminal: BorrowedFd<'_>, size: WindowSize) -> Result<(), Fault> {
    let size = rustix::termios::Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(terminal, size).at(FaultKind::Kernel, "resize a terminal")
}
