//! One connection to a shim.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::{RuntimeError, Step};
use crate::records;
use crate::wire::{Event, FrameReader, FrameWriter, Message, Reply, Request, RequestFrame};

/// Events kept while an answer is awaited; a caller that subscribes reads them.
const EVENTS_MAX: usize = 4096;

/// One connection to a shim. Requests may be sent before earlier ones are answered; [`Message::Reply`] tells by number.
#[derive(Debug)]
pub struct Connection {
    directory: PathBuf,
    socket: OwnedFd,
    reader: FrameReader,
    writer: FrameWriter,
    next_id: u64,
    events: VecDeque<Event>,
}

/// A message with the descriptors that came with it.
#[derive(Debug)]
pub struct Incoming {
    /// The message.
    pub message: Message,
    /// What [`Request`] says of them.
    pub descriptors: Vec<OwnedFd>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection {
    /// Connects to the shim of the sandbox in `directory` (run directory + id).
    pub fn open(directory: &Path) -> Result<Self, RuntimeError> {
        let connect = || -> io::Result<OwnedFd> {
            // Named by descriptor: a socket's path has at most 107 bytes, a run directory may have more.
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let handle = rustix::fs::open(directory, flags, Mode::empty())?;
            let path = format!("/proc/self/fd/{}/{}", handle.as_raw_fd(), records::SOCKET);
            let socket = rustix::net::socket_with(
                AddressFamily::UNIX,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
            rustix::io::ioctl_fionbio(&socket, true)?;
            Ok(socket)
        };
        let socket = connect()
            .map_err(|source| RuntimeError::ShimGone { sandbox: directory.to_owned(), source })?;
        Ok(Self::over(directory, socket))
    }

    /// Over a nonblocking socket.
    pub(super) fn over(directory: &Path, socket: OwnedFd) -> Self {
        Self {
            directory: directory.to_owned(),
            socket,
            reader: FrameReader::default(),
            writer: FrameWriter::default(),
            next_id: 1,
            events: VecDeque::new(),
        }
    }

    /// Sends a request, or as much of it as the socket takes now; the number of its reply.
    pub fn send(
        &mut self,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<u64, RuntimeError> {
        let id = self.next_id;
        self.next_id += 1;
        let body = serde_json::to_vec(&RequestFrame { id, request }).map_err(io::Error::from);
        body.and_then(|body| self.writer.push(&body, descriptors))
            .step(|| "queue a request".into())?;
        self.flush()?;
        Ok(id)
    }

    /// Sends what is left; `true` when nothing is. Else call it again when the descriptor is writable.
    pub fn flush(&mut self) -> Result<bool, RuntimeError> {
        self.writer.flush(self.socket.as_fd()).map_err(|error| self.gone(error))
    }

    /// The next message, if it has arrived. `None`: call it again when the descriptor is readable.
    pub fn try_recv(&mut self) -> Result<Option<Incoming>, RuntimeError> {
        loop {
            let frame = self
                .reader
                .next()
                .map_err(|error| RuntimeError::Protocol { what: error.to_string().into() })?;
            if let Some((body, descriptors)) = frame {
                let message = serde_json::from_slice(&body);
                let message = message
                    .map_err(|error| RuntimeError::Protocol { what: error.to_string().into() })?;
                return Ok(Some(Incoming { message, descriptors }));
            }
            match self.reader.fill(self.socket.as_fd()) {
                Ok(true) => {}
                Ok(false) => return Err(self.gone(io::ErrorKind::UnexpectedEof.into())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(self.gone(error)),
            }
        }
    }

    fn gone(&self, source: io::Error) -> RuntimeError {
        RuntimeError::ShimGone { sandbox: self.directory.clone(), source }
    }

    /// Waits for the next message; `None` when the limit is over.
    fn recv(&mut self, limit: Duration) -> Result<Option<Incoming>, RuntimeError> {
        let deadline = Instant::now() + limit;
        loop {
            let is_sent = self.flush()?;
            if let Some(incoming) = self.try_recv()? {
                return Ok(Some(incoming));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let flags = if is_sent { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
            wait_for(self.socket.as_fd(), flags, left).step(|| "wait for the shim".into())?;
        }
    }

    /// Sends a request and waits for its answer. Events that come before it are kept for [`Self::next_event`].
    pub fn call(
        &mut self,
        request: Request,
        descriptors: Vec<OwnedFd>,
        limit: Duration,
    ) -> Result<(Reply, Vec<OwnedFd>), RuntimeError> {
        let sent = self.send(request, descriptors)?;
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(Incoming { message, descriptors }) = self.recv(left)? else {
                return Err(RuntimeError::TimedOut { limit });
            };
            match message {
                Message::Reply { id, result } if id == sent => {
                    return result.map(|reply| (reply, descriptors)).map_err(RuntimeError::Refused);
                }
                Message::Reply { .. } => {} // Of a call that timed out.
                Message::Event(event) => self.keep(event)?,
            }
        }
    }

    fn keep(&mut self, event: Event) -> Result<(), RuntimeError> {
        if self.events.len() >= EVENTS_MAX {
            return Err(RuntimeError::Protocol { what: "more events than anyone reads".into() });
        }
        self.events.push_back(event);
        Ok(())
    }

    /// Waits for the next event; `None` when the limit is over.
    pub fn next_event(&mut self, limit: Duration) -> Result<Option<Event>, RuntimeError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.recv(left)? {
                None => return Ok(None),
                Some(Incoming { message: Message::Event(event), .. }) => return Ok(Some(event)),
                Some(_) => {}
            }
        }
    }
}

/// Waits until a descriptor is ready; `false` when the limit is over.
pub(super) fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags, limit: Duration) -> io::Result<bool> {
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(&fd, flags)], Some(&limit)) {
        Err(rustix::io::Errno::INTR) => Ok(true), // The caller looks at its clock anyway.
        polled => Ok(polled? > 0),
    }
}
