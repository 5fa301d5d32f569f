//! Numbered channels inside WebSocket messages: the first byte of a message is its channel (Kubernetes v1.36 `wsstream`,
//! KEP-4006).
//!
//! Holds     what was put into the outlets is sent before the regular goodbye (1000), and nothing after it.
//!
//! Not here: what the channels are for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::bytes_queue::{Budget, Inflow, Inlet, Outlet, PIECES, Piece};
use super::idle::{Idle, LINGER};
use super::websocket;

/// The channel of `v5.channel.k8s.io` by which the other channels are closed.
const CLOSE_CHANNEL: u8 = 255;

/// How channels are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Format {
    /// The channel as a digit and the bytes as base64, in text messages.
    pub(crate) is_base64: bool,
    /// Whether a channel can be closed alone (KEP-4006).
    pub(crate) has_close: bool,
}

/// The ends of the channels.
#[derive(Debug)]
pub(super) struct Channels {
    inlets: Vec<(u8, Inlet)>,
    budget: Budget,
    pieces: mpsc::Sender<Piece>,
    pieces_out: mpsc::Receiver<Piece>,
}

impl Channels {
    /// No channels yet.
    pub(super) fn new() -> Self {
        let (pieces, pieces_out) = mpsc::channel(PIECES);
        Self { inlets: Vec::new(), budget: Budget::new(), pieces, pieces_out }
    }

    /// What comes on a channel from the client.
    pub(super) fn inflow(&mut self, channel: u8) -> Inflow {
        let (inlet, inflow) = self.budget.queue();
        self.inlets.push((channel, inlet));
        inflow
    }

    /// What goes to the client on a channel.
    pub(super) fn outlet(&self, channel: u8) -> Outlet {
        Outlet::new(u32::from(channel), self.pieces.clone())
    }

    /// Runs `app`, which holds the other ends, until it has ended and what it sent is written, or until the client has gone, which
    /// drops `app`.
    pub(super) async fn run<S>(self, io: S, format: Format, app: impl Future<Output = ()>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let idle = Idle::new();
        let (sink, source) = websocket::open(io).await.split();
        let Self { inlets, pieces, pieces_out, .. } = self;
        // The outlets of `app` are what keeps the writer going.
        drop(pieces);
        let reader = read(source, inlets, format, &idle);
        tokio::pin!(reader);
        let work = async {
            let app = async {
                app.await;
                Ok(())
            };
            // A client that takes nothing any longer has gone.
            let _gone = tokio::try_join!(app, write(sink, pieces_out, format, &idle));
        };
        tokio::select! {
            biased;
            () = work => {}
            () = reader.as_mut() => return,
            () = idle.expired() => return,
        }
        let _cut = tokio::time::timeout(LINGER, reader).await;
    }
}

async fn write<S>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut pieces: mpsc::Receiver<Piece>,
    format: Format,
    idle: &Idle,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(piece) = pieces.recv().await {
        // The end of a channel has no message of its own towards the client.
        if piece.is_last && piece.bytes.is_empty() {
            continue;
        }
        let channel = u8::try_from(piece.id).unwrap_or(CLOSE_CHANNEL);
        sink.send(encode(channel, &piece.bytes, format)).await?;
        idle.touch();
    }
    sink.send(websocket::goodbye()).await
}

/// Reads until the client has gone.
async fn read<S>(
    mut source: SplitStream<WebSocketStream<S>>,
    mut inlets: Vec<(u8, Inlet)>,
    format: Format,
    idle: &Idle,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = source.next().await {
        idle.touch();
        let Some((channel, bytes)) =
            websocket::payload(message).and_then(|payload| decode(payload, format))
        else {
            continue;
        };
        if format.has_close && channel == CLOSE_CHANNEL {
            inlets.retain(|(open, _)| bytes.first() != Some(open));
        } else if let Some((_, inlet)) = inlets.iter().find(|(open, _)| *open == channel) {
            inlet.push(bytes).await;
        }
    }
}

pub(crate) fn encode(channel: u8, bytes: &[u8], format: Format) -> Message {
    if format.is_base64 {
        let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
        text.push(char::from(b'0' + channel));
        STANDARD.encode_string(bytes, &mut text);
        return Message::text(text);
    }
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(channel);
    message.put_slice(bytes);
    Message::Binary(message.freeze())
}

/// The channel and the bytes of a message; `None` for one that says nothing.
pub(crate) fn decode(mut payload: Bytes, format: Format) -> Option<(u8, Bytes)> {
    let channel = payload.try_get_u8().ok()?;
    if !format.is_base64 {
        return Some((channel, payload));
    }
    let bytes = STANDARD.decode(&payload).ok()?;
    Some((channel.checked_sub(b'0')?, bytes.into()))
}
