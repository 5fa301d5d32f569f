//! The embedded log: checksummed segments of transactions, and snapshots that make old segments unnecessary.
//!
//! ```text
//! LOCK                       whose the directory is
//! snapshot-<revision>        all entries at that revision
//! log-<first revision>       the transactions from that revision on, until the next segment's first
//! ```
//! A checkpoint starts a new segment, writes the snapshot of the state before it beside the running appends, gives it its name
//! once it is durable, and then removes what it replaces. As all state is in memory anyway, files are read only at the start:
//! no index, no page cache.
//!
//! Holds always
//! - An append returns after its bytes are durable, or leaves none behind, or the store is poisoned.
//! - Revisions in the log have no gap; a missing or damaged file is refused by name and offset, never skipped.
//!
//! Measured against redb 4 on 1 KB values (2 cores, NVMe): 17,000 against 5,900 single commits/s, 490,000 against 31,000 in
//! groups of 64; 1.0 against 2.1 GB for 10^6 entries.

pub mod frame;
pub mod record;

mod checkpoint;
mod recovery;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::engine::{AppendError, Checkpoint, Engine, LoggedTxn, OpenError, Poison, Sink};
use crate::key::Revision;
use checkpoint::SnapshotWriter;

/// A checkpoint is due when the log is this long, and as long as the last snapshot: so writing snapshots at most doubles what
/// is written, the files take at most three times the state, and a start reads at most twice the state or this.
const CHECKPOINT_LOG_BYTES_MIN: u64 = 64 << 20;

/// Space is taken in steps of this: a sync need not write the file's length, which makes it a third faster, and a full disk
/// shows before anything is half written.
const ALLOCATE_BYTES: u64 = 4 << 20;

/// The embedded engine.
pub struct Embedded {
    disk: Arc<dyn Disk>,
    checkpoint_log_bytes_min: u64,
    allocate_bytes: u64,
    segment: Option<Segment>,
    /// Bytes of log that a start would read.
    log_bytes: u64,
    snapshot_bytes: u64,
    buffer: Vec<u8>,
}

/// The segment being written.
struct Segment {
    file: Box<dyn DiskFile>,
    name: String,
    seed: u32,
    /// The first revision it may hold.
    first: u64,
    /// Its durable bytes.
    len: u64,
    /// How far space is taken.
    allocated: u64,
}

impl Embedded {
    /// The log in a directory. Nothing is touched before the store is opened.
    pub fn new(disk: impl Disk) -> Self {
        Self {
            disk: Arc::new(disk),
            checkpoint_log_bytes_min: CHECKPOINT_LOG_BYTES_MIN,
            allocate_bytes: ALLOCATE_BYTES,
            segment: None,
            log_bytes: 0,
            snapshot_bytes: 0,
            buffer: Vec::new(),
        }
    }

    /// Makes checkpoints due at another length of the log, in bytes: smaller ones let tests see many.
    #[must_use]
    pub fn with_checkpoint_log_bytes_min(mut self, bytes: u64) -> Self {
        self.checkpoint_log_bytes_min = bytes;
        self
    }

    /// Takes space ahead in other steps, in bytes.
    #[must_use]
    pub fn with_allocate_bytes(mut self, bytes: u64) -> Self {
        self.allocate_bytes = bytes;
        self
    }
}

fn log_name(first: u64) -> String {
    format!("log-{first:020}")
}

fn snapshot_name(revision: u64) -> String {
    format!("snapshot-{revision:020}")
}

/// The number in a file's name.
fn numbered(name: &str, kind: &str) -> Option<u64> {
    let digits = name.strip_prefix(kind)?;
    (digits.len() == 20).then_some(())?;
    digits.parse().ok()
}

