//! `unshare(CLONE_NEWNET)` for the calling thread.

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives the calling thread a new, empty network namespace.
///
/// Only for a thread that ends right after: its earlier namespace is not restored.
pub(crate) fn unshare_network() -> rustix::io::Result<()> {
    // SAFETY: NEWNET changes no file descriptor table and no memory mapping, which is what makes
    // other flags of this call unsound.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}
