//! StopContainer: the stop signal, then SIGKILL at the timeout; answers when the container has ended.

use std::sync::Arc;
use std::time::Duration;

use podo_runtime::{FaultKind, RuntimeError};

use super::container::Container;
use super::{Node, faults};
use crate::{Code, CriError, v1};

/// A killed process ends at once unless the kernel holds it, as it may on a dead network file system.
const KILL_LIMIT: Duration = Duration::from_secs(120);

impl Node {
    pub(super) async fn stop_container(
        self: &Arc<Self>,
        request: v1::StopContainerRequest,
    ) -> Result<v1::StopContainerResponse, CriError> {
        let done = Ok(v1::StopContainerResponse {});
        let Some(container) = self.table.find_container(&request.container_id) else { return done };
        if !container.is_running() {
            return done;
        }
        let grace = Duration::from_secs(u64::try_from(request.timeout).unwrap_or(0));
        if !grace.is_zero() {
            self.signal(&container, Some(container.record.stop_signal)).await?;
            if tokio::time::timeout(grace, ended(&container)).await.is_ok() {
                return done;
            }
        }
        self.signal(&container, None).await?;
        let text = || format!("container {:?} does not end when killed", container.id());
        let killed = tokio::time::timeout(KILL_LIMIT, ended(&container)).await;
        killed.map_err(|_| CriError::new(Code::DeadlineExceeded, text()))?;
        done
    }

    /// Sends a signal to its first process, or SIGKILL to all of them.
    async fn signal(
        self: &Arc<Self>,
        container: &Arc<Container>,
        signal: Option<i32>,
    ) -> Result<(), CriError> {
        let sandbox = self.table.sandbox(&container.record.sandbox_id)?;
        let container = Arc::clone(container);
        let send = move || {
            let Some(runtime) = &sandbox.runtime else { return Ok(()) };
            let sent = match signal {
                Some(signal) => runtime.kill(container.id(), signal),
                None => runtime.kill_all(container.id()),
            };
            match sent {
                // It ended meanwhile, or everything did.
                Err(RuntimeError::Refused(fault)) if fault.kind == FaultKind::State => Ok(()),
                Err(RuntimeError::ShimGone { .. }) => Ok(()),
                sent => sent.map_err(|error| faults::of_runtime(&error)),
            }
        };
        self.gate.run(send).await
    }
}

/// Waits until a container has ended.
pub(super) async fn ended(container: &Container) {
    let mut life = container.life.subscribe();
    // An error means that the container is gone altogether.
    let _gone = life.wait_for(|life| life.end.is_some()).await;
}
