//! The connections of one client: one that all requests share where the server speaks HTTP/2, else one for each request under way,
//! kept for the next while it is idle.
//!
//! Holds always
//! - Who waits for a connection makes it, or is in line for that: when the one in front is dropped or fails, the next begins anew. No
//!   request depends on work that nobody drives.
//! - Waiting for a connection has a bound, whoever makes it.
//! - A request that was not sent goes to another connection; one that may have been sent is never sent again.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::connector::{Connector, DIAL_TIMEOUT, Stream};
use super::error::RequestError;

/// The flow-control window of one HTTP/2 stream: a list of 10,000 Pods should not wait for window updates.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The flow-control window of an HTTP/2 connection, shared by its streams.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Between HTTP/2 pings while an answer is waited for, so that a dead peer is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Idle HTTP/1.1 connections that are kept, and how long (Go's transport: 90 s).
const IDLE_MAX: usize = 32;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How many connections may turn out to be closed before a request is sent.
const TRIES_MAX: usize = IDLE_MAX + 2;

/// The tasks that drive connections: hyper asks for them, this owns them.
#[derive(Clone, Default)]
pub(super) struct Drivers(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Drivers
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, driver: F) {
        let mut set = self.0.lock();
        while set.try_join_next().is_some() {} // Ended connections leave nothing behind.
        set.spawn(driver);
    }
}

type Body = Full<Bytes>;

/// A connection on which a request can be sent.
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2 { number: u64, sender: http2::SendRequest<Body> },
}

/// The connections that are there.
#[derive(Default)]
struct Kept {
    /// The one that all share, with its number.
    shared: Option<(u64, http2::SendRequest<Body>)>,
    count: u64,
    /// Those that nobody uses, and since when.
    idle: Vec<(http1::SendRequest<Body>, Instant)>,
    /// Whether the last connection that was made speaks HTTP/1.1.
    is_http1: bool,
}

impl Kept {
    fn take(&mut self, now: Instant) -> Option<Sender> {
        if let Some((number, sender)) = &self.shared {
            if !sender.is_closed() {
                return Some(Sender::Http2 { number: *number, sender: sender.clone() });
            }
            self.shared = None;
        }
        while let Some((sender, since)) = self.idle.pop() {
            if sender.is_ready() && now.saturating_duration_since(since) < IDLE_TIMEOUT {
                return Some(Sender::Http1(sender));
            }
        }
        None
    }

    fn share(&mut self, sender: http2::SendRequest<Body>) -> (u64, http2::SendRequest<Body>) {
        self.count += 1;
        self.shared = Some((self.count, sender.clone()));
        self.is_http1 = false;
        (self.count, sender)
    }

    /// The shared connection of this number takes no more requests. A request that was handed to it at the very moment of its end is
    /// answered when nobody holds its sending half any more, and else never: so it is let go of as soon as the connection has
    /// ended, and nobody keeps it while waiting for an answer.
    fn give_up(&mut self, number: u64) {
        self.shared.take_if(|(shared, _)| *shared == number);
    }

    fn keep(&mut self, sender: http1::SendRequest<Body>, now: Instant) {
        if self.idle.len() >= IDLE_MAX {
            self.idle.remove(0);
        }
        self.idle.push((sender, now));
    }
}

type Answer = Result<Response<Incoming>, TrySendError<Request<Body>>>;

/// Sends a request on a connection of HTTP/1.1 and waits for the head of the answer; gives the connection back unless it has ended.
pub(super) async fn send_http1(
    mut sender: http1::SendRequest<Body>,
    request: Request<Body>,
) -> (Answer, Option<http1::SendRequest<Body>>) {
    let mut answer = pin!(sender.try_send_request(request));
    let has_ended = tokio::select! {
        biased;
        answer = &mut answer => return (answer, Some(sender)),
        // Either it has taken the request, or there is nobody who could.
        ready = sender.ready() => ready.is_err(),
    };
    if has_ended {
        drop(sender); // See `Kept::give_up`.
        return (answer.await, None);
    }
    (answer.await, Some(sender))
}

/// The connections to one server.
pub(super) struct Connections {
    connector: Connector,
    drivers: Drivers,
    kept: Arc<Mutex<Kept>>,
    /// Whoever holds it makes a connection; with HTTP/2 the others wait, as they will share it.
    turn: tokio::sync::Mutex<()>,
}

