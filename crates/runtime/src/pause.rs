//! The pause role: does nothing, and reaps what is orphaned in its PID namespace, until it is asked to end.

use std::process::ExitCode;

use rustix::process::{WaitId, WaitIdOptions};

use crate::sys::signals;

/// The program of `podo pause`.
pub fn pause_main() -> ExitCode {
    loop {
        match signals::wait_for(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT]) {
            libc::SIGCHLD => while reap_one() {},
            _ => return ExitCode::SUCCESS,
        }
    }
}

fn reap_one() -> bool {
    matches!(
        rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG),
        Ok(Some(_))
    )
}
