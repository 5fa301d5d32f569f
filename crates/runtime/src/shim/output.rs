//! Standard output and error: to the log and to attached clients.
//!
//! A client that does not read holds the container's stream up, as a terminal does, but only for a while; then it is
//! let go. The log is never skipped.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use super::container::Container;
use super::log::Log;
use super::{Shim, Source, watch};
use crate::clock;
use crate::log_format::LineCutter;

/// Read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Reads in one turn, so that one loud container does not starve its neighbours.
const READS_MAX: usize = 8;

/// Attached clients of one stream.
const CLIENTS_MAX: usize = 32;

/// How long a client may hold a stream up.
const STUCK_MS_MAX: u64 = 10_000;

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamName {
    /// Also the terminal.
    Stdout,
    Stderr,
}

/// One stream of a container.
pub(super) struct Output {
    pub(super) name: StreamName,
    /// Until its end.
    source: Option<(OwnedFd, u64)>,
    cutter: LineCutter,
    clients: Vec<Client>,
    /// Tokens of clients that have gone, until they are forgotten.
    gone: Vec<u64>,
}

struct Client {
    pipe: OwnedFd,
    token: u64,
    pending: Vec<u8>,
    /// Since when it takes nothing.
    stuck_at_ms: u64,
}

impl Client {
    /// Whether it is still there.
    fn offer(&mut self, chunk: &[u8]) -> bool {
        if self.pending.is_empty() {
            let written = match rustix::io::write(&self.pipe, chunk) {
                Ok(count) => count,
                Err(Errno::AGAIN) => 0,
                Err(_) => return false,
            };
            self.pending.extend_from_slice(&chunk[written..]);
            self.stuck_at_ms = clock::monotonic_ms();
        } else {
            self.pending.extend_from_slice(chunk);
        }
        true
    }

    fn flush(&mut self) -> bool {
        match rustix::io::write(&self.pipe, &self.pending) {
            Ok(count) => {
                self.pending.drain(..count);
                self.stuck_at_ms = clock::monotonic_ms();
                true
            }
            Err(error) => error == Errno::AGAIN,
        }
    }

    fn is_stuck(&self, now_ms: u64) -> bool {
        !self.pending.is_empty() && now_ms.saturating_sub(self.stuck_at_ms) > STUCK_MS_MAX
    }
}

impl Output {
    pub(super) fn new(name: StreamName, fd: OwnedFd, token: u64) -> Self {
        let text = if name == StreamName::Stdout { "stdout" } else { "stderr" };
        Self {
            name,
            source: Some((fd, token)),
            cutter: LineCutter::new(text),
            clients: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Keeps the clients that are as told; the others' ends are closed.
    fn keep_clients(&mut self, mut is_kept: impl FnMut(&mut Client) -> bool) {
        let gone = self.clients.extract_if(.., |client| !is_kept(client));
        self.gone.extend(gone.map(|client| client.token));
    }

    /// Takes what there is, up to `reads_max` chunks; `false` at the stream's end.
    fn take(&mut self, log: &mut Option<Log>, reads_max: usize) -> bool {
        let mut chunk = [0_u8; CHUNK_BYTES];
        for _ in 0..reads_max {
            let Some((fd, _)) = &self.source else { return false };
            let count = match rustix::io::read(fd, &mut chunk) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => continue,
                Err(_) => return false, // A terminal whose last user has ended gives EIO.
            };
            let chunk = &chunk[..count];
            if let Some(log) = log {
                let mut entries = Vec::with_capacity(count + count / 4 + 64);
                self.cutter.push(chunk, clock::now_ns(), &mut entries);
                let _ = log.write(&entries); // A full disk costs log lines, not the container.
            }
            self.keep_clients(|client| client.offer(chunk));
            if self.clients.iter().any(|client| !client.pending.is_empty()) {
                return true;
            }
        }
        true
    }
}

impl Container {
    fn output(&mut self, name: StreamName) -> Option<(&mut Output, &mut Option<Log>)> {
        let log = &mut self.log;
        self.outputs.iter_mut().find(|output| output.name == name).map(|output| (output, log))
    }
}

impl Shim {
    /// Starts reading a stream.
    pub(super) fn add_output(
        &mut self,
        id: &str,
        name: StreamName,
        fd: OwnedFd,
    ) -> io::Result<Output> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        let token = self.token(Source::Output(id.to_owned(), name));
        watch(&self.epoll, fd.as_fd(), token, EventFlags::IN)?;
        Ok(Output::new(name, fd, token))
    }

