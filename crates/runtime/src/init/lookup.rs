//! Finding the program, with the words that users know from `RunContainerError` messages.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType};

use crate::error::{Fault, FaultKind, plain};

/// Where programs are looked up when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The file to execute for a program's name, seen as the process' user.
pub(super) fn find(program: &str, env: &[OsString]) -> Result<CString, Fault> {
    if program.contains('/') {
        return match check(Path::new(program)) {
            Ok(()) => c_string(program.as_ref()),
            Err(error) => Err(refused(program, &error)),
        };
    }
    let path = env.iter().rev().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
    let path = path.unwrap_or(DEFAULT_PATH.as_bytes());
    let candidates = path.split(|byte| *byte == b':').map(|directory| {
        // An empty entry means the working directory.
        if directory.is_empty() {
            PathBuf::from("./").join(program)
        } else {
            Path::new(OsStr::from_bytes(directory)).join(program)
        }
    });
    let found =
        candidates.into_iter().find(|candidate| !program.is_empty() && check(candidate).is_ok());
    match found {
        Some(found) => CString::new(found.as_os_str().as_bytes()).map_err(|_| not_in_path(program)),
        None => Err(not_in_path(program)),
    }
}

fn not_in_path(program: &str) -> Fault {
    Fault::new(
        FaultKind::ProgramNotFound,
        format!("exec: {program:?}: executable file not found in $PATH"),
    )
}

fn c_string(text: &OsStr) -> Result<CString, Fault> {
    CString::new(text.as_bytes())
        .map_err(|_| Fault::new(FaultKind::Invalid, format!("{text:?} has a NUL character")))
}

fn check(path: &Path) -> io::Result<()> {
    let kind = FileType::from_raw_mode(rustix::fs::stat(path)?.st_mode);
    if kind == FileType::Directory {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?)
}

fn refused(program: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Fault::new(
            FaultKind::ProgramNotFound,
            format!("exec: {program:?}: stat {program}: {}", plain(error)),
        ),
        io::ErrorKind::IsADirectory => {
            Fault::new(FaultKind::ProgramPermission, format!("exec: {program:?}: is a directory"))
        }
        _ => {
            Fault::new(FaultKind::ProgramPermission, format!("exec: {program:?}: {}", plain(error)))
        }
    }
}

/// What execve's refusal means.
pub(super) fn not_executed(path: &str, error: &io::Error) -> Fault {
    let kind = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => FaultKind::ProgramNotFound, // Also: its interpreter is missing.
        Some(libc::EACCES | libc::EPERM) => FaultKind::ProgramPermission,
        Some(libc::ENOEXEC | libc::EINVAL | libc::ELIBBAD) => FaultKind::ProgramFormat,
        _ => FaultKind::Kernel,
    };
    Fault::new(kind, format!("exec {path}: {}", plain(error)))
}

/// Strings for the kernel.
pub(super) fn c_strings(texts: &[impl AsRef<OsStr>]) -> Result<Vec<CString>, Fault> {
    texts.iter().map(|text| c_string(text.as_ref())).collect()
}
