//! Bounded queues of bytes between a connection and what its streams are joined to.
//!
//! Holds always
//! - A connection keeps at most [`BUDGET_BYTES`] that nobody has read; then it is not read further, which holds its peer back.
//! - What is put into a queue that nobody reads any longer is dropped, so that a stream that is over does not hold up the others.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// What all streams of one connection may keep unread.
const BUDGET_BYTES: u32 = 4 << 20;

/// The most that is put into a queue, or read from a process, at once.
pub(super) const PIECE_BYTES_MAX: usize = 32 << 10;

/// Pieces in the queue of one stream that come from the client. Keys are typed one by one.
const INFLOW_PIECES: usize = 64;

/// Pieces on their way to the client: half a MiB for one connection.
pub(super) const PIECES: usize = 16;

/// The peer is gone, or what was asked for is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end is gone")]
pub(super) struct Gone;

/// Bytes on their way to the client, on one of its channels or streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The channel or stream.
    pub(super) id: u32,
    /// The bytes.
    pub(super) bytes: Bytes,
    /// Whether nothing follows on this channel.
    pub(super) is_last: bool,
}

/// Where one channel's bytes for the client go in.
#[derive(Debug, Clone)]
pub(super) struct Outlet {
    id: u32,
    queue: mpsc::Sender<Piece>,
}

impl Outlet {
    /// The way in for a channel.
    pub(super) fn new(id: u32, queue: mpsc::Sender<Piece>) -> Self {
        Self { id, queue }
    }

    /// Puts bytes in; waits while the client does not read.
    pub(super) async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        self.put(bytes, false).await
    }

    /// Says that nothing follows.
    pub(super) async fn finish(&self) -> Result<(), Gone> {
        self.put(Bytes::new(), true).await
    }

    async fn put(&self, bytes: Bytes, is_last: bool) -> Result<(), Gone> {
        self.queue.send(Piece { id: self.id, bytes, is_last }).await.map_err(|_closed| Gone)
    }

    /// Puts in all there is to read; an error of the reader is its end (a terminal's other side has closed it).
    pub(super) async fn send_all(&self, mut from: impl AsyncRead + Unpin) -> Result<(), Gone> {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(PIECE_BYTES_MAX);
            match (&mut from).take(PIECE_BYTES_MAX as u64).read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => self.send(buffer.split().freeze()).await?,
            }
        }
    }
}

/// What the streams of one connection share.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Semaphore>);

impl Budget {
    /// The budget of a new connection.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_BYTES as usize)))
    }

    /// A queue for what comes on one channel.
    pub(super) fn queue(&self) -> (Inlet, Inflow) {
        let (sender, receiver) = mpsc::channel(INFLOW_PIECES);
        (Inlet { queue: sender, budget: self.clone() }, Inflow { queue: receiver })
    }
}

/// Where the connection puts what comes on one channel. Dropping it ends the channel.
#[derive(Debug, Clone)]
pub(super) struct Inlet {
    queue: mpsc::Sender<(Bytes, OwnedSemaphorePermit)>,
    budget: Budget,
}

impl Inlet {
    /// Puts bytes in; waits while they are not read.
    pub(super) async fn push(&self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES_MAX));
            if self.push_piece(piece).await.is_err() {
                return;
            }
        }
    }

    async fn push_piece(&self, piece: Bytes) -> Result<(), Gone> {
        let room = u32::try_from(piece.len()).unwrap_or(BUDGET_BYTES);
        let permit = tokio::select! {
            biased;
            () = self.queue.closed() => return Err(Gone),
            permit = Arc::clone(&self.budget.0).acquire_many_owned(room) => permit.map_err(|_closed| Gone)?,
        };
        self.queue.send((piece, permit)).await.map_err(|_closed| Gone)
    }
}

/// What comes on one channel.
#[derive(Debug)]
pub(super) struct Inflow {
    queue: mpsc::Receiver<(Bytes, OwnedSemaphorePermit)>,
}

impl Inflow {
    /// The next bytes; `None` at the end. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.queue.recv().await.map(|(bytes, _permit)| bytes)
    }

    /// Writes all that comes, then ends the writer; stops early where the writer takes no more.
    pub(super) async fn write_all(mut self, mut to: impl AsyncWrite + Unpin) {
        while let Some(bytes) = self.next().await {
            if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                return;
            }
        }
        // A writer that is closed already has ended.
        let _ended = to.shutdown().await;
    }
}