    pub(super) fn output_ready(&mut self, id: &str, name: StreamName) {
        let Some((output, log)) =
            self.containers.get_mut(id).and_then(|container| container.output(name))
        else {
            return;
        };
        if !output.take(log, READS_MAX) {
            self.close_source(id, name);
        }
        self.balance(id, name);
    }

    /// The container has ended: takes what is left of its streams and ends them.
    pub(super) fn drain_outputs(&mut self, id: &str) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            // A pipe holds at most 1 MiB unless privileged; what others still write into it is not the container's.
            const READS_AT_END_MAX: usize = 64;
            for _ in 0..READS_AT_END_MAX {
                let Some((output, log)) =
                    self.containers.get_mut(id).and_then(|container| container.output(name))
                else {
                    break;
                };
                let is_empty = output
                    .source
                    .as_ref()
                    .is_none_or(|(fd, _)| rustix::io::ioctl_fionread(fd).unwrap_or(0) == 0);
                if !output.take(log, 1) || is_empty {
                    break;
                }
            }
            self.close_source(id, name);
            self.balance(id, name);
        }
    }

    fn close_source(&mut self, id: &str, name: StreamName) {
        let Some((output, log)) =
            self.containers.get_mut(id).and_then(|container| container.output(name))
        else {
            return;
        };
        let mut entries = Vec::new();
        output.cutter.finish(clock::now_ns(), &mut entries);
        if let Some(log) = log.as_mut().filter(|_| !entries.is_empty()) {
            let _ = log.write(&entries);
        }
        if let Some((_, token)) = output.source.take() {
            self.sources.remove(&token);
        }
    }

    /// After any change: listens to the stream only while no client is behind, and to clients only while they are.
    fn balance(&mut self, id: &str, name: StreamName) {
        let Some((output, _)) =
            self.containers.get_mut(id).and_then(|container| container.output(name))
        else {
            return;
        };
        let is_over = output.source.is_none();
        output.keep_clients(|client| !(is_over && client.pending.is_empty()));
        for token in output.gone.drain(..) {
            self.sources.remove(&token);
        }
        for client in &output.clients {
            let flags =
                if client.pending.is_empty() { EventFlags::empty() } else { EventFlags::OUT };
            let _ =
                epoll::modify(&self.epoll, &client.pipe, EventData::new_u64(client.token), flags);
        }
        if let Some((fd, token)) = &output.source {
            let is_free = output.clients.iter().all(|client| client.pending.is_empty());
            let flags = if is_free { EventFlags::IN } else { EventFlags::empty() };
            let _ = epoll::modify(&self.epoll, fd, EventData::new_u64(*token), flags);
        }
    }

    pub(super) fn client_ready(&mut self, id: &str, name: StreamName, token: u64) {
        let Some((output, _)) =
            self.containers.get_mut(id).and_then(|container| container.output(name))
        else {
            return;
        };
        // An event without pending output is the reader's leaving.
        output.keep_clients(|client| {
            client.token != token || (!client.pending.is_empty() && client.flush())
        });
        self.balance(id, name);
    }

    /// Adds a client to a stream; gives the end that it reads. A stream that has ended gives an end at once.
    pub(super) fn add_client(&mut self, id: &str, name: StreamName) -> io::Result<OwnedFd> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&write, true)?;
        let token = self.next_token;
        let Some((output, _)) =
            self.containers.get_mut(id).and_then(|container| container.output(name))
        else {
            return Ok(read);
        };
        if output.source.is_none() {
            return Ok(read);
        }
        if output.clients.len() >= CLIENTS_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        watch(&self.epoll, write.as_fd(), token, EventFlags::empty())?;
        output.clients.push(Client { pipe: write, token, pending: Vec::new(), stuck_at_ms: 0 });
        self.token(Source::Client(id.to_owned(), name));
        Ok(read)
    }

    /// Lets go of clients that hold a stream up too long; says whether some are behind.
    pub(super) fn release_stuck_clients(&mut self, now_ms: u64) {
        let names = [StreamName::Stdout, StreamName::Stderr];
        let ids: Vec<String> = self.containers.keys().cloned().collect();
        for (id, name) in ids.iter().flat_map(|id| names.map(|name| (id, name))) {
            let Some((output, _)) =
                self.containers.get_mut(id).and_then(|container| container.output(name))
            else {
                continue;
            };
            output.keep_clients(|client| !client.is_stuck(now_ms));
            if !output.gone.is_empty() {
                self.balance(id, name);
            }
        }
    }

    pub(super) fn has_clients_behind(&self) -> bool {
        let outputs = self.containers.values().flat_map(|container| &container.outputs);
        outputs.flat_map(|output| &output.clients).any(|client| !client.pending.is_empty())
    }
}
