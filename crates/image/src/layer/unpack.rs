//! Applying a layer's archive to a directory, in the form overlayfs expects.
//!
//! Whiteouts become character devices 0/0 and opaque directories carry `trusted.overlay.opaque`.
//! Owners, modes with set-id bits, times, `security.capability` and `user.*` attributes are kept,
//! devices are made as the image has them (a container's device cgroup decides over their use).
//!
//! What always holds: content is verified against the diff id before anyone is told of the layer;
//! no attribute of the archive reaches overlayfs itself (`trusted.*` is dropped: a redirect in a
//! layer could point anywhere below).

use std::collections::{BTreeMap, btree_map};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::archive::{ArchiveError, Entry, Kind, Reader};
use super::entry_path::EntryPath;
use super::tree::{
    Missing, Place, Standing, Tree, failed, open_beneath, open_directory, remove, set_opaque,
    standing,
};
use super::{LayerError, decoder, printable};
use crate::digest::{Digest, Hasher};
use crate::limits::Limits;

const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_OPAQUE: &[u8] = b".wh..wh..opq";
/// aufs keeps its own records under this prefix; they mean nothing to others.
const WHITEOUT_META: &[u8] = b".wh..wh.";

/// Bytes of paths of directories whose times are kept for the end: several times what large images have.
const DIRECTORY_TIME_BYTES_MAX: usize = 64 << 20;

/// What a layer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Bytes of file content.
    pub bytes: u64,
    /// Files, directories and links.
    pub inodes: u64,
}

/// Why the hashing reader stopped on its own account.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("too many bytes")]
    TooLarge,
    #[error("cancelled")]
    Cancelled,
}

/// Hashes and bounds the uncompressed stream.
struct Metered<'a, R> {
    inner: R,
    hasher: Hasher,
    left: u64,
    cancel: &'a AtomicBool,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::other(Stop::Cancelled));
        }
        let count = self.inner.read(buffer)?;
        self.left =
            self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(Stop::TooLarge))?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Unpacks one layer into the new directory `root`, on top of `parents` (newest first).
///
/// On an error the directory is left as it is, for the caller to remove.
pub fn unpack(
    source: impl Read,
    diff: &Digest,
    root: &Path,
    parents: &[PathBuf],
    limits: &Limits,
    cancel: &AtomicBool,
) -> Result<Unpacked, LayerError> {
    let inner = decoder(source).map_err(LayerError::Stream)?;
    let hasher = Hasher::new(diff.algorithm());
    let mut metered = Metered { inner, hasher, left: limits.unpacked_bytes, cancel };
    let tree = Tree::create(root, parents, limits)?;
    let mut unpacker = Unpacker {
        tree,
        limits,
        bytes: 0,
        inodes: 1,
        directory_times: BTreeMap::new(),
        directory_time_bytes: 0,
    };
    unpacker.run(Reader::new(&mut metered, limits))?;
    let got = metered.hasher.finish();
    if got != *diff {
        return Err(LayerError::DiffId { got, expected: diff.clone() });
    }
    unpacker.set_directory_times();
    let inodes = unpacker.inodes + unpacker.tree.made_count();
    Ok(Unpacked { bytes: unpacker.bytes, inodes })
}

struct Unpacker<'a> {
    tree: Tree,
    limits: &'a Limits,
    bytes: u64,
    inodes: u64,
    /// Set at the end, since making what is inside a directory changes its time.
    directory_times: BTreeMap<Vec<u8>, Timestamps>,
    /// What their paths take.
    directory_time_bytes: usize,
}

