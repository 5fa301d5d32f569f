//! [`FakeCri`]: a runtime in memory. Containers run until they are told to end; images are there or can be pulled, or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use podo_base::Clock;
use podo_cri::{
    Answer, Code, ContainerEvents, Cri, CriError, ExecStreams, PortStream, PullOptions, v1,
};
use tokio::sync::{broadcast, watch};

/// Names, labels and the like are those of the protocol; see [`Cri`].
pub struct FakeCri {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    events: broadcast::Sender<Arc<v1::ContainerEventResponse>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    sandboxes: BTreeMap<String, (v1::PodSandboxConfig, v1::PodSandboxStatus)>,
    containers: BTreeMap<String, Made>,
    images: BTreeSet<String>,
    pullable: BTreeSet<String>,
    /// Containers of these names end at once, with these codes in turn.
    scripts: BTreeMap<String, Vec<i32>>,
    /// Verbs that fail, with the text, so many times.
    failures: BTreeMap<&'static str, (u32, String)>,
    /// Containers of these names do not end when they are asked to.
    deaf: BTreeSet<String>,
    calls: Vec<String>,
}

struct Made {
    sandbox_id: String,
    config: v1::ContainerConfig,
    status: v1::ContainerStatus,
}

impl std::fmt::Debug for FakeCri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeCri").finish_non_exhaustive()
    }
}

