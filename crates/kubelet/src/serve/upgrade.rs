//! Changing a connection's protocol: SPDY/3.1 or WebSocket, and the version of what is spoken on top.
//!
//! Holds     a request is refused before its protocol changes whenever that is possible, so that the client is told why.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use podo_api::Status;

use super::authentication::Peer;
use super::handler::{Request, Server};
use super::metrics::StreamCount;
use super::reply::{Response, full};
use super::websocket;

/// Which versions of a stream's protocol a client speaks, and which one is chosen (Kubernetes v1.36 `httpstream`).
const VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// How long the connection may take to change.
const HANDOVER: Duration = Duration::from_secs(10);

/// A connection that speaks another protocol than HTTP.
pub(super) type Connection = TokioIo<Upgraded>;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// SPDY/3.1 and the version on top.
    Spdy(&'static str),
    /// WebSocket and its subprotocol, if one was offered.
    WebSocket(Option<&'static str>),
}

/// The answer to a request for another protocol.
pub(super) struct Upgrade {
    /// What will be spoken.
    pub(super) protocol: Protocol,
    response: Response,
    connection: OnUpgrade,
}

impl Upgrade {
    /// Chooses what is spoken among what both sides know, the client's preference first.
    pub(super) fn of(
        request: &mut Request,
        spdy: &[&'static str],
        websocket: &[&'static str],
    ) -> Result<Self, Status> {
        if request.version() != Version::HTTP_11 {
            return Err(Status::bad_request("unable to upgrade: HTTP/1.1 is required"));
        }
        let (response, protocol) = if websocket::is_requested(request.headers()) {
            let (response, subprotocol) = websocket::accept(request, websocket)?;
            (response, Protocol::WebSocket(subprotocol))
        } else {
            let version = negotiate(request.headers(), spdy)?;
            (spdy_response(request.headers(), version)?, Protocol::Spdy(version))
        };
        Ok(Self { protocol, response, connection: hyper::upgrade::on(request) })
    }

    /// Answers, and runs `stream` on the connection. The stream keeps the peer's place among the connections.
    pub(super) fn run<F>(
        self,
        server: &Arc<Server>,
        peer: &Peer,
        name: &'static str,
        stream: impl FnOnce(Connection) -> F + Send + 'static,
    ) -> Result<Response, Status>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (connection, slot, count) =
            (self.connection, Arc::clone(&peer.slot), StreamCount::new(server));
        server.spawn(name, async move {
            if let Ok(Ok(upgraded)) = tokio::time::timeout(HANDOVER, connection).await {
                stream(TokioIo::new(upgraded)).await;
            } else {
                tracing::debug!(name, "the client went before its stream began");
            }
            drop((slot, count));
        })?;
        Ok(self.response)
    }
}

fn negotiate(headers: &HeaderMap, known: &[&'static str]) -> Result<&'static str, Status> {
    let lines = headers.get_all(VERSION).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    if offered.is_empty() {
        return Err(Status::bad_request(
            "unable to upgrade: X-Stream-Protocol-Version is required",
        ));
    }
    let chosen = offered.iter().find_map(|offer| known.iter().find(|name| name == &offer));
    chosen.copied().ok_or_else(|| {
        Status::bad_request(format!(
            "unable to upgrade: unable to negotiate protocol: client supports {offered:?}, server accepts {known:?}"
        ))
    })
}

fn spdy_response(headers: &HeaderMap, version: &'static str) -> Result<Response, Status> {
    let has = |name: HeaderName, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "SPDY/3.1") {
        return Err(Status::bad_request("unable to upgrade: missing upgrade headers in request"));
    }
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert(VERSION, HeaderValue::from_static(version));
    Ok(response)
}