const SNAPSHOT_TMP: &str = "snapshot.tmp";

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Segment {
    /// Makes an empty segment, durable with its name.
    fn create(disk: &dyn Disk, first: u64) -> Result<Self, (String, io::Error)> {
        let name = log_name(first);
        let seed = disk.seed();
        let make = || {
            let mut file = disk.create(&name)?;
            file.write_at(0, &frame::file_header(first, seed))?;
            file.sync()?;
            disk.sync()?;
            Ok(file)
        };
        let len = frame::FILE_HEADER_BYTES as u64;
        match make() {
            Ok(file) => Ok(Self { file, name, seed, first, len, allocated: len }),
            Err(error) => Err((name, error)),
        }
    }

    /// Writes frames behind what is durable and makes them so; if space is needed it is taken so far `ahead`.
    fn append(&mut self, bytes: &[u8], ahead: u64) -> Result<(), AppendError> {
        let end = self.len + bytes.len() as u64;
        let written = self.reserve(end, ahead).and_then(|()| self.file.write_at(self.len, bytes));
        match written {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                self.cut_back()?;
                return Err(AppendError::Full);
            }
            Err(source) => return Err(Poison::Write { file: self.name.clone(), source }.into()),
        }
        self.sync()?;
        self.len = end;
        Ok(())
    }

    fn reserve(&mut self, end: u64, ahead: u64) -> io::Result<()> {
        if end <= self.allocated {
            return Ok(());
        }
        let mut allocated = end + ahead;
        match self.file.allocate(allocated) {
            Err(error) if is_full(&error) => {
                allocated = end; // Perhaps there is room for just this.
                self.file.allocate(allocated)?;
            }
            result => result?,
        }
        self.allocated = allocated;
        Ok(())
    }

    /// Removes what was written but not made durable; durably, for it must not come back after a crash.
    fn cut_back(&mut self) -> Result<(), Poison> {
        let cut = self.file.truncate(self.len);
        cut.map_err(|source| Poison::Write { file: self.name.clone(), source })?;
        self.allocated = self.len;
        self.sync()
    }

    fn sync(&mut self) -> Result<(), Poison> {
        self.file.sync().map_err(|source| Poison::Sync { file: self.name.clone(), source })
    }
}

impl Engine for Embedded {
    fn recover(&mut self, sink: &mut dyn Sink) -> Result<(), OpenError> {
        let recovered = recovery::recover(&*self.disk, sink)?;
        self.segment = Some(recovered.segment);
        self.log_bytes = recovered.log_bytes;
        self.snapshot_bytes = recovered.snapshot_bytes;
        Ok(())
    }

    fn append(&mut self, txns: &[LoggedTxn<'_>]) -> Result<(), AppendError> {
        let Some(segment) = &mut self.segment else {
            return Err(Poison::Panicked.into()); // Recovering comes first.
        };
        self.buffer.clear();
        for txn in txns {
            frame::append(&mut self.buffer, segment.seed, txn.revision.0, segment.len, |out| {
                record::push_txn(out, txn);
            });
        }
        segment.append(&self.buffer, self.allocate_bytes)?;
        self.log_bytes += self.buffer.len() as u64;
        if self.buffer.capacity() as u64 > ALLOCATE_BYTES {
            self.buffer = Vec::new(); // A rare large group does not keep its memory.
        }
        Ok(())
    }

    fn wants_checkpoint(&self) -> bool {
        self.log_bytes > self.checkpoint_log_bytes_min.max(self.snapshot_bytes)
    }

    fn begin_checkpoint(
        &mut self,
        revision: Revision,
    ) -> Result<Option<Box<dyn Checkpoint>>, AppendError> {
        let first = revision.next().0;
        if self.segment.as_ref().is_none_or(|segment| segment.first != first) {
            match Segment::create(&*self.disk, first) {
                Ok(segment) => {
                    if let Some(mut old) = self.segment.replace(segment) {
                        // Gives back space taken ahead; without it zeros stay behind the last frame.
                        let _stays_larger = old.file.truncate(old.len);
                    }
                }
                Err((name, error)) => return self.abandon(&name, error),
            }
        }
        let writer = SnapshotWriter::create(Arc::clone(&self.disk), revision);
        match writer {
            Ok(writer) => Ok(Some(Box::new(writer))),
            Err(_) => Err(AppendError::Full), // The new segment is as good as the old; tried again later.
        }
    }

    fn end_checkpoint(&mut self, is_finished: bool) -> io::Result<()> {
        if !is_finished {
            return self.disk.remove(SNAPSHOT_TMP);
        }
        let Some(segment) = &self.segment else { return Ok(()) };
        self.log_bytes = segment.len;
        let snapshots = self.disk.list()?;
        let newest = snapshots.iter().filter_map(|name| numbered(name, "snapshot-")).max();
        if let Some(revision) = newest {
            self.snapshot_bytes = self.disk.open(&snapshot_name(revision))?.size()?;
        }
        Ok(())
    }
}

impl Embedded {
    /// A segment could not be started: the running one goes on, once it is sure that the new one will not be found.
    fn abandon(
        &self,
        name: &str,
        error: io::Error,
    ) -> Result<Option<Box<dyn Checkpoint>>, AppendError> {
        let removed = match self.disk.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        };
        match removed.and_then(|()| self.disk.sync()) {
            Ok(()) if is_full(&error) => Err(AppendError::Full),
            Ok(()) => Ok(None),
            Err(source) => Err(Poison::Sync { file: self.disk.path(), source }.into()),
        }
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("directory", &self.disk.path()).finish_non_exhaustive()
    }
}
