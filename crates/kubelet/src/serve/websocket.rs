//! WebSocket at the server's end (RFC 6455): the handshake with its subprotocol, and a byte stream inside binary messages.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use http::{HeaderMap, HeaderValue, header};
use podo_api::Status;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::bytes_queue::PIECE_BYTES_MAX;
use super::reply::{Response, full};

/// The largest message that is taken. Clients in other languages than Go send a whole file as one.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What is read from the connection at once; the library's own 128 KiB would be most of an idle stream's memory.
const READ_BYTES: usize = 16 << 10;

/// Whether a request asks for a WebSocket.
pub(super) fn is_requested(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The answer to a handshake, and the protocol chosen.
pub(super) fn accept<T>(
    request: &http::Request<T>,
    known: &[&'static str],
) -> Result<(Response, Option<&'static str>), Status> {
    let mut head = http::Request::new(());
    *head.method_mut() = request.method().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    let answer = create_response(&head)
        .map_err(|error| Status::bad_request(format!("unable to upgrade: {error}")))?;
    let protocol = choose(request.headers(), known)?;
    let mut response = answer.map(|()| full(Bytes::new()));
    if let Some(protocol) = protocol {
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok((response, protocol))
}

/// The first protocol offered that is known, or none if none was offered.
pub(super) fn choose(
    headers: &HeaderMap,
    known: &[&'static str],
) -> Result<Option<&'static str>, Status> {
    let lines = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let offered: Vec<&str> = lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if offered.is_empty() {
        return Ok(None);
    }
    let chosen = offered.iter().find_map(|offer| known.iter().find(|name| name == &offer));
    let refused = || {
        Status::bad_request(format!(
            "unable to upgrade: unable to negotiate protocol: client supports {offered:?}, server accepts {known:?}"
        ))
    };
    chosen.copied().map(Some).ok_or_else(refused)
}

/// A WebSocket on a connection whose handshake is done.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> WebSocketStream<S> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await
}

/// The regular goodbye.
pub(super) fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// The bytes of a message that has some.
pub(super) fn payload(message: Message) -> Option<Bytes> {
    match message {
        Message::Binary(bytes) => Some(bytes),
        Message::Text(text) => Some(text.into()),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
    }
}

/// Bytes inside binary messages, whose borders mean nothing.
#[derive(Debug)]
pub(super) struct ByteTunnel<S> {
    socket: WebSocketStream<S>,
    received: Bytes,
    has_said_goodbye: bool,
}

impl<S> ByteTunnel<S> {
    /// A tunnel through a WebSocket.
    pub(super) fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, received: Bytes::new(), has_said_goodbye: false }
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteTunnel<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.received.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => self.received = payload(message).unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.received.len().min(buf.remaining());
        buf.put_slice(&self.received[..count]);
        self.received.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteTunnel<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let count = buf.len().min(PIECE_BYTES_MAX);
        let message = Message::Binary(Bytes::copy_from_slice(&buf[..count]));
        Pin::new(&mut self.socket).start_send(message).map_err(broken)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_said_goodbye {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
            self.has_said_goodbye = true;
            Pin::new(&mut self.socket).start_send(goodbye()).map_err(broken)?;
        }
        self.poll_flush(cx)
    }
}
