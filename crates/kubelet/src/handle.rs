//! [`KubeletHandle`]: what the node's HTTPS server needs to know of Pods and containers, and its way to them.

use std::sync::Arc;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_cri::{CriError, ExecStreams, PortStream, v1};
use tokio::sync::watch;

use crate::blocking;
use crate::context::{Context, Repairs};
use crate::logs::{LogError, LogRequest, LogStream, Source};
use crate::observed::{ObservedContainer, RunState};
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

/// Which container's log is meant, by the container's status.
fn wanted_record<'a>(
    shown: &'a Shown,
    request: &LogRequest,
) -> Result<&'a ObservedContainer, LogError> {
    let (container, pod) = (request.container.clone(), request.pod.clone());
    if shown.pod.container(&container).is_none() {
        return Err(LogError::NoContainer { container, pod });
    }
    let status = &shown.status;
    let lists = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let mut statuses = lists.into_iter().flatten().flatten();
    let Some(status) = statuses.find(|status| status.name == container) else {
        return Err(LogError::NotAvailable { container, pod });
    };
    let full_id = wanted_id(status, request)?;
    let id = full_id.split_once("://").map_or(full_id, |(_, id)| id);
    let record = shown.observed.containers.iter().find(|record| record.id == id);
    record.ok_or_else(|| LogError::Gone { id: full_id.to_owned() })
}

/// The id of the container whose log is meant (Kubernetes v1.36 `validateContainerLogStatus`).
fn wanted_id<'a>(
    status: &'a k8s::ContainerStatus,
    request: &LogRequest,
) -> Result<&'a str, LogError> {
    let (container, pod) = (request.container.clone(), request.pod.clone());
    let end_of = |state: &'a Option<k8s::ContainerState>| state.as_ref()?.terminated.as_ref();
    let id_of = |end: Option<&'a k8s::ContainerStateTerminated>| end?.container_id.as_deref();
    let (end, last_end) = (end_of(&status.state), end_of(&status.last_state));
    if request.previous {
        return id_of(last_end).ok_or(LogError::NoPrevious { container, pod });
    }
    if status.state.as_ref().is_some_and(|state| state.running.is_some()) {
        let id = status.container_id.as_deref();
        return id.ok_or(LogError::NoLogsYet { container, pod });
    }
    if end.is_some() || last_end.is_some() {
        let id = id_of(end).or_else(|| id_of(last_end));
        return id.ok_or(LogError::Terminated { container, pod });
    }
    let Some(waiting) = status.state.as_ref().and_then(|state| state.waiting.as_ref()) else {
        return Err(LogError::NoLogsYet { container, pod });
    };
    let why = match waiting.reason.as_deref().unwrap_or_default() {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    };
    Err(LogError::Waiting { container, pod, why: why.to_owned() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::words::observed;
    use crate::pod::PodView;
    use serde_json::{Value, json};

    /// Whose log is meant, or why there is none.
    fn wanted(status: Value, previous: bool) -> String {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
        let shown = Shown {
            pod: Arc::new(PodView::new(serde_json::from_value(pod).expect("a Pod"))),
            status: serde_json::from_value(status).expect("a status"),
            observed: observed(&["sandbox 0 ready", "c exited 1 at 5", "c#1 running"]),
        };
        let request = LogRequest {
            pod: "p".to_owned(),
            container: "c".to_owned(),
            previous,
            ..LogRequest::default()
        };
        match wanted_record(&shown, &request) {
            Ok(record) => record.id.clone(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_status_says_whose_log_is_meant() {
        let of = |state: Value, last: Value| {
            json!({"containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false,
                "restartCount": 0, "containerID": "podo://c-1", "state": state, "lastState": last}]})
        };
        let end = |id: &str| json!({"terminated": {"exitCode": 1, "containerID": id}});
        let unseen = || json!({"terminated": {"exitCode": 137}});
        let waiting = |reason: &str| json!({"waiting": {"reason": reason}});
        let running = || json!({"running": {}});
        let none = || json!({});
        let no_previous = "previous terminated container \"c\" in pod \"p\" not found";
        let is_over = "container \"c\" in pod \"p\" is terminated";
        let waits = "container \"c\" in pod \"p\" is waiting to start";
        for (status, previous, expected) in [
            (none(), false, "container \"c\" in pod \"p\" is not available".to_owned()),
            (of(running(), end("podo://c-0")), false, "c-1".to_owned()),
            (of(running(), end("podo://c-0")), true, "c-0".to_owned()),
            (of(running(), none()), true, no_previous.to_owned()),
            (of(running(), unseen()), true, no_previous.to_owned()),
            (of(end("podo://c-0"), none()), false, "c-0".to_owned()),
            (of(unseen(), end("podo://c-0")), false, "c-0".to_owned()),
            (of(unseen(), none()), false, is_over.to_owned()),
            (of(waiting("CrashLoopBackOff"), end("podo://c-0")), false, "c-0".to_owned()),
            (of(waiting("CrashLoopBackOff"), unseen()), false, is_over.to_owned()),
            (of(waiting("ErrImagePull"), none()), false, format!("{waits}: image can't be pulled")),
            (
                of(waiting("ImagePullBackOff"), none()),
                false,
                format!("{waits}: trying and failing to pull image"),
            ),
            (of(waiting("PodInitializing"), none()), false, format!("{waits}: PodInitializing")),
            (of(none(), none()), false, format!("{waits} - no logs yet")),
            (
                of(end("podo://gone"), none()),
                false,
                "unable to retrieve container logs for podo://gone".to_owned(),
            ),
        ] {
            assert_eq!(wanted(status.clone(), previous), expected, "{status} {previous}");
        }
    }
}
