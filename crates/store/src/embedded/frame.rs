//! The frame: how a record lies in a file, so that any damage to it is seen.
//!
//! ```text
//! file   = "PODOLOG1" | format u32 | checksum of the rest of this header u32 | first revision u64 | seed u32 | zero u32 | frame…
//! frame  = "PFR1" | checksum of the header u32 | payload bytes u32 | checksum of the payload u32
//!          | revision u64 | synced u64 | payload | zeros up to a multiple of 8
//! ```
//! Numbers are little-endian, checksums CRC-32C. `synced` is how far the file was durable when the frame was written: a sound
//! frame behind a damaged one tells whether the damage is of the last, unfinished write or of something that was once safe.
//! The checksums of frames start from the file's random seed, so that a value which looks like a frame is not taken for one.
//!
//! Everything here is a pure function over bytes and safe on any bytes.

use std::ops::Range;

/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 32;

/// Bytes of a file before its first frame.
pub const FILE_HEADER_BYTES: usize = 32;

/// Largest payload: a transaction of [`crate::TXN_BYTES_MAX`] with its keys, and room.
pub const PAYLOAD_BYTES_MAX: usize = 32 << 20;

/// The format of files that this program writes, and the only one it reads.
pub const FORMAT: u32 = 1;

const FRAME_MAGIC: &[u8; 4] = b"PFR1";
const FILE_MAGIC: &[u8; 8] = b"PODOLOG1";
const ALIGN: usize = 8;

/// What a device writes wholly or not at all. Larger on many devices, but never smaller.
const SECTOR_BYTES: u64 = 512;

/// A sound frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Of a log: the transaction's revision. Of a snapshot: the frame's number.
    pub revision: u64,
    /// The file was durable up to here when the frame was written.
    pub synced: u64,
    /// The record.
    pub payload: &'a [u8],
    /// Bytes up to the next frame.
    pub size: usize,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    revision: u64,
    synced: u64,
    payload_bytes: usize,
    payload_checksum: u32,
}

impl Header {
    /// Bytes from the frame's begin up to the next frame.
    pub fn size(&self) -> usize {
        (FRAME_HEADER_BYTES + self.payload_bytes).next_multiple_of(ALIGN)
    }
}

/// Why bytes are no sound frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The bytes end within the frame.
    Cut,
    /// The header is not one.
    Header,
    /// The header is sound, the payload is not what was written.
    Payload,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Reads the header of the frame that `bytes` begin with.
pub fn parse_header(bytes: &[u8], seed: u32) -> Result<Header, Damage> {
    let header = bytes.get(..FRAME_HEADER_BYTES).ok_or(Damage::Cut)?;
    let parse = || {
        let covered = header.get(8..)?;
        let is_sound = header.starts_with(FRAME_MAGIC)
            && u32_at(header, 4)? == crc32c::crc32c_append(seed, covered);
        let payload_bytes = usize::try_from(u32_at(header, 8)?).ok()?;
        let parsed = Header {
            revision: u64_at(header, 16)?,
            synced: u64_at(header, 24)?,
            payload_bytes,
            payload_checksum: u32_at(header, 12)?,
        };
        (is_sound && payload_bytes <= PAYLOAD_BYTES_MAX).then_some(parsed)
    };
    parse().ok_or(Damage::Header)
}

/// Reads the frame that `bytes` begin with.
pub fn parse(bytes: &[u8], seed: u32) -> Result<Frame<'_>, Damage> {
    let header = parse_header(bytes, seed)?;
    let end = FRAME_HEADER_BYTES + header.payload_bytes;
    let payload = bytes.get(FRAME_HEADER_BYTES..end).ok_or(Damage::Cut)?;
    let padding = bytes.get(end..header.size()).ok_or(Damage::Cut)?;
    let checksum = crc32c::crc32c_append(seed, payload);
    if checksum != header.payload_checksum || padding.iter().any(|byte| *byte != 0) {
        return Err(Damage::Payload);
    }
    let Header { revision, synced, .. } = header;
    Ok(Frame { revision, synced, payload, size: header.size() })
}

