//! Handing a request on: to the kubelet of a node (logs, exec, attach, port-forward), and to what runs in the cluster ([`proxy`]).
//!
//! One connection for each request. A kubelet's is HTTPS with the API server's own certificate, the kubelet's verified against the
//! cluster's authority for the address that is dialled.
//!
//! Reads     the addresses and the kubelet's port of Nodes.
//! Holds always
//! - What the client showed to the API server (tokens, whom it acts as) does not reach the node.
//! - A redirect of a node is an error and is never followed (CVE-2018-1002102, CVE-2020-8559); a connection that was not upgraded
//!   carries one answer and is closed (CVE-2018-1002105).
//! - When the client or the node goes, so does the other half, and nothing of the pair is left.
//!
//! Not here: whether the client may, and which container it means ([`crate::subresources`]).

mod believer;
mod endpoint;
mod headers;
mod proxy;
mod tunnel;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use podo_api::{Reason, Status};
use podo_base::{Chain, Tasks};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;

use crate::api::Api;
use crate::http::{Body, Response, respond};
use crate::pki::{Pki, PkiError};

pub(crate) use endpoint::of_node as kubelet_address;
pub(crate) use headers::wants_upgrade;
pub(crate) use proxy::{Backend, Channel};

/// How long a node may take to accept a connection and shake hands.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a node may take to begin its answer; what follows may take as long as it likes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests handed on at a time. Each holds two buffers of 8 KiB and a TLS session: some 100 KiB, 400 MB in all.
const FORWARDS_MAX: usize = 4096;

/// How much of an error's text is read (Kubernetes v1.36 `GenericHttpResponseChecker`).
const ERROR_BYTES_MAX: usize = 50_000;

/// A connection, encrypted or not.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// The way to kubelets and to what runs in the cluster.
pub(crate) struct Nodes {
    connector: TlsConnector,
    /// For servers that show a certificate which nobody here knows; it shows none itself.
    believing: TlsConnector,
    /// Connections and tunnels; gone once stopped.
    tasks: Mutex<Option<Tasks>>,
    slots: Arc<Semaphore>,
}

impl std::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nodes")
            .field("free", &self.slots.available_permits())
            .finish_non_exhaustive()
    }
}

impl Nodes {
    /// A way that shows the API server's own certificate and believes its authority.
    pub(crate) fn new(pki: &Pki) -> Result<Self, PkiError> {
        let tls = pki.client_config(Some(pki.kubelet_client()))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(tls)),
            believing: TlsConnector::from(Arc::new(believer::config()?)),
            tasks: Mutex::new(Some(Tasks::new("nodes"))),
            slots: Arc::new(Semaphore::new(FORWARDS_MAX)),
        })
    }

    /// Ends all connections; new ones are refused from then on.
    pub(crate) async fn stop(&self, budget: Duration) {
        let tasks = self.tasks.lock().take();
        if let Some(tasks) = tasks {
            tasks.stop(budget).await;
        }
    }

    /// Asks the kubelet of a node, with the method and the upgrade of a request, and gives its answer.
    pub(crate) async fn forward(
        &self,
        api: &Api,
        node: &str,
        path: &str,
        parts: &Parts,
    ) -> Result<Response, Status> {
        let address = endpoint::of_node(api, node)?;
        self.forward_to(address, path, parts).await
    }

    async fn forward_to(
        &self,
        address: SocketAddr,
        path: &str,
        parts: &Parts,
    ) -> Result<Response, Status> {
        let slot = self.slot()?;
        let request = headers::request(address, path, parts)?;
        let connected = self.connect(address, Channel::Kubelet, slot).await;
        let mut sender = connected.map_err(|unreached| {
            unreached.told(|why| Status::internal(format!("error dialing backend: {why}")))
        })?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Status::internal(Chain(&error))),
            Err(_) => return Err(Status::timeout("the node does not answer", 0)),
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let response = headers::switching(answer.headers());
            return self.upgrade(answer, parts, response);
        }
        let is_upgrade = wants_upgrade(&parts.headers);
        plain(answer, is_upgrade).await
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| Status::too_many_requests("too many requests are handed on to nodes", 1))
    }

    /// A connection, driven by a task that ends with it; or why there is none.
    async fn connect(
        &self,
        address: SocketAddr,
        channel: Channel,
        slot: OwnedSemaphorePermit,
    ) -> Result<SendRequest<Body>, Unreached> {
        let dialled = tokio::time::timeout(DIAL_TIMEOUT, self.dial(address, channel)).await;
        let failed = |why: &str| Unreached::Failed(format!("dial tcp {address}: {why}"));
        let stream = match dialled {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(&Chain(&error).to_string())),
            Err(_) => return Err(failed("i/o timeout")),
        };
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&Chain(&error).to_string()))?;
        let spawned = self.spawn("connection", async move {
            // A connection that breaks is told to who reads the answer.
            let _ended = connection.with_upgrades().await;
            drop(slot);
        });
        spawned.map_err(Unreached::Refused)?;
        Ok(sender)
    }

    async fn dial(
        &self,
        address: SocketAddr,
        channel: Channel,
    ) -> std::io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let connector = match channel {
            Channel::Plain => return Ok(Box::new(stream)),
            Channel::Tls => &self.believing,
            Channel::Kubelet => &self.connector,
        };
        Ok(Box::new(connector.connect(ServerName::from(address.ip()), stream).await?))
    }

    /// Runs a stream until it ends or the server stops.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Status> {
        let mut tasks = self.tasks.lock();
        let Some(tasks) = tasks.as_mut() else {
            return Err(Status::unavailable("the server is stopping"));
        };
        let stop = tasks.stop_signal();
        tasks.spawn(name, async move {
            let _stopped = stop.or(task).await;
        });
        Ok(())
    }

    /// The node has changed the protocol: so does the client's connection, and both become one.
    fn upgrade(
        &self,
        answer: http::Response<Incoming>,
        parts: &Parts,
        response: Response,
    ) -> Result<Response, Status> {
        let Some(client) = parts.extensions.get::<hyper::upgrade::OnUpgrade>().cloned() else {
            return Err(Status::bad_request("Upgrade request required"));
        };
        if !wants_upgrade(&parts.headers) {
            return Err(Status::internal("the node changed the protocol unasked"));
        }
        let node = hyper::upgrade::on(answer);
        self.spawn("tunnel", tunnel::join(client, node))?;
        Ok(response)
    }
}

