//! Writing a snapshot beside the running log.
//!
//! Holds always: a snapshot has its name only once all of it is durable, and what it replaces goes only after that.

use std::io;
use std::sync::Arc;

use super::{SNAPSHOT_TMP, frame, numbered, record, snapshot_name};
use crate::disk::{Disk, DiskFile};
use crate::engine::{Checkpoint, LoggedEntry};
use crate::key::Revision;

/// Entries are put together to blocks of about this size: large enough that frames cost nothing, small enough to read whole.
const BLOCK_BYTES: usize = 128 << 10;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// The file is synced after so many bytes, that a commit's sync never waits for a whole snapshot to reach the device.
const SYNC_BYTES: u64 = 8 << 20;

/// A snapshot being written.
pub(super) struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    revision: Revision,
    seed: u32,
    block: Vec<u8>,
    block_entries: u32,
    entries: u64,
    frames: u64,
    buffer: Vec<u8>,
    len: u64,
    synced: u64,
}

impl SnapshotWriter {
    pub(super) fn create(disk: Arc<dyn Disk>, revision: Revision) -> io::Result<Self> {
        let file = disk.create(SNAPSHOT_TMP)?;
        let seed = disk.seed();
        Ok(Self {
            disk,
            file,
            revision,
            seed,
            block: Vec::new(),
            block_entries: 0,
            entries: 0,
            frames: 0,
            buffer: frame::file_header(revision.0, seed).to_vec(),
            len: 0,
            synced: 0,
        })
    }

    fn push_frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        frame::append(&mut self.buffer, self.seed, self.frames, self.synced, write);
        self.frames += 1;
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block_entries > 0 {
            let block = std::mem::take(&mut self.block);
            let count = std::mem::take(&mut self.block_entries);
            self.push_frame(|out| record::push_block(out, count, &block));
            self.block = block;
            self.block.clear();
        }
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_at(self.len, &self.buffer)?;
        self.len += self.buffer.len() as u64;
        self.buffer.clear();
        if self.len - self.synced >= SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.len;
        }
        Ok(())
    }

    /// Removes older snapshots and the segments that end where this snapshot stands.
    fn remove_replaced(&self) -> io::Result<()> {
        for name in self.disk.list()? {
            let is_old_snapshot =
                numbered(&name, "snapshot-").is_some_and(|revision| revision < self.revision.0);
            let is_old_log = numbered(&name, "log-").is_some_and(|first| first <= self.revision.0);
            if is_old_snapshot || is_old_log {
                self.disk.remove(&name)?;
            }
        }
        self.disk.sync()
    }
}

impl Checkpoint for SnapshotWriter {
    fn entry(&mut self, entry: &LoggedEntry<'_>) -> io::Result<()> {
        record::push_entry(&mut self.block, entry);
        self.block_entries += 1;
        self.entries += 1;
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.end_block()?;
        let entries = self.entries;
        self.push_frame(|out| record::push_end(out, entries));
        self.write()?;
        self.file.sync()?;
        self.disk.rename(SNAPSHOT_TMP, &snapshot_name(self.revision.0))?;
        self.disk.sync()?;
        // What cannot be removed now is removed at the next start.
        let _only_leaves_files_behind = self.remove_replaced();
        Ok(())
    }
}