/// Appends a frame whose payload `write` appends; gives the payload's size. Larger than [`PAYLOAD_BYTES_MAX`] cannot be read
/// back: the caller bounds what it writes.
pub fn append(
    out: &mut Vec<u8>,
    seed: u32,
    revision: u64,
    synced: u64,
    write: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES, 0);
    write(out);
    let payload = out.get(start + FRAME_HEADER_BYTES..).unwrap_or_default();
    let payload_bytes = payload.len();
    debug_assert!(payload_bytes <= PAYLOAD_BYTES_MAX, "a payload is bounded");
    let mut covered = Vec::with_capacity(FRAME_HEADER_BYTES);
    covered.extend(u32::try_from(payload_bytes).unwrap_or(u32::MAX).to_le_bytes());
    covered.extend(crc32c::crc32c_append(seed, payload).to_le_bytes());
    covered.extend(revision.to_le_bytes());
    covered.extend(synced.to_le_bytes());
    let checksum = crc32c::crc32c_append(seed, &covered).to_le_bytes();
    let header = FRAME_MAGIC.iter().chain(&checksum).chain(&covered);
    for (place, byte) in out.iter_mut().skip(start).zip(header) {
        *place = *byte;
    }
    out.resize(start + (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(ALIGN), 0);
    payload_bytes
}

/// The header of a file whose first revision is `first` (of a snapshot: whose only one).
pub fn file_header(first: u64, seed: u32) -> [u8; FILE_HEADER_BYTES] {
    let mut covered = [0; 16];
    for (place, byte) in
        covered.iter_mut().zip(first.to_le_bytes().into_iter().chain(seed.to_le_bytes()))
    {
        *place = byte;
    }
    let mut header = [0; FILE_HEADER_BYTES];
    let format = FORMAT.to_le_bytes();
    let checksum = crc32c::crc32c(&covered).to_le_bytes();
    let bytes = FILE_MAGIC.iter().chain(&format).chain(&checksum).chain(&covered);
    for (place, byte) in header.iter_mut().zip(bytes) {
        *place = *byte;
    }
    header
}

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileHeader {
    /// Ours.
    Sound {
        /// The first revision.
        first: u64,
        /// What the checksums of its frames start from.
        seed: u32,
    },
    /// Ours, of another format.
    OtherFormat(u32),
    /// None.
    Damaged,
}

/// Reads a file's header.
pub fn parse_file_header(bytes: &[u8]) -> FileHeader {
    let parse = || {
        let header = bytes.get(..FILE_HEADER_BYTES)?;
        if !header.starts_with(FILE_MAGIC) {
            return None;
        }
        let format = u32_at(header, 8)?;
        if format != FORMAT {
            return Some(FileHeader::OtherFormat(format));
        }
        let covered = header.get(16..)?;
        (u32_at(header, 12)? == crc32c::crc32c(covered)).then_some(())?;
        Some(FileHeader::Sound { first: u64_at(header, 16)?, seed: u32_at(header, 24)? })
    };
    parse().unwrap_or(FileHeader::Damaged)
}

/// What lies where no sound frame begins, at the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Nothing was written there.
    Empty,
    /// A write that never finished, and so was never answered: to be cut off.
    Torn,
    /// Something that was durable is not any more.
    Corrupt(&'static str),
}

/// Judges `bytes`, which lie at `offset` of their file and reach to its end, and with which no sound frame begins.
///
/// A crash leaves of an unfinished write any of its sectors, the others zero or beyond the end of the file. So the damage is
/// of an unfinished write only if the frame lacks such a part and no frame behind it was written after a later sync.
pub fn judge_tail(bytes: &[u8], seed: u32, offset: u64) -> Tail {
    if bytes.iter().all(|byte| *byte == 0) {
        return Tail::Empty;
    }
    let mut behind =
        (ALIGN..bytes.len()).step_by(ALIGN).filter_map(|at| parse(bytes.get(at..)?, seed).ok());
    if behind.any(|frame| frame.synced > offset) {
        return Tail::Corrupt("a frame that was durable is damaged");
    }
    let frame = match parse_header(bytes, seed) {
        Ok(header) => 0..header.size(),
        Err(_) => 0..FRAME_HEADER_BYTES,
    };
    if frame.end > bytes.len() || has_zero_sector(bytes, offset, frame) {
        Tail::Torn
    } else {
        Tail::Corrupt("a frame is damaged in a way that no crash leaves")
    }
}

/// Whether the part of `bytes` within `range` lies in a sector of which nothing from the start of `bytes` on was written.
fn has_zero_sector(bytes: &[u8], offset: u64, range: Range<usize>) -> bool {
    let mut start = range.start;
    while start < range.end {
        let into_sector = (offset + start as u64) % SECTOR_BYTES;
        let left = usize::try_from(SECTOR_BYTES - into_sector).unwrap_or(1);
        let end = (start + left).min(bytes.len());
        if bytes.get(start..end).is_none_or(|sector| sector.iter().all(|byte| *byte == 0)) {
            return true;
        }
        start += left;
    }
    false
}
