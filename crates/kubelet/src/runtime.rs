//! The runtime as the node agent sees it: CRI's answers turned into [`ObservedPod`], and the verbs with their bounds.
//!
//! Holds always
//! - A container that was seen ended is not asked about again: its record cannot change.
//! - Every call has a bound in time; stopping gets its grace period on top.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podo_base::Timestamp;
use podo_cri::{Code, Cri, CriError, v1};

use crate::blocking;
use crate::container::config::absolute;
use crate::container::resources::Amounts;
use crate::container::{labels, termination};
use crate::observed::{
    ObservedContainer, ObservedMount, ObservedPod, ObservedSandbox, ObservedUser, RunState,
};

/// How long a verb may take (Kubernetes v1.36 `--runtime-request-timeout`).
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// A Pod that the runtime knows, by what its sandbox or container carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KnownPod {
    /// The name.
    pub(crate) name: String,
    /// The namespace.
    pub(crate) namespace: String,
    /// Its sandboxes.
    pub(crate) sandboxes: Vec<String>,
    /// Its containers that may have processes, with their grace periods in seconds.
    pub(crate) alive: Vec<(String, i64)>,
}

/// The runtime.
#[derive(Clone)]
pub(crate) struct Runtime {
    cri: Arc<dyn Cri>,
    /// The runtime's name, which container ids begin with.
    pub(crate) name: String,
    /// The runtime's version.
    pub(crate) version: String,
    /// Where Pods' folders are: termination messages are read only below it.
    pods_dir: PathBuf,
    /// Where logs are: they are read only below it.
    log_dir: PathBuf,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Waits for a verb, but not for ever.
pub(crate) async fn bounded<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, CriError>>,
) -> Result<T, CriError> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_elapsed| {
        Err(CriError::new(Code::DeadlineExceeded, "the runtime did not answer in time"))
    })
}

impl Runtime {
    /// Asks the runtime who it is.
    pub(crate) async fn connect(
        cri: Arc<dyn Cri>,
        root_dir: &Path,
        log_dir: &Path,
    ) -> Result<Self, CriError> {
        let request = v1::VersionRequest { version: "v1".to_owned() };
        let version = bounded(CALL_TIMEOUT, cri.version(request)).await?;
        Ok(Self {
            cri,
            name: version.runtime_name,
            version: version.runtime_version,
            pods_dir: root_dir.join("pods"),
            log_dir: log_dir.to_owned(),
        })
    }

    /// The runtime itself.
    pub(crate) fn cri(&self) -> &Arc<dyn Cri> {
        &self.cri
    }

    /// What the runtime knows of a Pod; `before` is what was seen last.
    pub(crate) async fn observe(
        &self,
        uid: &str,
        before: &ObservedPod,
    ) -> Result<ObservedPod, CriError> {
        let selector = BTreeMap::from([(labels::POD_UID.to_owned(), uid.to_owned())]);
        let filter = v1::PodSandboxFilter {
            label_selector: selector.clone(),
            ..v1::PodSandboxFilter::default()
        };
        let request = v1::ListPodSandboxRequest { filter: Some(filter) };
        let sandboxes = bounded(CALL_TIMEOUT, self.cri.list_pod_sandbox(request)).await?.items;
        let filter =
            v1::ContainerFilter { label_selector: selector, ..v1::ContainerFilter::default() };
        let request = v1::ListContainersRequest { filter: Some(filter) };
        let containers = bounded(CALL_TIMEOUT, self.cri.list_containers(request)).await?.containers;

        let mut observed = ObservedPod::default();
        for sandbox in sandboxes {
            let seen = before.sandboxes.iter().find(|seen| seen.id == sandbox.id);
            observed.sandboxes.extend(self.observe_sandbox(sandbox, seen).await?);
        }
        for container in containers {
            let seen = before.containers.iter().find(|seen| seen.id == container.id);
            match seen {
                Some(seen) if seen.state == RunState::Exited => {
                    observed.containers.push(seen.clone());
                }
                _ => observed.containers.extend(self.observe_container(container).await?),
            }
        }
        observed.sort();
        Ok(observed)
    }

