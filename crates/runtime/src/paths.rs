//! Finding and making paths below a root that something hostile may be changing meanwhile.
//!
//! Holds always: nothing outside the root is opened or made, whatever links the tree has and however they are exchanged
//! during the call (CVE-2021-30465, CVE-2024-45310, CVE-2021-25741). The kernel resolves (`openat2`), never this code;
//! what is missing is made below a descriptor, one name at a time.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Links followed by hand while making a path; the kernel's own limit.
const LINKS_MAX: usize = 40;

/// Tries of a look-up that a concurrent rename disturbed (`EAGAIN`).
const RETRIES_MAX: usize = 64;

/// What a path is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Directory,
    /// Anything but a directory.
    File,
}

fn open_with(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    how: ResolveFlags,
) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    for _ in 0..RETRIES_MAX {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
    Err(Errno::AGAIN.into())
}

/// Opens a path as a process chrooted to `root` would find it, as a handle without read or write access.
pub(crate) fn open_in(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    open_with(root, path, OFlags::PATH, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

/// As [`open_in`], for reading a regular file.
pub(crate) fn read_in(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = open_with(root, path, flags, how)?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    if kind == FileType::RegularFile { Ok(file) } else { Err(Errno::INVAL.into()) }
}

/// Opens a path in which no component, the last included, is a link.
pub(crate) fn open_without_links(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    open_with(root, path, OFlags::PATH, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
}

/// Opens a relative path that, links included, never leaves `root`.
pub(crate) fn open_beneath(root: &Path, path: &Path) -> io::Result<OwnedFd> {
    let root =
        rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    open_with(root.as_fd(), path, OFlags::PATH, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

/// Opens the folder `path` beneath `root` to work in it, through no link; what is missing of it is made.
pub(crate) fn ensure_folder_beneath(root: &Path, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let mut folder = rustix::fs::open(root, flags | OFlags::CLOEXEC, Mode::empty())?;
    for part in path.components() {
        let Component::Normal(name) = part else { return Err(Errno::INVAL.into()) };
        folder = match open_with(folder.as_fd(), Path::new(name), flags, how) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(folder.as_fd(), name, Want::Directory)?;
                open_with(folder.as_fd(), Path::new(name), flags, how)?
            }
            opened => opened?,
        };
    }
    Ok(folder)
}

/// Opens `path` within `root`; what is missing of it is made (directories 0755, a file 0644 and empty).
pub(crate) fn ensure_in(root: BorrowedFd<'_>, path: &Path, want: Want) -> io::Result<OwnedFd> {
    if let Ok(found) = open_in(root, path) {
        return checked(found, want);
    }
    let mut names = names_of(path);
    let mut done = PathBuf::new();
    let mut directory = open_in(root, Path::new("."))?;
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let next = done.join(&name);
        let missing = match open_in(root, &next) {
            Ok(found) => {
                (directory, done) = (found, next);
                continue;
            }
            Err(error) => error,
        };
        if missing.raw_os_error() != Some(Errno::NOENT.raw_os_error()) {
            return Err(missing);
        }
        if let Ok(target) = rustix::fs::readlinkat(&directory, name.as_os_str(), Vec::new()) {
            // A link whose target is missing: make the target, as seen from the root.
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            let target = PathBuf::from(os_string(target.into_bytes()));
            let mut whole = names_of(&done.join(target)); // An absolute target replaces what was walked.
            whole.append(&mut names);
            names = whole;
            done = PathBuf::new();
            directory = open_in(root, Path::new("."))?;
            continue;
        }
        make(directory.as_fd(), &name, if names.is_empty() { want } else { Want::Directory })?;
        directory = open_in(root, &next)?;
        done = next;
    }
    checked(directory, want)
}

fn make(directory: BorrowedFd<'_>, name: &OsStr, want: Want) -> io::Result<()> {
    let made = match want {
        Want::Directory => rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o755)),
        Want::File => {
            let flags =
                OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        }
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn checked(found: OwnedFd, want: Want) -> io::Result<OwnedFd> {
    match (is_directory(found.as_fd())?, want) {
        (false, Want::Directory) => Err(Errno::NOTDIR.into()),
        (true, Want::File) => Err(Errno::ISDIR.into()),
        _ => Ok(found),
    }
}

/// Whether the handle is of a directory.
pub(crate) fn is_directory(handle: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(handle)?.st_mode) == FileType::Directory)
}

fn names_of(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    named.collect()
}

fn os_string(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(test)]
mod tests;
