//! Frames: reading and writing them without blocking, descriptors included.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// `PD` and the protocol's version, 1.
const MAGIC: [u8; 4] = [b'P', b'D', 1, 0];
const HEAD_BYTES: usize = 12;

/// A frame's body: a container's spec with all of a Pod's environment (at most ~1 MiB each of config maps) fits.
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// Descriptors in one frame: three streams and one to spare.
pub const DESCRIPTORS_MAX: usize = 4;

/// What waits for a peer that does not read; a subscriber that lets this much pile up is cut off.
const QUEUE_BYTES_MAX: usize = FRAME_BYTES_MAX + (1 << 20);

/// Bytes asked of the kernel at once.
const READ_BYTES: usize = 16 << 10;

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Puts frames together from what has arrived.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl FrameReader {
    /// Takes what the socket has; `false` when the peer has closed. `WouldBlock` is an error of that kind.
    pub(crate) fn fill(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        let mut chunk = [0_u8; READ_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            match rustix::net::recvmsg(
                socket,
                &mut [IoSliceMut::new(&mut chunk)],
                &mut control,
                flags,
            ) {
                Err(Errno::INTR) => {}
                result => break result?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                self.descriptors.extend(rights);
            }
        }
        if self.descriptors.len() > 4 * DESCRIPTORS_MAX {
            return Err(broken("more descriptors than frames ask for"));
        }
        self.bytes.extend_from_slice(&chunk[..received.bytes]);
        Ok(received.bytes > 0)
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        let Some(head) = self.bytes.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        if head[..4] != MAGIC {
            return Err(broken("not a frame of this version"));
        }
        let number = |at: usize| {
            u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize
        };
        let (descriptors, length) = (number(4), number(8));
        if length > FRAME_BYTES_MAX || descriptors > DESCRIPTORS_MAX {
            return Err(broken("frame is too large"));
        }
        if self.bytes.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        if self.descriptors.len() < descriptors {
            return Err(broken("descriptors are missing"));
        }
        let rest = self.bytes.split_off(HEAD_BYTES + length);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.drain(..HEAD_BYTES);
        Ok(Some((frame, self.descriptors.drain(..descriptors).collect())))
    }
}

/// Sends frames as far as the socket takes them and keeps the rest.
#[derive(Debug, Default)]
pub(crate) struct FrameWriter {
    queue: VecDeque<(Vec<u8>, usize, Vec<OwnedFd>)>,
    queued_bytes: usize,
}

impl FrameWriter {
    /// Queues a frame.
    pub(crate) fn push(&mut self, body: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<()> {
        if body.len() > FRAME_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "message is too large"));
        }
        let mut frame = Vec::with_capacity(HEAD_BYTES + body.len());
        frame.extend_from_slice(&MAGIC);
        for number in [descriptors.len(), body.len()] {
            frame.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        frame.extend_from_slice(body);
        self.queued_bytes += frame.len();
        if self.queued_bytes > QUEUE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "peer does not read"));
        }
        self.queue.push_back((frame, 0, descriptors));
        Ok(())
    }

    /// Sends what the socket takes; `true` when nothing is left.
    pub(crate) fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        while let Some((frame, sent, descriptors)) = self.queue.front_mut() {
            let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !borrowed.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&borrowed));
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::sendmsg(
                socket,
                &[IoSlice::new(&frame[*sent..])],
                &mut control,
                flags,
            ) {
                Ok(count) => {
                    *sent += count;
                    self.queued_bytes -= count;
                    descriptors.clear(); // They went with the first byte.
                    if *sent == frame.len() {
                        self.queue.pop_front();
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests;
