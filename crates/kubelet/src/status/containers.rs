//! The statuses of a Pod's containers (Kubernetes v1.36 `pkg/kubelet/kubelet_pods.go`, `pkg/kubelet/prober`).

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::Timestamp;

use super::{StatusInput, Waiting, resources, restarts_all, time};
use crate::container::config::is_recursive_read_only;
use crate::container::termination;
use crate::observed::{ObservedContainer, RunState};
use crate::pod::{PodView, Role, init_role};
use crate::restart_all;

/// Which list of statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// `initContainerStatuses`.
    Init,
    /// `containerStatuses`.
    Main,
    /// `ephemeralContainerStatuses`.
    Ephemeral,
}

impl Group {
    fn holds(self, role: Role) -> bool {
        match self {
            Self::Init => matches!(role, Role::Init | Role::Sidecar),
            Self::Main => role == Role::Main,
            Self::Ephemeral => role == Role::Ephemeral,
        }
    }

    fn old(self, old: &k8s::PodStatus) -> &[k8s::ContainerStatus] {
        let list = match self {
            Self::Init => &old.init_container_statuses,
            Self::Main => &old.container_statuses,
            Self::Ephemeral => &old.ephemeral_container_statuses,
        };
        list.as_deref().unwrap_or_default()
    }
}

/// The statuses of a group in the order of the spec; those of main and ephemeral containers are written by name.
pub(super) fn statuses(input: StatusInput<'_>, group: Group) -> Vec<k8s::ContainerStatus> {
    let containers = input.pod.containers().filter(|(role, _)| group.holds(*role));
    let mut statuses: Vec<k8s::ContainerStatus> =
        containers.map(|(role, container)| status(input, group, role, container)).collect();
    let count = input.pod.containers().count();
    for status in &mut statuses {
        for state in [&mut status.state, &mut status.last_state] {
            let ended = state.as_mut().and_then(|state| state.terminated.as_mut());
            if let Some(message) = ended.and_then(|ended| ended.message.as_mut()) {
                termination::share(message, count);
            }
        }
    }
    statuses
}

fn status(
    input: StatusInput<'_>,
    group: Group,
    role: Role,
    container: &k8s::Container,
) -> k8s::ContainerStatus {
    let name = container.name.as_str();
    let old = group.old(input.old).iter().find(|status| status.name == name);
    let mut records = input.observed.containers.iter().filter(|record| record.name == name);
    let made = records.next();
    // One that is just being made again is shown as it ended: a restart has no waiting in between.
    let newest = match made {
        Some(record) if record.state == RunState::Created => {
            records.find(|record| record.state == RunState::Exited).or(made)
        }
        _ => made,
    };
    let mut status = match newest {
        Some(record) => of_record(input, container, record),
        None => without_record(input, role, container, old),
    };
    if newest.is_some() {
        let before = records.find(|record| record.state == RunState::Exited);
        // Of one that waited to be started again, the server knows the newest end as the last one.
        let is_newest = |state: &k8s::ContainerState| {
            let end = state.terminated.as_ref();
            end.is_some_and(|end| end.container_id == status.container_id)
        };
        let kept = old.and_then(|old| old.last_state.clone()).filter(|last| !is_newest(last));
        status.last_state = before.map(|record| ended(input, record)).or(kept);
    }
    let is_final = newest.is_some_and(|record| {
        record.state == RunState::Exited && !input.pod.restarts(role, container, record.exit_code)
    });
    let is_replaced = newest.is_some_and(|record| {
        record.state == RunState::Exited && input.replaced.contains(&record.id)
    });
    // What is deleted is not started again (Kubernetes v1.36 `ShouldContainerBeRestarted`), and an end that was told stays.
    let has_ended = |state: &k8s::ContainerState| state.terminated.is_some();
    let is_told = newest.is_none() && input.is_over && status.state.as_ref().is_some_and(has_ended);
    let is_final = (is_final && !is_replaced) || is_told || input.pod.is_deleting();
    if let Some(waiting) = input.waiting.get(name).filter(|_| !is_final) {
        wait(&mut status, waiting);
    }
    set_readiness(input, role, &mut status);
    if is_replaced
        && !is_final
        && !input.is_over
        && let Some(old) = old
    {
        keep_running(&mut status, old);
    }
    status.volume_mounts = volume_mounts(container);
    status
}

