//! A SPDY/3.1 connection at the server's end: the client opens streams, each a byte pipe both ways with headers.
//!
//! Holds always
//! - A stream that is over is forgotten; frames of streams that nobody knows are dropped (SPDY/3.1 section 2.2.2).
//! - Each frame is written whole, answers to the client's own frames before the streams' bytes, and a stream's bytes in their order.
//! - There is no flow control, which the Go implementation at the other end leaves out: who does not read holds the connection back.
//!
//! Not here: the frames themselves (`podo_client::websocket::spdy`), what the streams are for.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;
use podo_base::{Stop, StopHandle};
use podo_client::websocket::spdy::{Codec, Frame, Headers};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::bytes_queue::{Budget, Inflow, Inlet, Outlet, PIECES, Piece};
use super::idle::{Idle, LINGER};

/// Streams at a time: five hundred forwarded connections. An idle one costs about a KiB.
const STREAMS_MAX: usize = 1_024;

/// Streams that were opened and not taken yet.
const STREAMS_WAITING: usize = 16;

/// Answers to frames that wait to be written; while they do, nothing is read.
const ANSWERS: usize = 16;

/// What is read at once.
const READ_BYTES: usize = 16 << 10;

/// Why a stream is refused (SPDY/3.1 section 2.6.3).
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 3;

/// A stream that the client has opened.
pub(super) struct Stream {
    /// Its number.
    pub(super) id: u32,
    headers: Headers,
    /// What the client sends.
    pub(super) inflow: Inflow,
    /// What is sent to the client.
    pub(super) outlet: Outlet,
    /// Asks to stop when the client resets the stream.
    pub(super) reset: Stop,
    /// Keeps the stream known.
    pub(super) entry: Entry,
}

impl Stream {
    /// A header's value; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }
}

/// A header's value; empty if there is none. Names are in lower case on the wire.
pub(super) fn header<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers.iter().find(|pair| pair.0 == name).map_or("", |pair| pair.1.as_str())
}

/// Keeps a stream known to its connection.
pub(super) struct Entry {
    id: u32,
    shared: Arc<Shared>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.streams.lock().remove(&self.id);
    }
}

/// What the connection knows of a stream.
struct Known {
    inlet: Option<Inlet>,
    /// Dropped when the client resets the stream.
    _reset: StopHandle,
}

struct Shared {
    /// Both halves use it: a second one would double the 300 KiB that zlib needs.
    codec: Mutex<Codec>,
    streams: Mutex<HashMap<u32, Known>>,
    idle: Idle,
}

/// Serves a connection: `app` is given the streams that the client opens. Ends when `app` has ended and what it sent is written,
/// or when the client has gone, which drops `app`. `admit` says whether a stream with such headers is wanted.
pub(super) async fn run<S, F>(
    io: S,
    admit: fn(&Headers) -> bool,
    app: impl FnOnce(mpsc::Receiver<Stream>) -> F,
) where
    S: AsyncRead + AsyncWrite,
    F: Future<Output = ()>,
{
    let codec = Mutex::new(Codec::new());
    let shared = Arc::new(Shared { codec, streams: Mutex::new(HashMap::new()), idle: Idle::new() });
    let (read_half, write_half) = tokio::io::split(io);
    let (streams, taken) = mpsc::channel(STREAMS_WAITING);
    let (pieces, pieces_out) = mpsc::channel(PIECES);
    let (answers, answers_out) = mpsc::channel(ANSWERS);
    let reader = Reader {
        shared: Arc::clone(&shared),
        streams,
        pieces,
        answers,
        admit,
        budget: Budget::new(),
        last_id: 0,
    };
    let reader = reader.run(read_half);
    tokio::pin!(reader);

    let ended = StopHandle::new();
    let mut writer = Writer { shared: &shared, io: write_half, ended: ended.stop() };
    let app = async {
        app(taken).await;
        ended.trigger();
        Ok::<_, io::Error>(())
    };
    let work = async {
        // A client that takes nothing any longer has gone.
        let _gone = tokio::try_join!(app, writer.run(answers_out, pieces_out));
    };
    tokio::select! {
        biased;
        () = work => {}
        () = reader.as_mut() => return,
        () = shared.idle.expired() => return,
    }
    let _cut = tokio::time::timeout(LINGER, reader).await;
}

