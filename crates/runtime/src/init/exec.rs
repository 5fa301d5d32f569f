//! A further process in a running container.

use std::convert::Infallible;
use std::os::fd::BorrowedFd;

use super::{Report, Streams, program};
use crate::cgroup::Cgroup;
use crate::error::{At, Fault, FaultKind};
use crate::spec::ProcessSpec;
use crate::sys::misc;

/// Everything that the new process needs from the shim. Its PID namespace is already the container's.
pub(crate) struct ExecPlan<'a> {
    pub(crate) process: &'a ProcessSpec,
    pub(crate) cgroup: &'a Cgroup,
    pub(crate) is_born_there: bool,
    /// The container's first process.
    pub(crate) container: BorrowedFd<'a>,
    /// Its namespaces to enter (`CLONE_NEW*`).
    pub(crate) namespaces: i32,
    pub(crate) streams: Streams,
    pub(crate) report: Report,
}

impl ExecPlan<'_> {
    /// Runs in the new process.
    pub(crate) fn run(self) -> i32 {
        let Self { process, cgroup, is_born_there, container, namespaces, streams, report } = self;
        let steps = || -> Result<Infallible, Fault> {
            super::begin(process.oom_score_adj)?;
            cgroup.join(is_born_there).at(FaultKind::Cgroup, "join the cgroup")?;
            misc::enter(container, namespaces).at(FaultKind::Kernel, "enter the container")?;
            if namespaces & libc::CLONE_NEWUSER != 0 {
                super::become_root_inside()?;
            }
            program::run(process, streams, &report)
        };
        let result = steps();
        super::finish(&report, result)
    }
}
