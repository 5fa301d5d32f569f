//! StartContainer: answers when the program runs.

use std::sync::Arc;

use podo_runtime::RuntimeError;

use super::container::Container;
use super::sandbox::Sandbox;
use super::{Node, faults};
use crate::{Code, CriError, v1};

impl Node {
    pub(super) async fn start_container(
        self: &Arc<Self>,
        request: v1::StartContainerRequest,
    ) -> Result<v1::StartContainerResponse, CriError> {
        let (sandbox, container) = self.table.both(&request.container_id)?;
        let node = Arc::clone(self);
        self.gate.run(move || node.begin_container(&sandbox, &container)).await?;
        Ok(v1::StartContainerResponse {})
    }

    fn begin_container(&self, sandbox: &Sandbox, container: &Container) -> Result<(), CriError> {
        let state = container.state();
        if state != v1::ContainerState::Created {
            let text = format!("container {:?} is in state {state:?}", container.id());
            return Err(CriError::new(Code::FailedPrecondition, text));
        }
        let runtime = sandbox.runtime.as_ref();
        let runtime = runtime.ok_or_else(|| CriError::not_found("sandbox", sandbox.id()))?;
        let started = runtime.start(container.id());
        // What happened is in the records, be it a start, a failure or already the end.
        self.catch_up(sandbox, container);
        match started {
            Ok(_) => Ok(()),
            Err(RuntimeError::Refused(fault)) => Err(faults::of_start(&fault)),
            Err(error) => Err(faults::of_runtime(&error)),
        }
    }
}
