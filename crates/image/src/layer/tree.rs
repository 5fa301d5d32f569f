//! The directory tree of a layer while it is unpacked: finding and making directories, by descriptor.
//!
//! What always holds: every directory is opened from its parent's descriptor with
//! `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)`.
//! Links met on the way are read and followed here, with the layer's root as `/` and as the top of
//! `..`, so an archive that plants a link and writes through it stays in its own layer.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{
    self, AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::{LayerError, printable};
use crate::limits::Limits;

/// Links followed in one path; the kernel's own bound.
const LINKS_MAX: usize = 40;
/// The mark of a directory that hides what lies below it (kernel documentation of overlayfs).
const OPAQUE: &str = "trusted.overlay.opaque";

/// A directory of the layer.
#[derive(Clone)]
pub(super) struct Place {
    /// Descriptor for reading and for `*at` calls.
    pub(super) dir: Rc<OwnedFd>,
    /// Its true path from the root, without links, for messages and for finding it again.
    pub(super) path: Vec<u8>,
}

impl Place {
    /// The true path of `name` in this directory.
    pub(super) fn join(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, name].join(&b'/') }
    }
}

/// What to do about a directory that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Make it, as the layers below have it.
    Make,
    /// Report that it is missing.
    Report,
}

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Nothing,
    Directory,
    Symlink,
    Whiteout,
    Other,
}

/// The tree of one layer.
pub(super) struct Tree {
    root: Rc<OwnedFd>,
    /// Roots of the layers below, newest first.
    parents: Vec<OwnedFd>,
    depth_max: usize,
    entries_max: u64,
    made_count: u64,
    /// The directory of the last path asked for; forgotten when something is removed.
    last: Option<(Vec<Vec<u8>>, Place)>,
}

pub(super) fn failed(action: &'static str, path: &[u8]) -> impl Fn(Errno) -> LayerError {
    let path = printable(path);
    move |errno| LayerError::Io { action, path: path.clone(), source: errno.into() }
}

