//! Signal masks, dispositions and the pause process' waiting.
#![expect(unsafe_code, reason = "signal masks have no safe wrapper")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: `sigemptyset` initialises the set that it is given; `sigaddset` refuses numbers that are out of range.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

/// Blocks `signals` and gives a descriptor (nonblocking, close-on-exec) that is readable while one is pending.
pub(crate) fn signal_fd(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(signals);
    // SAFETY: `set` is initialised; a new descriptor belongs to nobody else.
    unsafe {
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Ignores a signal.
pub(crate) fn ignore(signal: i32) {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Default dispositions and an empty mask, as a new program expects them.
pub(crate) fn reset_all() {
    let empty = set_of(&[]);
    // SAFETY: SIG_DFL runs no code of ours; the kernel refuses the two signals that cannot be changed.
    unsafe {
        for signal in 1..=31 {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut());
    }
}

/// Blocks `signals` and waits for the first of them.
pub(crate) fn wait_for(signals: &[i32]) -> i32 {
    let set = set_of(signals);
    let mut signal = 0;
    // SAFETY: both pointers are to live values of the right type.
    unsafe {
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::sigwait(&raw const set, &raw mut signal);
    }
    signal
}
