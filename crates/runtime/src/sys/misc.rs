//! Small calls: namespaces, descriptors, keyrings, the loopback link, the boot's clock.
#![expect(unsafe_code, reason = "these calls have no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Leaves the namespaces named by `CLONE_NEW*` bits for new ones.
pub(crate) fn unshare(namespaces: i32) -> io::Result<()> {
    // SAFETY: only CLONE_NEW* bits are passed; they change what this process sees, not its memory.
    check(unsafe { libc::unshare(namespaces) }.into())
}

/// Enters namespaces of the process behind `pidfd` (or one namespace file, with its bit).
pub(crate) fn enter(namespace: BorrowedFd<'_>, namespaces: i32) -> io::Result<()> {
    // SAFETY: as `unshare`.
    check(unsafe { libc::setns(namespace.as_raw_fd(), namespaces) }.into())
}

/// Closes every descriptor above the standard streams but `kept`.
///
/// Only for a process that has just begun and owns no other descriptor object.
pub(crate) fn close_all_but(kept: BorrowedFd<'_>) -> io::Result<()> {
    let kept = kept.as_raw_fd().cast_unsigned();
    let close = |first: u32, last: u32| {
        // SAFETY: the caller owns nothing in the range, so no owner is left with a closed number.
        check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })
    };
    if kept > 3 {
        close(3, kept - 1)?;
    }
    close(kept + 1, u32::MAX)
}

/// Marks every descriptor from `first` on close-on-exec.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: nothing is closed now.
    check(unsafe {
        libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
    })
}

/// A new, empty session keyring: the old one's keys are out of reach.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    })
}

/// Brings `lo` up in this network namespace.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data; the name is NUL-terminated by the zeroes; the kernel reads name and flags only.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l'.cast_signed();
        request.ifr_name[1] = b'o'.cast_signed();
        request.ifr_ifru.ifru_flags =
            libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request).into())
    }
}

/// Sends a signal by number, real-time signals included, to the process behind `pidfd`.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo asks for the one kill(2) would send.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    })
}

/// Sends a signal by number to a process by id.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill touches no memory.
    check(unsafe { libc::kill(pid, signal) }.into())
}

/// Drops the pages that the allocator keeps for later, so that an idle process is small.
pub fn trim_heap() {
    // SAFETY: malloc_trim only returns free pages.
    unsafe { libc::malloc_trim(0) };
}

/// Sets a resource limit of this process by `RLIMIT_*` number.
pub(crate) fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the kernel only reads `limit`.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }.into())
}

/// A child that ended and is not reaped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) pid: i32,
    /// Its exit code, or 128 + the signal.
    pub(crate) exit_code: i32,
    pub(crate) signal: Option<i32>,
}

/// The next child that ended, which stays a zombie.
pub(crate) fn peek_ended() -> Option<Ended> {
    // SAFETY: `siginfo_t` is plain data; waitid fills it; the accessors read the fields that CLD_* codes define.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        if libc::waitid(libc::P_ALL, 0, &raw mut info, flags) != 0 || info.si_pid() == 0 {
            return None;
        }
        let (pid, status) = (info.si_pid(), info.si_status());
        Some(match info.si_code {
            libc::CLD_EXITED => Ended { pid, exit_code: status, signal: None },
            _ => Ended { pid, exit_code: 128 + status, signal: Some(status) },
        })
    }
}

/// Lets go of a child that ended.
pub(crate) fn reap(pid: i32) {
    let mut status = 0;
    // SAFETY: `status` is a live integer.
    unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) };
}
