//! Connections: taking requests, sending replies and events.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::{Shim, Source, watch};
use crate::error::{Fault, FaultKind};
use crate::wire::{Event, FrameReader, FrameWriter, Message, Reply, RequestFrame};

/// Connections at once: a server has a few per container being executed in.
const PEERS_MAX: usize = 256;

/// One connection.
pub(super) struct Peer {
    socket: OwnedFd,
    reader: FrameReader,
    pub(super) writer: FrameWriter,
    pub(super) is_subscriber: bool,
}

/// Whom an answer goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplyTo {
    pub(super) peer: u64,
    pub(super) id: u64,
}

/// An answer with its descriptors.
pub(super) type Answer = Result<(Reply, Vec<OwnedFd>), Fault>;

impl Shim {
    pub(super) fn accept(&mut self) {
        while let Ok(socket) =
            rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
        {
            if self.peers.len() < PEERS_MAX {
                let _ = self.add_peer(socket); // Else it is closed, and the other side sees that.
            }
        }
    }

    pub(super) fn add_peer(&mut self, socket: OwnedFd) -> io::Result<()> {
        let token = self.token(Source::Peer);
        watch(&self.epoll, socket.as_fd(), token, EventFlags::IN)?;
        let peer = Peer {
            socket,
            reader: FrameReader::default(),
            writer: FrameWriter::default(),
            is_subscriber: false,
        };
        self.peers.insert(token, peer);
        Ok(())
    }

    fn drop_peer(&mut self, token: u64) {
        self.peers.remove(&token);
        self.sources.remove(&token);
        // Nobody will hear of their ends: they go on, without their terminals and without a place among those that are counted.
        self.execs.retain(|_, exec| exec.peer != token);
    }

    pub(super) fn peer_ready(&mut self, token: u64, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.flush(token);
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let is_open = match peer.reader.fill(peer.socket.as_fd()) {
            Err(error) if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) => return,
            filled => filled.unwrap_or(false),
        };
        loop {
            let Some(peer) = self.peers.get_mut(&token) else { return };
            match peer.reader.next() {
                Ok(Some((body, descriptors))) => self.take_request(token, &body, descriptors),
                Ok(None) => break,
                Err(_) => return self.drop_peer(token), // Not our protocol: nothing can be answered.
            }
        }
        if !is_open {
            self.drop_peer(token);
        }
    }

    fn take_request(&mut self, peer: u64, body: &[u8], descriptors: Vec<OwnedFd>) {
        match serde_json::from_slice::<RequestFrame>(body) {
            Ok(frame) => self.request(ReplyTo { peer, id: frame.id }, frame.request, descriptors),
            Err(error) => {
                // The number at least may be readable: a newer server learns that this shim does not know the request.
                let id = serde_json::from_slice::<serde_json::Value>(body)
                    .ok()
                    .and_then(|body| body["id"].as_u64());
                let fault =
                    Fault::new(FaultKind::Invalid, format!("request is not understood: {error}"));
                self.reply(ReplyTo { peer, id: id.unwrap_or(0) }, Err(fault));
            }
        }
    }

    pub(super) fn reply(&mut self, to: ReplyTo, answer: Answer) {
        let (result, descriptors) = match answer {
            Ok((reply, descriptors)) => (Ok(reply), descriptors),
            Err(fault) => (Err(fault), Vec::new()),
        };
        self.send(to.peer, &Message::Reply { id: to.id, result }, descriptors);
    }

    pub(super) fn publish(&mut self, event: &Event) {
        let subscribers: Vec<u64> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.is_subscriber)
            .map(|(token, _)| *token)
            .collect();
        for token in subscribers {
            self.send(token, &Message::Event(event.clone()), Vec::new());
        }
    }

    pub(super) fn send(&mut self, token: u64, message: &Message, descriptors: Vec<OwnedFd>) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let pushed = serde_json::to_vec(message).map_err(io::Error::from);
        match pushed.and_then(|body| peer.writer.push(&body, descriptors)) {
            Ok(()) => self.flush(token),
            Err(_) => self.drop_peer(token), // It does not read; on the next connection it asks for the state.
        }
    }

    fn flush(&mut self, token: u64) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        let flags = match peer.writer.flush(peer.socket.as_fd()) {
            Ok(true) => EventFlags::IN,
            Ok(false) => EventFlags::IN | EventFlags::OUT,
            Err(_) => return self.drop_peer(token),
        };
        let _ = epoll::modify(&self.epoll, &peer.socket, EventData::new_u64(token), flags);
    }
}