impl FakeCri {
    /// An empty runtime.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let (events, _none) = broadcast::channel(1024);
        let changed = watch::Sender::new(0);
        Arc::new(Self { clock, state: Mutex::default(), events, changed })
    }

    /// Makes an image present.
    pub fn add_image(&self, name: &str) {
        self.state.lock().images.insert(name.to_owned());
    }

    /// Makes an image one that can be pulled.
    pub fn add_pullable(&self, name: &str) {
        self.state.lock().pullable.insert(name.to_owned());
    }

    /// Lets the next containers of a name end as soon as they begin, with these codes in turn.
    pub fn script(&self, container: &str, exit_codes: &[i32]) {
        self.state.lock().scripts.insert(container.to_owned(), exit_codes.to_vec());
    }

    /// Lets a verb, named as its call is, fail so many times.
    pub fn fail(&self, verb: &'static str, times: u32, message: &str) {
        self.state.lock().failures.insert(verb, (times, message.to_owned()));
    }

    /// Lets containers of a name take no notice of being asked to end.
    pub fn deafen(&self, container: &str) {
        self.state.lock().deaf.insert(container.to_owned());
    }

    /// Ends the running container of a name. Without `tells` nobody hears of it.
    pub fn exit(&self, container: &str, exit_code: i32, tells: bool) {
        let id = {
            let state = self.state.lock();
            let running = i32::from(v1::ContainerState::Running);
            let mut all = state.containers.iter();
            all.find(|(_, made)| {
                made.status.state == running && made.config.metadata_name() == container
            })
            .map(|(id, _)| id.clone())
        };
        if let Some(id) = id {
            self.end(&id, exit_code, tells);
        }
    }

    /// Takes the sandboxes of all Pods away, as a restart of the machine does.
    pub fn lose_sandboxes(&self) {
        let ids: Vec<String> = self.state.lock().sandboxes.keys().cloned().collect();
        for id in ids {
            self.stop_sandbox(&id);
            self.tell(&id);
        }
    }

    /// What was called so far that changes something, as `verb name`.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().calls.clone()
    }

    /// The configuration of the newest container of a name.
    pub fn config(&self, container: &str) -> Option<v1::ContainerConfig> {
        let state = self.state.lock();
        let of_name = |made: &&Made| made.config.metadata_name() == container;
        state
            .containers
            .values()
            .filter(of_name)
            .max_by_key(|made| made.status.created_at)
            .map(|made| made.config.clone())
    }

    /// The configuration of the newest sandbox.
    pub fn sandbox_config(&self) -> Option<v1::PodSandboxConfig> {
        let state = self.state.lock();
        let newest = state.sandboxes.values().max_by_key(|(_, status)| status.created_at);
        newest.map(|(config, _)| config.clone())
    }

    /// Waits until a call was made so many times, in all.
    pub async fn called(&self, call: &str, times: usize) {
        let mut changed = self.changed.subscribe();
        let count = || self.state.lock().calls.iter().filter(|made| *made == call).count();
        // The sender lives as long as `self`.
        let _never_closed = changed.wait_for(|_| count() >= times).await;
    }

    fn nanos(&self) -> i64 {
        self.clock.now().as_micros() * 1000
    }

    fn note(&self, call: String) {
        self.state.lock().calls.push(call);
        self.changed.send_modify(|count| *count += 1);
    }

    fn failure(&self, verb: &'static str) -> Result<(), CriError> {
        let mut state = self.state.lock();
        match state.failures.get_mut(verb) {
            Some((times, message)) if *times > 0 => {
                *times -= 1;
                Err(CriError::new(Code::Internal, message.clone()))
            }
            _ => Ok(()),
        }
    }

    fn next_id(&self, prefix: &str) -> String {
        let mut state = self.state.lock();
        state.next_id += 1;
        format!("{prefix}{:04}", state.next_id)
    }

    fn end(&self, id: &str, exit_code: i32, tells: bool) {
        let now = self.nanos();
        let sandbox_id = {
            let mut state = self.state.lock();
            let Some(made) = state.containers.get_mut(id) else { return };
            if made.status.state != i32::from(v1::ContainerState::Running) {
                return;
            }
            made.status.state = v1::ContainerState::Exited.into();
            made.status.exit_code = exit_code;
            made.status.finished_at = now;
            let reason = if exit_code == 0 { "Completed" } else { "Error" };
            reason.clone_into(&mut made.status.reason);
            made.sandbox_id.clone()
        };
        if tells {
            self.tell(&sandbox_id);
        }
    }

    fn stop_sandbox(&self, id: &str) {
        let inside: Vec<String> = {
            let state = self.state.lock();
            let inside = state.containers.iter().filter(|(_, made)| made.sandbox_id == id);
            inside.map(|(id, _)| id.clone()).collect()
        };
        for container in inside {
            self.end(&container, 137, false);
        }
        if let Some((_, status)) = self.state.lock().sandboxes.get_mut(id) {
            status.state = v1::PodSandboxState::NotReady.into();
        }
    }

    fn tell(&self, sandbox_id: &str) {
        let status = self.state.lock().sandboxes.get(sandbox_id).map(|(_, status)| status.clone());
        let event = v1::ContainerEventResponse {
            pod_sandbox_status: status,
            ..v1::ContainerEventResponse::default()
        };
        // Nobody has to listen.
        let _nobody = self.events.send(Arc::new(event));
    }

    fn start(&self, id: &str) -> Result<(), CriError> {
        let now = self.nanos();
        let (name, sandbox_id, script) = {
            let mut state = self.state.lock();
            let made = state.containers.get_mut(id);
            let made = made.ok_or_else(|| CriError::not_found("container", id))?;
            made.status.state = v1::ContainerState::Running.into();
            made.status.started_at = now;
            let name = made.config.metadata_name().to_owned();
            let sandbox_id = made.sandbox_id.clone();
            let script = state.scripts.get_mut(&name);
            let script = script.filter(|codes| !codes.is_empty()).map(|codes| codes.remove(0));
            (name, sandbox_id, script)
        };
        self.note(format!("start {name}"));
        match script {
            Some(exit_code) => self.end(id, exit_code, true),
            None => self.tell(&sandbox_id),
        }
        Ok(())
    }
}

trait MetadataName {
    fn metadata_name(&self) -> &str;
}

impl MetadataName for v1::ContainerConfig {
    fn metadata_name(&self) -> &str {
        self.metadata.as_ref().map_or("", |metadata| metadata.name.as_str())
    }
}

fn done<T: Send + 'static>(answer: Result<T, CriError>) -> Answer<'static, T> {
    Box::pin(std::future::ready(answer))
}

fn not_built<T: Send + 'static>() -> Answer<'static, T> {
    done(Err(CriError::new(Code::Unimplemented, "the runtime in memory cannot do that")))
}

