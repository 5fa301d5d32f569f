//! The node agent as the node's API sees it.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use podo_api::k8s_openapi::api::core::v1::Pod;
use podo_api::{Reason, Status};
use podo_base::Timestamp;
use podo_client::Client;
use podo_cri::{CriError, ExecStreams, PortStream, v1};

use super::{ContainerTarget, LogBytes, Node};
use crate::handle::{FindError, KubeletHandle};
use crate::logs::{LogError, LogRequest};

impl Node for KubeletHandle {
    fn node_name(&self) -> &str {
        self.node_name()
    }

    fn now(&self) -> Timestamp {
        self.context().clock.now()
    }

    fn client(&self) -> &Client {
        &self.context().client
    }

    fn pods(&self) -> Vec<Pod> {
        self.pods()
    }

    fn container<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
    ) -> BoxFuture<'a, Result<ContainerTarget, Status>> {
        let found = self.find(namespace, pod, container).map_err(|error| not_found(&error));
        let found =
            found.map(|found| ContainerTarget { id: found.container_id, is_tty: found.has_tty });
        std::future::ready(found).boxed()
    }

    fn sandbox<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
    ) -> BoxFuture<'a, Result<String, Status>> {
        let found = self.sandbox(namespace, pod).map_err(|error| not_found(&error));
        std::future::ready(found).boxed()
    }

    fn logs(&self, request: LogRequest) -> BoxFuture<'_, Result<LogBytes, Status>> {
        let next = |mut log: crate::logs::LogStream| async move {
            let piece = log.next().await?;
            Some((piece, log))
        };
        async move {
            let log = self.logs(request).await.map_err(|error| no_log(&error))?;
            Ok(stream::unfold(log, next).boxed())
        }
        .boxed()
    }

    fn exec(&self, request: v1::ExecRequest) -> BoxFuture<'_, Result<ExecStreams, CriError>> {
        self.exec(request).boxed()
    }

    fn attach(&self, request: v1::AttachRequest) -> BoxFuture<'_, Result<ExecStreams, CriError>> {
        self.attach(request).boxed()
    }

    fn port_forward(
        &self,
        sandbox_id: String,
        port: u16,
    ) -> BoxFuture<'_, Result<PortStream, CriError>> {
        self.port_forward(sandbox_id, port).boxed()
    }

    fn sandbox_stats(&self) -> BoxFuture<'_, Result<Vec<v1::PodSandboxStats>, CriError>> {
        let cri = self.context().runtime.cri();
        async move {
            let request = v1::ListPodSandboxStatsRequest::default();
            Ok(cri.list_pod_sandbox_stats(request).await?.stats)
        }
        .boxed()
    }
}

fn not_found(error: &FindError) -> Status {
    let reason = match error {
        FindError::NoPod => Reason::NotFound,
        FindError::NoContainer { .. } | FindError::NoSandbox { .. } => Reason::InternalError,
    };
    Status::failure(reason, error.to_string())
}

fn no_log(error: &LogError) -> Status {
    let reason = match error {
        LogError::NoPod { .. } | LogError::NoContainer { .. } => Reason::NotFound,
        LogError::Open { .. } => Reason::InternalError,
        _ => Reason::BadRequest,
    };
    Status::failure(reason, error.to_string())
}
