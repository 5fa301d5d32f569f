//! Files of logs: opened beneath the log folder, and read from their end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::LogError;
use super::line::Entry;
use crate::beneath;

/// How much is read at once when looking for the end's lines.
const BLOCK_BYTES: usize = 64 << 10;
/// How much of a log's end is looked at for a container's last words.
const TAIL_BYTES_MAX: u64 = 1 << 20;

/// Opens a log beneath the log folder, through no link.
pub(crate) fn open(log_dir: &Path, path: &Path) -> Result<File, LogError> {
    if !path.starts_with(log_dir) {
        return Err(LogError::Outside(path.to_owned()));
    }
    beneath::open(log_dir, path).map_err(|source| LogError::Open { path: path.to_owned(), source })
}

/// The files that were put aside for a log, the oldest first.
pub(super) fn put_aside_before(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let prefix = format!("{name}.");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
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
pub(crate) fn tail_text(log_dir: &Path, path: &Path, lines: usize) -> io::Result<String> {
    let mut file = beneath::open(log_dir, path)?;
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
