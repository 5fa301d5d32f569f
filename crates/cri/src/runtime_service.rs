//! The trait through which a node agent sees sandboxes, containers and images.
//!
//! One method per verb of CRI v1, with that verb's messages. Where the protocol answers a URL (exec, attach, port-forward) the
//! answer is the live stream; where it answers a stream (events) it is a subscription.
//!
//! Every future may be dropped: what was begun in the kernel then runs to its end by itself. Stopping and removing are
//! idempotent. Calls on different sandboxes run side by side.

use std::pin::Pin;

use tokio::sync::watch;

use podo_image::{Keyring, PullSum};

use crate::v1;
use crate::{ContainerEvents, CriError, ExecStreams, PortStream};

/// What a verb gives back.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, CriError>> + Send + 'a>>;

/// What a pull takes beside the protocol's request.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// Credentials by registry, tried in the order of their fit after the request's own.
    pub keyring: Keyring,
    /// Told of progress; the newest counts.
    pub progress: Option<watch::Sender<PullSum>>,
}

/// Sandboxes, containers and images.
pub trait Cri: Send + Sync {
    /// Name and versions of the runtime.
    fn version(&self, request: v1::VersionRequest) -> Answer<'_, v1::VersionResponse>;

    /// Whether the runtime and its network are ready, what handlers there are and what they can do.
    fn status(&self, request: v1::StatusRequest) -> Answer<'_, v1::StatusResponse>;

    /// The cgroup driver.
    fn runtime_config(
        &self,
        request: v1::RuntimeConfigRequest,
    ) -> Answer<'_, v1::RuntimeConfigResponse>;

    /// Makes and starts a sandbox with its network. On an error nothing of it is left.
    fn run_pod_sandbox(
        &self,
        request: v1::RunPodSandboxRequest,
    ) -> Answer<'_, v1::RunPodSandboxResponse>;

    /// Kills what runs in a sandbox and gives its network back. A sandbox that is not there is fine.
    fn stop_pod_sandbox(
        &self,
        request: v1::StopPodSandboxRequest,
    ) -> Answer<'_, v1::StopPodSandboxResponse>;

    /// Stops a sandbox and forgets it and its containers. A sandbox that is not there is fine.
    fn remove_pod_sandbox(
        &self,
        request: v1::RemovePodSandboxRequest,
    ) -> Answer<'_, v1::RemovePodSandboxResponse>;

    /// One sandbox and the status of its containers; [`crate::Code::NotFound`] if there is none.
    fn pod_sandbox_status(
        &self,
        request: v1::PodSandboxStatusRequest,
    ) -> Answer<'_, v1::PodSandboxStatusResponse>;

    /// Sandboxes that match a filter, also those that are not ready.
    fn list_pod_sandbox(
        &self,
        request: v1::ListPodSandboxRequest,
    ) -> Answer<'_, v1::ListPodSandboxResponse>;

    /// Sets the limits of a sandbox's cgroup (in-place resize).
    fn update_pod_sandbox_resources(
        &self,
        request: v1::UpdatePodSandboxResourcesRequest,
    ) -> Answer<'_, v1::UpdatePodSandboxResourcesResponse>;

    /// Makes a container of an image that is present. Nothing runs yet.
    fn create_container(
        &self,
        request: v1::CreateContainerRequest,
    ) -> Answer<'_, v1::CreateContainerResponse>;

    /// Starts a container; answers when its program runs. With [`crate::Reason::StartError`] it has exited.
    fn start_container(
        &self,
        request: v1::StartContainerRequest,
    ) -> Answer<'_, v1::StartContainerResponse>;

    /// Asks a container to end and kills it at the timeout; answers when it has ended. One that is not there or has ended
    /// is fine.
    fn stop_container(
        &self,
        request: v1::StopContainerRequest,
    ) -> Answer<'_, v1::StopContainerResponse>;

    /// Kills and forgets a container; its log stays. One that is not there is fine.
    fn remove_container(
        &self,
        request: v1::RemoveContainerRequest,
    ) -> Answer<'_, v1::RemoveContainerResponse>;

    /// Containers that match a filter, in any state.
    fn list_containers(
        &self,
        request: v1::ListContainersRequest,
    ) -> Answer<'_, v1::ListContainersResponse>;

    /// One container; [`crate::Code::NotFound`] if there is none.
    fn container_status(
        &self,
        request: v1::ContainerStatusRequest,
    ) -> Answer<'_, v1::ContainerStatusResponse>;

    /// Sets a container's limits.
    fn update_container_resources(
        &self,
        request: v1::UpdateContainerResourcesRequest,
    ) -> Answer<'_, v1::UpdateContainerResourcesResponse>;

    /// Goes on with a container's log in a new file, after the old one was renamed.
    fn reopen_container_log(
        &self,
        request: v1::ReopenContainerLogRequest,
    ) -> Answer<'_, v1::ReopenContainerLogResponse>;

    /// Runs a process in a container and gives its output, up to a bound, and exit code. At the timeout it is killed and the
    /// answer is [`crate::Code::DeadlineExceeded`].
    fn exec_sync(&self, request: v1::ExecSyncRequest) -> Answer<'_, v1::ExecSyncResponse>;

    /// Runs a process in a container with live streams.
    fn exec(&self, request: v1::ExecRequest) -> Answer<'_, ExecStreams>;

    /// Joins the streams of a running container.
    fn attach(&self, request: v1::AttachRequest) -> Answer<'_, ExecStreams>;

    /// Connects to a port inside a sandbox: 127.0.0.1, else `::1`.
    fn port_forward(&self, pod_sandbox_id: String, port: u16) -> Answer<'_, PortStream>;

    /// What a container uses.
    fn container_stats(
        &self,
        request: v1::ContainerStatsRequest,
    ) -> Answer<'_, v1::ContainerStatsResponse>;

    /// What running containers use.
    fn list_container_stats(
        &self,
        request: v1::ListContainerStatsRequest,
    ) -> Answer<'_, v1::ListContainerStatsResponse>;

    /// What a sandbox and its containers use.
    fn pod_sandbox_stats(
        &self,
        request: v1::PodSandboxStatsRequest,
    ) -> Answer<'_, v1::PodSandboxStatsResponse>;

    /// What ready sandboxes use.
    fn list_pod_sandbox_stats(
        &self,
        request: v1::ListPodSandboxStatsRequest,
    ) -> Answer<'_, v1::ListPodSandboxStatsResponse>;

    /// Events from now on: subscribe, then list.
    fn container_events(&self, request: v1::GetEventsRequest) -> Answer<'_, ContainerEvents>;

    /// Images of the node that match a filter.
    fn list_images(&self, request: v1::ListImagesRequest) -> Answer<'_, v1::ListImagesResponse>;

    /// One image; none in the answer if it is not there.
    fn image_status(&self, request: v1::ImageStatusRequest) -> Answer<'_, v1::ImageStatusResponse>;

    /// Pulls an image. Dropping the future cancels the pull.
    fn pull_image(
        &self,
        request: v1::PullImageRequest,
        options: PullOptions,
    ) -> Answer<'_, v1::PullImageResponse>;

    /// Removes an image with all its names. One that is not there is fine.
    fn remove_image(&self, request: v1::RemoveImageRequest) -> Answer<'_, v1::RemoveImageResponse>;

    /// What images take on which file systems.
    fn image_fs_info(&self, request: v1::ImageFsInfoRequest)
    -> Answer<'_, v1::ImageFsInfoResponse>;
}
