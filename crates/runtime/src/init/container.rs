//! A container's first process.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::attach::{self, System};
use super::mask::{self, Masks};
use super::prepare::{self, Prepared};
use super::{Report, Streams, Terminals, device, program, rootfs};
use crate::cgroup::{Cgroup, Layout};
use crate::error::{At, Fault, FaultKind};
use crate::paths::{self, Want};
use crate::spec::{ContainerSpec, UserNamespace};
use crate::sys::clone::{self, CloneSpec};
use crate::sys::misc;
use crate::sys::mount_attr::{self, MountChange, RDONLY};

/// Everything that the new process needs from the shim.
pub(crate) struct ContainerPlan<'a> {
    pub(crate) spec: &'a ContainerSpec,
    pub(crate) layout: &'a Layout,
    pub(crate) cgroup: &'a Cgroup,
    /// It was born in its v2 cgroup.
    pub(crate) is_born_there: bool,
    /// The pause process, whose namespaces are shared.
    pub(crate) pause: BorrowedFd<'a>,
    /// Which of them (`CLONE_NEW*`), the user namespace aside.
    pub(crate) shared: i32,
    pub(crate) user: Option<(&'a OwnedFd, &'a UserNamespace)>,
    /// With a user namespace: make the PID namespace in it.
    pub(crate) has_own_pids: bool,
    /// With a user namespace: the process whose PID namespace is joined. The helper stays out of it, else it could not tell the
    /// second process' id as the host has it.
    pub(crate) pids: Option<BorrowedFd<'a>>,
    /// Where the sandbox's `/dev/shm` is on the host.
    pub(crate) shm: PathBuf,
    pub(crate) terminals: &'a Terminals,
    pub(crate) streams: Streams,
    pub(crate) report: Report,
}

/// What was taken from the host.
struct Taken {
    root: OwnedFd,
    dev: OwnedFd,
    shm: OwnedFd,
    mounts: Vec<Prepared>,
    masks: Masks,
}

impl ContainerPlan<'_> {
    /// Runs in the new process.
    pub(crate) fn run(mut self) -> i32 {
        let taken = match self.on_the_host() {
            Ok(taken) => taken,
            Err(fault) => {
                self.report.failed(&fault);
                return fault.kind.exit_code();
            }
        };
        let streams = std::mem::replace(
            &mut self.streams,
            Streams::Pipes { stdin: None, stdout: None, stderr: None },
        );
        if self.user.is_some() {
            return self.continue_inside(taken, streams);
        }
        let steps = misc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP)
            .at(FaultKind::Kernel, "make the mount namespace")
            .and_then(|()| self.inside(taken, streams));
        super::finish(&self.report, steps)
    }

    fn on_the_host(&self) -> Result<Taken, Fault> {
        let spec = self.spec;
        super::begin(spec.process.oom_score_adj)?;
        self.cgroup.join(self.is_born_there).at(FaultKind::Cgroup, "join the cgroup")?;
        let (namespace, user) = (self.user.map(|(fd, _)| fd), self.user.map(|(_, user)| user));
        let taken = Taken {
            root: rootfs::prepare(&spec.rootfs, self.user)?,
            dev: device::prepare(&spec.devices, spec.privileged, spec.tty, user)?,
            shm: prepare::bind(&self.shm)?,
            mounts: prepare::prepare(&spec.mounts, namespace, user)?,
            masks: Masks::prepare()?,
        };
        if let Some(pids) = self.pids {
            misc::enter(pids, libc::CLONE_NEWPID)
                .at(FaultKind::Kernel, "enter the PID namespace")?;
        }
        let user = if self.user.is_some() { libc::CLONE_NEWUSER } else { 0 };
        misc::enter(self.pause, self.shared | libc::CLONE_NEWNS | user)
            .at(FaultKind::Kernel, "enter the sandbox's namespaces")?;
        Ok(taken)
    }

    /// In a user namespace the others must be made by someone inside: a second process, the shim's child as well.
    fn continue_inside(mut self, taken: Taken, streams: Streams) -> i32 {
        let pids = if self.has_own_pids { libc::CLONE_NEWPID } else { 0 };
        let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP | pids;
        // The second process goes on when its id has been reported: `go` closes.
        let (wait, go) = match super::become_root_inside().and_then(|()| {
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                .at(FaultKind::Kernel, "make a pipe")
        }) {
            Ok(pipe) => pipe,
            Err(fault) => return super::finish(&self.report, Err(fault)),
        };
        let report = rustix::io::fcntl_dupfd_cloexec(&self.report.0, 3).map(Report);
        let mut go = Some(go);
        let born =
            clone::spawn(&CloneSpec { namespaces, sibling: true, ..CloneSpec::default() }, || {
                go.take();
                let _ = rustix::io::read(&wait, &mut [0_u8; 1]);
                let steps = super::begin(None).and_then(|()| self.inside(taken, streams));
                super::finish(&self.report, steps)
            });
        match (born, report) {
            (Ok(child), Ok(report)) => {
                report.pid(child.pid.as_raw_nonzero().get());
                0
            }
            (Err(error), Ok(report)) => {
                super::finish(&report, Err(error).at(FaultKind::Kernel, "make the namespaces"))
            }
            (_, Err(_)) => FaultKind::Kernel.exit_code(),
        }
    }

    fn inside(&mut self, taken: Taken, streams: Streams) -> Result<Infallible, Fault> {
        let spec = self.spec;
        super::cover_root(&taken.root)?;
        let root = taken.root.as_fd();
        let console = match &streams {
            Streams::Terminal(terminal) => Some(terminal),
            Streams::Pipes { .. } => None,
        };
        attach::system_mounts(
            root,
            &System {
                dev: &taken.dev,
                terminals: self.terminals.mount(),
                shm: &taken.shm,
                layout: self.layout,
                is_privileged: spec.privileged,
                console,
            },
        )?;
        for mount in &taken.mounts {
            attach::requested(root, mount)?;
        }
        if !spec.privileged {
            mask::make_read_only(root, &spec.read_only_paths)?;
            taken.masks.hide(root, &spec.masked_paths)?;
        }
        if !spec.process.cwd.is_empty() {
            // Made if missing, as runc does; where it cannot be, entering it says why.
            let _ = paths::ensure_in(root, Path::new(&spec.process.cwd), Want::Directory);
        }
        if spec.read_only_root {
            let change = MountChange { set: RDONLY, ..MountChange::default() };
            mount_attr::change(root, &change).at(FaultKind::Mount, "make the root read-only")?;
        }
        super::pivot(&taken.root)?;
        drop((taken.root, taken.dev, taken.shm, taken.mounts));
        program::run(&spec.process, streams, &self.report)
    }
}
