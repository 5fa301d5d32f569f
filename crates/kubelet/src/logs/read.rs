//! [`LogStream`]: the bytes of a log as a client gets them, piece by piece, the end awaited where the log is followed.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use podo_base::Timestamp;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

use super::line::Entry;
use super::{LogError, LogRequest, LogStreams, file};

/// How much is read at once, and about how much a piece holds.
const PIECE_BYTES: usize = 64 << 10;
/// The longest entry; what is longer is given out as it is.
const ENTRY_BYTES_MAX: usize = 1 << 20;

/// Which file, and whether more may come.
pub(crate) struct Source {
    /// The log folder.
    pub(crate) log_dir: PathBuf,
    /// The file.
    pub(crate) path: PathBuf,
    /// Resolves when the container has ended; `None` if it is not to be followed, or has ended before.
    pub(crate) follow: Option<BoxFuture<'static, ()>>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A log as a client gets it. Dropping it ends everything.
#[derive(Debug)]
pub struct LogStream {
    reading: Reading,
    /// What wakes it where the log is followed, as long as its container runs.
    follow: Option<(Follow, Ended)>,
    is_done: bool,
}

/// Resolves when a container has ended.
struct Ended(BoxFuture<'static, ()>);

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ended")
    }
}

/// Where the reader is: here, or at work on a thread where it may wait for the disk.
#[derive(Debug)]
enum Reading {
    Rests(Box<Reader>),
    Works(tokio::task::JoinHandle<(Box<Reader>, io::Result<Piece>)>),
    Failed,
}

/// Some of a log.
#[derive(Debug)]
pub(crate) struct Piece {
    /// What of it is wanted.
    pub(crate) bytes: Vec<u8>,
    /// Whether nothing more is there now.
    is_at_end: bool,
    /// Whether nothing more will come.
    pub(crate) is_last: bool,
}

/// The file that is read, and how far.
#[derive(Debug)]
pub(crate) struct Reader {
    log_dir: PathBuf,
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    filter: Filter,
}

/// What of each entry is given out.
#[derive(Debug)]
struct Filter {
    since: Option<Timestamp>,
    has_timestamps: bool,
    streams: LogStreams,
    left: Option<u64>,
    is_line_begun: bool,
}

/// Waits for more.
#[derive(Debug)]
struct Follow {
    inotify: AsyncFd<OwnedFd>,
}

impl LogStream {
    /// Opens a log. May wait for the disk.
    pub(crate) fn open(source: Source, request: &LogRequest) -> Result<Self, LogError> {
        let Source { log_dir, path, follow } = source;
        // The watch stands before the file is read: nothing that comes meanwhile is missed.
        let follow = match follow {
            Some(ended) => {
                let follow = Follow::new(&path)
                    .map_err(|source| LogError::Open { path: path.clone(), source })?;
                Some((follow, Ended(ended)))
            }
            None => None,
        };
        let reader = Reader::open(log_dir, path, request)?;
        Ok(Self { reading: Reading::Rests(Box::new(reader)), follow, is_done: false })
    }

    /// The next piece; `None` at the end. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.is_done {
                return None;
            }
            // Known before reading: what was written before the end is read after it is known.
            let is_followed = self.follow.is_some();
            let piece = match self.read(is_followed).await {
                Ok(piece) => piece,
                Err(error) => {
                    self.is_done = true;
                    return Some(Err(error));
                }
            };
            self.is_done = piece.is_last;
            if !piece.bytes.is_empty() {
                return Some(Ok(Bytes::from(piece.bytes)));
            }
            if piece.is_at_end && !self.is_done {
                self.wait().await;
            }
        }
    }

    /// Reads a piece, or waits for the one that is being read since a call that was dropped.
    async fn read(&mut self, is_followed: bool) -> io::Result<Piece> {
        if let Reading::Rests(_) = self.reading
            && let Reading::Rests(mut reader) =
                std::mem::replace(&mut self.reading, Reading::Failed)
        {
            self.reading = Reading::Works(tokio::task::spawn_blocking(move || {
                let piece = reader.read(is_followed);
                (reader, piece)
            }));
        }
        let Reading::Works(work) = &mut self.reading else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let worked = work.await;
        self.reading = Reading::Failed;
        let (reader, piece) = worked.map_err(io::Error::other)?;
        self.reading = Reading::Rests(reader);
        piece
    }

    async fn wait(&mut self) {
        let Some((follow, Ended(ended))) = &mut self.follow else { return };
        tokio::select! {
            biased;
            () = ended => self.follow = None,
            () = follow.changed() => {}
        }
    }
}

impl Reader {
    /// Opens a log where the request wants it to begin.
    pub(crate) fn open(
        log_dir: PathBuf,
        path: PathBuf,
        request: &LogRequest,
    ) -> Result<Self, LogError> {
        let mut file = file::open(&log_dir, &path)?;
        if let Some(lines) = request.tail_lines {
            file::tail_start(&mut file, lines)
                .and_then(|start| file.seek(SeekFrom::Start(start)))
                .map_err(|source| LogError::Open { path: path.clone(), source })?;
        }
        let filter = Filter {
            since: request.since,
            has_timestamps: request.timestamps,
            streams: request.stream,
            left: request.limit_bytes,
            is_line_begun: false,
        };
        Ok(Self { log_dir, path, file, pending: Vec::new(), filter })
    }

