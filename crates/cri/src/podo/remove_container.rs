//! RemoveContainer: kills and forgets. The log stays: it is the caller's.

use std::sync::Arc;

use podo_runtime::{FaultKind, RuntimeError};

use super::container::Container;
use super::sandbox::Sandbox;
use super::{Node, faults, records};
use crate::v1::ContainerEventType;
use crate::{CriError, v1};

impl Node {
    pub(super) async fn remove_container(
        self: &Arc<Self>,
        request: v1::RemoveContainerRequest,
    ) -> Result<v1::RemoveContainerResponse, CriError> {
        let container_id = request.container_id;
        if let Ok((sandbox, container)) = self.table.both(&container_id) {
            let stop = v1::StopContainerRequest { container_id, timeout: 0 };
            self.stop_container(stop).await?; // So that its end is told before its removal.
            let node = Arc::clone(self);
            let remove = move || {
                let _verbs = sandbox.verbs.lock();
                node.forget_container(&sandbox, &container)
            };
            self.gate.run(remove).await?;
        }
        Ok(v1::RemoveContainerResponse {})
    }

    /// Takes everything of a container away. `verbs` of its sandbox is held.
    pub(super) fn forget_container(
        &self,
        sandbox: &Sandbox,
        container: &Container,
    ) -> Result<(), CriError> {
        if self.table.find_container(container.id()).is_none() {
            return Ok(()); // Somebody else was faster.
        }
        let record = &container.record;
        self.remove_container_parts(sandbox, &record.id, record.image_volume_count)?;
        self.table.remove_container(sandbox, container);
        self.publish(container.id(), ContainerEventType::Deleted, sandbox);
        Ok(())
    }

    /// Processes and cgroup, volumes, layers, and last the record. What is not there is fine.
    pub(super) fn remove_container_parts(
        &self,
        sandbox: &Sandbox,
        id: &str,
        image_volume_count: u32,
    ) -> Result<(), CriError> {
        if let Some(runtime) = &sandbox.runtime {
            match runtime.remove_container(id) {
                Err(RuntimeError::Refused(fault)) if fault.kind == FaultKind::Missing => {}
                Err(RuntimeError::ShimGone { .. }) => {} // What it left goes with the sandbox.
                removed => removed.map_err(|error| faults::of_runtime(&error))?,
            }
        }
        self.remove_image_volumes(id, image_volume_count)?;
        self.images.remove_rootfs(id).map_err(|error| faults::of_snapshot(&error))?;
        let dir = self.container_dir(id);
        records::remove_dir(&dir).map_err(|error| faults::of_file("remove", &dir, &error))
    }
}
