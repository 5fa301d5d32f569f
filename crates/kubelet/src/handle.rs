//! [`KubeletHandle`]: what the node's HTTPS server needs to know of Pods and containers, and its way to them.

use std::sync::Arc;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_cri::{CriError, ExecStreams, PortStream, v1};
use tokio::sync::watch;

use crate::blocking;
use crate::context::{Context, Repairs};
use crate::logs::{LogError, LogRequest, LogStream, Source};
use crate::observed::{ObservedContainer, RunState};
use crate::pod::Role;
use crate::pods::Shown;

/// A container that something can be done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRef {
    /// The runtime's id of the container.
    pub container_id: String,
    /// The runtime's id of its Pod's sandbox.
    pub sandbox_id: String,
    /// The Pod's UID.
    pub pod_uid: String,
    /// Whether the container has a terminal.
    pub has_tty: bool,
    /// Whether the container takes input.
    pub has_stdin: bool,
}

/// Why there is no such container to do something with. The texts are those of Kubernetes v1.36.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// The node has no such Pod.
    #[error("pod does not exist")]
    NoPod,
    /// The Pod has no such container, or it does not run.
    #[error("container not found ({container:?})")]
    NoContainer {
        /// The container.
        container: String,
    },
    /// The Pod has no sandbox that stands.
    #[error("sandbox of pod {pod:?} is not ready")]
    NoSandbox {
        /// The Pod.
        pod: String,
    },
}

/// What the node's HTTPS server needs of the node agent. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KubeletHandle {
    ctx: Arc<Context>,
}

impl KubeletHandle {
    pub(crate) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.ctx
    }

    fn shown(&self, namespace: &str, pod: &str) -> Option<watch::Receiver<Arc<Shown>>> {
        self.ctx.registry.find(namespace, pod)
    }

    /// A running container. Without a name it is the Pod's first.
    pub fn find(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
    ) -> Result<ContainerRef, FindError> {
        let shown = self.shown(namespace, pod).ok_or(FindError::NoPod)?;
        let shown = Arc::clone(&shown.borrow());
        let name = if container.is_empty() {
            shown.pod.spec.containers.first().map_or("", |first| first.name.as_str())
        } else {
            container
        };
        let missing = || FindError::NoContainer { container: name.to_owned() };
        let (_, spec) = shown.pod.container(name).ok_or_else(missing)?;
        let record = shown.observed.latest(name).ok_or_else(missing)?;
        if record.state != RunState::Running {
            return Err(missing());
        }
        Ok(ContainerRef {
            container_id: record.id.clone(),
            sandbox_id: record.sandbox_id.clone(),
            pod_uid: shown.pod.uid().to_owned(),
            has_tty: spec.tty == Some(true),
            has_stdin: spec.stdin == Some(true),
        })
    }

    /// The sandbox of a Pod, for port-forward.
    pub fn sandbox(&self, namespace: &str, pod: &str) -> Result<String, FindError> {
        let shown = self.shown(namespace, pod).ok_or(FindError::NoPod)?;
        let shown = shown.borrow();
        let sandbox = shown.observed.ready_sandbox();
        let missing = || FindError::NoSandbox { pod: pod.to_owned() };
        sandbox.map(|sandbox| sandbox.id.clone()).ok_or_else(missing)
    }

    /// A container's log.
    pub async fn logs(&self, request: LogRequest) -> Result<LogStream, LogError> {
        let no_pod = || LogError::NoPod { name: format!("{}/{}", request.namespace, request.pod) };
        let shown = self.shown(&request.namespace, &request.pod).ok_or_else(no_pod)?;
        let (record, is_running) = {
            let shown = shown.borrow();
            let record = wanted_record(&shown, &request)?.clone();
            let is_running = record.state == RunState::Running;
            (record, is_running)
        };
        let follow = (request.follow && is_running).then(|| running(shown, record.id.clone()));
        let source = Source {
            log_dir: self.ctx.config.log_dir.clone(),
            path: record.log_path.into(),
            follow,
        };
        blocking::run(move || LogStream::open(source, &request)).await
    }

    /// Runs a process in a container.
    pub async fn exec(&self, request: v1::ExecRequest) -> Result<ExecStreams, CriError> {
        self.ctx.runtime.cri().exec(request).await
    }

    /// Runs a process in a container and gives its output.
    pub async fn exec_sync(
        &self,
        request: v1::ExecSyncRequest,
    ) -> Result<v1::ExecSyncResponse, CriError> {
        self.ctx.runtime.cri().exec_sync(request).await
    }

    /// Joins the streams of a container.
    pub async fn attach(&self, request: v1::AttachRequest) -> Result<ExecStreams, CriError> {
        self.ctx.runtime.cri().attach(request).await
    }

    /// Connects to a port of a Pod.
    pub async fn port_forward(
        &self,
        sandbox_id: String,
        port: u16,
    ) -> Result<PortStream, CriError> {
        self.ctx.runtime.cri().port_forward(sandbox_id, port).await
    }

    /// All Pods of the node with their present status.
    pub fn pods(&self) -> Vec<k8s::Pod> {
        let pods = self.ctx.registry.all();
        pods.iter()
            .map(|shown| {
                let mut pod = shown.pod.pod.clone();
                pod.spec = Some(shown.pod.spec.clone());
                pod.status = Some(shown.status.clone());
                pod
            })
            .collect()
    }

    /// What had to be repaired; all zero in a sound system.
    pub fn repairs(&self) -> &Repairs {
        &self.ctx.repairs
    }

    /// The name of the node.
    pub fn node_name(&self) -> &str {
        &self.ctx.config.node_name
    }
}

