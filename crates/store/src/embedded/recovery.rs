//! Reading the directory at the start: the newest snapshot, then every transaction behind it.
//!
//! Holds always
//! - What is given out is durable: the last segment is synced and read anew from the device before it is believed.
//! - Damage is told apart by whether a crash can have made it. An unfinished write at the very end is cut off; anything else
//!   is refused, naming file and byte.

use std::io;
use std::ops::Range;

use super::frame::{self, Damage, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FileHeader, Tail};
use super::record::{self, Record};
use super::{SNAPSHOT_TMP, Segment, log_name, numbered, snapshot_name};
use crate::disk::{Disk, DiskFile};
use crate::engine::{OpenError, Sink};
use crate::key::Revision;

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Most bytes that can lie behind the last sound frame: space taken ahead and one group of transactions, several times over.
const TAIL_BYTES_MAX: u64 = 128 << 20;

/// What was found.
pub(super) struct Recovered {
    pub(super) segment: Segment,
    pub(super) log_bytes: u64,
    pub(super) snapshot_bytes: u64,
}

fn failed(file: &str) -> impl FnOnce(io::Error) -> OpenError {
    let file = file.to_owned();
    move |source| OpenError::Io { file, source }
}

fn corrupt(file: &str, offset: u64, reason: &'static str) -> OpenError {
    OpenError::Corrupt { file: file.to_owned(), offset, reason }
}

/// The revision behind one that a file names; no file that was written here names the last.
fn after(revision: u64, file: &str, offset: u64) -> Result<u64, OpenError> {
    revision.checked_add(1).ok_or_else(|| corrupt(file, offset, "its revision is out of range"))
}

/// Locks the directory and reads it.
pub(super) fn recover(disk: &dyn Disk, sink: &mut dyn Sink) -> Result<Recovered, OpenError> {
    let path = disk.path();
    if !disk.lock().map_err(failed(&path))? {
        return Err(OpenError::Locked { path });
    }
    // A process that was killed may have left names that a power cut would take back.
    disk.sync().map_err(failed(&path))?;
    let names = disk.list().map_err(failed(&path))?;
    let mut snapshots: Vec<u64> =
        names.iter().filter_map(|name| numbered(name, "snapshot-")).collect();
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| numbered(name, "log-")).collect();
    snapshots.sort_unstable();
    firsts.sort_unstable();

    let base = snapshots.pop();
    let snapshot_bytes = match base {
        Some(revision) => read_snapshot(disk, revision, sink)?,
        None => 0,
    };
    let base = base.unwrap_or(0);
    let behind_base = after(base, &snapshot_name(base), 0)?;
    sink.base(Revision(base))?;

    // Segments that end before the base ends were being removed.
    let kept = firsts.iter().rposition(|first| *first <= behind_base).unwrap_or(0);
    let (old, firsts) = firsts.split_at(kept);
    let mut replaced: Vec<String> = old.iter().map(|first| log_name(*first)).collect();
    replaced.extend(snapshots.iter().map(|revision| snapshot_name(*revision)));
    replaced.extend(names.into_iter().filter(|name| name == SNAPSHOT_TMP));
    let (segment, log_bytes) = read_segments(disk, firsts, behind_base, sink)?;
    for name in &replaced {
        disk.remove(name).map_err(failed(name))?;
    }
    if !replaced.is_empty() {
        disk.sync().map_err(failed(&path))?;
    }
    Ok(Recovered { segment, log_bytes, snapshot_bytes })
}

fn read_snapshot(disk: &dyn Disk, revision: u64, sink: &mut dyn Sink) -> Result<u64, OpenError> {
    let name = snapshot_name(revision);
    let file = disk.open(&name).map_err(failed(&name))?;
    let (mut reader, first) = Reader::new(&*file, &name)?.sound()?;
    if first != revision {
        return Err(corrupt(&name, 0, "the header is of another snapshot"));
    }
    let (mut entries, mut frames) = (0, 0);
    loop {
        let offset = reader.offset;
        let Ok(found) = reader.next()? else {
            return Err(corrupt(&name, offset, "a frame of the snapshot is damaged"));
        };
        if found.revision != frames {
            return Err(corrupt(&name, offset, "a frame of the snapshot is missing"));
        }
        frames += 1;
        match reader.record(found) {
            Some(Record::Block(block)) => {
                entries += block.len() as u64;
                block.iter().try_for_each(|entry| sink.entry(entry))?;
            }
            Some(Record::End(count)) if count == entries => return Ok(offset),
            _ => return Err(corrupt(&name, offset, "a record of the snapshot makes no sense")),
        }
    }
}

