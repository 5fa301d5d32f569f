//! Reading tar archives: the one parser for layers and image archives.
//!
//! Owns headers (v7, ustar, GNU), extended headers (PAX, GNU long names) and sparse files, all within
//! bounds. It sees a stream and does no other I/O, so it can be fuzzed as it is.
//!
//! Reads as Go's archive/tar does where readers differ, since that is what made and what else reads
//! images: global PAX headers are skipped, entries other than files have no content whatever their
//! size field says (CVE-2025-62518 is what happens when two readers disagree).
//!
//! Not here: what a path means ([`super::unpack`]).

use std::io::{self, Read};

use super::pax::{self, Extensions};
use super::sparse::{self, Region};
use crate::limits::Limits;

/// Size of headers and the unit of content.
pub(super) const BLOCK: usize = 512;
/// One header block.
pub(super) type Block = [u8; BLOCK];
/// How much content is handed on at once.
const CHUNK_BYTES: usize = 128 << 10;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The stream below failed.
    #[error("archive could not be read")]
    Read(#[source] io::Error),
    /// What receives the content failed.
    #[error("content could not be written")]
    Write(#[source] io::Error),
    /// The stream ends within an entry.
    #[error("archive ends within an entry: unexpected EOF")]
    Truncated,
    /// A header that is none.
    #[error("invalid tar header")]
    Header,
    /// A number that is none, or does not fit.
    #[error("tar header has an invalid {field}")]
    Number {
        /// Which field.
        field: &'static str,
    },
    /// A malformed PAX record.
    #[error("invalid extended header record")]
    Pax,
    /// A malformed sparse map.
    #[error("invalid sparse file map")]
    Sparse,
    /// Extended headers of one entry beyond the bound.
    #[error("extended headers of one entry exceed {max} bytes")]
    HeaderTooLarge {
        /// The bound.
        max: u64,
    },
    /// More entries than allowed.
    #[error("archive has more than {max} entries")]
    TooManyEntries {
        /// The bound.
        max: u64,
    },
    /// A kind of entry that has no meaning in a file system.
    #[error("unhandled tar header type {0}")]
    Kind(u8),
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file with content.
    File,
    /// Another name of an earlier entry.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// One entry, its extended headers applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path as written: never empty of meaning, but unchecked.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds and nanoseconds since the epoch.
    pub modified: (i64, u32),
    /// Size of the file in bytes, holes included; 0 for all but files.
    pub size: u64,
    /// Target of a link, unchecked.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the stored content belongs, if the file has holes.
    sparse: Option<Vec<Region>>,
}

/// The fixed part of a header.
struct Header {
    path: Vec<u8>,
    link: Vec<u8>,
    mode: u32,
    uid: u64,
    gid: u64,
    size: u64,
    modified: i64,
    device: (u32, u32),
    flag: u8,
}

/// Reads one archive.
pub struct Reader<R> {
    inner: R,
    header_bytes_max: u64,
    entries_max: u64,
    entry_count: u64,
    /// Content of the current entry that is not read yet.
    remaining: u64,
    /// Padding behind that content.
    padding: u64,
}

impl<R: Read> Reader<R> {
    /// Starts at the archive's first byte.
    pub fn new(inner: R, limits: &Limits) -> Self {
        Self {
            inner,
            header_bytes_max: limits.header_bytes,
            entries_max: limits.entries,
            entry_count: 0,
            remaining: 0,
            padding: 0,
        }
    }

    /// The next entry, skipping what is left of the last one; none at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let rest = self.remaining + self.padding;
        self.skip(rest)?;
        (self.remaining, self.padding) = (0, 0);
        let mut extensions = Extensions::default();
        let mut header_bytes = 0_u64;
        loop {
            let Some(block) = self.header_block()? else { return Ok(None) };
            let header = parse_header(&block)?;
            if !matches!(header.flag, b'x' | b'g' | b'L' | b'K') {
                return self.entry(&block, header, extensions).map(Some);
            }
            header_bytes = header_bytes.saturating_add(header.size).saturating_add(512);
            if header_bytes > self.header_bytes_max {
                return Err(ArchiveError::HeaderTooLarge { max: self.header_bytes_max });
            }
            let text = self.extension(header.size)?;
            match header.flag {
                b'x' => extensions.set_pax(pax::parse(&text)?)?,
                b'L' => extensions.long_path = Some(until_nul(&text).to_vec()),
                b'K' => extensions.long_link = Some(until_nul(&text).to_vec()),
                _ => {} // Global headers are skipped, see the head of this file.
            }
        }
    }

    /// Hands a file's content to `sink` as (offset, bytes) in rising order; holes are left out.
    pub fn content(
        &mut self,
        entry: &Entry,
        mut sink: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<(), ArchiveError> {
        let whole = [Region { offset: 0, length: self.remaining }];
        let regions = entry.sparse.as_deref().unwrap_or(&whole);
        let mut buffer = vec![0_u8; CHUNK_BYTES];
        for region in regions {
            let mut offset = region.offset;
            let mut left = region.length;
            while left > 0 {
                let want = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
                let chunk = buffer.get_mut(..want).ok_or(ArchiveError::Truncated)?;
                self.read_content(chunk)?;
                sink(offset, chunk).map_err(ArchiveError::Write)?;
                offset += want as u64;
                left -= want as u64;
            }
        }
        Ok(())
    }

    /// A file's content as a whole, if it has at most `max` bytes.
    pub fn content_bytes(
        &mut self,
        entry: &Entry,
        max: u64,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        if entry.size > max {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.content(entry, |offset, chunk| {
            bytes.resize(usize::try_from(offset).map_err(io::Error::other)?, 0);
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        bytes.resize(usize::try_from(entry.size).unwrap_or(bytes.len()), 0);
        Ok(Some(bytes))
    }

    /// Reads the stream behind the archive to its end, so that a digest below covers all of it.
    pub fn finish(mut self) -> Result<(), ArchiveError> {
        io::copy(&mut self.inner, &mut io::sink()).map(drop).map_err(ArchiveError::Read)
    }

    /// Exactly `buffer` of the current entry's content.
    pub(super) fn read_content(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        let rest =
            self.remaining.checked_sub(buffer.len() as u64).ok_or(ArchiveError::Truncated)?;
        self.read_exact(buffer)?;
        self.remaining = rest;
        Ok(())
    }

    /// A block that belongs to the header, not to the content.
    pub(super) fn read_block(&mut self) -> Result<Block, ArchiveError> {
        let mut block = [0_u8; BLOCK];
        self.read_exact(&mut block)?;
        Ok(block)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        self.inner.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Truncated,
            _ => ArchiveError::Read(error),
        })
    }

    /// The next header; none at the end, which is two empty blocks or the end of the stream.
    fn header_block(&mut self) -> Result<Option<Block>, ArchiveError> {
        let mut block = [0_u8; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(ArchiveError::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::Read(error)),
            }
        }
        if block.iter().any(|byte| *byte != 0) {
            return Ok(Some(block));
        }
        match self.read_block() {
            Ok(second) if second.iter().any(|byte| *byte != 0) => Err(ArchiveError::Header),
            Ok(_) | Err(ArchiveError::Truncated) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        let length = usize::try_from(size).map_err(|_| ArchiveError::Header)?;
        let mut text = vec![0_u8; length]; // At most `header_bytes_max`, checked by the caller.
        self.read_exact(&mut text)?;
        self.skip(padding_of(size))?;
        Ok(text)
    }

    fn skip(&mut self, count: u64) -> Result<(), ArchiveError> {
        let skipped = io::copy(&mut (&mut self.inner).take(count), &mut io::sink())
            .map_err(ArchiveError::Read)?;
        if skipped == count { Ok(()) } else { Err(ArchiveError::Truncated) }
    }

    fn entry(
        &mut self,
        block: &Block,
        header: Header,
        mut extensions: Extensions,
    ) -> Result<Entry, ArchiveError> {
        self.entry_count += 1;
        if self.entry_count > self.entries_max {
            return Err(ArchiveError::TooManyEntries { max: self.entries_max });
        }
        let path = extensions.path(header.path);
        let kind = kind_of(header.flag, &path)?;
        let stored = if kind == Kind::File { extensions.size.unwrap_or(header.size) } else { 0 };
        (self.remaining, self.padding) = (stored, padding_of(stored));
        let (sparse, size) = match sparse::read(self, block, header.flag, &mut extensions.sparse)? {
            Some(map) if kind == Kind::File => (Some(map.regions), map.real_size),
            _ => (None, stored),
        };
        Ok(Entry {
            path: extensions.sparse.name.take().unwrap_or(path),
            kind,
            mode: header.mode & 0o7777,
            uid: identity(extensions.uid.unwrap_or(header.uid), "owner")?,
            gid: identity(extensions.gid.unwrap_or(header.gid), "group")?,
            modified: extensions.modified.unwrap_or((header.modified, 0)),
            size,
            link: extensions.link(header.link),
            device: header.device,
            xattrs: std::mem::take(&mut extensions.xattrs),
            sparse,
        })
    }

    /// Content of the current entry that is not read yet, in bytes.
    pub(super) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The bound for everything that describes an entry.
    pub(super) fn header_bytes_max(&self) -> u64 {
        self.header_bytes_max
    }
}

/// A user or group number. The last one means "unchanged" to the kernel and is refused
/// (CVE-2024-40635 is the class: numbers that overflow become root).
fn identity(number: u64, field: &'static str) -> Result<u32, ArchiveError> {
    u32::try_from(number).ok().filter(|id| *id != u32::MAX).ok_or(ArchiveError::Number { field })
}

fn kind_of(flag: u8, path: &[u8]) -> Result<Kind, ArchiveError> {
    Ok(match flag {
        0 | b'0' if path.last() == Some(&b'/') => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(ArchiveError::Kind(other)),
    })
}

fn padding_of(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

pub(super) fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

pub(super) fn slice(block: &Block, offset: usize, length: usize) -> &[u8] {
    block.get(offset..offset + length).unwrap_or_default()
}

fn parse_header(block: &Block) -> Result<Header, ArchiveError> {
    let sum = |signed: bool| -> i64 {
        let byte_value = |(at, byte): (usize, &u8)| match at {
            148..=155 => 32,
            _ if signed => i64::from(byte.cast_signed()),
            _ => i64::from(*byte),
        };
        block.iter().enumerate().map(byte_value).sum()
    };
    let stored = number(slice(block, 148, 8), "checksum")?;
    if stored != sum(false) && stored != sum(true) {
        return Err(ArchiveError::Header);
    }
    let unsigned = |offset, length, field| -> Result<u64, ArchiveError> {
        u64::try_from(number(slice(block, offset, length), field)?)
            .map_err(|_| ArchiveError::Number { field })
    };
    let small = |offset, length, field| -> Result<u32, ArchiveError> {
        u32::try_from(unsigned(offset, length, field)?).map_err(|_| ArchiveError::Number { field })
    };
    let flag = block.get(156).copied().unwrap_or_default();
    let magic = slice(block, 257, 8);
    let is_ustar = magic.starts_with(b"ustar\0");
    let has_devices = (is_ustar || magic.starts_with(b"ustar ")) && matches!(flag, b'3' | b'4');
    let mut path = until_nul(slice(block, 0, 100)).to_vec();
    let prefix = until_nul(slice(block, 345, 155));
    if is_ustar && !prefix.is_empty() {
        path = [prefix, b"/", &path].concat();
    }
    let device =
        if has_devices { (small(329, 8, "device")?, small(337, 8, "device")?) } else { (0, 0) };
    Ok(Header {
        path,
        link: until_nul(slice(block, 157, 100)).to_vec(),
        mode: small(100, 8, "mode")?,
        uid: unsigned(108, 8, "owner")?,
        gid: unsigned(116, 8, "group")?,
        size: unsigned(124, 12, "size")?,
        modified: number(slice(block, 136, 12), "time")?,
        device,
        flag,
    })
}

/// Octal text, or binary if the first bit is set (GNU).
pub(super) fn number(field: &[u8], name: &'static str) -> Result<i64, ArchiveError> {
    let bad = || ArchiveError::Number { field: name };
    let Some((first, rest)) = field.split_first() else { return Err(bad()) };
    if first & 0x80 == 0 {
        let text = field.trim_ascii();
        let digits: Vec<u8> =
            text.iter().copied().filter(|byte| !matches!(byte, 0 | b' ')).collect();
        let text = std::str::from_utf8(&digits).map_err(|_| bad())?;
        return if text.is_empty() {
            Ok(0)
        } else {
            i64::from_str_radix(text, 8).map_err(|_| bad())
        };
    }
    let is_negative = first & 0x40 != 0;
    let start =
        if is_negative { i128::from(first & 0x3f) - 0x40 } else { i128::from(first & 0x3f) };
    let mut value = start;
    for byte in rest {
        value = (value << 8) | i128::from(*byte);
        if i64::try_from(value).is_err() {
            return Err(bad());
        }
    }
    i64::try_from(value).map_err(|_| bad())
}

#[cfg(test)]
mod tests;
