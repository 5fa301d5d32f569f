//! A real directory.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::event::{Timespec, poll};
use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::io::Errno;

use super::{Disk, DiskFile};

/// The file whose lock (flock(2)) says whose the directory is. The kernel drops it with the process, however that ends.
const LOCK_FILE: &str = "LOCK";

/// How often the lock is tried for, and how long is waited in between: in all so short that nobody need be told.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Files hold Secrets: nobody else reads them.
const FILE_MODE: u32 = 0o600;

/// A directory of the file system.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    handle: File,
    lock: Mutex<Option<File>>,
}

impl Directory {
    /// The directory at `path`; it is made (0700) if it does not exist, its parents are not.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => sync_parent(&path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let handle = File::open(&path)?;
        Ok(Self { path, handle, lock: Mutex::new(None) })
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(FILE_MODE).custom_flags(no_follow());
        options
    }
}

/// Takes a lock. That of a process that was killed while it started another is held by that one until it runs its program, some
/// milliseconds later: so long is waited for it.
fn lock_soon(file: &File) -> io::Result<bool> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {
                let _interrupted = poll(&mut [], Some(&LOCK_PAUSE));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// A symbolic link where the log should be is an attack or a mistake, never ours.
fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

impl Disk for Directory {
    fn path(&self) -> String {
        self.path.display().to_string()
    }

    fn lock(&self) -> io::Result<bool> {
        let file = Self::options().create(true).open(self.path.join(LOCK_FILE))?;
        let is_ours = lock_soon(&file)?;
        if is_ours {
            *self.lock.lock() = Some(file);
        }
        Ok(is_ours)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // Our names are ASCII: what is not is not ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(Self::options().open(self.path.join(name))?)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = Self::options().create(true).truncate(true).open(self.path.join(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn seed(&self) -> u32 {
        let mut seed = [0; 4];
        // Only possible before the machine's entropy pool is ready; then any seed will do.
        let _foreseeable =
            rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::NONBLOCK);
        u32::from_le_bytes(seed)
    }

    fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read_at(into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let from = self.size()?;
        if len <= from {
            return Ok(());
        }
        match fallocate(&self.0, FallocateFlags::empty(), from, len - from) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn settle(&mut self) -> io::Result<()> {
        self.0.sync_all()?;
        Ok(fadvise(&self.0, 0, None, Advice::DontNeed)?)
    }
}
