//! Making child processes with clone3(2).
#![expect(unsafe_code, reason = "clone3 has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Pid;

/// CLONE_INTO_CGROUP of `linux/sched.h`; libc's constant is too narrow for it.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the child gets that fork(2) would not give it.
#[derive(Default)]
pub(crate) struct CloneSpec<'a> {
    /// `CLONE_NEW*` bits.
    pub(crate) namespaces: i32,
    /// Directory of a cgroup v2 in which the child is born.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// The child becomes a sibling: its parent is this process' parent.
    pub(crate) sibling: bool,
}

/// A child as its maker sees it.
pub(crate) struct Child {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

/// Runs `body` in a new process, which ends with the code that `body` returns, whatever happens in it.
///
/// The child is a copy of this process (no shared memory). The caller must be single-threaded: the copy has only the
/// calling thread, and a lock that another thread held would stay locked.
pub(crate) fn spawn(spec: &CloneSpec<'_>, body: impl FnOnce() -> i32) -> io::Result<Child> {
    let mut pidfd: i32 = -1;
    let mut flags = u64::from(spec.namespaces.cast_unsigned()) | libc::CLONE_PIDFD as u64;
    // SAFETY: `clone_args` is plain data for which all zeroes mean "nothing asked for".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.pidfd = (&raw mut pidfd) as u64;
    if spec.sibling {
        flags |= libc::CLONE_PARENT as u64; // The exit signal is then the parent's own; naming one is refused.
    } else {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = spec.cgroup {
        flags |= INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    args.flags = flags;
    // SAFETY: without CLONE_VM the child has its own copy of memory and stack, as after fork(2); `args` outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
    match i32::try_from(pid).unwrap_or(-1) {
        0 => {
            let _ends_here = EndProcess;
            let code = body();
            super::exec::exit_now(code)
        }
        pid => {
            let Some(pid) = Pid::from_raw(pid.max(0)) else {
                return Err(io::Error::last_os_error());
            };
            // SAFETY: the kernel stored a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Child { pid, pidfd })
        }
    }
}

/// Goes on as a child that is born in the cgroup v2 directory `cgroup`; the process that called ends with the code 0.
///
/// The quick way into a cgroup: moving a process there waits for every processor (5 to 12 ms were measured). The caller
/// must be single-threaded, and is no longer its parent's child.
pub(crate) fn be_reborn_in(cgroup: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: as in `spawn`.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = INTO_CGROUP;
    args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: as in `spawn`; only one of the two processes goes on.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) } {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        _ => super::exec::exit_now(0),
    }
}

/// Ends a child whose body panicked, before it could unwind into its parent's code.
struct EndProcess;

impl Drop for EndProcess {
    fn drop(&mut self) {
        super::exec::exit_now(70)
    }
}
