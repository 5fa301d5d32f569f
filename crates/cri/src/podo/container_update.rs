//! UpdateContainerResources, UpdatePodSandboxResources, ReopenContainerLog: changes of what runs.

use std::sync::Arc;

use super::container::Container;
use super::spec::resources::{resources, updated, with_overhead};
use super::{Node, faults, records};
use crate::{Code, CriError, v1};

impl Node {
    pub(super) async fn update_container_resources(
        self: &Arc<Self>,
        request: v1::UpdateContainerResourcesRequest,
    ) -> Result<v1::UpdateContainerResourcesResponse, CriError> {
        let (sandbox, container) = self.table.both(&request.container_id)?;
        let asked = request.linux.ok_or_else(|| CriError::invalid("no resources to set"))?;
        if container.state() == v1::ContainerState::Exited {
            return Err(not_running(&container));
        }
        let node = Arc::clone(self);
        let update = move || {
            let runtime = sandbox.runtime.as_ref();
            let runtime = runtime.ok_or_else(|| not_running(&container))?;
            let set = runtime.update(Some(container.id()), &resources(&asked));
            set.map_err(|error| faults::of_runtime(&error))?;
            let current = container.status().resources.and_then(|current| current.linux);
            let current = updated(&current.unwrap_or_default(), &asked);
            let kept = node.keep_resources(&container, &current);
            *container.updated.lock() = Some(current);
            kept?;
            Ok(v1::UpdateContainerResourcesResponse {})
        };
        self.gate.run(update).await
    }

    /// Limits in force are shown after a restart as well.
    fn keep_resources(
        &self,
        container: &Container,
        current: &v1::LinuxContainerResources,
    ) -> Result<(), CriError> {
        let mut record = container.record.clone();
        let config = record.config.get_or_insert_default();
        config.linux.get_or_insert_default().resources = Some(current.clone());
        let dir = self.container_dir(container.id());
        records::write(&dir, &record).map_err(|error| faults::of_file("write", &dir, &error))
    }

    pub(super) async fn update_pod_sandbox_resources(
        self: &Arc<Self>,
        request: v1::UpdatePodSandboxResourcesRequest,
    ) -> Result<v1::UpdatePodSandboxResourcesResponse, CriError> {
        let sandbox = self.table.sandbox(&request.pod_sandbox_id)?;
        let limits = with_overhead(request.resources.as_ref(), request.overhead.as_ref());
        let update = move || {
            let Some(runtime) = sandbox.runtime.as_ref().filter(|_| sandbox.is_ready()) else {
                let text = format!("sandbox {:?} is not running", sandbox.id());
                return Err(CriError::new(Code::FailedPrecondition, text));
            };
            let set = runtime.update(None, &resources(&limits));
            set.map_err(|error| faults::of_runtime(&error))?;
            Ok(v1::UpdatePodSandboxResourcesResponse {})
        };
        self.gate.run(update).await
    }

    pub(super) async fn reopen_container_log(
        self: &Arc<Self>,
        request: v1::ReopenContainerLogRequest,
    ) -> Result<v1::ReopenContainerLogResponse, CriError> {
        let (sandbox, container) = self.table.both(&request.container_id)?;
        let reopen = move || {
            let runtime = sandbox.runtime.as_ref().filter(|_| container.is_running());
            let runtime = runtime.ok_or_else(|| not_running(&container))?;
            runtime.reopen_log(container.id()).map_err(|error| faults::of_runtime(&error))?;
            Ok(v1::ReopenContainerLogResponse {})
        };
        self.gate.run(reopen).await
    }
}

/// What verbs on a running container answer for one that does not run.
pub(super) fn not_running(container: &Container) -> CriError {
    let text = format!("container {:?} is not running", container.id());
    CriError::new(Code::FailedPrecondition, text)
}
