//! Our implementation of [`Cri`]: verbs in terms of the runtime, the image store and the network mechanism.
//!
//! One file per verb. A verb that changes the kernel runs on a blocking thread from its first to its last step
//! ([`gate`]), so that a caller that gives up leaves nothing half done; waiting for a container's end is asynchronous.
//!
//! Holds always
//! - What a sandbox or container is (name, labels, image …) lies beside it on disk ([`records`]), written whole as the last
//!   step of making it; what is found without that record is taken away at the next [`PodoCri::open`].
//! - What it does (runs, has ended, how) is the runtime's to say; it is learnt from events, never by asking again and again.
//! - On an error of a verb nothing of what it made is left.

mod anonymous_volume;
mod attach;
mod cgroup_tree;
mod config;
mod container;
mod container_stats;
mod container_status;
mod container_update;
mod create_container;
mod event;
mod exec;
mod exec_sync;
mod faults;
mod fd_stream;
mod gate;
mod image_status;
mod image_volume;
mod list;
mod overlay;
mod pod_sandbox_status;
mod port_forward;
mod pull_image;
mod records;
mod remove_container;
mod remove_pod_sandbox;
mod restore;
mod run_pod_sandbox;
mod runtime_status;
mod sandbox;
mod shim_events;
mod spec;
mod start_container;
mod stop_container;
mod stop_pod_sandbox;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use podo_base::{Stop, Tasks};
use podo_image::ImageService;
use podo_network::Network;
use podo_runtime::Launcher;

pub use config::{CriConfig, OpenError, Repaired};

use crate::runtime_service::{Answer, Cri, PullOptions};
use crate::{ContainerEvents, CriError, ExecStreams, PortStream, v1};
use gate::Gate;
use table::Table;

/// Events that a consumer may lag behind: an event holds the status of one sandbox, some 2 KB, so 8 MB at most.
const EVENTS_MAX: usize = 4096;

/// What [`PodoCri::shutdown`] waits for verbs under way, and then for the tasks that read events.
const SHUTDOWN_BUDGET: Duration = Duration::from_secs(30);

/// The container runtime of one node.
pub struct PodoCri {
    node: Arc<Node>,
}

/// Everything that verbs share.
struct Node {
    config: CriConfig,
    launcher: Launcher,
    images: ImageService,
    network: Arc<Network>,
    table: Table,
    events: Mutex<Option<broadcast::Sender<Arc<v1::ContainerEventResponse>>>>,
    tasks: Mutex<Option<Tasks>>,
    gate: Gate,
    repaired: Repaired,
}

impl Node {
    /// Directory of a sandbox's record and files.
    fn sandbox_dir(&self, id: &str) -> PathBuf {
        self.config.data_dir.join("cri").join("sandboxes").join(id)
    }

    /// Directory of a container's record and volumes.
    fn container_dir(&self, id: &str) -> PathBuf {
        self.config.data_dir.join("cri").join("containers").join(id)
    }

    /// Directory of the runtime's sandboxes.
    fn runtime_dir(&self) -> PathBuf {
        self.config.run_dir.join("sandboxes")
    }

    /// Pin of a sandbox's network namespace: where the network mechanism looks for pins that nobody needs.
    fn netns_path(&self, id: &str) -> PathBuf {
        self.config.run_dir.join("netns").join(id)
    }

    /// Says when the node shuts down.
    fn stop_signal(&self) -> Result<Stop, CriError> {
        let stop = self.tasks.lock().as_ref().map(Tasks::stop_signal);
        stop.ok_or_else(gate::closed)
    }

    /// Runs a task until the node shuts down.
    fn spawn(&self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.tasks.lock().as_mut() {
            tasks.spawn(name, task);
        }
    }
}

/// Nanoseconds since 1970.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A random id of 64 hexadecimal digits, as runtimes give.
fn new_id() -> String {
    use std::fmt::Write as _;
    podo_base::random_bytes::<32>().iter().fold(String::with_capacity(64), |mut id, byte| {
        let _infallible = write!(id, "{byte:02x}");
        id
    })
}

impl PodoCri {
    /// Opens a node's runtime: finds what runs, takes away what an earlier process left unfinished. The caller holds the lock
    /// of the data directory. Needs a tokio runtime.
    pub async fn open(config: CriConfig) -> Result<Arc<Self>, OpenError> {
        Self::opened(move || restore::open(config)).await
    }

