//! A connection to an API server over HTTP/1.1 or HTTP/2 with TLS.
//!
//! Owns      the connections of one [`Client`] and the credentials that each request carries.
//! Holds     no connection outlives its client: the tasks that drive them are aborted when the last clone is dropped;
//!           no credential is printed by `Debug`.
//!
//! Not here: where the address and the credentials come from ([`crate::kubeconfig`]), streams after an upgrade ([`crate::websocket`]).

mod connections;
mod connector;
mod credentials;
mod error;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, RETRY_AFTER, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

pub use credentials::{Credentials, Impersonation, Secret};
pub use error::{ConfigError, RequestError};
pub use tls::TlsOptions;

use connections::{Connections, Drivers, send_http1};
use connector::Connector;

/// How often a request is sent again when the server says `Retry-After`, as client-go does.
const RETRIES_MAX: u32 = 10;
/// The longest `Retry-After` that is honoured; a longer one is an answer like any other.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Where a server is and how to talk to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `http://HOST[:PORT][/PREFIX]` or `https://…`.
    pub server: String,
    /// How the server is verified and which certificate is shown to it.
    pub tls: TlsOptions,
    /// What every request carries to say who asks.
    pub credentials: Credentials,
    /// Whom every request asks to be.
    pub impersonation: Impersonation,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How long an answer's head may take; none waits for ever.
    pub timeout: Option<Duration>,
}

/// A client of one API server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
    headers: HeaderMap,
    credentials: Credentials,
    timeout: Option<Duration>,
    connector: Connector,
    connections: Connections,
    drivers: Drivers,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("authority", &self.inner.authority).finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares a client; no connection is made before the first request.
    pub fn new(endpoint: &Endpoint) -> Result<Self, ConfigError> {
        let uri: Uri = normalised(&endpoint.server)
            .parse()
            .map_err(|source| ConfigError::Server { server: endpoint.server.clone(), source })?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(ConfigError::NoHost { server: endpoint.server.clone() });
        };
        let tls = (scheme == Scheme::HTTPS).then(|| endpoint.tls.build()).transpose()?;
        let connector = Connector::new(tls, endpoint.tls.server_name.clone());
        let prefix = parts
            .path_and_query
            .map_or(String::new(), |path| path.path().trim_end_matches('/').to_owned());

        let drivers = Drivers::default();
        let connections = Connections::new(connector.clone(), drivers.clone());
        let inner = Inner {
            scheme,
            authority,
            prefix,
            headers: fixed_headers(endpoint)?,
            credentials: endpoint.credentials.clone(),
            timeout: endpoint.timeout,
            connector,
            connections,
            drivers,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// `HOST:PORT` of the server.
    pub fn authority(&self) -> &str {
        self.inner.authority.as_str()
    }

    /// `SCHEME://HOST:PORT[/PREFIX]` of the server.
    pub fn base_url(&self) -> String {
        format!("{}://{}{}", self.inner.scheme, self.inner.authority, self.inner.prefix)
    }

    /// Sends a request whose URI is a path (with or without a query) and returns the head of the answer; the body streams.
    ///
    /// An answer of 429 or 5xx with `Retry-After` is waited for and asked again, at most ten times.
    /// Any other status, also 4xx and 5xx, is an `Ok` answer.
    pub async fn request(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Incoming>, RequestError> {
        for attempt in 0.. {
            let response = self.send_once(&request).await?;
            match retry_after(&response) {
                Some(wait) if attempt < RETRIES_MAX => tokio::time::sleep(wait).await,
                _ => return Ok(response),
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn send_once(
        &self,
        request: &Request<Bytes>,
    ) -> Result<Response<Incoming>, RequestError> {
        let mut copy = Request::new(Full::new(request.body().clone()));
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = self.absolute(request.uri())?;
        *copy.headers_mut() = self.headers(request.headers())?;
        let sent = self.inner.connections.send(copy);
        match self.inner.timeout {
            Some(limit) => tokio::time::timeout(limit, sent)
                .await
                .map_err(|_elapsed| RequestError::TimedOut { limit })?,
            None => sent.await,
        }
    }

    /// Sends a request for an upgrade on an HTTP/1.1 connection of its own.
    ///
    /// Returns the answer and, if its status is 101, the raw stream; otherwise the body says why it was refused.
    pub async fn upgrade(
        &self,
        mut request: Request<()>,
    ) -> Result<(Response<Incoming>, Option<hyper::upgrade::Upgraded>), RequestError> {
        let stream = self.inner.connector.dial_http1(&self.absolute(request.uri())?).await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| RequestError::Http { source })?;
        hyper::rt::Executor::execute(&self.inner.drivers, async move {
            // Its fault is the fault of the request or the stream, which report it.
            let _ended = connection.with_upgrades().await;
        });

        let path = format!("{}{}", self.inner.prefix, request.uri());
        let headers = self.headers(request.headers())?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(HOST, self.host_header()?);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        *request.uri_mut() =
            path.parse().map_err(|source| RequestError::Path { path: path.clone(), source })?;
        *request.version_mut() = Version::HTTP_11;
        let (answer, _sender) = send_http1(sender, request.map(|()| Full::default())).await;
        let mut response =
            answer.map_err(|error| RequestError::Http { source: error.into_error() })?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok((response, None));
        }
        let upgraded = hyper::upgrade::on(&mut response)
            .await
            .map_err(|source| RequestError::Http { source })?;
        Ok((response, Some(upgraded)))
    }

    fn host_header(&self) -> Result<HeaderValue, RequestError> {
        HeaderValue::from_str(self.authority())
            .map_err(|source| RequestError::Header { name: "Host", source })
    }

    fn absolute(&self, path: &Uri) -> Result<Uri, RequestError> {
        let text = format!("{}{}", self.inner.prefix, path);
        let path_and_query: PathAndQuery =
            text.parse().map_err(|source| RequestError::Path { path: text.clone(), source })?;
        Uri::builder()
            .scheme(self.inner.scheme.clone())
            .authority(self.inner.authority.clone())
            .path_and_query(path_and_query)
            .build()
            .map_err(|source| RequestError::Address { source })
    }

    fn headers(&self, own: &HeaderMap) -> Result<HeaderMap, RequestError> {
        let mut headers = self.inner.headers.clone();
        if let Some(value) = self.inner.credentials.authorization()? {
            headers.insert(AUTHORIZATION, value);
        }
        for (name, value) in own {
            headers.insert(name, value.clone());
        }
        Ok(headers)
    }
}

/// Gives an address without a scheme the one that kubectl assumes.
fn normalised(server: &str) -> String {
    if server.contains("://") { server.to_owned() } else { format!("http://{server}") }
}

fn fixed_headers(endpoint: &Endpoint) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    let agent = HeaderValue::from_str(&endpoint.user_agent)
        .map_err(|source| ConfigError::Header { name: "User-Agent".into(), source })?;
    headers.insert(USER_AGENT, agent);
    for (name, value) in endpoint.impersonation.headers() {
        let bad_value = |source| ConfigError::Header { name: name.clone(), source };
        let value = HeaderValue::from_str(&value).map_err(bad_value)?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|source| ConfigError::HeaderName { name: name.clone(), source })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let status = response.status();
    if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
        return None;
    }
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|wait| *wait <= RETRY_AFTER_MAX)
}
