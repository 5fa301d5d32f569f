//! A netlink socket and the exchanges on it: execute (send, collect acknowledgements) and dump.
//!
//! The socket belongs to the network namespace of the thread that opened it, wherever it is used
//! afterwards.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{
    Timeout, set_socket_recv_buffer_size_force, set_socket_send_buffer_size_force,
    set_socket_timeout,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send};

use super::codec::{Malformed, Message, Messages, Received, attributes_after, flags};
use crate::sys::socket_option::enable_netlink_option;

/// The kernel fills a datagram of a dump up to 32 KiB; twice that also holds the largest single
/// message it sends us, which is bounded by the 64 KiB of one attribute.
const RECEIVE_BYTES: usize = 64 * 1024;
/// Room for the acknowledgements of one batch. Each costs under 1 KiB of socket memory, and only
/// messages that ask for one, or fail, get one.
const RECEIVE_QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// The kernel's default; a batch that is larger raises it.
const SEND_QUEUE_BYTES: usize = 200 * 1024;
/// Bound of one batch: 10,000 Services with two endpoints each take about 4 MiB.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bound of one dump: a full route table of 500,000 entries takes about 50 MiB.
const DUMP_BYTES_MAX: usize = 128 * 1024 * 1024;
/// A dump is answered while it is read; a kernel that says nothing for so long never will.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a dump is repeated when the table changed meanwhile.
const DUMP_ATTEMPTS_MAX: u32 = 10;

const TYPE_ERROR: u16 = 2;
const TYPE_DONE: u16 = 3;
/// In an acknowledgement with details: the kernel's message text.
const DETAIL_TEXT: u16 = 1;
/// An acknowledgement's code and the header of the request it answers.
const ERROR_HEADER_BYTES: usize = 4 + 16;

/// Which part of the kernel the socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, neighbours: rtnetlink(7).
    Route,
    /// nf_tables.
    Netfilter,
}

/// Why an exchange did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket itself refused.
    #[error("netlink socket: {step}")]
    Socket {
        /// What was done with the socket.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel refused the request.
    #[error("kernel refused to {operation}{}", detail(.text.as_ref()))]
    Refused {
        /// The request, as in "create link".
        operation: &'static str,
        /// The kernel's own words, where it gave some.
        text: Option<String>,
        /// The error code.
        #[source]
        source: io::Error,
    },
    /// The kernel neither acknowledged nor refused.
    #[error("kernel did not answer the request to {operation}")]
    NoAnswer {
        /// The request.
        operation: &'static str,
    },
    /// A request or an answer does not fit the bounds of this client.
    #[error("netlink exchange to {operation} exceeds {limit} bytes")]
    TooLarge {
        /// The request.
        operation: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The table changed during each attempt to read it.
    #[error("table kept changing during {DUMP_ATTEMPTS_MAX} attempts to {operation}")]
    Unsettled {
        /// The request.
        operation: &'static str,
    },
    /// The answer (or an over-long request) has the wrong form.
    #[error("netlink message has the wrong form")]
    Malformed(#[from] Malformed),
}

fn detail(text: Option<&String>) -> String {
    text.map(|text| format!(" ({text:?})")).unwrap_or_default()
}

impl NetlinkError {
    /// The kernel's error code, if it refused.
    pub fn code(&self) -> Option<rustix::io::Errno> {
        match self {
            Self::Refused { source, .. } | Self::Socket { source, .. } => {
                rustix::io::Errno::from_io_error(source)
            }
            Self::NoAnswer { .. }
            | Self::TooLarge { .. }
            | Self::Unsettled { .. }
            | Self::Malformed(_) => None,
        }
    }
}

/// One answer that is not an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Message type.
    pub kind: u16,
    /// What follows the message header.
    pub body: Vec<u8>,
}

/// A netlink socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    send_queue_bytes: usize,
    buffer: Vec<u8>,
}