/// The status of a container that the runtime knows.
fn of_record(
    input: StatusInput<'_>,
    container: &k8s::Container,
    record: &ObservedContainer,
) -> k8s::ContainerStatus {
    let state = match record.state {
        RunState::Running => k8s::ContainerState {
            running: Some(k8s::ContainerStateRunning { started_at: Some(time(record.started_at)) }),
            ..k8s::ContainerState::default()
        },
        RunState::Exited => ended(input, record),
        RunState::Created => default_waiting(input),
        RunState::Unknown => lost(&format!("{}://{}", input.runtime, record.id), UNKNOWN),
    };
    let user = record.user.as_ref().map(|user| k8s::ContainerUser {
        linux: Some(k8s::LinuxContainerUser {
            uid: user.uid,
            gid: user.gid,
            supplemental_groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
        }),
    });
    let allocated = container.resources.clone().unwrap_or_default();
    let wants_signal =
        container.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.stop_signal.is_some());
    k8s::ContainerStatus {
        name: container.name.clone(),
        image: record.image.clone(),
        image_id: record.image_ref.clone(),
        container_id: Some(format!("{}://{}", input.runtime, record.id)),
        restart_count: i32::try_from(record.restart_count).unwrap_or(i32::MAX),
        state: Some(state),
        allocated_resources: allocated.requests.filter(|all| !all.is_empty()),
        resources: Some(resources::of_container(input, container, record)),
        user,
        // Told only where the Pod asks for one, as upstream's gate has it.
        stop_signal: wants_signal.then(|| record.stop_signal.clone()).flatten(),
        ..k8s::ContainerStatus::default()
    }
}

const UNKNOWN: &str = "The container could not be located when the pod was terminated";
const DELETED: &str = "The container could not be located when the pod was deleted.  The container used to be Running";

/// The status of a container that the runtime does not know: not begun, or forgotten.
fn without_record(
    input: StatusInput<'_>,
    role: Role,
    container: &k8s::Container,
    old: Option<&k8s::ContainerStatus>,
) -> k8s::ContainerStatus {
    let mut status = k8s::ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(default_waiting(input)),
        ..k8s::ContainerStatus::default()
    };
    let Some(old) = old else { return status };
    let old_state = old.state.clone().unwrap_or_default();
    let removed = restart_all::REASON;
    let is_removed =
        old_state.waiting.as_ref().is_none_or(|why| why.reason.as_deref() == Some(removed));
    if is_removed && role != Role::Ephemeral && restarts_all(input) {
        status.restart_count = old.restart_count + i32::from(old_state.waiting.is_none());
        status.last_state = Some(unseen_end(removed, restart_all::MESSAGE, ""));
        status.state = Some(waiting_state(removed, restart_all::MESSAGE));
        return status;
    }
    let is_final = matches!(input.old.phase.as_deref(), Some("Succeeded" | "Failed"));
    if old_state.terminated.is_some() && (role == Role::Init || is_final || input.is_over) {
        return old.clone();
    }
    status.restart_count = old.restart_count;
    status.last_state.clone_from(&old.last_state);
    if old_state.terminated.is_some() {
        status.last_state.clone_from(&old.state);
    } else if old_state.running.is_some() {
        status.last_state = Some(lost("", DELETED));
    }
    status
}

/// A container whose end nobody saw.
fn lost(id: &str, message: &str) -> k8s::ContainerState {
    unseen_end("ContainerStatusUnknown", message, id)
}

/// An end that nobody saw, by its reason.
fn unseen_end(reason: &str, message: &str, id: &str) -> k8s::ContainerState {
    k8s::ContainerState {
        terminated: Some(k8s::ContainerStateTerminated {
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            exit_code: 137,
            container_id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            ..k8s::ContainerStateTerminated::default()
        }),
        ..k8s::ContainerState::default()
    }
}

/// Gives an end to what has none when a Pod is over (Kubernetes v1.36 `TerminatePod`): to all main containers once the init
/// containers were through, and to the init containers up to the last one that ever ran, but at least to the first.
pub(super) fn end_all(
    pod: &PodView,
    init: &mut [k8s::ContainerStatus],
    main: &mut [k8s::ContainerStatus],
) {
    let end = |status: &mut k8s::ContainerStatus| {
        if status.state.as_ref().is_none_or(|state| state.terminated.is_none()) {
            status.state = Some(lost("", UNKNOWN));
        }
    };
    if is_initialized(pod, init, main) {
        main.iter_mut().for_each(end);
    }
    let count = init.iter().rposition(has_begun).map_or(1, |last| last + 1);
    init.iter_mut().take(count).for_each(end);
}

