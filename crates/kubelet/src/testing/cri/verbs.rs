//! The verbs of the runtime in memory.

use podo_cri::{
    Answer, Code, ContainerEvents, Cri, CriError, ExecStreams, PortStream, PullOptions, v1,
};

use super::{FakeCri, Made, MetadataName as _, amounts, done, matches, not_built};

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
        request: v1::UpdatePodSandboxResourcesRequest,
    ) -> Answer<'_, v1::UpdatePodSandboxResourcesResponse> {
        self.note(format!("update pod {}", amounts(request.resources.as_ref())));
        done(Ok(v1::UpdatePodSandboxResourcesResponse::default()))
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
            resources: Some(v1::ContainerResources {
                linux: config.linux.as_ref().and_then(|linux| linux.resources.clone()),
            }),
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
                image: made.status.image.clone(),
                image_ref: made.status.image_ref.clone(),
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
        request: v1::UpdateContainerResourcesRequest,
    ) -> Answer<'_, v1::UpdateContainerResourcesResponse> {
        if let Err(error) = self.failure("update") {
            return done(Err(error));
        }
        let id = request.container_id;
        let text = amounts(request.linux.as_ref());
        let name = self.state.lock().containers.get_mut(&id).map(|made| {
            made.status.resources = Some(v1::ContainerResources { linux: request.linux });
            made.config.metadata_name().to_owned()
        });
        let Some(name) = name else {
            return done(Err(CriError::not_found("container", &id)));
        };
        self.note(format!("update {name} {text}"));
        done(Ok(v1::UpdateContainerResourcesResponse::default()))
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
        request: v1::PodSandboxStatsRequest,
    ) -> Answer<'_, v1::PodSandboxStatsResponse> {
        let state = self.state.lock();
        let inside =
            state.containers.values().filter(|made| made.sandbox_id == request.pod_sandbox_id);
        let used: Vec<(&v1::ContainerConfig, u64)> = inside
            .filter_map(|made| Some((&made.config, *state.used.get(made.config.metadata_name())?)))
            .collect();
        let memory = |bytes: u64| {
            let usage_bytes = Some(v1::UInt64Value { value: bytes });
            Some(v1::MemoryUsage { usage_bytes, ..v1::MemoryUsage::default() })
        };
        let of_container = |(config, bytes): &(&v1::ContainerConfig, u64)| {
            let metadata = config.metadata.clone();
            let attributes = v1::ContainerAttributes { metadata, ..Default::default() };
            v1::ContainerStats {
                attributes: Some(attributes),
                memory: memory(*bytes),
                ..v1::ContainerStats::default()
            }
        };
        let linux = v1::LinuxPodSandboxStats {
            memory: memory(used.iter().map(|(_, bytes)| bytes).sum()),
            containers: used.iter().map(of_container).collect(),
            ..v1::LinuxPodSandboxStats::default()
        };
        let stats = v1::PodSandboxStats { linux: Some(linux), ..v1::PodSandboxStats::default() };
        done(Ok(v1::PodSandboxStatsResponse { stats: Some(stats) }))
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

    fn remove_image(&self, request: v1::RemoveImageRequest) -> Answer<'_, v1::RemoveImageResponse> {
        let name = request.image.unwrap_or_default().image;
        self.note(format!("remove-image {name}"));
        self.state.lock().images.remove(&name);
        done(Ok(v1::RemoveImageResponse::default()))
    }

    fn image_fs_info(
        &self,
        _request: v1::ImageFsInfoRequest,
    ) -> Answer<'_, v1::ImageFsInfoResponse> {
        let fs_id = Some(v1::FilesystemIdentifier { mountpoint: IMAGES_DIR.to_owned() });
        let usage = v1::FilesystemUsage { fs_id, ..v1::FilesystemUsage::default() };
        done(Ok(v1::ImageFsInfoResponse {
            image_filesystems: vec![usage],
            ..v1::ImageFsInfoResponse::default()
        }))
    }
}

/// Where images are kept.
const IMAGES_DIR: &str = "/images";

fn image(name: &str) -> v1::Image {
    v1::Image {
        id: name.to_owned(),
        repo_tags: vec![name.to_owned()],
        size: 1234,
        pinned: name.starts_with("pinned"),
        uid: Some(v1::Int64Value { value: 0 }),
        ..v1::Image::default()
    }
}
