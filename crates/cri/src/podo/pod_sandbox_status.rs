//! PodSandboxStatus, and a sandbox as it is shown.

use super::Node;
use super::sandbox::Sandbox;
use crate::{CriError, v1};

impl Sandbox {
    fn namespace_options(&self) -> v1::NamespaceOption {
        let linux = self.config().linux.unwrap_or_default();
        linux.security_context.and_then(|security| security.namespace_options).unwrap_or_default()
    }

    /// As it is listed.
    pub(super) fn summary(&self) -> v1::PodSandbox {
        let config = self.config();
        v1::PodSandbox {
            id: self.id().to_owned(),
            metadata: config.metadata,
            state: self.state() as i32,
            created_at: self.record.created_at,
            labels: config.labels,
            annotations: config.annotations,
            runtime_handler: self.record.runtime_handler.clone(),
        }
    }

    /// Everything about it.
    pub(super) fn status(&self) -> v1::PodSandboxStatus {
        let config = self.config();
        // An address that was given back is not shown.
        let ip = if self.is_ready() { self.record.ip.clone() } else { String::new() };
        v1::PodSandboxStatus {
            id: self.id().to_owned(),
            metadata: config.metadata,
            state: self.state() as i32,
            created_at: self.record.created_at,
            network: Some(v1::PodSandboxNetworkStatus { ip, additional_ips: Vec::new() }),
            linux: Some(v1::LinuxPodSandboxStatus {
                namespaces: Some(v1::Namespace { options: Some(self.namespace_options()) }),
            }),
            labels: config.labels,
            annotations: config.annotations,
            runtime_handler: self.record.runtime_handler.clone(),
        }
    }
}

impl Node {
    pub(super) fn pod_sandbox_status(
        &self,
        request: &v1::PodSandboxStatusRequest,
    ) -> Result<v1::PodSandboxStatusResponse, CriError> {
        let sandbox = self.table.sandbox(&request.pod_sandbox_id)?;
        Ok(v1::PodSandboxStatusResponse {
            status: Some(sandbox.status()),
            containers_statuses: sandbox.containers().iter().map(|one| one.status()).collect(),
            timestamp: super::now_ns(),
            ..v1::PodSandboxStatusResponse::default()
        })
    }
}