/// Whether the init containers were through (Kubernetes v1.36 `hasPodInitialized`).
fn is_initialized(
    pod: &PodView,
    init: &[k8s::ContainerStatus],
    main: &[k8s::ContainerStatus],
) -> bool {
    if main.iter().any(has_begun) {
        return true;
    }
    let Some((container, status)) = pod.init_containers().last().zip(init.last()) else {
        return true;
    };
    if init_role(container) == Role::Sidecar {
        // When the Pod is over it runs no more.
        return has_begun(status);
    }
    let mut ends = status.state.iter().chain(&status.last_state);
    ends.any(|state| state.terminated.as_ref().is_some_and(|end| end.exit_code == 0))
}

/// Whether a container has ever run.
pub(crate) fn has_begun(status: &k8s::ContainerStatus) -> bool {
    let mut states = status.state.iter().chain(&status.last_state);
    states.any(|state| state.running.is_some() || state.terminated.is_some())
}

fn default_waiting(input: StatusInput<'_>) -> k8s::ContainerState {
    let has_init = !input.pod.init_containers().is_empty();
    let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
    waiting_state(reason, "")
}

fn waiting_state(reason: &str, message: &str) -> k8s::ContainerState {
    k8s::ContainerState {
        waiting: Some(k8s::ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: (!message.is_empty()).then(|| message.to_owned()),
        }),
        ..k8s::ContainerState::default()
    }
}

/// The end of a container.
fn ended(input: StatusInput<'_>, record: &ObservedContainer) -> k8s::ContainerState {
    let reason = match record.reason.as_str() {
        "" if record.exit_code == 0 => "Completed",
        "" => "Error",
        reason => reason,
    };
    let finished_at = record.finished_at.max(Timestamp::default());
    k8s::ContainerState {
        terminated: Some(k8s::ContainerStateTerminated {
            exit_code: record.exit_code,
            reason: Some(reason.to_owned()),
            message: Some(record.message.clone()).filter(|message| !message.is_empty()),
            started_at: Some(time(record.started_at)),
            finished_at: Some(time(finished_at)),
            container_id: Some(format!("{}://{}", input.runtime, record.id)),
            signal: None,
        }),
        ..k8s::ContainerState::default()
    }
}

/// The end of what is made anew is not told as its state: the server would take nothing else any more (Kubernetes v1.36 tells of
/// neither, since it stops and starts in one step).
fn keep_running(status: &mut k8s::ContainerStatus, old: &k8s::ContainerStatus) {
    if status.state.as_ref().is_some_and(|state| state.terminated.is_some()) {
        status.state.clone_from(&old.state);
        status.last_state.clone_from(&old.last_state);
    }
}

/// Shows why a container that is to be started is not: its end becomes what was before.
fn wait(status: &mut k8s::ContainerStatus, waiting: &Waiting) {
    let state = status.state.take().unwrap_or_default();
    if state.running.is_some() {
        status.state = Some(state);
        return;
    }
    if state.terminated.is_some() {
        status.last_state = Some(state);
    }
    status.state = Some(waiting_state(&waiting.reason, &waiting.message));
}

fn set_readiness(input: StatusInput<'_>, role: Role, status: &mut k8s::ContainerStatus) {
    let state = status.state.clone().unwrap_or_default();
    let listed = |names: &[String]| names.contains(&status.name);
    let is_running = state.running.is_some();
    let is_started = is_running && !listed(&input.probes.not_started);
    status.started = Some(is_started);
    status.ready = match role {
        Role::Init => state.terminated.is_some_and(|ended| ended.exit_code == 0),
        Role::Sidecar | Role::Main => is_started && !listed(&input.probes.not_ready),
        Role::Ephemeral => false,
    };
    if role == Role::Ephemeral {
        status.started = None;
    }
}

fn volume_mounts(container: &k8s::Container) -> Option<Vec<k8s::VolumeMountStatus>> {
    let mounts = container.volume_mounts.iter().flatten().map(|mount| {
        let is_read_only = mount.read_only == Some(true);
        let recursive = if is_recursive_read_only(mount) { "Enabled" } else { "Disabled" };
        k8s::VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: is_read_only.then_some(true),
            recursive_read_only: is_read_only.then(|| recursive.to_owned()),
            volume_status: None,
        }
    });
    let mounts: Vec<_> = mounts.collect();
    (!mounts.is_empty()).then_some(mounts)
}