    /// Opens what an earlier process left, for [`Self::teardown`] only: it works whatever became of the host meanwhile, and
    /// whichever addresses the instance had. The caller holds the lock of the data directory. Needs a tokio runtime.
    pub async fn open_to_remove(config: CriConfig) -> Result<Arc<Self>, OpenError> {
        Self::opened(move || restore::open_to_remove(config)).await
    }

    async fn opened(
        open: impl FnOnce() -> Result<Arc<Node>, OpenError> + Send + 'static,
    ) -> Result<Arc<Self>, OpenError> {
        let opened = tokio::task::spawn_blocking(open).await;
        let node = opened.map_err(|_| OpenError::Interrupted)??;
        Ok(Arc::new(Self { node }))
    }

    /// The image store, for what CRI has no verb for (import, export, tags).
    pub fn images(&self) -> &ImageService {
        &self.node.images
    }

    /// The network mechanism.
    pub fn network(&self) -> &Arc<Network> {
        &self.node.network
    }

    /// What [`Self::open`] had to repair; all zero unless there was a crash.
    pub fn repaired(&self) -> Repaired {
        self.node.repaired
    }

    /// Waits for verbs under way and stops listening to events; sandboxes go on. Verbs fail from now on, event streams end.
    pub async fn shutdown(&self) {
        self.node.gate.close(SHUTDOWN_BUDGET).await;
        let tasks = self.node.tasks.lock().take();
        if let Some(tasks) = tasks {
            tasks.stop(SHUTDOWN_BUDGET).await;
        }
        self.node.events.lock().take();
    }

    /// Removes every sandbox and container and everything put into the kernel, then shuts down. Images stay.
    pub async fn teardown(&self) -> Result<(), CriError> {
        self.node.remove_all().await?;
        let node = Arc::clone(&self.node);
        self.node.gate.run(move || node.tear_kernel_down()).await?;
        self.shutdown().await;
        Ok(())
    }
}