/// Reads all segments; gives the last, ready to be written on, and the bytes of all.
fn read_segments(
    disk: &dyn Disk,
    firsts: &[u64],
    behind_base: u64,
    sink: &mut dyn Sink,
) -> Result<(Segment, u64), OpenError> {
    let base = behind_base - 1;
    let Some((last, others)) = firsts.split_last() else {
        if base > 0 {
            return Err(corrupt(
                &log_name(behind_base),
                0,
                "the log behind the snapshot is missing",
            ));
        }
        return Ok((create(disk, 1)?, 0));
    };
    let mut next = behind_base;
    if firsts.first().is_some_and(|first| *first > next) {
        return Err(corrupt(
            &log_name(next),
            0,
            "the log in front of the first segment is missing",
        ));
    }
    let mut bytes = 0;
    let mut expected = None;
    for first in others {
        next = begin(*first, expected)?;
        bytes += read_sealed(disk, *first, &mut next, base, sink)?;
        expected = Some(next);
    }
    next = begin(*last, expected)?;
    let segment = read_last(disk, *last, &mut next, base, sink)?;
    if next <= base {
        return Err(corrupt(&segment.name, segment.len, "the log ends in front of the snapshot"));
    }
    bytes += segment.len;
    Ok((segment, bytes))
}

/// The segment's first revision, which is the one after the segment before.
fn begin(first: u64, expected: Option<u64>) -> Result<u64, OpenError> {
    match expected {
        Some(expected) if expected != first => {
            Err(corrupt(&log_name(first), 0, "transactions in front of this segment are missing"))
        }
        _ => Ok(first),
    }
}

fn create(disk: &dyn Disk, first: u64) -> Result<Segment, OpenError> {
    Segment::create(disk, first).map_err(|(name, error)| failed(&name)(error))
}

/// Reads a segment behind which there is another; gives its bytes.
fn read_sealed(
    disk: &dyn Disk,
    first: u64,
    next: &mut u64,
    base: u64,
    sink: &mut dyn Sink,
) -> Result<u64, OpenError> {
    let name = log_name(first);
    let file = disk.open(&name).map_err(failed(&name))?;
    let (mut reader, found) = Reader::new(&*file, &name)?.sound()?;
    check_first(&name, first, found)?;
    reader.txns(next, base, sink)?;
    match reader.tail()? {
        Tail::Empty => Ok(reader.offset),
        Tail::Torn | Tail::Corrupt(_) => {
            Err(corrupt(&name, reader.offset, "a frame that was durable is damaged"))
        }
    }
}

fn check_first(name: &str, first: u64, found: u64) -> Result<(), OpenError> {
    if first == found {
        return Ok(());
    }
    Err(corrupt(name, 0, "the header is of another segment"))
}

/// Reads the segment that will be written on.
fn read_last(
    disk: &dyn Disk,
    first: u64,
    next: &mut u64,
    base: u64,
    sink: &mut dyn Sink,
) -> Result<Segment, OpenError> {
    let name = log_name(first);
    let mut file = disk.open(&name).map_err(failed(&name))?;
    file.settle().map_err(failed(&name))?;
    let (len, seed, tail) = {
        let reader = Reader::new(&*file, &name)?;
        if reader.is_unfinished()? {
            return create(disk, first); // It never held anything: frames come after a durable header.
        }
        let (mut reader, found) = reader.sound()?;
        check_first(&name, first, found)?;
        reader.txns(next, base, sink)?;
        (reader.offset, reader.seed, reader.tail()?)
    };
    match tail {
        Tail::Empty => {}
        Tail::Torn => {
            // Durably: what was not answered must not come back behind what will be.
            file.truncate(len).and_then(|()| file.sync()).map_err(failed(&name))?;
        }
        Tail::Corrupt(reason) => return Err(corrupt(&name, len, reason)),
    }
    let allocated = file.size().map_err(failed(&name))?;
    Ok(Segment { file, name, seed, first, len, allocated })
}

/// A sound frame, by where its payload lies in the reader's buffer.
struct Found {
    revision: u64,
    payload: Range<usize>,
}

/// Reads frames one after the other.
struct Reader<'a> {
    file: &'a dyn DiskFile,
    name: &'a str,
    header: FileHeader,
    seed: u32,
    /// Where the next frame begins.
    offset: u64,
    /// What was read from `offset` on, after `used`.
    buffer: Vec<u8>,
    used: usize,
}