impl Unpacker<'_> {
    fn run<R: Read>(&mut self, mut reader: Reader<R>) -> Result<(), LayerError> {
        let limits = self.limits;
        while let Some(entry) = reader.next_entry().map_err(|error| stream_error(error, limits))? {
            self.apply(&entry, &mut reader)?;
        }
        reader.finish().map_err(|error| stream_error(error, limits))
    }

    fn apply<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<(), LayerError> {
        let path = EntryPath::parse(&entry.path, self.limits)?;
        let Some((name, parents)) = path.split() else {
            return self.apply_root(entry);
        };
        let Some(place) = self.tree.walk(parents, Missing::Make, &entry.path)? else {
            return Err(LayerError::NotDirectory { path: printable(&entry.path) });
        };
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return self.whiteout(&place, name, hidden, &entry.path);
        }
        self.inodes += 1;
        if entry.kind == Kind::HardLink {
            return self.hard_link(&place, name, entry);
        }
        let was = self.clear(&place, name, entry.kind)?;
        match entry.kind {
            Kind::Directory => self.directory(&place, name, entry, was),
            Kind::File => self.file(&place, name, entry, reader),
            Kind::Symlink => {
                fs::symlinkat(entry.link.as_slice(), &place.dir, name)
                    .map_err(failed("link", &entry.path))?;
                set_owner_at(&place, name, entry)
            }
            Kind::CharDevice => node(&place, name, entry, FileType::CharacterDevice),
            Kind::BlockDevice => node(&place, name, entry, FileType::BlockDevice),
            Kind::Fifo => node(&place, name, entry, FileType::Fifo),
            Kind::HardLink => Ok(()),
        }
    }

    fn apply_root(&mut self, entry: &Entry) -> Result<(), LayerError> {
        if entry.kind != Kind::Directory {
            return Err(LayerError::Root);
        }
        let root = self.tree.root();
        set_attributes(&root.dir, entry)?;
        self.note_times(Vec::new(), entry);
        Ok(())
    }

    /// Removes what an entry replaces. A directory stays if a directory comes.
    fn clear(&mut self, place: &Place, name: &[u8], kind: Kind) -> Result<Standing, LayerError> {
        let was = standing(place, name)?;
        let stays = was == Standing::Directory && kind == Kind::Directory;
        if was != Standing::Nothing && !stays {
            remove(place, name)?;
            self.tree.forget();
        }
        Ok(was)
    }

    fn directory(
        &mut self,
        place: &Place,
        name: &[u8],
        entry: &Entry,
        was: Standing,
    ) -> Result<(), LayerError> {
        if was != Standing::Directory {
            fs::mkdirat(&place.dir, name, Mode::from_raw_mode(0o700))
                .map_err(failed("make", &entry.path))?;
        }
        let made = open_directory(place, name)?;
        set_attributes(&made.dir, entry)?;
        if was == Standing::Whiteout {
            set_opaque(&made)?; // Hidden below and made anew: what was below stays hidden.
        }
        self.note_times(made.path, entry);
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        place: &Place,
        name: &[u8],
        entry: &Entry,
        reader: &mut Reader<R>,
    ) -> Result<(), LayerError> {
        let limits = self.limits;
        self.bytes = self.bytes.saturating_add(entry.size);
        if self.bytes > limits.unpacked_bytes {
            return Err(LayerError::TooLarge { max: limits.unpacked_bytes, unit: "bytes" });
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&place.dir, name, flags, Mode::from_raw_mode(0o600))
            .map_err(failed("make", &entry.path))?;
        let file = File::from(file);
        let mut written = 0;
        reader
            .content(entry, |offset, bytes| {
                written = offset + bytes.len() as u64;
                file.write_all_at(bytes, offset)
            })
            .map_err(|error| match error {
                ArchiveError::Write(source) => {
                    LayerError::Io { action: "write", path: printable(&entry.path), source }
                }
                other => stream_error(other, limits),
            })?;
        if written < entry.size {
            fs::ftruncate(&file, entry.size).map_err(failed("extend", &entry.path))?;
        }
        set_attributes(&file, entry)?;
        fs::futimens(&file, &times(entry)).map_err(failed("set times of", &entry.path))
    }

    fn hard_link(&mut self, place: &Place, name: &[u8], entry: &Entry) -> Result<(), LayerError> {
        let target = EntryPath::parse(&entry.link, self.limits)?;
        let absent = || LayerError::LinkTarget {
            path: printable(&entry.path),
            target: printable(&entry.link),
        };
        let (target_name, parents) = target.split().ok_or_else(absent)?;
        let from = self.tree.walk(parents, Missing::Report, &entry.link)?.ok_or_else(absent)?;
        match standing(&from, target_name)? {
            Standing::Nothing | Standing::Whiteout | Standing::Directory => return Err(absent()),
            Standing::Symlink | Standing::Other => {}
        }
        if from.join(target_name) == place.join(name) {
            return Ok(()); // A link to itself.
        }
        self.clear(place, name, Kind::HardLink)?;
        // Without AT_SYMLINK_FOLLOW a link is linked as a link.
        fs::linkat(&from.dir, target_name, &place.dir, name, AtFlags::empty()).map_err(|errno| {
            match errno {
                Errno::NOENT => absent(),
                other => failed("link", &entry.path)(other),
            }
        })
    }

    fn whiteout(
        &mut self,
        place: &Place,
        name: &[u8],
        hidden: &[u8],
        path: &[u8],
    ) -> Result<(), LayerError> {
        if name == WHITEOUT_OPAQUE {
            return set_opaque(place);
        }
        if name.starts_with(WHITEOUT_META) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(LayerError::Whiteout { path: printable(path) });
        }
        match standing(place, hidden)? {
            Standing::Nothing => {
                self.inodes += 1;
                let kind = FileType::CharacterDevice;
                fs::mknodat(&place.dir, hidden, kind, Mode::empty(), 0)
                    .map_err(failed("hide", path))
            }
            // Whiteouts concern the layers below; what this layer brings itself stays.
            Standing::Directory => set_opaque(&open_directory(place, hidden)?),
            Standing::Symlink | Standing::Whiteout | Standing::Other => Ok(()),
        }
    }

    /// A directory may come any number of times, and paths are long: beyond a bound directories keep the time of unpacking.
    fn note_times(&mut self, path: Vec<u8>, entry: &Entry) {
        let size = self.directory_time_bytes.saturating_add(path.len());
        match self.directory_times.entry(path) {
            btree_map::Entry::Occupied(mut known) => {
                known.insert(times(entry));
            }
            btree_map::Entry::Vacant(free) if size <= DIRECTORY_TIME_BYTES_MAX => {
                free.insert(times(entry));
                self.directory_time_bytes = size;
            }
            btree_map::Entry::Vacant(_) => {}
        }
    }

    /// Best effort for directories that a later entry replaced.
    fn set_directory_times(&self) {
        let root = self.tree.root();
        for (path, times) in &self.directory_times {
            let set = open_beneath(&root.dir, path, OFlags::RDONLY | OFlags::DIRECTORY)
                .and_then(|dir: OwnedFd| fs::futimens(&dir, times));
            if let Err(error) = set {
                tracing::debug!(path = %printable(path), %error, "directory keeps its time of unpacking");
            }
        }
    }
}