impl Cri for PodoCri {
    fn version(&self, _: v1::VersionRequest) -> Answer<'_, v1::VersionResponse> {
        Box::pin(async { Ok(self.node.version()) })
    }

    fn status(&self, _: v1::StatusRequest) -> Answer<'_, v1::StatusResponse> {
        Box::pin(async { Ok(self.node.status()) })
    }

    fn runtime_config(&self, _: v1::RuntimeConfigRequest) -> Answer<'_, v1::RuntimeConfigResponse> {
        Box::pin(async { Ok(self.node.runtime_config()) })
    }

    fn run_pod_sandbox(
        &self,
        request: v1::RunPodSandboxRequest,
    ) -> Answer<'_, v1::RunPodSandboxResponse> {
        Box::pin(self.node.run_pod_sandbox(request))
    }

    fn stop_pod_sandbox(
        &self,
        request: v1::StopPodSandboxRequest,
    ) -> Answer<'_, v1::StopPodSandboxResponse> {
        Box::pin(self.node.stop_pod_sandbox(request))
    }

    fn remove_pod_sandbox(
        &self,
        request: v1::RemovePodSandboxRequest,
    ) -> Answer<'_, v1::RemovePodSandboxResponse> {
        Box::pin(self.node.remove_pod_sandbox(request))
    }

    fn pod_sandbox_status(
        &self,
        request: v1::PodSandboxStatusRequest,
    ) -> Answer<'_, v1::PodSandboxStatusResponse> {
        Box::pin(async move { self.node.pod_sandbox_status(&request) })
    }

    fn list_pod_sandbox(
        &self,
        request: v1::ListPodSandboxRequest,
    ) -> Answer<'_, v1::ListPodSandboxResponse> {
        Box::pin(async move { Ok(self.node.list_pod_sandbox(request.filter)) })
    }

    fn update_pod_sandbox_resources(
        &self,
        request: v1::UpdatePodSandboxResourcesRequest,
    ) -> Answer<'_, v1::UpdatePodSandboxResourcesResponse> {
        Box::pin(self.node.update_pod_sandbox_resources(request))
    }

    fn create_container(
        &self,
        request: v1::CreateContainerRequest,
    ) -> Answer<'_, v1::CreateContainerResponse> {
        Box::pin(self.node.create_container(request))
    }

    fn start_container(
        &self,
        request: v1::StartContainerRequest,
    ) -> Answer<'_, v1::StartContainerResponse> {
        Box::pin(self.node.start_container(request))
    }

    fn stop_container(
        &self,
        request: v1::StopContainerRequest,
    ) -> Answer<'_, v1::StopContainerResponse> {
        Box::pin(self.node.stop_container(request))
    }

    fn remove_container(
        &self,
        request: v1::RemoveContainerRequest,
    ) -> Answer<'_, v1::RemoveContainerResponse> {
        Box::pin(self.node.remove_container(request))
    }

    fn list_containers(
        &self,
        request: v1::ListContainersRequest,
    ) -> Answer<'_, v1::ListContainersResponse> {
        Box::pin(async move { Ok(self.node.list_containers(request.filter)) })
    }

    fn container_status(
        &self,
        request: v1::ContainerStatusRequest,
    ) -> Answer<'_, v1::ContainerStatusResponse> {
        Box::pin(async move { self.node.container_status(&request) })
    }

    fn update_container_resources(
        &self,
        request: v1::UpdateContainerResourcesRequest,
    ) -> Answer<'_, v1::UpdateContainerResourcesResponse> {
        Box::pin(self.node.update_container_resources(request))
    }

    fn reopen_container_log(
        &self,
        request: v1::ReopenContainerLogRequest,
    ) -> Answer<'_, v1::ReopenContainerLogResponse> {
        Box::pin(self.node.reopen_container_log(request))
    }

    fn exec_sync(&self, request: v1::ExecSyncRequest) -> Answer<'_, v1::ExecSyncResponse> {
        Box::pin(self.node.exec_sync(request))
    }

    fn exec(&self, request: v1::ExecRequest) -> Answer<'_, ExecStreams> {
        Box::pin(self.node.exec(request))
    }

    fn attach(&self, request: v1::AttachRequest) -> Answer<'_, ExecStreams> {
        Box::pin(self.node.attach(request))
    }

    fn port_forward(&self, pod_sandbox_id: String, port: u16) -> Answer<'_, PortStream> {
        Box::pin(self.node.port_forward(pod_sandbox_id, port))
    }

    fn container_stats(
        &self,
        request: v1::ContainerStatsRequest,
    ) -> Answer<'_, v1::ContainerStatsResponse> {
        Box::pin(self.node.container_stats(request))
    }

    fn list_container_stats(
        &self,
        request: v1::ListContainerStatsRequest,
    ) -> Answer<'_, v1::ListContainerStatsResponse> {
        Box::pin(self.node.list_container_stats(request))
    }

    fn pod_sandbox_stats(
        &self,
        request: v1::PodSandboxStatsRequest,
    ) -> Answer<'_, v1::PodSandboxStatsResponse> {
        Box::pin(self.node.pod_sandbox_stats(request))
    }

    fn list_pod_sandbox_stats(
        &self,
        request: v1::ListPodSandboxStatsRequest,
    ) -> Answer<'_, v1::ListPodSandboxStatsResponse> {
        Box::pin(self.node.list_pod_sandbox_stats(request))
    }

    fn container_events(&self, _: v1::GetEventsRequest) -> Answer<'_, ContainerEvents> {
        Box::pin(async { self.node.subscribe() })
    }

    fn list_images(&self, request: v1::ListImagesRequest) -> Answer<'_, v1::ListImagesResponse> {
        Box::pin(async move { Ok(self.node.list_images(request)) })
    }

    fn image_status(&self, request: v1::ImageStatusRequest) -> Answer<'_, v1::ImageStatusResponse> {
        Box::pin(async move { self.node.image_status(request) })
    }

    fn pull_image(
        &self,
        request: v1::PullImageRequest,
        options: PullOptions,
    ) -> Answer<'_, v1::PullImageResponse> {
        Box::pin(self.node.pull_image(request, options))
    }

    fn remove_image(&self, request: v1::RemoveImageRequest) -> Answer<'_, v1::RemoveImageResponse> {
        Box::pin(self.node.remove_image(request))
    }

    fn image_fs_info(&self, _: v1::ImageFsInfoRequest) -> Answer<'_, v1::ImageFsInfoResponse> {
        Box::pin(self.node.image_fs_info())
    }
}
