//! The whole server on the loopback, over a node in memory.

mod access;
mod exec_spdy;
mod exec_websocket;
mod front;
mod kubectl;
mod log_streams;
mod node;
mod port_forwards;
mod requests;
mod spdy_client;
mod tls;
mod usage;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use podo_base::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

use node::{Facts, MemoryNode};
use tls::Authority;

/// Longer than anything here takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server and what it needs.
struct Fixture {
    address: SocketAddr,
    authority: Authority,
    /// What the node has seen.
    facts: Arc<Facts>,
    tasks: Tasks,
}

impl Fixture {
    async fn start() -> Self {
        let authority = Authority::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = Tasks::new("test");
        let node = MemoryNode::new();
        let facts = Arc::clone(&node.facts);
        let stop = tasks.stop_signal();
        tasks.spawn("server", super::serve(listener, authority.server(), node, stop));
        Self { address, authority, facts, tasks }
    }

    /// A connection with the API server's own certificate.
    async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_as(Some(("kube-apiserver-kubelet-client", &["system:masters"]))).await
    }

    async fn connect_as(&self, user: Option<(&str, &[&str])>) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(self.authority.client(user));
        let name = rustls_pki_types::ServerName::from(self.address.ip());
        connector.connect(name, stream).await.unwrap()
    }

    /// HTTP on a connection.
    async fn http(&mut self, stream: TlsStream<TcpStream>) -> SendRequest<Empty<Bytes>> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        self.tasks.spawn("client", async move {
            let _ended = connection.with_upgrades().await;
        });
        sender
    }

    /// Code and text of an answer to the API server.
    async fn get(&mut self, path: &str) -> (u16, String) {
        let stream = self.connect().await;
        let mut sender = self.http(stream).await;
        text_of(sender.send_request(get(path)).await.unwrap()).await
    }

    async fn stop(self) {
        self.tasks.stop(DEADLINE).await;
    }
}

fn get(path: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(path).header("host", "node").body(Empty::new()).unwrap()
}

async fn text_of(response: http::Response<Incoming>) -> (u16, String) {
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

/// Waits for something, but not for ever.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(DEADLINE, work).await;
    answer.unwrap_or_else(|_elapsed| panic!("{what} did not happen within {DEADLINE:?}"))
}
