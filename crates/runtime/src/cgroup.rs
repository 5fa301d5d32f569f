//! Control groups by their files: v1, hybrid and v2.
//!
//! A [`Cgroup`] is one path in every hierarchy that matters. Controllers are used where they are mounted; a v2 mount
//! without controllers (hybrid) still gives what only v2 has: birth in the cgroup, kill, freeze, "populated".
//! Reads and writes only files below the mounts; knows no container.

mod device;
mod layout;
mod setting;
mod stats;

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::EventfdFlags;
use rustix::fs::{Mode, OFlags};

pub use layout::Layout;
pub use stats::Stats;

use crate::spec::{DeviceRule, Resources};

/// Rounds of "kill, then try to remove" before a removal is given up.
const REMOVE_ROUNDS_MAX: u32 = 200;

/// One cgroup.
#[derive(Clone, Debug)]
pub struct Cgroup {
    layout: Layout,
    path: String,
}

/// What wakes when memory ran out in a cgroup.
pub(crate) struct OomWatch {
    /// v1: an eventfd that becomes readable. v2: `memory.events`, which raises a priority event.
    pub(crate) fd: OwnedFd,
    pub(crate) is_v2: bool,
}

impl Cgroup {
    /// The cgroup at `path` (relative, as `pods/pod1/c1`), which need not exist.
    pub fn new(layout: &Layout, path: impl Into<String>) -> Self {
        Self { layout: layout.clone(), path: path.into() }
    }

