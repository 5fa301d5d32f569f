//! Installing a seccomp filter.
#![expect(unsafe_code, reason = "seccomp has no safe wrapper")]

use std::io;

/// Puts this process, for good, under a classic BPF program (one `sock_filter` per word, in its in-memory layout).
pub(crate) fn install(program: &[u64]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: a `sock_filter` has 8 bytes and the alignment of u32, so a u64 slice holds `len` of them; the kernel
    // copies and checks the program and does not write to it.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