impl<'a> Reader<'a> {
    fn new(file: &'a dyn DiskFile, name: &'a str) -> Result<Self, OpenError> {
        let mut reader = Self {
            file,
            name,
            header: FileHeader::Damaged,
            seed: 0,
            offset: 0,
            buffer: Vec::new(),
            used: 0,
        };
        reader.fill(FILE_HEADER_BYTES)?;
        reader.header = frame::parse_file_header(reader.available());
        Ok(reader)
    }

    /// The reader at the first frame, and the file's first revision.
    fn sound(mut self) -> Result<(Self, u64), OpenError> {
        match self.header {
            FileHeader::Sound { first, seed } => {
                self.seed = seed;
                self.advance(FILE_HEADER_BYTES);
                Ok((self, first))
            }
            FileHeader::OtherFormat(found) => Err(OpenError::Version {
                file: self.name.to_owned(),
                found,
                supported: frame::FORMAT,
            }),
            FileHeader::Damaged => Err(corrupt(self.name, 0, "the file's header is damaged")),
        }
    }

    /// Whether the file was being made when the machine stopped: nothing lies behind a header that is short or never written.
    fn is_unfinished(&self) -> Result<bool, OpenError> {
        let len = self.file.size().map_err(failed(self.name))?;
        let is_unwritten = self.available().iter().all(|byte| *byte == 0);
        Ok(len < FILE_HEADER_BYTES as u64 || (len == FILE_HEADER_BYTES as u64 && is_unwritten))
    }

    fn available(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.used += count;
        self.offset += count as u64;
    }

    /// Reads on until `count` bytes are there or the file ends.
    fn fill(&mut self, count: usize) -> Result<(), OpenError> {
        if self.available().len() >= count {
            return Ok(());
        }
        self.buffer.drain(..self.used);
        self.used = 0;
        while self.buffer.len() < count {
            let have = self.buffer.len();
            self.buffer.resize(have + READ_BYTES.max(count - have), 0);
            let into = self.buffer.get_mut(have..).unwrap_or_default();
            let read = self.file.read_at(self.offset + have as u64, into);
            let read = read.map_err(failed(self.name))?;
            self.buffer.truncate(have + read);
            if read == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The next frame, or why there is none.
    fn next(&mut self) -> Result<Result<Found, Damage>, OpenError> {
        self.fill(FRAME_HEADER_BYTES)?;
        let size = match frame::parse_header(self.available(), self.seed) {
            Ok(header) => header.size(),
            Err(damage) => return Ok(Err(damage)),
        };
        self.fill(size)?;
        let start = self.used + FRAME_HEADER_BYTES;
        let found = match frame::parse(self.available(), self.seed) {
            Ok(frame) => {
                Found { revision: frame.revision, payload: start..start + frame.payload.len() }
            }
            Err(damage) => return Ok(Err(damage)),
        };
        self.advance(size);
        Ok(Ok(found))
    }

    /// The record of the frame found last.
    fn record(&self, found: Found) -> Option<Record<'_>> {
        record::parse(found.revision, self.buffer.get(found.payload)?)
    }

    /// Gives out the transactions up to the first byte that is no frame.
    fn txns(&mut self, next: &mut u64, base: u64, sink: &mut dyn Sink) -> Result<(), OpenError> {
        loop {
            let (name, offset) = (self.name, self.offset);
            let Ok(found) = self.next()? else { return Ok(()) };
            if found.revision != *next {
                return Err(corrupt(name, offset, "a transaction is out of order"));
            }
            let Some(Record::Txn(txn)) = self.record(found) else {
                return Err(corrupt(name, offset, "a record of the log makes no sense"));
            };
            if txn.revision.0 > base {
                sink.txn(&txn)?;
            }
            *next = after(*next, name, offset)?;
        }
    }

    /// Judges what lies behind the last sound frame.
    fn tail(&mut self) -> Result<Tail, OpenError> {
        let len = self.file.size().map_err(failed(self.name))?;
        let left = len.saturating_sub(self.offset);
        if left > TAIL_BYTES_MAX {
            return Ok(Tail::Corrupt("a frame that was durable is damaged"));
        }
        self.fill(usize::try_from(left).unwrap_or(usize::MAX))?;
        Ok(frame::judge_tail(self.available(), self.seed, self.offset))
    }
}