impl Connections {
    pub(super) fn new(connector: Connector, drivers: Drivers) -> Self {
        let (kept, turn) = (Arc::default(), tokio::sync::Mutex::default());
        Self { connector, drivers, kept, turn }
    }

    /// Sends a request with an absolute URI and waits for the head of the answer.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, RequestError> {
        let uri = request.uri().clone();
        let mut tries = 0;
        loop {
            tries += 1;
            let (sender, is_new) = self.connection(&uri).await?;
            let mut error = match self.send_on(sender, &uri, request).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            match error.take_message() {
                // It was closed before the request reached it: only one that was there before may be so, and not for ever.
                Some(unsent) if !is_new && tries < TRIES_MAX => request = unsent,
                _ => return Err(RequestError::Http { source: error.into_error() }),
            }
        }
    }

    async fn send_on(&self, sender: Sender, uri: &Uri, mut request: Request<Body>) -> Answer {
        match sender {
            Sender::Http2 { number, mut sender } => {
                request.headers_mut().remove(HOST);
                *request.uri_mut() = uri.clone();
                let answer = sender.try_send_request(request);
                drop(sender); // See `Kept::give_up`.
                let result = answer.await;
                if result.as_ref().is_err_and(|error| error.message().is_some()) {
                    self.kept.lock().give_up(number);
                }
                result
            }
            Sender::Http1(sender) => {
                let path = uri.path_and_query().cloned();
                let authority = uri.authority().map_or("", |authority| authority.as_str());
                // The authority of a URI has no character that a header cannot carry.
                if let Ok(host) = HeaderValue::from_str(authority) {
                    request.headers_mut().insert(HOST, host);
                }
                let root = PathAndQuery::from_static("/");
                *request.uri_mut() = Uri::from(path.unwrap_or(root));
                let (answer, kept) = send_http1(sender, request).await;
                if let Some(sender) = kept {
                    self.keep_when_idle(sender);
                }
                answer
            }
        }
    }

    /// Keeps a connection when the body of its answer has been read; it is closed if that never happens.
    fn keep_when_idle(&self, mut sender: http1::SendRequest<Body>) {
        let kept = Arc::downgrade(&self.kept);
        self.drivers.execute(async move {
            if sender.ready().await.is_ok()
                && let Some(kept) = kept.upgrade()
            {
                kept.lock().keep(sender, Instant::now());
            }
        });
    }

    /// A connection, and whether it is new.
    async fn connection(&self, uri: &Uri) -> Result<(Sender, bool), RequestError> {
        if let Some(kept) = self.kept.lock().take(Instant::now()) {
            return Ok((kept, false));
        }
        let make = async {
            let turn = self.turn.lock().await;
            let (kept, is_http1) = {
                let mut kept = self.kept.lock();
                (kept.take(Instant::now()), kept.is_http1)
            };
            if let Some(kept) = kept {
                return Ok((kept, false));
            }
            let _turn = (!is_http1).then_some(turn); // Nobody could share one of HTTP/1.1.
            Ok((self.make(uri).await?, true))
        };
        tokio::time::timeout(DIAL_TIMEOUT, make)
            .await
            .unwrap_or(Err(RequestError::TimedOut { limit: DIAL_TIMEOUT }))
    }

    async fn make(&self, uri: &Uri) -> Result<Sender, RequestError> {
        let stream = self.connector.dial(uri).await?;
        let is_http2 = stream.is_http2();
        let io: TokioIo<Stream> = TokioIo::new(stream);
        let failed = |source| RequestError::Http { source };
        if is_http2 {
            let (sender, connection) = http2::Builder::new(self.drivers.clone())
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .keep_alive_interval(KEEP_ALIVE)
                .handshake(io)
                .await
                .map_err(failed)?;
            let (number, sender) = self.kept.lock().share(sender);
            let kept = Arc::downgrade(&self.kept);
            self.drivers.execute(async move {
                // Its fault is the fault of its requests, which report it.
                let _ended = connection.await;
                if let Some(kept) = kept.upgrade() {
                    kept.lock().give_up(number);
                }
            });
            return Ok(Sender::Http2 { number, sender });
        }
        let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
        self.drivers.execute(async move {
            let _ended = connection.await;
        });
        self.kept.lock().is_http1 = true;
        Ok(Sender::Http1(sender))
    }
}

#[cfg(test)]
mod tests;
