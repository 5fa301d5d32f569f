//! Which headers reach the node, and which the client.

use std::net::SocketAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use podo_api::Status;

use crate::authn::is_websocket_token;
use crate::http::{Body, Response, full};

/// Headers of one connection (RFC 9110 section 7.6.1) and what the client shows to this server only.
const KEPT_BACK: &[HeaderName] = &[
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Older headers of one connection that have no constant.
const KEEP_ALIVE: [&str; 2] = ["keep-alive", "proxy-connection"];

/// By these a server would speak for the API server's own origin (Kubernetes v1.36 `corsRemovingTransport`).
const CROSS_ORIGIN: [&str; 4] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
];

/// Beginnings of headers by which users are named.
const USER_PREFIXES: [&str; 2] = ["impersonate-", "x-remote-"];

/// What the client of a changed protocol must learn.
const SWITCHED: [&str; 4] =
    ["upgrade", "sec-websocket-accept", "sec-websocket-protocol", "x-stream-protocol-version"];

/// Whether a request wants another protocol.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    let tokens = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    headers.contains_key(header::UPGRADE)
        && tokens
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

/// The request to the node.
pub(super) fn request(
    address: SocketAddr,
    path: &str,
    parts: &Parts,
) -> Result<http::Request<Body>, Status> {
    let mut request = http::Request::builder().method(parts.method.clone()).uri(path);
    if let Some(headers) = request.headers_mut() {
        copy(&parts.headers, headers);
        headers.remove(header::COOKIE);
        if let Ok(host) = HeaderValue::from_str(&address.to_string()) {
            headers.insert(header::HOST, host);
        }
    }
    request.body(full(Bytes::new())).map_err(|error| Status::bad_request(error.to_string()))
}

/// Copies what a client says to the server behind this one.
pub(super) fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        let names_user = USER_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
        if !is_of_connection(from, name) && !names_user {
            to.append(name, value.clone());
        }
    }
    for protocols in protocols(from) {
        to.append(header::SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    if wants_upgrade(from)
        && let Some(upgrade) = from.get(header::UPGRADE)
    {
        to.insert(header::UPGRADE, upgrade.clone());
        to.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
}

/// Copies what a server answers to the client in front of this one.
pub(super) fn copy_back(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        let is_protocol = name == header::SEC_WEBSOCKET_PROTOCOL;
        let is_kept = is_of_connection(from, name) && !is_protocol;
        if !is_kept && !CROSS_ORIGIN.contains(&name.as_str()) {
            to.append(name, value.clone());
        }
    }
}

/// Whether a header is about one connection only, by its name or because the connection says so.
fn is_of_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    let connection =
        headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut named = connection.flat_map(|value| value.split(','));
    KEPT_BACK.contains(name)
        || KEEP_ALIVE.contains(&name.as_str())
        || named.any(|token| token.trim().eq_ignore_ascii_case(name.as_str()))
}

/// The protocols that a WebSocket offers, without the one that carries a token.
fn protocols(headers: &HeaderMap) -> impl Iterator<Item = HeaderValue> {
    let lines = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok());
    lines.filter_map(|line| {
        let kept: Vec<&str> = line
            .split(',')
            .map(str::trim)
            .filter(|protocol| !is_websocket_token(protocol))
            .collect();
        if kept.is_empty() { None } else { HeaderValue::from_str(&kept.join(", ")).ok() }
    })
}

/// The answer to the client of a changed protocol.
pub(super) fn switching(from: &HeaderMap) -> Response {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for name in SWITCHED {
        for value in from.get_all(name) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}
