//! WebSocket streams of an API server: the channels of exec and attach, and the tunnel of port-forward.
//!
//! Holds     a frame's first byte is its channel (KEP-4006, `v5.channel.k8s.io`); a frame is at most [`FRAME_BYTES_MAX`] long.
//!
//! Not here: what is done with the streams.

pub mod spdy;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WireError, Message};

use crate::https::{Client, RequestError};

/// The protocol of exec and attach.
pub const CHANNELS_V5: &str = "v5.channel.k8s.io";
/// The protocol of port-forward: SPDY/3.1 inside WebSocket messages.
pub const SPDY_TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// The largest message that is taken: the server copies in 32 KiB pieces, a frame of SPDY can be larger.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// How much of a refusal's body is read.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

/// The channels of exec and attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Channel {
    /// To the process.
    Stdin = 0,
    /// From the process.
    Stdout = 1,
    /// From the process.
    Stderr = 2,
    /// A `Status` in JSON that says how it ended.
    Error = 3,
    /// A terminal's size in JSON, to the process.
    Resize = 4,
    /// Its payload is the number of a channel that is closed.
    Close = 255,
}

/// Why there is no stream, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// No answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server answered something else than an upgrade.
    #[error("server answered {status} instead of upgrading")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body, often a `Status` in JSON.
        body: Bytes,
    },
    /// The server's handshake does not fit the request.
    #[error("server answered the upgrade with a handshake of another request")]
    Handshake,
    /// The server chose no protocol that was offered.
    #[error("server speaks none of the protocols offered, but {chosen:?}")]
    Protocol {
        /// What it chose.
        chosen: String,
    },
    /// The stream broke.
    #[error("stream broke")]
    Wire {
        /// How.
        #[source]
        source: Box<WireError>,
    },
}

/// A message stream to the server.
pub struct WebSocket {
    stream: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
    /// The protocol that the server chose.
    pub protocol: String,
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// Opens a stream at a path with a query; `protocols` in order of preference.
pub async fn open(
    client: &Client,
    path: &str,
    protocols: &[&str],
) -> Result<WebSocket, StreamError> {
    let key = generate_key();
    let request = Request::get(path)
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_PROTOCOL, protocols.join(", "))
        .body(())
        .map_err(|source| RequestError::Address { source })?;
    let (response, upgraded) = client.upgrade(request).await?;
    let Some(upgraded) = upgraded else {
        let status = response.status().as_u16();
        let read = Limited::new(response.into_body(), REFUSAL_BYTES_MAX).collect().await;
        // A body that cannot be read says nothing more than the status.
        let body = read.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Err(StreamError::Refused { status, body });
    };
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if header("sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_str()) {
        return Err(StreamError::Handshake);
    }
    let protocol = header("sec-websocket-protocol").unwrap_or_default().to_owned();
    if !protocols.contains(&protocol.as_str()) {
        return Err(StreamError::Protocol { chosen: protocol });
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let io = TokioIo::new(upgraded);
    let stream = WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await;
    Ok(WebSocket { stream, protocol })
}

impl WebSocket {
    /// Sends bytes as one binary message.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.stream.send(Message::Binary(bytes)).await.map_err(broken)
    }

    /// Sends bytes on a channel.
    pub async fn send_on(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), StreamError> {
        let mut frame = Vec::with_capacity(bytes.len() + 1);
        frame.push(channel as u8);
        frame.extend_from_slice(bytes);
        self.send(frame.into()).await
    }

    /// The payload of the next message; `None` once the stream has ended. Safe to drop while waiting.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StreamError> {
        loop {
            return match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => Ok(Some(bytes)),
                Some(Ok(Message::Text(text))) => Ok(Some(Bytes::copy_from_slice(text.as_bytes()))),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) | None => Ok(None),
                Some(Err(WireError::ConnectionClosed | WireError::AlreadyClosed)) => Ok(None),
                Some(Err(error)) => Err(broken(error)),
            };
        }
    }

    /// Says goodbye; the peer may be gone already.
    pub async fn close(&mut self) {
        let frame: Option<CloseFrame> = None;
        let _gone = self.stream.close(frame).await;
    }
}

fn broken(source: WireError) -> StreamError {
    StreamError::Wire { source: Box::new(source) }
}