/// What came back for a batch.
struct Collected {
    acknowledged: Vec<bool>,
    first_error: Option<(usize, NetlinkError)>,
    replies: Vec<Reply>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(protocol: Protocol) -> Result<Self, NetlinkError> {
        let number = match protocol {
            Protocol::Route => None,
            Protocol::Netfilter => Some(rustix::net::netlink::NETFILTER),
        };
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            number,
        )
        .map_err(|code| socket_error("open", code))?;
        set_socket_timeout(&fd, Timeout::Recv, Some(REPLY_TIMEOUT))
            .map_err(|code| socket_error("set timeout", code))?;
        for option in [libc::NETLINK_CAP_ACK, libc::NETLINK_EXT_ACK] {
            enable_netlink_option(fd.as_fd(), option)
                .map_err(|source| NetlinkError::Socket { step: "set option", source })?;
        }
        Ok(Self { fd, sequence: 0, send_queue_bytes: SEND_QUEUE_BYTES, buffer: Vec::new() })
    }

    /// Sends all messages as one datagram and reads what the kernel answers.
    ///
    /// The kernel goes on after a refused message (for nf_tables it then commits nothing); the
    /// error of the earliest refused message is returned.
    pub fn execute(&mut self, messages: &[Message]) -> Result<Vec<Reply>, NetlinkError> {
        let Some(last) = messages.last() else { return Ok(Vec::new()) };
        let first_sequence = self.sequence.wrapping_add(1);
        self.send(messages)?;

        let mut collected = Collected {
            acknowledged: vec![false; messages.len()],
            first_error: None,
            replies: Vec::new(),
        };
        while let Some(length) = self.receive(RecvFlags::DONTWAIT)? {
            let datagram = self.buffer.get(..length).unwrap_or_default();
            for received in Messages::parse(datagram) {
                collected.add(&received?, first_sequence, messages)?;
            }
        }
        if let Some((_, error)) = collected.first_error {
            return Err(error);
        }
        let is_unanswered = |(message, is_acknowledged): (&Message, &bool)| {
            message.wants_acknowledge() && !is_acknowledged
        };
        if messages.iter().zip(&collected.acknowledged).any(is_unanswered) {
            return Err(NetlinkError::NoAnswer { operation: last.operation() });
        }
        Ok(collected.replies)
    }

    /// Reads a whole table; repeats if it changed meanwhile, so that nothing is missed.
    pub fn dump(&mut self, request: &Message) -> Result<Vec<Reply>, NetlinkError> {
        let request = request.clone().with_flags(flags::DUMP);
        for _ in 0..DUMP_ATTEMPTS_MAX {
            if let Some(replies) = self.dump_once(&request)? {
                return Ok(replies);
            }
        }
        Err(NetlinkError::Unsettled { operation: request.operation() })
    }

    /// `None` if the kernel flagged the dump as interrupted by a change.
    fn dump_once(&mut self, request: &Message) -> Result<Option<Vec<Reply>>, NetlinkError> {
        let operation = request.operation();
        let sequence = self.sequence.wrapping_add(1);
        self.send(std::slice::from_ref(request))?;
        let mut replies = Vec::new();
        let mut is_consistent = true;
        let mut total_bytes = 0_usize;
        loop {
            let length = self.receive(RecvFlags::empty())?;
            let length = length.ok_or(NetlinkError::NoAnswer { operation })?;
            total_bytes = total_bytes.saturating_add(length);
            if total_bytes > DUMP_BYTES_MAX {
                return Err(NetlinkError::TooLarge { operation, limit: DUMP_BYTES_MAX });
            }
            let datagram = self.buffer.get(..length).unwrap_or_default();
            for received in Messages::parse(datagram) {
                let received = received?;
                if received.sequence != sequence {
                    continue; // Left over from an exchange that was given up.
                }
                is_consistent &= received.flags & flags::DUMP_INTERRUPTED == 0;
                match received.kind {
                    TYPE_DONE | TYPE_ERROR => {
                        refusal(&received, operation)?.map_or(Ok(()), Err)?;
                        return Ok(is_consistent.then_some(replies));
                    }
                    kind => replies.push(Reply { kind, body: received.body.to_vec() }),
                }
            }
        }
    }

    fn send(&mut self, messages: &[Message]) -> Result<(), NetlinkError> {
        let operation = messages.first().map_or("send", Message::operation);
        let mut bytes = Vec::new();
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            message.encode(self.sequence, &mut bytes)?;
        }
        if bytes.len() > BATCH_BYTES_MAX {
            return Err(NetlinkError::TooLarge { operation, limit: BATCH_BYTES_MAX });
        }
        self.make_room(bytes.len())?;
        let sent = send(&self.fd, &bytes, SendFlags::empty())
            .map_err(|code| socket_error("send", code))?;
        if sent == bytes.len() { Ok(()) } else { Err(NetlinkError::NoAnswer { operation }) }
    }

    /// One send is one buffer in the kernel: it must fit the socket's send queue.
    fn make_room(&mut self, length: usize) -> Result<(), NetlinkError> {
        let wanted = length.saturating_add(length / 2);
        if wanted > self.send_queue_bytes {
            set_socket_send_buffer_size_force(&self.fd, wanted)
                .and_then(|()| set_socket_recv_buffer_size_force(&self.fd, RECEIVE_QUEUE_BYTES))
                .map_err(|code| socket_error("enlarge queue", code))?;
            self.send_queue_bytes = wanted;
        }
        Ok(())
    }

    /// Reads one datagram into the buffer; `None` if there is none.
    fn receive(&mut self, how: RecvFlags) -> Result<Option<usize>, NetlinkError> {
        self.buffer.resize(RECEIVE_BYTES, 0);
        loop {
            match recv(&self.fd, self.buffer.as_mut_slice(), how | RecvFlags::TRUNC) {
                Ok((_, length)) if length > RECEIVE_BYTES => {
                    return Err(NetlinkError::TooLarge {
                        operation: "receive",
                        limit: RECEIVE_BYTES,
                    });
                }
                Ok((_, length)) => return Ok(Some(length)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(code) => return Err(socket_error("receive", code)),
            }
        }
    }
}

