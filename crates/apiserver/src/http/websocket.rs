//! What is streamed to a client, a watch or a log, as messages of a WebSocket where it asks for one (RFC 6455; Kubernetes v1.36
//! `wsstream`, `WatchServer.HandleWS`).
//!
//! Holds     a client that goes ends its stream; one that does not read is not read for.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes};
use futures_util::{SinkExt as _, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use podo_api::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::body::{Body, Response, full};
use crate::authn::is_websocket_token;
use crate::nodes::wants_upgrade;
use crate::server::Server;

/// How long the connection may take to change, and to take leave.
const HANDOVER: Duration = Duration::from_secs(10);

/// How long a client may take to read a message, and how often one that is told nothing is asked whether it is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many watches may be open so at a time.
const WATCHES_MAX: usize = 4096;

/// What is read from the client at once, and the largest message that it may send: nothing it says is listened to.
const READ_BYTES: usize = 4 << 10;

/// Where a message ends in a stream, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Lines of JSON, each a text.
    Lines,
    /// Pieces behind their length in four bytes, the highest first, each as bytes.
    Lengths,
    /// Pieces as they come, as bytes.
    Pieces,
    /// Pieces as they come, in Base64.
    Base64,
}

/// How the protocols of a log are called (Kubernetes v1.36 `wsstream.NewDefaultReaderProtocols`).
const OF_LOGS: [(&str, Framing); 2] =
    [("binary.k8s.io", Framing::Pieces), ("base64.binary.k8s.io", Framing::Base64)];

/// The places of watches.
#[derive(Debug)]
pub(crate) struct WebSockets(Arc<Semaphore>);

impl Default for WebSockets {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WATCHES_MAX)))
    }
}

