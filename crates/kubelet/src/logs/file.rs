//! Files of logs: opened beneath the log folder, and read from their end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::LogError;
use super::line::Entry;

/// How much is read at once when looking for the end's lines.
const BLOCK_BYTES: usize = 64 << 10;
/// How much of a log's end is looked at for a container's last words.
const TAIL_BYTES_MAX: u64 = 1 << 20;

/// Opens a log beneath the log folder, through no link.
pub(crate) fn open(log_dir: &Path, path: &Path) -> Result<File, LogError> {
    let below = path.strip_prefix(log_dir).map_err(|_| LogError::Outside(path.to_owned()))?;
    let open = || -> io::Result<File> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(log_dir, flags, Mode::empty())?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let file = rustix::fs::openat2(&root, below, flags, Mode::empty(), resolve)?;
        Ok(File::from(file))
    };
    open().map_err(|source| LogError::Open { path: path.to_owned(), source })
}

/// Where the last `lines` lines of a file begin.
pub(crate) fn tail_start(file: &mut File, lines: u64) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(length);
    }
    let mut seen = 0;
    let mut end = length;
    let mut block = vec![0; BLOCK_BYTES];
    while end > 0 {
        let size = BLOCK_BYTES.min(usize::try_from(end).unwrap_or(BLOCK_BYTES));
        let start = end - size as u64;
        file.seek(SeekFrom::Start(start))?;
        let part = block.get_mut(..size).unwrap_or_default();
        file.read_exact(part)?;
        for (at, byte) in part.iter().enumerate().rev() {
            let position = start + at as u64;
            // The last line's own end does not begin a line.
            if *byte == b'\n' && position + 1 < length {
                seen += 1;
                if seen == lines {
                    return Ok(position + 1);
                }
            }
        }
        end = start;
    }
    Ok(0)
}

/// The texts of the last `lines` lines of a log, for a container's last words.
pub(crate) fn tail_text(path: &Path, lines: usize) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let start = tail_start(&mut file, lines as u64)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL_BYTES_MAX))))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
    let mut text = Vec::with_capacity(bytes.len());
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(entry) = Entry::parse(line) else { continue };
        text.extend_from_slice(entry.text);
        if !entry.is_partial {
            text.push(b'\n');
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
