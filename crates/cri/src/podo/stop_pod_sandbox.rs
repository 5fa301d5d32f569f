//! StopPodSandbox: ends everything that runs in a sandbox and gives its network back. Records stay.

use std::sync::Arc;

use podo_runtime::RuntimeError;

use super::container::unseen_end;
use super::sandbox::Sandbox;
use super::{Node, faults};
use crate::{CriError, v1};

impl Node {
    pub(super) async fn stop_pod_sandbox(
        self: &Arc<Self>,
        request: v1::StopPodSandboxRequest,
    ) -> Result<v1::StopPodSandboxResponse, CriError> {
        if let Some(sandbox) = self.table.find_sandbox(&request.pod_sandbox_id) {
            let node = Arc::clone(self);
            let stop = move || {
                let _verbs = sandbox.verbs.lock();
                node.end_sandbox(&sandbox)
            };
            self.gate.run(stop).await?;
        }
        Ok(v1::StopPodSandboxResponse {})
    }

    /// Ends its processes and its network. Doing it again does nothing.
    pub(super) fn end_sandbox(&self, sandbox: &Sandbox) -> Result<(), CriError> {
        if sandbox.is_ready()
            && let Some(runtime) = &sandbox.runtime
        {
            match runtime.stop() {
                Err(RuntimeError::ShimGone { .. }) => {}
                stopped => stopped.map_err(|error| faults::of_runtime(&error))?,
            }
            for container in sandbox.containers() {
                self.catch_up(sandbox, &container);
                let life = container.life.borrow().clone();
                if life.is_running() {
                    let started_at = life.started.map_or(0, |start| start.started_at_ns);
                    self.container_ended(sandbox, &container, &unseen_end(started_at));
                }
            }
            self.sandbox_ended(sandbox);
        }
        self.network.detach(sandbox.id()).map_err(|error| faults::of_network(&error))
    }
}