    /// Reads a piece; `is_followed` if more may be written.
    pub(crate) fn read(&mut self, is_followed: bool) -> io::Result<Piece> {
        let mut bytes = Vec::new();
        let mut is_at_end = self.read_piece(&mut bytes)?;
        if is_at_end && is_followed {
            is_at_end = !self.reopen_if_rotated();
        }
        let is_over = is_at_end && !is_followed;
        if is_over && !self.pending.is_empty() {
            // The runtime was killed within an entry.
            let rest = std::mem::take(&mut self.pending);
            self.filter.pass(&rest, &mut bytes);
        }
        Ok(Piece { bytes, is_at_end, is_last: is_over || self.filter.left == Some(0) })
    }

    /// Reads some and passes on what is whole; true at the end of the file.
    fn read_piece(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut block = vec![0; PIECE_BYTES];
        while out.len() < PIECE_BYTES && self.filter.left != Some(0) {
            let count = self.file.read(&mut block)?;
            if count == 0 {
                return Ok(true);
            }
            self.pending.extend_from_slice(block.get(..count).unwrap_or_default());
            let mut start = 0;
            while let Some(length) = find_end(self.pending.get(start..).unwrap_or_default()) {
                let line = self.pending.get(start..start + length).unwrap_or_default();
                self.filter.pass(line, out);
                start += length + 1;
            }
            self.pending.drain(..start);
            if self.pending.len() > ENTRY_BYTES_MAX {
                let rest = std::mem::take(&mut self.pending);
                self.filter.pass(&rest, out);
            }
        }
        Ok(false)
    }

    /// Goes on in the next file if the log was rotated; true if so.
    fn reopen_if_rotated(&mut self) -> bool {
        let Some(next) = self.next_file() else { return false };
        self.file = next;
        true
    }

    /// The file after the one that is read, which may have been put aside as well by now.
    fn next_file(&self) -> Option<File> {
        let inode = |file: &File| file.metadata().map(|metadata| metadata.ino()).ok();
        let (own, log_dir) = (inode(&self.file), &self.log_dir);
        let newest = file::open(log_dir, &self.path).ok()?;
        if inode(&newest) == own {
            return None;
        }
        let aside = file::put_aside_before(&self.path).ok()?.into_iter().rev();
        let mut next = newest;
        for path in aside {
            match file::open(log_dir, &path) {
                Ok(file) if inode(&file) == own => return Some(next),
                Ok(file) => next = file,
                Err(_) => break, // Removed meanwhile: what is left is read.
            }
        }
        Some(next)
    }
}

fn find_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

impl Filter {
    /// Passes one entry on, as far as it is wanted. What is no entry is passed on as it is.
    fn pass(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(entry) = Entry::parse(line) else {
            return;
        };
        let is_unwanted = match self.streams {
            LogStreams::All => false,
            LogStreams::Stdout => entry.is_stderr,
            LogStreams::Stderr => !entry.is_stderr,
        };
        if is_unwanted {
            return;
        }
        if let Some(since) = self.since {
            if entry.is_before(since) {
                return;
            }
            // Times only grow: no further entry needs to be looked at.
            self.since = None;
        }
        if self.has_timestamps && !self.is_line_begun {
            self.push(entry.time, out);
            self.push(b" ", out);
        }
        self.push(entry.text, out);
        if !entry.is_partial {
            self.push(b"\n", out);
        }
        self.is_line_begun = entry.is_partial;
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let allowed = match &mut self.left {
            None => bytes.len(),
            Some(left) => {
                let allowed = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= allowed as u64;
                allowed
            }
        };
        out.extend_from_slice(bytes.get(..allowed).unwrap_or_default());
    }
}

impl Follow {
    /// Watches the folder of a file: writes to it, and a new file in its place.
    fn new(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(path);
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF;
        inotify::add_watch(&inotify, folder, flags)?;
        #[expect(
            deprecated,
            reason = "the descriptor is owned and never changed; the other constructor is unsafe code"
        )]
        let inotify = AsyncFd::new(inotify)?;
        Ok(Self { inotify })
    }

    /// Waits until something happened, and forgets what.
    async fn changed(&self) {
        loop {
            let Ok(mut guard) = self.inotify.readable().await else { return };
            let mut buffer = [0_u8; 4096];
            let mut was_told = false;
            let drained = guard.try_io(|inotify| {
                loop {
                    match rustix::io::read(inotify.get_ref(), &mut buffer) {
                        Ok(0) => return Ok(()),
                        Ok(_) => was_told = true,
                        Err(error) => return Err(io::Error::from(error)),
                    }
                }
            });
            let is_broken = matches!(drained, Ok(Err(_)));
            if was_told || is_broken {
                return;
            }
        }
    }
}
