//! Connections: TLS, HTTP/1.1 and HTTP/2, bounded in number and in the time that a silent peer may hold one.
//!
//! Silence is bounded at each step: in the handshake, before HTTP begins, within the head of a request, between requests, and
//! ([`super::handler`]) within a body.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use podo_base::{Stop, Tasks};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Busy};
use super::body::Response;
use super::crowd::Crowd;
use super::handler;
use crate::authn::Peer;
use crate::server::Server;

/// Connections at a time. Each costs about 50 KiB with TLS, so this bounds them to half a gigabyte.
const CONNECTIONS_MAX: usize = 12_000;

/// A peer must have finished its TLS handshake by then (Go's server has 10 seconds).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer must have sent the head of a request by then (Kubernetes v1.36 `ReadHeaderTimeout`).
const HEADER_TIMEOUT: Duration = Duration::from_secs(32);

/// Requests at a time on one HTTP/2 connection (Kubernetes v1.36 `--http2-max-streams-per-connection` of its peers: 250 to 1,000).
const STREAMS_MAX: u32 = 1_000;

/// What one stream may send before it is read (Kubernetes v1.36: 256 KiB).
const STREAM_WINDOW: u32 = 256 * 1024;

/// What one connection may send before it is read; the streams share it.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How long open requests may go on when the server stops.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// What a front listens with.
pub struct FrontConfig {
    /// The socket.
    pub listener: TcpListener,
    /// The server's certificate and how clients' are checked.
    pub tls: Arc<rustls::ServerConfig>,
    /// Gives memory that was freed back to the system; called when a crowd of connections has gone.
    pub give_back: fn(),
}

impl std::fmt::Debug for FrontConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontConfig").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// The front: it accepts connections until it is told to stop.
#[derive(Debug)]
pub struct Front;

impl Front {
    /// Serves until `stop`, then lets open requests end.
    pub async fn serve(config: FrontConfig, server: Arc<Server>, stop: Stop) {
        let acceptor = TlsAcceptor::from(config.tls);
        let crowd = Arc::new(Crowd::new(CONNECTIONS_MAX, config.give_back));
        let mut connections = Tasks::new("connections");
        while let Some(Some(place)) = stop.or(crowd.enter()).await {
            let Some(accepted) = stop.or(config.listener.accept()).await else { break };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors or a peer that is gone already: the next accept may do.
                    tracing::debug!(%error, "accept failed");
                    if !stop.sleep(Duration::from_millis(10)).await {
                        break;
                    }
                    continue;
                }
            };
            let connection = serve_connection(
                acceptor.clone(),
                stream,
                address,
                Arc::clone(&server),
                stop.clone(),
            );
            let (crowd, stop) = (Arc::clone(&crowd), stop.clone());
            connections.spawn("connection", async move {
                connection.await;
                crowd.leave(place, &stop).await;
            });
        }
        connections.stop(DRAIN_TIME).await;
    }
}

async fn serve_connection(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    server: Arc<Server>,
    stop: Stop,
) {
    // Requests and answers are small and wait for each other.
    let _unsupported = stream.set_nodelay(true);
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
    let Some(Ok(Ok(stream))) = stop.or(handshake).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = Peer {
        address: Some(address),
        user: certificate.and_then(crate::authn::user_of_certificate).map(Arc::new),
        valid_until: certificate.and_then(crate::authn::end_of_certificate),
    };
    let answer = move |request: http::Request<Incoming>| {
        let (server, peer) = (Arc::clone(&server), peer.clone());
        async move {
            let method = request.method().clone();
            let response = handler::handle(&server, request, &peer).await;
            handler::without_body(&method, response)
        }
    };
    serve_stream(stream, answer, &stop).await;
}

/// Serves HTTP on a connection until it ends, is idle, or the server stops.
async fn serve_stream<I, F, R>(stream: I, answer: F, stop: &Stop)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Fn(http::Request<Incoming>) -> R,
    R: Future<Output = Response> + Send + 'static,
{
    let activity = Activity::new();
    let asked = activity.clone();
    let service = hyper::service::service_fn(move |request| {
        let (busy, response) = (asked.begin(), answer(request));
        async move { Ok::<_, Infallible>(keep_busy(response.await, busy)) }
    });
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let connection = graceful.watch(connection.into_owned());
    let shutdown = async {
        tokio::select! {
            () = stop.requested() => {}
            () = activity.idle() => {}
        }
        graceful.shutdown().await;
    };
    tokio::select! {
        // A connection that breaks is its peer's affair.
        _ended = connection => {}
        () = shutdown => {}
    }
}

/// A request lasts until its answer has been sent, if that is a stream; what is there as a whole is as good as sent.
fn keep_busy(response: Response, busy: Busy) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        let last = move |frame| {
            let _held = &busy;
            frame
        };
        body.map_frame(last).boxed_unsync()
    })
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

#[cfg(test)]
mod tests;
