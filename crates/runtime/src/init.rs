//! What a new process does between its birth and its program: the container's first process, a further one, the pause.
//!
//! Runs in a copy of the shim made by clone3: single-threaded, not dumpable, on an executable that nobody can write to
//! (CVE-2019-5736: the shim runs from a read-only detached mount, and so do its copies). What must be reached on the host
//! is opened before the container's namespaces are entered; afterwards everything is relative to descriptors.
//! Every failure is reported to the shim, which gives it to whoever asked.

mod attach;
mod container;
mod device;
mod exec;
mod lookup;
mod mask;
mod pause;
mod prepare;
mod program;
mod rootfs;

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

pub(crate) use container::ContainerPlan;
pub(crate) use device::{Terminals, resize};
pub(crate) use exec::ExecPlan;
pub(crate) use pause::{PausePlan, take_root as take_pause_root};

use crate::error::{At, Fault, FaultKind};
use crate::users::Identity;

/// A process' standard streams.
pub(crate) enum Streams {
    /// Ends of pipes; what is missing is `/dev/null`.
    Pipes { stdin: Option<OwnedFd>, stdout: Option<OwnedFd>, stderr: Option<OwnedFd> },
    /// The process' side of a terminal.
    Terminal(OwnedFd),
}

/// The way back to the shim: lines, and an end when the program runs (the descriptor is close-on-exec).
pub(crate) struct Report(pub(crate) OwnedFd);

/// One line of a report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReportLine {
    /// The process that will become the program, where it is not the one that the shim made.
    Pid(i32),
    /// As whom it will run.
    Identity(Identity),
    /// Why it will not run.
    Failed(Fault),
}

impl Report {
    fn line(&self, tag: char, json: &str) {
        // The shim reads or is dead; in neither case is there more to do here.
        let _ = rustix::io::write(&self.0, format!("{tag}{json}\n").as_bytes());
    }

    fn pid(&self, pid: i32) {
        self.line('P', &pid.to_string());
    }

    fn identity(&self, identity: &Identity) {
        self.line('U', &serde_json::to_string(identity).unwrap_or_default());
    }

    fn failed(&self, fault: &Fault) {
        self.line('E', &serde_json::to_string(fault).unwrap_or_default());
    }
}

impl ReportLine {
    /// Reads a line; one that makes no sense is none.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (tag, rest) = line.split_at_checked(1)?;
        match tag {
            "P" => rest.parse().ok().map(Self::Pid),
            "U" => serde_json::from_str(rest).ok().map(Self::Identity),
            "E" => serde_json::from_str(rest).ok().map(Self::Failed),
            _ => None,
        }
    }
}

/// Runs the steps of a new process; its exit code if it does not become a program.
fn finish(report: &Report, steps: Result<std::convert::Infallible, Fault>) -> i32 {
    let Err(fault) = steps;
    report.failed(&fault);
    fault.kind.exit_code()
}

/// The first steps of every new process.
fn begin(oom_score_adj: Option<i32>) -> Result<(), Fault> {
    // Nobody in the container may look into this process while it still has the host's files open (CVE-2016-9962).
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .at(FaultKind::Kernel, "hide the process")?;
    rustix::process::umask(rustix::fs::Mode::empty());
    let Some(score) = oom_score_adj else { return Ok(()) };
    match fs::write("/proc/self/oom_score_adj", score.to_string()) {
        // Lowering needs CAP_SYS_RESOURCE, which some machines withhold from root.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result.at(FaultKind::Kernel, "set oom_score_adj"),
    }
}

/// Root of the user namespace that was just entered.
fn become_root_inside() -> Result<(), Fault> {
    let root = (rustix::process::Uid::ROOT, rustix::process::Gid::ROOT);
    let done = rustix::thread::set_thread_groups(&[])
        .and_then(|()| rustix::thread::set_thread_res_gid(root.1, root.1, root.1))
        .and_then(|()| rustix::thread::set_thread_res_uid(root.0, root.0, root.0));
    done.at(FaultKind::Kernel, "become root of the user namespace")
}

/// Makes the mount behind `root`, which covers "/", the root of this mount namespace, and lets go of the old one.
fn pivot(root: &OwnedFd) -> Result<(), Fault> {
    use rustix::mount::{UnmountFlags, unmount};
    rustix::process::fchdir(root).at(FaultKind::Mount, "enter the root")?;
    // Stacks the old root over the new one at "." and takes it away again: no directory for it is needed.
    rustix::process::pivot_root(".", ".").at(FaultKind::Mount, "change the root")?;
    unmount(".", UnmountFlags::DETACH).at(FaultKind::Mount, "let go of the old root")?;
    rustix::process::chdir("/").at(FaultKind::Mount, "enter the root")
}

/// Puts the detached mount `mount` over "/".
fn cover_root(mount: &OwnedFd) -> Result<(), Fault> {
    use rustix::mount::{MoveMountFlags, move_mount};
    let done = move_mount(
        mount.as_fd(),
        "",
        rustix::fs::CWD,
        "/",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    );
    done.at(FaultKind::Mount, "mount the root")
}