    /// Its path below the mounts.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn directory(&self, mount: &Path) -> PathBuf {
        mount.join(&self.path)
    }

    /// Its directory in the hierarchy of a controller.
    pub(crate) fn of(&self, controller: &str) -> Option<PathBuf> {
        self.layout.mount_of(controller).map(|mount| self.directory(mount))
    }

    fn unified(&self) -> Option<PathBuf> {
        self.layout.unified().map(|mount| self.directory(mount))
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.layout.mounts().map(|mount| self.directory(mount))
    }

    /// Makes it, and what is missing above it, in every hierarchy.
    pub fn create(&self) -> io::Result<()> {
        for mount in self.layout.mounts() {
            let has_cpuset = self.layout.is_v1_mount_of("cpuset", mount);
            let is_v2 = self.layout.unified() == Some(mount) && self.layout.has_v2_controllers();
            let mut directory = mount.to_path_buf();
            for name in self.path.split('/') {
                if is_v2 {
                    enable_controllers(&directory)?;
                }
                let parent = directory.clone();
                directory.push(name);
                match fs::create_dir(&directory) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    _ if has_cpuset => {
                        // Another may have made it and not have come so far: what is made in it must not inherit nothing.
                        inherit_cpuset(&parent, &directory)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether it exists in any hierarchy.
    pub fn exists(&self) -> bool {
        self.directories().any(|directory| directory.exists())
    }

    /// Sets limits.
    pub fn set(&self, resources: &Resources) -> io::Result<()> {
        setting::apply(self, resources)
    }

    /// Denies every device but those that the rules, in their order, allow.
    pub(crate) fn set_devices(&self, rules: &[DeviceRule]) -> io::Result<()> {
        if let Some(directory) =
            self.layout.v1_mount_of("devices").map(|mount| self.directory(mount))
        {
            return device::apply_v1(&directory, rules);
        }
        match self.unified() {
            Some(directory) => device::apply_v2(&directory, rules),
            None => Ok(()),
        }
    }

    /// The v2 directory in which a process can be born, where there is one.
    pub(crate) fn birthplace(&self) -> io::Result<Option<OwnedFd>> {
        let Some(directory) = self.unified() else { return Ok(None) };
        Ok(Some(rustix::fs::open(
            directory,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?))
    }

    /// Moves the calling process into it in every v1 hierarchy (and on v2, unless it was born there).
    ///
    /// Writing "0" to `tasks` moves one thread, which needs no lock over all processes, unlike `cgroup.procs`.
    pub(crate) fn join(&self, is_born_there: bool) -> io::Result<()> {
        for mount in self.layout.v1_mounts() {
            write(&self.directory(mount).join("tasks"), "0")?;
        }
        match self.unified() {
            Some(directory) if !is_born_there => write(&directory.join("cgroup.procs"), "0"),
            _ => Ok(()),
        }
    }

    /// Its processes and those of the cgroups that were made in it, in whichever hierarchy has them.
    pub fn processes(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = Vec::new();
        for directory in self.directories().flat_map(tree) {
            let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            pids.extend(
                text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0),
            );
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Kills every process in it.
    pub fn kill(&self) {
        if let Some(directory) = self.unified() {
            let _ = write(&directory.join("cgroup.kill"), "1"); // Absent before Linux 5.14.
        }
        // Those that v2 does not know to be here, and everything on v1. A process that forks meanwhile is met by the
        // caller's next round.
        for pid in self.processes() {
            let _ = crate::sys::misc::kill(pid, libc::SIGKILL);
        }
        let _ = self.freeze(false); // A frozen v1 process would never get the signal.
    }

    /// Stops or continues all its processes.
    pub fn freeze(&self, freeze: bool) -> io::Result<()> {
        if let Some(directory) =
            self.layout.v1_mount_of("freezer").map(|mount| self.directory(mount))
        {
            return write(
                &directory.join("freezer.state"),
                if freeze { "FROZEN" } else { "THAWED" },
            );
        }
        match self.unified() {
            Some(directory) => {
                write(&directory.join("cgroup.freeze"), if freeze { "1" } else { "0" })
            }
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Removes it where it is empty; `false` while a process or a child cgroup is left in one.
    pub fn try_remove(&self) -> io::Result<bool> {
        remove_all(self.directories())
    }

    /// The same with the cgroups that its own processes made in it, as a container may that has a writable `/sys/fs/cgroup`.
    pub(crate) fn try_remove_tree(&self) -> io::Result<bool> {
        remove_all(self.directories().flat_map(tree))
    }

    /// Kills what is in it and removes it; gives up with `EBUSY` after two seconds.
    pub fn remove(&self) -> io::Result<()> {
        for _ in 0..REMOVE_ROUNDS_MAX {
            if self.try_remove_tree()? {
                return Ok(());
            }
            self.kill();
            self.wait_for_an_end();
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }

    /// Waits up to 10 ms for one of its processes to end.
    fn wait_for_an_end(&self) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let ends = self.processes().into_iter().find_map(|pid| {
            let pid = rustix::process::Pid::from_raw(pid)?;
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
        });
        let mut fds: Vec<PollFd<'_>> =
            ends.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let limit = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        let _ = poll(&mut fds, Some(&limit));
    }

    /// Times that the kernel killed in it for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let Some(directory) = self.of("memory") else { return 0 };
        let file = if self.layout.is_v2("memory") { "memory.events" } else { "memory.oom_control" };
        stats::field(&fs::read_to_string(directory.join(file)).unwrap_or_default(), "oom_kill")
            .unwrap_or(0)
    }

    /// Something to wait on for a want of memory; `None` where memory is not accounted.
    pub(crate) fn watch_oom(&self) -> io::Result<Option<OomWatch>> {
        let Some(directory) = self.of("memory") else { return Ok(None) };
        let open = |name: &str| -> io::Result<OwnedFd> {
            Ok(rustix::fs::open(
                directory.join(name),
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )?)
        };
        if self.layout.is_v2("memory") {
            return Ok(Some(OomWatch { fd: open("memory.events")?, is_v2: true }));
        }
        let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let control = open("memory.oom_control")?;
        let registration = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
        write(&directory.join("cgroup.event_control"), &registration)?;
        Ok(Some(OomWatch { fd, is_v2: false }))
    }

    /// What it uses.
    pub fn stats(&self) -> io::Result<Stats> {
        stats::read(self)
    }
}

impl OomWatch {
    /// Takes note of what has happened: until then the descriptor stays ready. A v2 file is ready from the start, and until it
    /// is read through this descriptor.
    pub(crate) fn take(&self) {
        let mut buffer = [0_u8; 512];
        let _ = if self.is_v2 {
            rustix::io::pread(&self.fd, &mut buffer, 0)
        } else {
            rustix::io::read(&self.fd, &mut buffer[..8])
        };
    }
}

/// How deep cgroups in a container's cgroup are looked for.
const TREE_DEPTH_MAX: usize = 64;

/// A cgroup's directory and those in it, the deepest first.
fn tree(directory: PathBuf) -> Vec<PathBuf> {
    fn add(directory: PathBuf, depth: usize, found: &mut Vec<PathBuf>) {
        let children = fs::read_dir(&directory).into_iter().flatten().flatten();
        for child in children.filter(|_| depth < TREE_DEPTH_MAX) {
            if child.file_type().is_ok_and(|kind| kind.is_dir()) {
                add(child.path(), depth + 1, found);
            }
        }
        found.push(directory);
    }
    let mut found = Vec::new();
    add(directory, 0, &mut found);
    found
}

fn remove_all(directories: impl Iterator<Item = PathBuf>) -> io::Result<bool> {
    let mut is_gone = true;
    for directory in directories {
        match fs::remove_dir(&directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => is_gone = false,
            Err(error) => return Err(error),
        }
    }
    Ok(is_gone)
}

/// Denies the cgroup v2 directory every device but the standard ones, by a program in the kernel.
pub fn attach_default_devices(directory: &Path) -> io::Result<()> {
    device::apply_v2(directory, &crate::defaults::device_rules())
}

/// Writes a control file in one call, as the kernel wants it.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {}", path.display(), crate::error::plain(&error)))
    };
    match fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
    {
        Err(error) if error.raw_os_error().is_none_or(|code| code == libc::EINVAL) => {
            Err(named(error))
        }
        result => result,
    }
}

/// v2: lets the children of `directory` have every controller that it has itself.
fn enable_controllers(directory: &Path) -> io::Result<()> {
    let available = fs::read_to_string(directory.join("cgroup.controllers"))?;
    let enabled = fs::read_to_string(directory.join("cgroup.subtree_control"))?;
    let is_missing = |name: &&str| !enabled.split_whitespace().any(|known| known == *name);
    let missing: Vec<String> =
        available.split_whitespace().filter(is_missing).map(|name| format!("+{name}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    write(&directory.join("cgroup.subtree_control"), &missing.join(" "))
}

/// v1: a new cpuset takes no process until it has CPUs and memory nodes.
fn inherit_cpuset(parent: &Path, child: &Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if fs::read_to_string(child.join(file))?.trim().is_empty() {
            write(&child.join(file), fs::read_to_string(parent.join(file))?.trim())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
