//! Volumes that an image declares (`VOLUME`): a directory per container, filled with what the image has at that place.
//!
//! The image's paths are resolved within a read-only tree of its own layers, never on the host (CVE-2022-23648).

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid};
use rustix::io::Errno;

/// Directories within each other; an image's layers have at most as many.
const DEPTH_MAX: usize = 256;

/// Mode of a volume that the image does not have.
const DIRECTORY_MODE: u32 = 0o755;

/// Makes the directory `volume` with what `tree` (an image's files) has at `path`.
pub(super) fn fill(tree: &OwnedFd, path: &str, volume: &Path) -> io::Result<()> {
    fs::create_dir_all(volume)?;
    let target = open_directory(rustix::fs::CWD, volume)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(tree, path, flags, Mode::empty(), resolve) {
        // Not in the image, or not a directory: the volume starts empty.
        Err(Errno::NOENT | Errno::NOTDIR) => {
            rustix::fs::fchmod(&target, Mode::from_raw_mode(DIRECTORY_MODE))?;
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(source) => copy_directory(source.as_fd(), target.as_fd(), 0),
    }
}

fn open_directory(at: BorrowedFd<'_>, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, path, flags, Mode::empty())?)
}

fn copy_directory(source: BorrowedFd<'_>, target: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other("the image's directories are too deep"));
    }
    for entry in Dir::read_from(source)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(target, name, Mode::RWXU)?;
                let below = open_directory(target, name)?;
                copy_directory(open_directory(source, name)?.as_fd(), below.as_fd(), depth + 1)?;
            }
            FileType::RegularFile => copy_file(source, target, name, &stat)?,
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(source, name, Vec::new())?;
                rustix::fs::symlinkat(&link, target, name)?;
                let (uid, gid) = owner(&stat);
                rustix::fs::chownat(target, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            _ => {} // Sockets, pipes and devices are nothing that a volume starts with.
        }
    }
    give(target, &rustix::fs::fstat(source)?)
}

fn copy_file(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    stat: &Stat,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut from = File::from(rustix::fs::openat(source, name, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut to = File::from(rustix::fs::openat(target, name, flags, Mode::RUSR | Mode::WUSR)?);
    io::copy(&mut from, &mut to)?;
    give(to.as_fd(), stat)
}

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
}

/// Owner first: changing it takes set-id bits away.
fn give(fd: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    rustix::fs::fchown(fd, uid, gid)?;
    Ok(rustix::fs::fchmod(fd, Mode::from_raw_mode(stat.st_mode & 0o7777))?)
}

/// Directory of a container's volume of this number.
pub(super) fn directory(container_dir: &Path, index: usize) -> PathBuf {
    container_dir.join("volumes").join(index.to_string())
}