    async fn observe_sandbox(
        &self,
        sandbox: v1::PodSandbox,
        seen: Option<&ObservedSandbox>,
    ) -> Result<Option<ObservedSandbox>, CriError> {
        let is_ready = sandbox.state == i32::from(v1::PodSandboxState::Ready);
        let mut observed = ObservedSandbox {
            attempt: sandbox.metadata.map(|metadata| metadata.attempt).unwrap_or_default(),
            id: sandbox.id,
            is_ready,
            created_at: from_nanos(sandbox.created_at),
            ips: seen.map(|seen| seen.ips.clone()).unwrap_or_default(),
        };
        if seen.is_none_or(|seen| is_ready && !seen.is_ready) {
            let request =
                v1::PodSandboxStatusRequest { pod_sandbox_id: observed.id.clone(), verbose: false };
            let answer = bounded(CALL_TIMEOUT, self.cri.pod_sandbox_status(request)).await;
            let Some(answer) = found(answer)? else { return Ok(None) };
            let status = answer.status.unwrap_or_default();
            observed.is_ready = status.state == i32::from(v1::PodSandboxState::Ready);
            observed.ips = ips(status.network);
        }
        Ok(Some(observed))
    }

    async fn observe_container(
        &self,
        container: v1::Container,
    ) -> Result<Option<ObservedContainer>, CriError> {
        let request =
            v1::ContainerStatusRequest { container_id: container.id.clone(), verbose: false };
        let answer = bounded(CALL_TIMEOUT, self.cri.container_status(request)).await;
        let Some(answer) = found(answer)? else { return Ok(None) };
        let Some(status) = answer.status else { return Ok(None) };
        let annotations = status.annotations.clone();
        let mut record = record(container.pod_sandbox_id, status);
        if record.state == RunState::Exited {
            let runtime = self.clone();
            record = blocking::run(move || {
                runtime.add_last_words(&mut record, &annotations);
                record
            })
            .await;
        }
        Ok(Some(record))
    }

    /// Adds what a container that ended had to say.
    fn add_last_words(
        &self,
        record: &mut ObservedContainer,
        annotations: &BTreeMap<String, String>,
    ) {
        let path = annotations.get(labels::MESSAGE_PATH).map(String::as_str).unwrap_or_default();
        let inside = absolute(path);
        let mount = record.mounts.iter().find(|mount| mount.container_path == inside);
        let mut words = String::new();
        if let Some(mount) = mount.filter(|_| !path.is_empty()) {
            let host_path = Path::new(&mount.host_path);
            if host_path.starts_with(&self.pods_dir) {
                words = termination::read_file(&self.pods_dir, host_path).unwrap_or_else(|error| {
                    format!("Error on reading termination log {}: {error}", host_path.display())
                });
            }
        }
        let wants_log = annotations.get(labels::MESSAGE_POLICY).map(String::as_str)
            == Some("FallbackToLogsOnError");
        if words.is_empty() && wants_log && record.exit_code != 0 && !record.log_path.is_empty() {
            let log = Path::new(&record.log_path);
            words = termination::read_log(&self.log_dir, log).unwrap_or_default();
        }
        termination::add(&mut record.message, &words);
    }

    /// All Pods that the runtime knows, by UID.
    pub(crate) async fn known_pods(&self) -> Result<BTreeMap<String, KnownPod>, CriError> {
        let request = v1::ListPodSandboxRequest::default();
        let sandboxes = bounded(CALL_TIMEOUT, self.cri.list_pod_sandbox(request)).await?.items;
        let request = v1::ListContainersRequest::default();
        let containers = bounded(CALL_TIMEOUT, self.cri.list_containers(request)).await?.containers;
        let mut pods: BTreeMap<String, KnownPod> = BTreeMap::new();
        for sandbox in sandboxes {
            let Some(pod) = known(&mut pods, &sandbox.labels) else { continue };
            pod.sandboxes.push(sandbox.id);
        }
        for container in containers {
            let is_alive = container.state == i32::from(v1::ContainerState::Running)
                || container.state == i32::from(v1::ContainerState::Unknown);
            let Some(pod) = known(&mut pods, &container.labels) else { continue };
            let grace = container.annotations.get(labels::GRACE_PERIOD);
            let grace = grace.and_then(|text| text.parse().ok()).unwrap_or(30);
            if is_alive {
                pod.alive.push((container.id, grace));
            }
        }
        Ok(pods)
    }

