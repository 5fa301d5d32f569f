//! One HTTP client for all registries: pooled connections, HTTP/1.1 and HTTP/2, bounded waiting.
//!
//! What always holds: the tasks that drive connections belong to the client and end with it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::connect::{ConnectError, Connector};
use super::dns::Resolver;
use super::error::{RegistryError, RequestError};
use super::tls::{TlsConfigError, TlsConfigs};
use super::{RegistryConfig, Timeouts};

/// Idle connections are closed after this; registries close them after a minute or two themselves.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// Idle connections to one host: as many as layers come at once.
const POOL_CONNECTIONS_MAX: usize = 4;
/// How much of an error answer is read.
const ERROR_BYTES_MAX: u64 = 64 << 10;
/// How much of what a registry says goes into a message.
const ERROR_DETAIL_MAX: usize = 300;

/// Runs the connections' tasks; dropping the last one ends them.
#[derive(Clone, Default)]
struct Drivers(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Drivers
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let mut tasks = self.0.lock();
        while tasks.try_join_next().is_some() {} // Else ended ones would pile up.
        tasks.spawn(async move {
            future.await;
        });
    }
}

/// Sends requests.
pub(super) struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    drivers: Drivers,
    pub(super) timeouts: Timeouts,
}

impl Drop for HttpClient {
    fn drop(&mut self) {
        // The tasks hold the executor that holds them: break the circle.
        self.drivers.0.lock().abort_all();
    }
}

/// A request as it is repeated through redirects and retries.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: http::Method,
    pub(super) uri: http::Uri,
    pub(super) headers: Vec<(header::HeaderName, String)>,
    pub(super) authorization: Option<String>,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn get(uri: http::Uri) -> Self {
        let (headers, body) = (Vec::new(), Bytes::new());
        Self { method: http::Method::GET, uri, headers, authorization: None, body }
    }

    /// The URL without its query, which may hold signatures.
    pub(super) fn printable_url(&self) -> String {
        self.uri.to_string().split('?').next().unwrap_or_default().to_owned()
    }

    pub(super) fn method_name(&self) -> &'static str {
        match self.method {
            http::Method::HEAD => "HEAD",
            http::Method::POST => "POST",
            http::Method::PUT => "PUT",
            _ => "GET",
        }
    }

    /// The method as Go prints it in URL errors.
    fn method_title(&self) -> &'static str {
        match self.method {
            http::Method::HEAD => "Head",
            http::Method::POST => "Post",
            http::Method::PUT => "Put",
            _ => "Get",
        }
    }

    pub(super) fn failed(&self, source: RequestError) -> RegistryError {
        RegistryError::Request { method: self.method_title(), url: self.printable_url(), source }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut builder = Request::builder().method(&self.method).uri(&self.uri);
        builder = builder.header(header::USER_AGENT, concat!("podo/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        if let Some(authorization) = &self.authorization {
            let mut value = header::HeaderValue::try_from(authorization)?;
            value.set_sensitive(true);
            builder = builder.header(header::AUTHORIZATION, value);
        }
        builder.body(Full::new(self.body.clone()))
    }
}

impl HttpClient {
    pub(super) fn new(config: &RegistryConfig) -> Result<Self, TlsConfigError> {
        let resolver = Resolver::new(&config.hosts_file, &config.resolv_conf);
        let connector = Connector::new(resolver, TlsConfigs::new(config)?, config.timeouts.connect);
        let drivers = Drivers::default();
        let client = Client::builder(drivers.clone())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_CONNECTIONS_MAX)
            .build(connector);
        Ok(Self { client, drivers, timeouts: config.timeouts.clone() })
    }

    /// Sends one request and waits for the head of its answer, whatever its status.
    pub(super) async fn send(&self, call: &Call) -> Result<Response<Incoming>, RegistryError> {
        let request =
            call.request().map_err(|error| call.failed(RequestError::Http(Box::new(error))))?;
        let limit = self.timeouts.idle;
        match tokio::time::timeout(limit, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(call.failed(request_error(error))),
            Err(_) => Err(call.failed(RequestError::Stalled { limit })),
        }
    }

    /// Reads a whole answer of at most `max` bytes.
    pub(super) async fn read(
        &self,
        call: &Call,
        response: Response<Incoming>,
        max: u64,
    ) -> Result<Bytes, RegistryError> {
        let limit = self.timeouts.document;
        let whole = self.read_untimed(call, response, max);
        match tokio::time::timeout(limit, whole).await {
            Ok(body) => body,
            Err(_) => Err(call.failed(RequestError::Stalled { limit })),
        }
    }

    async fn read_untimed(
        &self,
        call: &Call,
        response: Response<Incoming>,
        max: u64,
    ) -> Result<Bytes, RegistryError> {
        let too_large = || RegistryError::TooLarge { url: call.printable_url(), max };
        let mut body = response.into_body();
        if hyper::body::Body::size_hint(&body).lower() > max {
            return Err(too_large());
        }
        let mut bytes: Vec<u8> = Vec::new();
        while let Some(frame) = self.next_chunk(call, &mut body).await? {
            bytes.extend_from_slice(&frame);
            if bytes.len() as u64 > max {
                return Err(too_large());
            }
        }
        Ok(bytes.into())
    }

    /// The next piece of a body; none at its end.
    pub(super) async fn next_chunk(
        &self,
        call: &Call,
        body: &mut Incoming,
    ) -> Result<Option<Bytes>, RegistryError> {
        let limit = self.timeouts.idle;
        loop {
            match tokio::time::timeout(limit, body.frame()).await {
                Err(_) => return Err(call.failed(RequestError::Stalled { limit })),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(call.failed(RequestError::Http(Box::new(error))));
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Turns an answer of no use into an error, with what the registry says about it.
    pub(super) async fn status_error(
        &self,
        call: &Call,
        response: Response<Incoming>,
    ) -> RegistryError {
        let status = response.status();
        let detail = if call.method == http::Method::HEAD {
            String::new()
        } else {
            let body = self.read(call, response, ERROR_BYTES_MAX).await;
            body.map(|body| detail_of(&body)).unwrap_or_default()
        };
        RegistryError::Status {
            method: call.method_name(),
            url: call.printable_url(),
            status,
            detail,
        }
    }
}

/// The messages of the distribution specification's error list, without control characters.
fn detail_of(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<Item>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        #[serde(default)]
        message: String,
    }
    let Ok(list) = serde_json::from_slice::<Errors>(body) else { return String::new() };
    let messages: Vec<&str> = list
        .errors
        .iter()
        .map(|item| item.message.as_str())
        .filter(|message| !message.is_empty())
        .collect();
    let text: String = messages
        .join(", ")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(ERROR_DETAIL_MAX)
        .collect();
    if text.is_empty() { text } else { format!(": server message: {text}") }
}

/// Finds our own dialling error within the client's.
fn request_error(error: hyper_util::client::legacy::Error) -> RequestError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(connect) = inner.downcast_ref::<ConnectError>() {
            return RequestError::Connect(connect.clone());
        }
        cause = inner.source();
    }
    RequestError::Http(Box::new(error))
}

/// Whether an answer sends us elsewhere.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
