//! The node's HTTPS API, by which the API server reads logs and opens streams to what the node runs.
//!
//! Reads     client certificates as TLS has verified them; tokens and permissions by reviews through the node agent's client.
//! Writes    nothing but metrics of its own.
//! Holds always
//! - Nobody is served unauthenticated or unauthorized, and there is no read-only port (CVE-2020-8551).
//! - Connections, streams, buffers and waits are bounded; a stream ends with its client, and everything ends with the server.
//!
//! Not here: which container a name means, where logs are, how processes are run ([`Node`]).

mod agent;
mod authentication;
mod authorization;
mod bytes_queue;
pub(crate) mod channels;
mod handler;
mod idle;
mod logs;
mod metrics;
mod node;
mod node_usage;
mod pods;
mod port_forward;
pub(crate) mod query;
pub(crate) mod remote_command;
mod reply;
pub(crate) mod route;
mod spdy_session;
mod summary;
mod upgrade;
mod websocket;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use podo_base::{Stop, Tasks};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

pub use node::{ContainerTarget, LogBytes, Node};

use authentication::Peer;
use handler::Server;

/// Connections at a time, those that carry streams included. Each costs about 100 KiB with TLS and a stream's buffers: 400 MB in all.
const CONNECTIONS_MAX: usize = 4_096;

/// A peer must have finished its TLS handshake by then (Go's server has 10 seconds).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A peer must have sent the head of a request by then.
const HEADER_TIMEOUT: Duration = Duration::from_secs(32);

/// Requests at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 250;

/// How long open requests may go on when the server stops.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// How long accepting rests when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Serves the node's API on a socket until `stop`, then ends what is open.
///
/// `tls` must verify client certificates and may allow clients without one; those need a token.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    node: impl Node,
    stop: Stop,
) {
    let acceptor = TlsAcceptor::from(tls);
    let server = Arc::new(Server::new(Arc::new(node)));
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = Tasks::new("kubelet connections");
    while let Some(Ok(slot)) = stop.or(Arc::clone(&slots).acquire_owned()).await {
        let Some(accepted) = stop.or(listener.accept()).await else { break };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors or a peer that is gone already: the next accept may do.
                tracing::debug!(%error, "accept failed");
                if !stop.sleep(ACCEPT_PAUSE).await {
                    break;
                }
                continue;
            }
        };
        let connection =
            serve_connection(acceptor.clone(), stream, slot, Arc::clone(&server), stop.clone());
        connections.spawn("connection", connection);
    }
    tokio::join!(connections.stop(DRAIN_TIME), server.stop(DRAIN_TIME));
}

async fn serve_connection(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    slot: OwnedSemaphorePermit,
    server: Arc<Server>,
    stop: Stop,
) {
    // Requests, keys typed and what is echoed are small and wait for each other.
    let _unsupported = stream.set_nodelay(true);
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
    let Some(Ok(Ok(stream))) = stop.or(handshake).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer = Peer {
        user: certificate.and_then(authentication::user_of_certificate),
        slot: Arc::new(slot),
    };
    let service = hyper::service::service_fn(move |request| {
        let (server, peer) = (Arc::clone(&server), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(handler::handle(&server, request, &peer).await) }
    });
    let builder = builder();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown();
            let _cut = tokio::time::timeout(DRAIN_TIME, connection).await;
        }
        // A connection that breaks is its peer's affair.
        _ended = connection.as_mut() => {}
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