    /// Asks a container to end and kills it at the end of its grace period.
    pub(crate) async fn stop_container(&self, id: &str, grace: i64) -> Result<(), CriError> {
        let limit = CALL_TIMEOUT + Duration::from_secs(u64::try_from(grace).unwrap_or(0));
        let request = v1::StopContainerRequest { container_id: id.to_owned(), timeout: grace };
        found(bounded(limit, self.cri.stop_container(request)).await).map(|_| ())
    }

    /// Stops a sandbox and gives its network back.
    pub(crate) async fn stop_sandbox(&self, id: &str) -> Result<(), CriError> {
        let request = v1::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        found(bounded(CALL_TIMEOUT, self.cri.stop_pod_sandbox(request)).await).map(|_| ())
    }

    /// Forgets a sandbox and its containers.
    pub(crate) async fn remove_sandbox(&self, id: &str) -> Result<(), CriError> {
        let request = v1::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        found(bounded(CALL_TIMEOUT, self.cri.remove_pod_sandbox(request)).await).map(|_| ())
    }

    /// Forgets a container.
    pub(crate) async fn remove_container(&self, id: &str) -> Result<(), CriError> {
        let request = v1::RemoveContainerRequest { container_id: id.to_owned() };
        found(bounded(CALL_TIMEOUT, self.cri.remove_container(request)).await).map(|_| ())
    }
}

/// An answer about something that may be gone meanwhile.
fn found<T>(answer: Result<T, CriError>) -> Result<Option<T>, CriError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn known<'a>(
    pods: &'a mut BTreeMap<String, KnownPod>,
    labels: &BTreeMap<String, String>,
) -> Option<&'a mut KnownPod> {
    let text = |key: &str| labels.get(key).cloned().unwrap_or_default();
    // What was not made for a Pod is not ours.
    let uid = labels.get(labels::POD_UID)?;
    let pod = pods.entry(uid.clone()).or_default();
    pod.name = text(labels::POD_NAME);
    pod.namespace = text(labels::POD_NAMESPACE);
    Some(pod)
}

fn record(sandbox_id: String, status: v1::ContainerStatus) -> ObservedContainer {
    let state = match v1::ContainerState::try_from(status.state) {
        Ok(v1::ContainerState::Created) => RunState::Created,
        Ok(v1::ContainerState::Running) => RunState::Running,
        Ok(v1::ContainerState::Exited) => RunState::Exited,
        Ok(v1::ContainerState::Unknown) | Err(_) => RunState::Unknown,
    };
    let metadata = status.metadata.unwrap_or_default();
    let annotated = status.annotations.get(labels::RESTART_COUNT);
    let restart_count = annotated.and_then(|text| text.parse().ok());
    let image = status.image.unwrap_or_default();
    let told = status.resources.and_then(|resources| resources.linux);
    let stop_signal = v1::Signal::try_from(status.stop_signal).ok();
    ObservedContainer {
        id: status.id,
        sandbox_id,
        name: status.labels.get(labels::CONTAINER_NAME).cloned().unwrap_or(metadata.name),
        restart_count: restart_count.unwrap_or(metadata.attempt),
        state,
        created_at: from_nanos(status.created_at),
        started_at: from_nanos(status.started_at),
        finished_at: from_nanos(status.finished_at),
        exit_code: status.exit_code,
        reason: status.reason,
        message: status.message,
        image: Some(image.image)
            .filter(|image| !image.is_empty())
            .unwrap_or(image.user_specified_image),
        image_ref: status.image_ref,
        hash: status.annotations.get(labels::HASH).cloned().unwrap_or_default(),
        log_path: status.log_path,
        user: status.user.and_then(|user| user.linux).map(|user| ObservedUser {
            uid: user.uid,
            gid: user.gid,
            groups: user.supplemental_groups,
        }),
        stop_signal: stop_signal.and_then(v1::Signal::name).map(ToOwned::to_owned),
        mounts: status.mounts.into_iter().map(mount).collect(),
        amounts: told.as_ref().map(Amounts::of_runtime),
    }
}

fn mount(mount: v1::Mount) -> ObservedMount {
    ObservedMount { container_path: mount.container_path, host_path: mount.host_path }
}

fn ips(network: Option<v1::PodSandboxNetworkStatus>) -> Vec<String> {
    let Some(network) = network else { return Vec::new() };
    let all = std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|ip| ip.ip));
    all.filter(|ip| !ip.is_empty()).collect()
}

fn from_nanos(nanos: i64) -> Timestamp {
    Timestamp::from_micros(nanos / 1000)
}
