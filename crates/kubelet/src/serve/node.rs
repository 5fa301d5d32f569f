//! [`Node`]: what the node's API asks of the node agent.

use std::io;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use podo_api::Status;
use podo_api::k8s_openapi::api::core::v1::Pod;
use podo_base::Timestamp;
use podo_client::Client;
use podo_cri::{CriError, ExecStreams, PortStream, v1};

use crate::logs::LogRequest;

/// A log, piece by piece. Dropping it ends whatever makes it.
pub type LogBytes = BoxStream<'static, io::Result<Bytes>>;

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerTarget {
    /// The runtime's id.
    pub id: String,
    /// Whether it has a terminal: whoever attaches gets what it has (Kubernetes v1.36 `GetAttach`).
    pub is_tty: bool,
}

/// What the node's API asks of the node agent.
///
/// A failure is a [`Status`] of which the code and the message are sent, the message as plain text.
pub trait Node: Send + Sync + 'static {
    /// The name of the Node object.
    fn node_name(&self) -> &str;

    /// The wall-clock time.
    fn now(&self) -> Timestamp;

    /// A client with the node's identity, for reviews of tokens and permissions.
    fn client(&self) -> &Client;

    /// The Pods of the node with their statuses.
    fn pods(&self) -> Vec<Pod>;

    /// A container that runs. 404 `pod does not exist`; 500 `container not found ("c")` where none of the name runs.
    fn container<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
    ) -> BoxFuture<'a, Result<ContainerTarget, Status>>;

    /// The id of a Pod's sandbox that stands. 404 `pod does not exist`.
    fn sandbox<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, Result<String, Status>>;

    /// A container's log. 404 where there is no such Pod or container, 400 where there is no log.
    fn logs(&self, request: LogRequest) -> BoxFuture<'_, Result<LogBytes, Status>>;

    /// Runs a process in a container.
    fn exec(&self, request: v1::ExecRequest) -> BoxFuture<'_, Result<ExecStreams, CriError>>;

    /// Joins the streams of a container.
    fn attach(&self, request: v1::AttachRequest) -> BoxFuture<'_, Result<ExecStreams, CriError>>;

    /// Connects to a port inside a sandbox.
    fn port_forward(
        &self,
        sandbox_id: String,
        port: u16,
    ) -> BoxFuture<'_, Result<PortStream, CriError>>;

    /// What ready sandboxes use.
    fn sandbox_stats(&self) -> BoxFuture<'_, Result<Vec<v1::PodSandboxStats>, CriError>>;
}