/// Whether a request wants what is streamed in a WebSocket.
pub(crate) fn is_requested(headers: &HeaderMap) -> bool {
    let names = headers.get(header::UPGRADE);
    wants_upgrade(headers)
        && names.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The same request for a stream without messages.
pub(crate) fn without_upgrade(parts: &Parts) -> Parts {
    let mut parts = parts.clone();
    for name in [
        header::CONNECTION,
        header::UPGRADE,
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_VERSION,
        header::SEC_WEBSOCKET_PROTOCOL,
    ] {
        parts.headers.remove(name);
    }
    parts
}

/// Answers with the events of a watch as messages.
pub(crate) fn watch(
    server: &Server,
    parts: &Parts,
    events: Response,
    framing: Framing,
) -> Result<Response, Status> {
    let first = offered(&parts.headers).into_iter().next();
    let place = Arc::clone(&server.websockets.0).try_acquire_owned();
    let place = place.map_err(|_| Status::too_many_requests("too many watches are open", 1))?;
    answer(server, parts, (events, Some(place)), framing, first.as_deref())
}

/// Answers with a log as messages, the first of which is empty. The connection to its node has a place of its own.
pub(crate) fn log(server: &Server, parts: &Parts, log: Response) -> Result<Response, Status> {
    let offered = offered(&parts.headers);
    let known = offered.iter().find_map(|offer| OF_LOGS.iter().find(|(name, _)| name == offer));
    match known {
        Some((name, framing)) => answer(server, parts, (log, None), *framing, Some(name)),
        None if offered.is_empty() => answer(server, parts, (log, None), Framing::Pieces, None),
        None => Err(Status::bad_request(format!(
            "unable to upgrade: none of the protocols {offered:?} is known"
        ))),
    }
}

/// The protocols that a client offers, without the one that carries a token.
fn offered(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let names = names.map(str::trim).filter(|name| !name.is_empty() && !is_websocket_token(name));
    names.map(ToOwned::to_owned).collect()
}

fn answer(
    server: &Server,
    parts: &Parts,
    (stream, place): (Response, Option<OwnedSemaphorePermit>),
    framing: Framing,
    protocol: Option<&str>,
) -> Result<Response, Status> {
    let refused =
        |why: &dyn std::fmt::Display| Status::bad_request(format!("unable to upgrade: {why}"));
    let mut head = http::Request::new(());
    *head.method_mut() = parts.method.clone();
    *head.version_mut() = parts.version;
    *head.headers_mut() = parts.headers.clone();
    let mut response = create_response(&head).map_err(|error| refused(&error))?;
    let Some(connection) = parts.extensions.get::<OnUpgrade>().cloned() else {
        return Err(refused(&"the connection cannot change its protocol"));
    };
    if let Some(protocol) = protocol {
        let protocol = HeaderValue::from_str(protocol).map_err(|error| refused(&error))?;
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let body = stream.into_body();
    server.nodes.spawn("websocket", async move {
        if let Ok(Ok(upgraded)) = tokio::time::timeout(HANDOVER, connection).await {
            send(upgraded, body, framing).await;
        }
        drop(place);
    })?;
    Ok(response.map(|()| full(Bytes::new())))
}

/// Sends a stream until it ends or the client goes.
async fn send(upgraded: Upgraded, mut body: Body, framing: Framing) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(READ_BYTES))
        .max_frame_size(Some(READ_BYTES));
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let mut pieces = messages(Bytes::new(), framing);
    loop {
        for message in pieces {
            let sent = tokio::time::timeout(PATIENCE, socket.send(message)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        pieces = tokio::select! {
            frame = body.frame() => match frame {
                Some(Ok(frame)) => messages(frame.into_data().unwrap_or_default(), framing),
                Some(Err(_)) | None => break,
            },
            said = socket.next() => match said {
                Some(Ok(message)) if !message.is_close() => Vec::new(),
                _ => return,
            },
            () = tokio::time::sleep(PATIENCE) => vec![Message::Ping(Bytes::new())],
        };
    }
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let _gone = tokio::time::timeout(HANDOVER, socket.close(Some(goodbye))).await;
}

/// The messages of a piece of a stream. A log begins with an empty one, which shows that it was opened.
fn messages(mut bytes: Bytes, framing: Framing) -> Vec<Message> {
    let text = |bytes: &[u8]| Message::Text(String::from_utf8_lossy(bytes).into_owned().into());
    match framing {
        Framing::Lines => bytes.split_inclusive(|byte| *byte == b'\n').map(text).collect(),
        Framing::Lengths => {
            let mut all = Vec::new();
            while bytes.len() > 4 {
                let length = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
                all.push(Message::Binary(bytes.split_to(length.min(bytes.len()))));
            }
            all
        }
        Framing::Pieces => vec![Message::Binary(bytes)],
        Framing::Base64 => vec![text(STANDARD.encode(bytes).as_bytes())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &'static [u8], framing: Framing, expected: &[Message]) {
        assert_eq!(messages(Bytes::from_static(bytes), framing), expected);
    }

    #[test]
    fn a_message_is_an_event_of_a_watch_or_a_piece_of_a_log() {
        check(
            b"{\"a\":1}\n{\"b\":2}\n",
            Framing::Lines,
            &[Message::text("{\"a\":1}\n"), Message::text("{\"b\":2}\n")],
        );
        check(
            b"\0\0\0\x02ab\0\0\0\x01c",
            Framing::Lengths,
            &[Message::binary(&b"ab"[..]), Message::binary(&b"c"[..])],
        );
        check(b"\xff\n", Framing::Pieces, &[Message::binary(&b"\xff\n"[..])]);
        check(b"ab\n", Framing::Base64, &[Message::text("YWIK")]);
        check(b"", Framing::Lines, &[]);
        check(b"", Framing::Pieces, &[Message::binary(&b""[..])]);
    }

    #[test]
    fn a_token_is_no_protocol() {
        let mut headers = HeaderMap::new();
        let line = "base64url.bearer.authorization.k8s.io.c2VjcmV0, base64.binary.k8s.io";
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(line));
        assert_eq!(offered(&headers), ["base64.binary.k8s.io"]);
    }
}
