//! Boolean options of netlink sockets, netlink(7).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Turns one boolean option of level `SOL_NETLINK` on.
pub(crate) fn enable_netlink_option(fd: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: the pointer and length describe `on`, which lives across the call; the descriptor is
    // borrowed and therefore open.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
