//! RemovePodSandbox: forgets a sandbox with its containers; and the end of all of them.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::sandbox::Sandbox;
use super::{Node, cgroup_tree, faults, records};
use crate::v1::ContainerEventType;
use crate::{CriError, v1};

impl Node {
    pub(super) async fn remove_pod_sandbox(
        self: &Arc<Self>,
        request: v1::RemovePodSandboxRequest,
    ) -> Result<v1::RemovePodSandboxResponse, CriError> {
        if let Some(sandbox) = self.table.find_sandbox(&request.pod_sandbox_id) {
            let node = Arc::clone(self);
            self.gate.run(move || node.forget_sandbox(&sandbox)).await?;
        }
        Ok(v1::RemovePodSandboxResponse {})
    }

    /// The record goes last but for its directory: until then the sandbox is found again and removed by the next try.
    fn forget_sandbox(&self, sandbox: &Sandbox) -> Result<(), CriError> {
        let _verbs = sandbox.verbs.lock();
        if self.table.find_sandbox(sandbox.id()).is_none() {
            return Ok(()); // Somebody else was faster.
        }
        self.end_sandbox(sandbox)?;
        sandbox.set_leaving();
        for container in sandbox.containers() {
            self.forget_container(sandbox, &container)?;
        }
        self.end_runtime_sandbox(sandbox.id())?;
        self.images.remove_rootfs(sandbox.id()).map_err(|error| faults::of_snapshot(&error))?;
        let dir = self.sandbox_dir(sandbox.id());
        records::remove_dir(&dir).map_err(|error| faults::of_file("remove", &dir, &error))?;
        self.table.remove_sandbox(sandbox);
        self.publish(sandbox.id(), ContainerEventType::Deleted, sandbox);
        Ok(())
    }

    /// Removes every sandbox, as far as that goes; the first error is told.
    pub(super) async fn remove_all(self: &Arc<Self>) -> Result<(), CriError> {
        let mut removals = JoinSet::new();
        for pod_sandbox_id in self.table.sandbox_ids() {
            let node = Arc::clone(self);
            removals.spawn(async move {
                node.remove_pod_sandbox(v1::RemovePodSandboxRequest { pod_sandbox_id }).await
            });
        }
        let mut result = Ok(());
        while let Some(removal) = removals.join_next().await {
            let removed = removal.unwrap_or_else(|error| Err(CriError::internal(&error)));
            if result.is_ok() {
                result = removed.map(drop);
            }
        }
        result
    }

    /// Takes away what all sandboxes shared: the network's rules and routes, the node's cgroups.
    pub(super) fn tear_kernel_down(&self) -> Result<(), CriError> {
        self.network.teardown().map_err(|error| CriError::internal(&error))?;
        let root = &self.config.cgroup_root;
        let removed = cgroup_tree::remove(root);
        removed.map_err(|error| faults::of_file("remove", root.as_ref(), &error))
    }
}