/// Which container's log is meant, by the container's status (Kubernetes v1.36 `validateContainerLogStatus`).
fn wanted_record<'a>(
    shown: &'a Shown,
    request: &LogRequest,
) -> Result<&'a ObservedContainer, LogError> {
    let (container, pod) = (request.container.clone(), request.pod.clone());
    let Some((role, _)) = shown.pod.container(&container) else {
        return Err(LogError::NoContainer { container, pod });
    };
    let list = match role {
        Role::Init | Role::Sidecar => &shown.status.init_container_statuses,
        Role::Main => &shown.status.container_statuses,
        Role::Ephemeral => &shown.status.ephemeral_container_statuses,
    };
    let mut records = shown.observed.containers.iter().filter(|record| record.name == container);
    let (newest, before) = (records.next(), records.next());
    if request.previous {
        // The one before what runs now; of one that waits for its next start, the one that ended last.
        let is_waiting = newest.is_some_and(|record| record.state == RunState::Exited)
            && waiting_reason(list.as_deref(), &container).is_some();
        let previous = if is_waiting { newest } else { before };
        return previous.ok_or(LogError::NoPrevious { container, pod });
    }
    if let Some(record) = newest.filter(|record| record.state != RunState::Created) {
        return Ok(record);
    }
    Err(match waiting_reason(list.as_deref(), &container).as_deref() {
        Some("ErrImagePull") => {
            LogError::Waiting { container, pod, why: "image can't be pulled".to_owned() }
        }
        Some("ImagePullBackOff") => {
            let why = "trying and failing to pull image".to_owned();
            LogError::Waiting { container, pod, why }
        }
        Some(reason) => LogError::Waiting { container, pod, why: reason.to_owned() },
        None if has_ended(list.as_deref(), &container) => LogError::Terminated { container, pod },
        None => LogError::NoLogsYet { container, pod },
    })
}

fn state<'a>(
    list: Option<&'a [k8s::ContainerStatus]>,
    name: &str,
) -> Option<&'a k8s::ContainerState> {
    list?.iter().find(|status| status.name == name)?.state.as_ref()
}

fn waiting_reason(list: Option<&[k8s::ContainerStatus]>, name: &str) -> Option<String> {
    state(list, name)?.waiting.as_ref()?.reason.clone()
}

fn has_ended(list: Option<&[k8s::ContainerStatus]>, name: &str) -> bool {
    state(list, name).is_some_and(|state| state.terminated.is_some())
}

/// Resolves when a container does not run any more, or nobody watches it.
fn running(
    mut shown: watch::Receiver<Arc<Shown>>,
    id: String,
) -> futures_util::future::BoxFuture<'static, ()> {
    Box::pin(async move {
        let has_ended = |shown: &Arc<Shown>| {
            let record = shown.observed.containers.iter().find(|record| record.id == id);
            record.is_none_or(|record| record.state != RunState::Running)
        };
        let _gone_is_an_end_too = shown.wait_for(has_ended).await;
    })
}