impl Tree {
    /// Makes the root directory with the owner and mode of the layer below.
    pub(super) fn create(
        root: &Path,
        parents: &[PathBuf],
        limits: &Limits,
    ) -> Result<Self, LayerError> {
        let dir_flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let at = root.as_os_str().as_encoded_bytes();
        fs::mkdir(root, Mode::from_raw_mode(0o755)).map_err(failed("make", at))?;
        let dir = fs::open(root, dir_flags, Mode::empty()).map_err(failed("open", at))?;
        let parents = parents
            .iter()
            .map(|parent| {
                fs::open(parent, dir_flags, Mode::empty())
                    .map_err(failed("open", parent.as_os_str().as_encoded_bytes()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        fs::fchmod(&dir, Mode::from_raw_mode(0o755)).map_err(failed("set mode of", at))?;
        if let Some(parent) = parents.first() {
            copy_directory(parent, &dir).map_err(failed("copy attributes of", at))?;
        }
        Ok(Self {
            root: Rc::new(dir),
            parents,
            depth_max: limits.path_depth,
            entries_max: limits.entries,
            made_count: 0,
            last: None,
        })
    }

    /// The layer's root.
    pub(super) fn root(&self) -> Place {
        Place { dir: Rc::clone(&self.root), path: Vec::new() }
    }

    /// Directories made without an entry of their own.
    pub(super) fn made_count(&self) -> u64 {
        self.made_count
    }

    /// Must be called when a name was removed: paths may lead elsewhere now.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// The directory that `components` name; `whole` is the path for messages.
    pub(super) fn walk(
        &mut self,
        components: &[&[u8]],
        missing: Missing,
        whole: &[u8],
    ) -> Result<Option<Place>, LayerError> {
        if let Some((path, place)) = &self.last
            && path.iter().map(Vec::as_slice).eq(components.iter().copied())
        {
            return Ok(Some(place.clone()));
        }
        let mut pending: Vec<Vec<u8>> = components.iter().rev().map(|part| part.to_vec()).collect();
        let mut stack: Vec<Place> = Vec::new();
        let mut link_count = 0;
        while let Some(name) = pending.pop() {
            if name == b".." {
                stack.pop(); // At the root, `..` is the root.
                continue;
            }
            let here = stack.last().cloned().unwrap_or_else(|| self.root());
            match standing(&here, &name)? {
                Standing::Directory => {}
                Standing::Symlink => {
                    link_count += 1;
                    let target = fs::readlinkat(&here.dir, name.as_slice(), Vec::new())
                        .map_err(failed("read link", whole))?;
                    if link_count > LINKS_MAX {
                        return Err(LayerError::NotDirectory { path: printable(whole) });
                    }
                    follow(target.as_bytes(), &mut stack, &mut pending);
                    continue;
                }
                Standing::Nothing | Standing::Whiteout if missing == Missing::Report => {
                    return Ok(None);
                }
                was @ (Standing::Nothing | Standing::Whiteout) => {
                    self.make_implied(&here, &name, was)?;
                }
                Standing::Other => return Err(LayerError::NotDirectory { path: printable(whole) }),
            }
            if stack.len() + 1 >= self.depth_max {
                return Err(LayerError::PathBounds { path: printable(whole) });
            }
            stack.push(open_directory(&here, &name)?);
        }
        let place = stack.pop().unwrap_or_else(|| self.root());
        self.last = Some((components.iter().map(|part| part.to_vec()).collect(), place.clone()));
        Ok(Some(place))
    }

    /// A directory that the archive names only as a parent: it looks as in the layers below.
    fn make_implied(&mut self, here: &Place, name: &[u8], was: Standing) -> Result<(), LayerError> {
        let path = here.join(name);
        self.made_count += 1;
        if self.made_count > self.entries_max {
            return Err(LayerError::TooLarge { max: self.entries_max, unit: "entries" });
        }
        if was == Standing::Whiteout {
            fs::unlinkat(&here.dir, name, AtFlags::empty()).map_err(failed("remove", &path))?;
        }
        fs::mkdirat(&here.dir, name, Mode::from_raw_mode(0o755)).map_err(failed("make", &path))?;
        let made = open_directory(here, name)?;
        fs::fchmod(&made.dir, Mode::from_raw_mode(0o755)).map_err(failed("set mode of", &path))?;
        if was == Standing::Whiteout {
            return set_opaque(&made);
        }
        if let Some(below) = self.below(&path) {
            copy_directory(&below, &made.dir).map_err(failed("copy attributes of", &path))?;
        }
        Ok(())
    }

    /// The directory at `path` in the newest layer below that has it and does not hide it.
    fn below(&self, path: &[u8]) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for parent in &self.parents {
            let Ok(found) = fs::openat2(parent, path, flags, Mode::empty(), inside) else {
                continue;
            };
            let is_directory = fs::fstat(&found)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
            if !is_directory {
                return None;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            return fs::openat2(parent, path, flags, Mode::empty(), inside).ok();
        }
        None
    }
}

/// Puts a link's target in front of what is left of the path.
fn follow(target: &[u8], stack: &mut Vec<Place>, pending: &mut Vec<Vec<u8>>) {
    if target.starts_with(b"/") {
        stack.clear();
    }
    let parts = target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let mut parts: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    parts.reverse();
    pending.append(&mut parts);
}

pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// What stands at `name`, without following it.
pub(super) fn standing(here: &Place, name: &[u8]) -> Result<Standing, LayerError> {
    match fs::statat(&here.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(Standing::Nothing),
        Err(errno) => Err(failed("look at", &here.join(name))(errno)),
        Ok(stat) if is_whiteout(&stat) => Ok(Standing::Whiteout),
        Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Standing::Directory,
            FileType::Symlink => Standing::Symlink,
            _ => Standing::Other,
        }),
    }
}

/// Opens the directory `name`, which must be one and lie in the same file system.
pub(super) fn open_directory(here: &Place, name: &[u8]) -> Result<Place, LayerError> {
    let path = here.join(name);
    let dir = open_beneath(&here.dir, name, OFlags::RDONLY | OFlags::DIRECTORY)
        .map_err(failed("open", &path))?;
    Ok(Place { dir: Rc::new(dir), path })
}

/// Opens `path` below `dir` without following any link.
pub(super) fn open_beneath(dir: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let path = if path.is_empty() { b"." } else { path };
    fs::openat2(dir, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), resolve)
}

/// Marks a directory as hiding what lies below it.
pub(super) fn set_opaque(place: &Place) -> Result<(), LayerError> {
    fs::fsetxattr(&place.dir, OPAQUE, b"y", XattrFlags::empty())
        .map_err(failed("mark as opaque", &place.path))
}

/// Owner and mode of one directory onto another.
pub(super) fn copy_directory(from: impl AsFd, to: impl AsFd) -> Result<(), Errno> {
    let stat = fs::fstat(from)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fs::fchown(&to, Some(uid), Some(gid))?;
    fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

/// Removes whatever stands at `name`, directories with all they hold.
pub(super) fn remove(here: &Place, name: &[u8]) -> Result<(), LayerError> {
    let path = here.join(name);
    match fs::unlinkat(&here.dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(failed("remove", &path)(errno)),
    }
    let inside = open_directory(here, name)?;
    for child in names(&inside)? {
        remove(&inside, &child)?;
    }
    fs::unlinkat(&here.dir, name, AtFlags::REMOVEDIR).map_err(failed("remove", &path))
}

fn names(place: &Place) -> Result<Vec<Vec<u8>>, LayerError> {
    let dir = Dir::read_from(&place.dir).map_err(failed("list", &place.path))?;
    let mut names = Vec::new();
    for entry in dir {
        let entry = entry.map_err(failed("list", &place.path))?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}