/// An answer that is streamed through as it is.
async fn plain(answer: http::Response<Incoming>, is_upgrade: bool) -> Result<Response, Status> {
    let code = answer.status();
    if code.is_redirection() {
        return Err(Status::internal(format!(
            "the node answered with a redirect ({code}), which is not followed"
        )));
    }
    if !code.is_success() {
        let text = error_text(answer).await;
        let is_ours = matches!(code, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED);
        // Who wanted another protocol gets the node's text as it is (Kubernetes v1.36 `UpgradeAwareHandler`).
        return if is_upgrade && !is_ours {
            Ok(respond(code.as_u16(), text.into_bytes(), "text/plain; charset=utf-8", false))
        } else {
            Err(refused(code, text))
        };
    }
    if is_upgrade {
        return Err(Status::internal(format!("the node did not change the protocol ({code})")));
    }
    let content_type = answer.headers().get(header::CONTENT_TYPE).cloned();
    let body = answer.into_body().map_err(Into::into).boxed_unsync();
    let mut response = Response::new(body);
    let text = http::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type.unwrap_or(text));
    Ok(response)
}

/// What a node says of an error.
async fn error_text(answer: http::Response<Incoming>) -> String {
    let body = Limited::new(answer.into_body(), ERROR_BYTES_MAX).collect();
    let body = tokio::time::timeout(ANSWER_TIMEOUT, body).await;
    let body =
        body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    String::from_utf8_lossy(&body).trim_end().to_owned()
}

/// What the client is told of an error of the node, in the words of the node.
fn refused(code: StatusCode, text: String) -> Status {
    // A kubelet that speaks our language says more than a text.
    if let Ok(status) = serde_json::from_str::<Status>(&text)
        && status.kind == "Status"
    {
        return status;
    }
    match code {
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        StatusCode::NOT_FOUND => Status::failure(Reason::NotFound, text),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
            Status::internal(format!("the node refuses the API server ({code}): {text}"))
        }
        _ => Status::internal(text),
    }
}

/// Why there is no connection.
enum Unreached {
    /// This server opens none.
    Refused(Status),
    /// The other server cannot be reached, and why.
    Failed(String),
}

impl Unreached {
    /// What the client is told, in the words of who wanted the connection.
    fn told(self, words: impl FnOnce(&str) -> Status) -> Status {
        match self {
            Self::Refused(status) => status,
            Self::Failed(why) => words(&why),
        }
    }
}
