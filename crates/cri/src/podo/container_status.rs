//! ContainerStatus.

use super::Node;
use crate::{CriError, v1};

impl Node {
    pub(super) fn container_status(
        &self,
        request: &v1::ContainerStatusRequest,
    ) -> Result<v1::ContainerStatusResponse, CriError> {
        let container = self.table.container(&request.container_id)?;
        let status = Some(container.status());
        Ok(v1::ContainerStatusResponse { status, ..v1::ContainerStatusResponse::default() })
    }
}