impl Collected {
    fn add(
        &mut self,
        received: &Received<'_>,
        first_sequence: u32,
        messages: &[Message],
    ) -> Result<(), Malformed> {
        let offset = received.sequence.wrapping_sub(first_sequence);
        let index = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(message) = messages.get(index) else { return Ok(()) }; // Of an earlier exchange.
        if received.kind != TYPE_ERROR {
            self.replies.push(Reply { kind: received.kind, body: received.body.to_vec() });
            return Ok(());
        }
        match refusal(received, message.operation())? {
            Some(error) if self.first_error.as_ref().is_none_or(|(first, _)| index < *first) => {
                self.first_error = Some((index, error));
            }
            Some(_) => {}
            None => {
                if let Some(flag) = self.acknowledged.get_mut(index) {
                    *flag = true;
                }
            }
        }
        Ok(())
    }
}

/// Reads an acknowledgement; `None` if it is a consent.
fn refusal(
    received: &Received<'_>,
    operation: &'static str,
) -> Result<Option<NetlinkError>, Malformed> {
    let Some(code) = received.body.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)) else {
        return Ok(None); // The end of a dump may come without a code.
    };
    if code == 0 {
        return Ok(None);
    }
    let mut text = None;
    if received.flags & flags::HAS_DETAILS != 0 && received.kind == TYPE_ERROR {
        for attribute in attributes_after(received.body, ERROR_HEADER_BYTES)? {
            let attribute = attribute?;
            if attribute.kind == DETAIL_TEXT {
                text = Some(attribute.string()?.to_owned());
            }
        }
    }
    let source = io::Error::from_raw_os_error(code.saturating_neg());
    Ok(Some(NetlinkError::Refused { operation, text, source }))
}

fn socket_error(step: &'static str, code: rustix::io::Errno) -> NetlinkError {
    NetlinkError::Socket { step, source: code.into() }
}
