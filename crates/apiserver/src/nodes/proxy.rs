//! Handing a request on to a server in the cluster, whatever it is, and its answer back (Kubernetes v1.36
//! `k8s.io/apimachinery/pkg/util/proxy`).
//!
//! Holds always
//! - What the client showed to the API server does not reach the server behind it, and a redirect is the client's to follow:
//!   it is told of it in the terms of the URL that it asked.
//! - A server that was asked to change the protocol and does not has answered, and its connection is closed (CVE-2018-1002105).
//!
//! Not here: rewriting of links in HTML, which upstream does as well.

use std::net::SocketAddr;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use podo_api::Status;
use podo_base::Chain;

use super::{Nodes, headers};
use crate::authn::Peer;
use crate::http::{Body, Response, full};

/// How long a server may take to begin its answer: longer than anybody polls. Upstream waits for as long as the client does.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How a server in the cluster is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// HTTP.
    Plain,
    /// HTTPS; the server's certificate is not verified, and none is shown to it.
    Tls,
    /// HTTPS with the certificates of the cluster on both sides.
    Kubelet,
}

/// The server that a request goes to.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) channel: Channel,
    /// The path in the client's URL up to that of the server.
    pub(crate) prefix: String,
    /// The path at the server; empty if the client named none, not even the root.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    /// What the client calls the API server.
    pub(crate) host: String,
}

impl Nodes {
    /// Sends a request to a server in the cluster and gives its answer.
    pub(crate) async fn proxy(
        &self,
        backend: &Backend,
        parts: &Parts,
        peer: &Peer,
        body: Body,
    ) -> Result<Response, Status> {
        let is_upgrade = headers::wants_upgrade(&parts.headers);
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        if backend.path.is_empty() && is_read && !is_upgrade {
            return backend.to_root();
        }
        let slot = self.slot()?;
        let request = backend.request(parts, peer, body)?;
        let failed = |why: &str| {
            if is_upgrade {
                Status::internal(format!("error dialing backend: {why}"))
            } else {
                Status::unavailable(format!("error trying to reach service: {why}"))
            }
        };
        let (address, channel) = (backend.address, backend.channel);
        let connected = self.connect(address, channel, slot).await;
        let mut sender = connected.map_err(|unreached| unreached.told(failed))?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(failed(&Chain(&error).to_string())),
            Err(_) => return Err(failed("no answer")),
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let response = switching(&answer);
            return self.upgrade(answer, parts, response);
        }
        if is_upgrade && answer.status().as_u16() < 400 {
            let code = answer.status().as_u16();
            return Err(Status::internal(format!("invalid upgrade response: status code {code}")));
        }
        let mut response = backend.answer(answer);
        if is_upgrade && parts.version <= Version::HTTP_11 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response)
    }
}

impl Backend {
    /// Relative links work only from a path that ends in a slash.
    fn to_root(&self) -> Result<Response, Status> {
        let query = self.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        let location = HeaderValue::try_from(format!("{}/{query}", self.prefix));
        let mut response = Response::new(full(bytes::Bytes::new()));
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        response.headers_mut().insert(header::LOCATION, location.map_err(Status::internal)?);
        Ok(response)
    }

    fn request(
        &self,
        parts: &Parts,
        peer: &Peer,
        body: Body,
    ) -> Result<http::Request<Body>, Status> {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        let uri = match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let mut request = http::Request::builder().method(parts.method.clone()).uri(uri);
        if let Some(to) = request.headers_mut() {
            headers::copy(&parts.headers, to);
            let uri = format!("{}{path}", self.prefix);
            for (name, value) in [("host", self.host.clone()), ("x-forwarded-uri", uri)] {
                to.insert(name, HeaderValue::try_from(value).map_err(bad)?);
            }
            if let Some(address) = peer.address {
                let before: Vec<&str> = parts
                    .headers
                    .get_all("x-forwarded-for")
                    .iter()
                    .filter_map(|value| value.to_str().ok())
                    .collect();
                let address = address.ip().to_string();
                let chain: Vec<&str> = before.into_iter().chain([address.as_str()]).collect();
                if let Ok(chain) = HeaderValue::try_from(chain.join(", ")) {
                    to.insert("x-forwarded-for", chain);
                }
            }
        }
        request.body(body).map_err(bad)
    }

    /// The answer for the client.
    fn answer(&self, answer: http::Response<Incoming>) -> Response {
        let (head, body) = answer.into_parts();
        let mut response = Response::new(body.map_err(Into::into).boxed_unsync());
        *response.status_mut() = head.status;
        headers::copy_back(&head.headers, response.headers_mut());
        let location = head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let rewritten = location.and_then(|location| self.rewrite(location));
        if let Some(location) = rewritten.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    /// A place that the server names, in the terms of the client's URL; `None` if it stays as it is.
    fn rewrite(&self, location: &str) -> Option<String> {
        let (scheme, rest) = match location.split_once("://") {
            Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => (Some(scheme), Some(rest)),
            _ => (None, location.strip_prefix("//")),
        };
        let (host, path) = match rest {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", location),
        };
        let is_server = self.names().contains(&host.to_owned());
        if !path.starts_with('/') || !(host.is_empty() || is_server || host == self.host) {
            return None;
        }
        let origin = match scheme {
            Some(scheme) if host == self.host => format!("{scheme}://{host}"),
            None if host == self.host && !host.is_empty() => format!("//{host}"),
            _ => String::new(),
        };
        let prefix = if path.starts_with(&self.prefix) { "" } else { &self.prefix };
        Some(format!("{origin}{prefix}{path}"))
    }

    /// How URLs call the server.
    fn names(&self) -> [String; 2] {
        let (address, port) = (self.address, self.address.port());
        let is_usual = matches!((self.channel, port), (Channel::Plain, 80) | (Channel::Tls, 443));
        let bare = if address.is_ipv6() {
            format!("[{}]", address.ip())
        } else {
            address.ip().to_string()
        };
        [address.to_string(), if is_usual { bare } else { address.to_string() }]
    }
}

fn bad(error: impl std::fmt::Display) -> Status {
    Status::bad_request(error.to_string())
}

/// What the client is told of a changed protocol.
fn switching(answer: &http::Response<Incoming>) -> Response {
    let mut response = Response::new(full(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    headers::copy_back(answer.headers(), response.headers_mut());
    if let Some(protocol) = answer.headers().get(header::UPGRADE) {
        response.headers_mut().insert(header::UPGRADE, protocol.clone());
    }
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}

#[cfg(test)]
mod tests;