fn stream_error(error: ArchiveError, limits: &Limits) -> LayerError {
    let source = match error {
        ArchiveError::Read(source) => source,
        ArchiveError::TooManyEntries { max } => {
            return LayerError::TooLarge { max, unit: "entries" };
        }
        other => return LayerError::Archive(other),
    };
    match source.get_ref().and_then(|inner| inner.downcast_ref::<Stop>()) {
        Some(Stop::TooLarge) => LayerError::TooLarge { max: limits.unpacked_bytes, unit: "bytes" },
        Some(Stop::Cancelled) => LayerError::Cancelled,
        None => LayerError::Stream(source),
    }
}

fn times(entry: &Entry) -> Timestamps {
    let (seconds, nanoseconds) = entry.modified;
    let moment = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) };
    Timestamps { last_access: moment, last_modification: moment }
}

/// Owner first, since changing it clears set-id bits and capabilities.
fn set_attributes(file: impl AsFd, entry: &Entry) -> Result<(), LayerError> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    fs::fchown(&file, Some(uid), Some(gid)).map_err(failed("set owner of", &entry.path))?;
    fs::fchmod(&file, Mode::from_raw_mode(entry.mode))
        .map_err(failed("set mode of", &entry.path))?;
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_kept(name)) {
        match fs::fsetxattr(&file, name.as_slice(), value, XattrFlags::empty()) {
            // Some file systems have no user attributes; containers there cannot miss them.
            Err(Errno::NOTSUP) if name.starts_with(b"user.") => {}
            other => other.map_err(failed("set attribute of", &entry.path))?,
        }
    }
    Ok(())
}

fn is_kept(name: &[u8]) -> bool {
    let is_user = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
    is_user
        || matches!(
            name,
            b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default"
        )
}

fn set_owner_at(place: &Place, name: &[u8], entry: &Entry) -> Result<(), LayerError> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    fs::chownat(&place.dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("set owner of", &entry.path))?;
    fs::utimensat(&place.dir, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed("set times of", &entry.path))
}

fn node(place: &Place, name: &[u8], entry: &Entry, kind: FileType) -> Result<(), LayerError> {
    let (major, minor) = entry.device;
    let mode = Mode::from_raw_mode(entry.mode);
    fs::mknodat(&place.dir, name, kind, mode, fs::makedev(major, minor))
        .map_err(failed("make", &entry.path))?;
    set_owner_at(place, name, entry)?;
    // The umask may have taken bits; nothing else can have replaced the name in our own directory.
    fs::chmodat(&place.dir, name, mode, AtFlags::empty())
        .map_err(failed("set mode of", &entry.path))
}
