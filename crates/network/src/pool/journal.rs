//! The pool's journal: one line per change, with a checksum.
//!
//! ```text
//! + 10.42.0.5 6f1c… 1a2b3c4d     an address got an owner
//! - 10.42.0.5 5e6f7a8b           it lost it
//! = 10.42.0.9 9c0d1e2f           the address handed out last
//! ```
//! Holds always
//! - A line counts once it is whole. Damage at the end is a line that a crash cut off and nobody
//!   was told about: it is dropped. Damage before a whole line is reported, not guessed away.
//! - The file is replaced by rename, so it is the old or the new one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{PoolError, check_owner};
use crate::instance::fnv1a;

const FILE: &str = "addresses";
const NEW_FILE: &str = "addresses.new";
const LOCK_FILE: &str = "addresses.lock";
/// Records kept before the journal is rewritten: about 60 KiB.
pub(super) const RECORDS_MAX: usize = 1024;
/// A /16 with the longest names has 65,536 × 300 bytes; more is not ours.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Allocated { address: Ipv4Addr, owner: String },
    Released { address: Ipv4Addr },
    Last { address: Ipv4Addr },
}

impl Record {
    pub(crate) fn line(&self) -> String {
        let text = match self {
            Self::Allocated { address, owner } => format!("+ {address} {owner}"),
            Self::Released { address } => format!("- {address}"),
            Self::Last { address } => format!("= {address}"),
        };
        format!("{text} {:08x}\n", fnv1a(text.as_bytes()))
    }

    /// Reads a line without its end; `None` if it is not whole. Pure.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (text, checksum) = line.rsplit_once(' ')?;
        if checksum != format!("{:08x}", fnv1a(text.as_bytes())) {
            return None;
        }
        let (sign, rest) = text.split_once(' ')?;
        match sign {
            "+" => {
                let (address, owner) = rest.split_once(' ')?;
                check_owner(owner).ok()?;
                Some(Self::Allocated { address: address.parse().ok()?, owner: owner.to_owned() })
            }
            "-" => Some(Self::Released { address: rest.parse().ok()? }),
            "=" => Some(Self::Last { address: rest.parse().ok()? }),
            _ => None,
        }
    }
}

/// Locks a file. The lock of a process that was killed while it started another is held by that one until it runs its program,
/// some milliseconds later: so long is waited for it.
fn lock_exclusively(file: &File) -> rustix::io::Result<()> {
    const TRIES_MAX: u32 = 50;
    const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    let mut tries = 1;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if tries < TRIES_MAX => {
                tries += 1;
                let _interrupted = poll(&mut [], Some(&PAUSE));
            }
            locked => return locked,
        }
    }
}

/// The open journal, locked against other processes.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    file: File,
    record_count: usize,
    /// Set when an append did not succeed: its line may be half on disk, and the next append would
    /// make that half a damaged line in the middle.
    is_torn: bool,
    _lock: File,
}

impl Journal {
    /// Opens or creates the journal and reads what it holds.
    pub(super) fn open(directory: &Path) -> Result<(Self, Vec<Record>), PoolError> {
        let lock_path = directory.join(LOCK_FILE);
        let lock = open(&lock_path, OpenOptions::new().create(true).append(true))?;
        lock_exclusively(&lock).map_err(|code| match code {
            Errno::WOULDBLOCK => PoolError::Locked { path: lock_path.clone() },
            code => storage(&lock_path, "locked", code.into()),
        })?;
        let path = directory.join(FILE);
        let mut file = open(&path, OpenOptions::new().create(true).read(true).append(true))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|source| storage(&path, "read", source))?;
        let records =
            parse(&bytes).map_err(|line| PoolError::Damaged { path: path.clone(), line })?;
        let journal = Self {
            directory: directory.to_owned(),
            file,
            record_count: records.len(),
            is_torn: true, // Until the first rewrite, the end of the file is not known to be whole.
            _lock: lock,
        };
        Ok((journal, records))
    }

    /// Whether the end of the file may be half a line, so that nothing must be appended.
    pub(super) fn is_torn(&self) -> bool {
        self.is_torn
    }

    pub(super) fn record_count(&self) -> usize {
        self.record_count
    }

    /// Appends a record; it may be lost on power failure, not on a crash of this process.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), PoolError> {
        self.file.write_all(record.line().as_bytes()).map_err(|source| {
            self.is_torn = true;
            storage(&self.directory.join(FILE), "written", source)
        })?;
        self.record_count = self.record_count.saturating_add(1);
        Ok(())
    }

    /// Appends a record and returns when it is on disk.
    pub(super) fn append_durably(&mut self, record: &Record) -> Result<(), PoolError> {
        self.append(record)?;
        rustix::fs::fdatasync(&self.file).map_err(|code| {
            self.is_torn = true; // What is on disk is unknown: only a rewrite makes it known.
            storage(&self.directory.join(FILE), "flushed", code.into())
        })
    }

    /// Puts a journal of these records in place of the old one, durably.
    pub(super) fn replace(&mut self, records: &[Record]) -> Result<(), PoolError> {
        let (path, new_path) = (self.directory.join(FILE), self.directory.join(NEW_FILE));
        let text: String = records.iter().map(Record::line).collect();
        let options = OpenOptions::new().create(true).write(true).truncate(true).to_owned();
        let mut file = open(&new_path, &options)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|source| storage(&new_path, "written", source))?;
        std::fs::rename(&new_path, &path).map_err(|source| storage(&path, "replaced", source))?;
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| storage(&path, "flushed", source))?;
        self.file = open(&path, OpenOptions::new().append(true))?;
        self.record_count = records.len();
        self.is_torn = false;
        Ok(())
    }
}

/// Reads the journal's lines; the number of a damaged line that has a whole one after it. Pure.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Record>, usize> {
    let mut records = Vec::new();
    let mut first_damaged = None;
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let whole = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        match (whole.and_then(Record::parse), first_damaged) {
            (Some(_), Some(damaged)) => return Err(damaged),
            (Some(record), None) => records.push(record),
            (None, Some(_)) => {}
            (None, None) => first_damaged = Some(number),
        }
    }
    Ok(records)
}

fn open(path: &Path, options: &OpenOptions) -> Result<File, PoolError> {
    options.open(path).map_err(|source| storage(path, "opened", source))
}

fn storage(path: &Path, step: &'static str, source: io::Error) -> PoolError {
    PoolError::Storage { path: path.to_owned(), step, source }
}