fn matches(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

impl Cri for FakeCri {
    fn version(&self, _request: v1::VersionRequest) -> Answer<'_, v1::VersionResponse> {
        done(Ok(v1::VersionResponse {
            runtime_name: "podo".to_owned(),
            runtime_version: "0.0.0".to_owned(),
            ..v1::VersionResponse::default()
        }))
    }

    fn status(&self, _request: v1::StatusRequest) -> Answer<'_, v1::StatusResponse> {
        let condition = |name: &str| v1::RuntimeCondition {
            r#type: name.to_owned(),
            status: true,
            ..v1::RuntimeCondition::default()
        };
        let conditions = vec![condition(v1::RUNTIME_READY), condition(v1::NETWORK_READY)];
        done(Ok(v1::StatusResponse {
            status: Some(v1::RuntimeStatus { conditions }),
            ..v1::StatusResponse::default()
        }))
    }

    fn runtime_config(
        &self,
        _request: v1::RuntimeConfigRequest,
    ) -> Answer<'_, v1::RuntimeConfigResponse> {
        not_built()
    }

    fn run_pod_sandbox(
        &self,
        request: v1::RunPodSandboxRequest,
    ) -> Answer<'_, v1::RunPodSandboxResponse> {
        if let Err(error) = self.failure("sandbox") {
            return done(Err(error));
        }
        let config = request.config.unwrap_or_default();
        let metadata = config.metadata.clone().unwrap_or_default();
        let id = self.next_id("s");
        let status = v1::PodSandboxStatus {
            id: id.clone(),
            metadata: Some(metadata.clone()),
            state: v1::PodSandboxState::Ready.into(),
            created_at: self.nanos(),
            network: Some(v1::PodSandboxNetworkStatus {
                ip: "10.42.0.7".to_owned(),
                additional_ips: Vec::new(),
            }),
            labels: config.labels.clone(),
            ..v1::PodSandboxStatus::default()
        };
        self.state.lock().sandboxes.insert(id.clone(), (config, status));
        self.note(format!("sandbox {}", metadata.attempt));
        done(Ok(v1::RunPodSandboxResponse { pod_sandbox_id: id }))
    }

    fn stop_pod_sandbox(
        &self,
        request: v1::StopPodSandboxRequest,
    ) -> Answer<'_, v1::StopPodSandboxResponse> {
        self.stop_sandbox(&request.pod_sandbox_id);
        self.note("stop sandbox".to_owned());
        self.tell(&request.pod_sandbox_id);
        done(Ok(v1::StopPodSandboxResponse::default()))
    }

    fn remove_pod_sandbox(
        &self,
        request: v1::RemovePodSandboxRequest,
    ) -> Answer<'_, v1::RemovePodSandboxResponse> {
        let id = request.pod_sandbox_id;
        self.stop_sandbox(&id);
        {
            let mut state = self.state.lock();
            state.containers.retain(|_, made| made.sandbox_id != id);
            state.sandboxes.remove(&id);
        }
        self.note("remove sandbox".to_owned());
        done(Ok(v1::RemovePodSandboxResponse::default()))
    }

    fn pod_sandbox_status(
        &self,
        request: v1::PodSandboxStatusRequest,
    ) -> Answer<'_, v1::PodSandboxStatusResponse> {
        let id = request.pod_sandbox_id;
        let status = self.state.lock().sandboxes.get(&id).map(|(_, status)| status.clone());
        let status = status.ok_or_else(|| CriError::not_found("sandbox", &id));
        done(status.map(|status| v1::PodSandboxStatusResponse {
            status: Some(status),
            ..v1::PodSandboxStatusResponse::default()
        }))
    }

    fn list_pod_sandbox(
        &self,
        request: v1::ListPodSandboxRequest,
    ) -> Answer<'_, v1::ListPodSandboxResponse> {
        let wanted = request.filter.unwrap_or_default().label_selector;
        let state = self.state.lock();
        let all = state.sandboxes.values().filter(|(_, status)| matches(&wanted, &status.labels));
        let items = all
            .map(|(_, status)| v1::PodSandbox {
                id: status.id.clone(),
                metadata: status.metadata.clone(),
                state: status.state,
                created_at: status.created_at,
                labels: status.labels.clone(),
                ..v1::PodSandbox::default()
            })
            .collect();
        done(Ok(v1::ListPodSandboxResponse { items }))
    }

    fn update_pod_sandbox_resources(
        &self,
        _request: v1::UpdatePodSandboxResourcesRequest,
    ) -> Answer<'_, v1::UpdatePodSandboxResourcesResponse> {
        not_built()
    }

    fn create_container(
        &self,
        request: v1::CreateContainerRequest,
    ) -> Answer<'_, v1::CreateContainerResponse> {
        if let Err(error) = self.failure("create") {
            return done(Err(error));
        }
        let config = request.config.unwrap_or_default();
        let log_dir = request.sandbox_config.map(|sandbox| sandbox.log_directory);
        let id = self.next_id("c");
        let log_path = std::path::Path::new(&log_dir.unwrap_or_default()).join(&config.log_path);
        let image = config.image.clone().unwrap_or_default();
        let status = v1::ContainerStatus {
            id: id.clone(),
            metadata: config.metadata.clone(),
            state: v1::ContainerState::Created.into(),
            created_at: self.nanos(),
            image: Some(v1::ImageSpec {
                image: image.user_specified_image.clone(),
                ..v1::ImageSpec::default()
            }),
            image_ref: format!("{}@sha256:00", image.user_specified_image),
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            mounts: config.mounts.clone(),
            log_path: log_path.to_string_lossy().into_owned(),
            ..v1::ContainerStatus::default()
        };
        let made = Made { sandbox_id: request.pod_sandbox_id, config, status };
        self.state.lock().containers.insert(id.clone(), made);
        done(Ok(v1::CreateContainerResponse { container_id: id }))
    }

    fn start_container(
        &self,
        request: v1::StartContainerRequest,
    ) -> Answer<'_, v1::StartContainerResponse> {
        if let Err(error) = self.failure("start") {
            return done(Err(error));
        }
        done(self.start(&request.container_id).map(|()| v1::StartContainerResponse::default()))
    }

    fn stop_container(
        &self,
        request: v1::StopContainerRequest,
    ) -> Answer<'_, v1::StopContainerResponse> {
        Box::pin(async move {
            let id = request.container_id;
            let (name, is_deaf) = {
                let state = self.state.lock();
                let name =
                    state.containers.get(&id).map(|made| made.config.metadata_name().to_owned());
                let name = name.unwrap_or_default();
                let is_deaf = state.deaf.contains(&name);
                (name, is_deaf)
            };
            self.note(format!("stop {name} {}", request.timeout));
            if is_deaf {
                let grace = u64::try_from(request.timeout).unwrap_or(0);
                tokio::time::sleep(std::time::Duration::from_secs(grace)).await;
                self.end(&id, 137, true);
            } else {
                self.end(&id, 143, true);
            }
            Ok(v1::StopContainerResponse::default())
        })
    }

    fn remove_container(
        &self,
        request: v1::RemoveContainerRequest,
    ) -> Answer<'_, v1::RemoveContainerResponse> {
        self.state.lock().containers.remove(&request.container_id);
        self.note("remove container".to_owned());
        done(Ok(v1::RemoveContainerResponse::default()))
    }

    fn list_containers(
        &self,
        request: v1::ListContainersRequest,
    ) -> Answer<'_, v1::ListContainersResponse> {
        let wanted = request.filter.unwrap_or_default().label_selector;
        let state = self.state.lock();
        let all = state.containers.values().filter(|made| matches(&wanted, &made.status.labels));
        let containers = all
            .map(|made| v1::Container {
                id: made.status.id.clone(),
                pod_sandbox_id: made.sandbox_id.clone(),
                metadata: made.status.metadata.clone(),
                state: made.status.state,
                created_at: made.status.created_at,
                labels: made.status.labels.clone(),
                annotations: made.status.annotations.clone(),
                ..v1::Container::default()
            })
            .collect();
        done(Ok(v1::ListContainersResponse { containers }))
    }

    fn container_status(
        &self,
        request: v1::ContainerStatusRequest,
    ) -> Answer<'_, v1::ContainerStatusResponse> {
        let id = request.container_id;
        let status = self.state.lock().containers.get(&id).map(|made| made.status.clone());
        let status = status.ok_or_else(|| CriError::not_found("container", &id));
        done(status.map(|status| v1::ContainerStatusResponse {
            status: Some(status),
            ..v1::ContainerStatusResponse::default()
        }))
    }

    fn update_container_resources(
        &self,
        _request: v1::UpdateContainerResourcesRequest,
    ) -> Answer<'_, v1::UpdateContainerResourcesResponse> {
        not_built()
    }

    fn reopen_container_log(
        &self,
        _request: v1::ReopenContainerLogRequest,
    ) -> Answer<'_, v1::ReopenContainerLogResponse> {
        done(Ok(v1::ReopenContainerLogResponse::default()))
    }

    fn exec_sync(&self, _request: v1::ExecSyncRequest) -> Answer<'_, v1::ExecSyncResponse> {
        not_built()
    }

    fn exec(&self, _request: v1::ExecRequest) -> Answer<'_, ExecStreams> {
        not_built()
    }

    fn attach(&self, _request: v1::AttachRequest) -> Answer<'_, ExecStreams> {
        not_built()
    }

    fn port_forward(&self, _pod_sandbox_id: String, _port: u16) -> Answer<'_, PortStream> {
        not_built()
    }

    fn container_stats(
        &self,
        _request: v1::ContainerStatsRequest,
    ) -> Answer<'_, v1::ContainerStatsResponse> {
        not_built()
    }

    fn list_container_stats(
        &self,
        _request: v1::ListContainerStatsRequest,
    ) -> Answer<'_, v1::ListContainerStatsResponse> {
        not_built()
    }

    fn pod_sandbox_stats(
        &self,
        _request: v1::PodSandboxStatsRequest,
    ) -> Answer<'_, v1::PodSandboxStatsResponse> {
        not_built()
    }

    fn list_pod_sandbox_stats(
        &self,
        _request: v1::ListPodSandboxStatsRequest,
    ) -> Answer<'_, v1::ListPodSandboxStatsResponse> {
        not_built()
    }

    fn container_events(&self, _request: v1::GetEventsRequest) -> Answer<'_, ContainerEvents> {
        done(Ok(ContainerEvents::from(self.events.subscribe())))
    }

    fn list_images(&self, _request: v1::ListImagesRequest) -> Answer<'_, v1::ListImagesResponse> {
        let images = self.state.lock().images.iter().map(|name| image(name)).collect();
        done(Ok(v1::ListImagesResponse { images }))
    }

    fn image_status(&self, request: v1::ImageStatusRequest) -> Answer<'_, v1::ImageStatusResponse> {
        let name = request.image.unwrap_or_default().image;
        let is_there = self.state.lock().images.contains(&name);
        done(Ok(v1::ImageStatusResponse {
            image: is_there.then(|| image(&name)),
            ..v1::ImageStatusResponse::default()
        }))
    }

    fn pull_image(
        &self,
        request: v1::PullImageRequest,
        _options: PullOptions,
    ) -> Answer<'_, v1::PullImageResponse> {
        let name = request.image.unwrap_or_default().image;
        self.note(format!("pull {name}"));
        if name.starts_with("hangs") {
            return Box::pin(std::future::pending());
        }
        let mut state = self.state.lock();
        if !state.pullable.contains(&name) {
            return done(Err(CriError::new(Code::NotFound, format!("{name}: not found"))));
        }
        state.images.insert(name.clone());
        done(Ok(v1::PullImageResponse { image_ref: name }))
    }

    fn remove_image(
        &self,
        _request: v1::RemoveImageRequest,
    ) -> Answer<'_, v1::RemoveImageResponse> {
        not_built()
    }

    fn image_fs_info(
        &self,
        _request: v1::ImageFsInfoRequest,
    ) -> Answer<'_, v1::ImageFsInfoResponse> {
        done(Ok(v1::ImageFsInfoResponse::default()))
    }
}

fn image(name: &str) -> v1::Image {
    v1::Image {
        id: name.to_owned(),
        repo_tags: vec![name.to_owned()],
        size: 1234,
        uid: Some(v1::Int64Value { value: 0 }),
        ..v1::Image::default()
    }
}