struct Writer<'a, W> {
    shared: &'a Shared,
    io: W,
    ended: Stop,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    /// Writes until all is said, then ends the connection's way to the client.
    async fn run(
        &mut self,
        mut answers: mpsc::Receiver<Frame>,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> io::Result<()> {
        loop {
            let frame = tokio::select! {
                biased;
                Some(answer) = answers.recv() => answer,
                Some(piece) = pieces.recv() => Frame::Data { id: piece.id, fin: piece.is_last, bytes: piece.bytes },
                () = self.ended.requested() => break,
            };
            let bytes = self.shared.codec.lock().encode(&frame);
            self.io.write_all(&bytes).await?;
            if answers.is_empty() && pieces.is_empty() {
                self.io.flush().await?;
            }
            self.shared.idle.touch();
        }
        self.io.shutdown().await
    }
}

struct Reader {
    shared: Arc<Shared>,
    streams: mpsc::Sender<Stream>,
    pieces: mpsc::Sender<Piece>,
    answers: mpsc::Sender<Frame>,
    admit: fn(&Headers) -> bool,
    budget: Budget,
    last_id: u32,
}

impl Reader {
    /// Reads until the client has gone or says what is no SPDY.
    async fn run(mut self, mut io: impl AsyncRead + Unpin) {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        loop {
            buffer.clear();
            match io.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            self.shared.idle.touch();
            self.shared.codec.lock().feed(&buffer);
            loop {
                let frame = self.shared.codec.lock().next_frame();
                match frame {
                    Ok(Some(frame)) => self.take(frame).await,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(%error, "a stream's client does not speak SPDY");
                        return;
                    }
                }
            }
        }
    }

    async fn take(&mut self, frame: Frame) {
        match frame {
            Frame::SynStream { id, fin, headers } => self.open(id, fin, headers).await,
            Frame::Data { id, fin, bytes } => {
                let inlet =
                    self.shared.streams.lock().get(&id).and_then(|known| known.inlet.clone());
                if let Some(inlet) = inlet {
                    inlet.push(bytes).await;
                }
                if fin {
                    self.close(id);
                }
            }
            Frame::SynReply { id, fin: true, .. } => self.close(id),
            Frame::Reset { id, .. } => {
                self.shared.streams.lock().remove(&id);
            }
            // The client's have odd numbers; what is even answers one of ours, and there are none.
            Frame::Ping { id } if id % 2 == 1 => self.answer(Frame::Ping { id }).await,
            Frame::SynReply { .. } | Frame::Ping { .. } | Frame::GoAway { .. } | Frame::Ignored => {
            }
        }
    }

    fn close(&self, id: u32) {
        if let Some(known) = self.shared.streams.lock().get_mut(&id) {
            known.inlet = None;
        }
    }

    async fn open(&mut self, id: u32, fin: bool, headers: Headers) {
        if id.is_multiple_of(2) || id <= self.last_id || !(self.admit)(&headers) {
            return self.answer(Frame::Reset { id, status: PROTOCOL_ERROR }).await;
        }
        self.last_id = id;
        if self.shared.streams.lock().len() >= STREAMS_MAX {
            return self.answer(Frame::Reset { id, status: REFUSED_STREAM }).await;
        }
        let (inlet, inflow) = self.budget.queue();
        let reset_handle = StopHandle::new();
        let reset = reset_handle.stop();
        let known = Known { inlet: (!fin).then_some(inlet), _reset: reset_handle };
        self.shared.streams.lock().insert(id, known);
        let entry = Entry { id, shared: Arc::clone(&self.shared) };
        let outlet = Outlet::new(id, self.pieces.clone());
        self.answer(Frame::SynReply { id, fin: false, headers: Headers::new() }).await;
        // Where nobody takes streams any longer, the connection is about to end.
        let _ended = self.streams.send(Stream { id, headers, inflow, outlet, reset, entry }).await;
    }

    async fn answer(&self, frame: Frame) {
        // Where nobody writes any longer, the connection is about to end.
        let _ended = self.answers.send(frame).await;
    }
}
