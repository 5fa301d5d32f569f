//! What a node needs of the kernel, asked before anything is started: a Pod that cannot run for want of it would tell too late, in the
//! words of whatever failed first.
//!
//! Not here: what opening the network asks of the kernel and tells by itself.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use podo_runtime::cgroup::Layout;
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::mount::{FsOpenFlags, fsopen};

use crate::exit::{Class, Failure};

/// The namespaces that a Pod gets.
const NAMESPACES: [&str; 6] = ["mnt", "pid", "net", "ipc", "uts", "cgroup"];
/// The controllers without which a Pod's limits would hold for nothing.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// Packets are passed on between Pods and the outside by it.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// The first thing that the kernel lacks.
pub(crate) fn check() -> Result<(), Failure> {
    namespaces(Path::new("/proc/self/ns"))?;
    seccomp(Path::new("/proc/sys/kernel/seccomp/actions_avail"))?;
    overlay(fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map(drop))?;
    let layout = Layout::detect().map_err(|error| {
        lacks(format!("cgroups cannot be used: {error}"))
            .with_hint("mount them: mount -t cgroup2 none /sys/fs/cgroup")
    })?;
    CONTROLLERS.into_iter().try_for_each(|name| controller(name, layout.mount_of(name)))?;
    forwarding(Path::new(FORWARDING))
}

fn lacks(what: impl Into<String>) -> Failure {
    Failure::new(Class::Unavailable, what)
}

fn namespaces(folder: &Path) -> Result<(), Failure> {
    match NAMESPACES.into_iter().find(|name| fs::symlink_metadata(folder.join(name)).is_err()) {
        None => Ok(()),
        Some(name) => Err(lacks(format!("the kernel has no {name} namespaces"))
            .with_hint("use a kernel with CONFIG_NAMESPACES and all below it, and mount /proc")),
    }
}

fn seccomp(actions: &Path) -> Result<(), Failure> {
    if actions.exists() {
        return Ok(());
    }
    Err(lacks("the kernel cannot filter system calls (seccomp)")
        .with_hint("use a kernel with CONFIG_SECCOMP_FILTER"))
}

fn overlay(opened: rustix::io::Result<()>) -> Result<(), Failure> {
    opened.map_err(|error| {
        lacks(format!(
            "the kernel cannot join an image's layers (overlay): {}",
            io::Error::from(error)
        ))
        .with_hint("load it: modprobe overlay")
    })
}

/// A controller is mounted, is one of those that a v2 hierarchy has, and can be written.
fn controller(name: &str, mount: Option<&Path>) -> Result<(), Failure> {
    let missing = || {
        lacks(format!("no cgroup hierarchy with the controller {name} is mounted"))
            .with_hint("mount -t cgroup2 none /sys/fs/cgroup, and boot with cgroup_enable=memory where the kernel wants that")
    };
    let mount = mount.ok_or_else(missing)?;
    // Only v2 has the file.
    let listed = fs::read_to_string(mount.join("cgroup.controllers"));
    if listed.is_ok_and(|listed| !listed.split_whitespace().any(|listed| listed == name)) {
        return Err(missing());
    }
    let flags = statvfs(mount).map(|status| status.f_flag);
    if flags.is_ok_and(|flags| flags.contains(StatVfsMountFlags::RDONLY)) {
        return Err(lacks(format!("{} is mounted read-only", mount.display())).with_hint(format!(
            "mount it writable: mount -o remount,rw {}, or start the container that podo runs in as privileged",
            mount.display()
        )));
    }
    Ok(())
}

/// Forwarding is on, or can be set.
fn forwarding(setting: &Path) -> Result<(), Failure> {
    if fs::read_to_string(setting).is_ok_and(|value| value.trim_end() == "1") {
        return Ok(());
    }
    match OpenOptions::new().write(true).open(setting) {
        Ok(_) => Ok(()),
        Err(error) => Err(lacks(format!(
            "packets are not forwarded on this host, and {} cannot be set: {error}",
            setting.display()
        ))
        .with_hint("set it: sysctl -w net.ipv4.ip_forward=1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_missing(result: Result<(), Failure>, text: &str) {
        let failure = result.expect_err("it is missing");
        assert!(failure.message().contains(text), "{}", failure.message());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        is_missing(namespaces(folder.path()), "no mnt namespaces");
        is_missing(seccomp(&path("actions")), "seccomp");
        is_missing(overlay(Err(rustix::io::Errno::NODEV)), "overlay");
        is_missing(controller("memory", None), "controller memory");
        fs::write(path("cgroup.controllers"), "cpu pids\n").expect("written");
        is_missing(controller("memory", Some(folder.path())), "controller memory");
        is_missing(forwarding(&path("nosuch/ip_forward")), "cannot be set");
    }

    #[test]
    fn what_is_there_passes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in NAMESPACES {
            fs::write(path(name), "").expect("written");
        }
        fs::write(path("cgroup.controllers"), "cpu memory pids\n").expect("written");
        fs::write(path("ip_forward"), "0\n").expect("written");
        let all = namespaces(folder.path())
            .and_then(|()| seccomp(&path("mnt")))
            .and_then(|()| overlay(Ok(())))
            .and_then(|()| controller("memory", Some(folder.path())))
            .and_then(|()| forwarding(&path("ip_forward")));
        assert!(all.is_ok(), "{all:?}");
    }
}
