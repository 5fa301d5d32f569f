//! Events of containers and sandboxes.

use super::{ContainerStatus, PodSandboxStatus};

/// Asks for events from now on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetEventsRequest {}

/// Something happened to a container or a sandbox.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerEventResponse {
    /// Id of the container, or of the sandbox.
    #[prost(string, tag = "1")]
    pub container_id: String,
    #[prost(enumeration = "super::ContainerEventType", tag = "2")]
    pub container_event_type: i32,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "3")]
    pub created_at: i64,
    #[prost(message, optional, tag = "4")]
    pub pod_sandbox_status: Option<PodSandboxStatus>,
    #[prost(message, repeated, tag = "5")]
    pub containers_statuses: Vec<ContainerStatus>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ContainerEventType {
    Created = 0,
    Started = 1,
    Stopped = 2,
    Deleted = 3,
}
