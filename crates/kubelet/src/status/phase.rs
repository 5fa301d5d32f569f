//! A Pod's phase (Kubernetes v1.36 `pkg/kubelet/kubelet_pods.go`).

use podo_api::k8s_openapi::api::core::v1 as k8s;

use crate::pod::{PodView, Role};
use crate::restart_all;

/// What a container's status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Not begun.
    Pending,
    /// Running.
    Running { is_started: bool },
    /// Ended, or waiting to be started again.
    Ended { exit_code: i32 },
    /// Nobody knows.
    Unknown,
}

fn stand(all: &[k8s::ContainerStatus], name: &str) -> Stand {
    let Some(status) = all.iter().find(|status| status.name == name) else { return Stand::Unknown };
    let ended = |state: &Option<k8s::ContainerState>| {
        state.as_ref().and_then(|state| state.terminated.as_ref()).map(|ended| ended.exit_code)
    };
    match &status.state {
        Some(state) if state.running.is_some() => {
            Stand::Running { is_started: status.started == Some(true) }
        }
        Some(k8s::ContainerState { terminated: Some(ended), .. }) => {
            Stand::Ended { exit_code: ended.exit_code }
        }
        Some(_) if restart_all::is_removed(status) => Stand::Pending,
        Some(state) if state.waiting.is_some() => match ended(&status.last_state) {
            Some(exit_code) => Stand::Ended { exit_code },
            None => Stand::Pending,
        },
        _ => Stand::Unknown,
    }
}

/// The phase that the statuses of init and main containers make. `is_over`: nothing will be started again.
pub(super) fn of(pod: &PodView, all: &[k8s::ContainerStatus], is_over: bool) -> &'static str {
    let stands = |wanted: &'static [Role]| {
        let containers = pod.containers().filter(move |(role, _)| wanted.contains(role));
        containers.map(|(role, container)| (role, container, stand(all, &container.name)))
    };
    let has_begun = stands(&[Role::Main])
        .any(|(_, _, stand)| matches!(stand, Stand::Running { .. } | Stand::Ended { .. }));
    let mut is_initializing = false;
    for (role, container, stand) in stands(&[Role::Init, Role::Sidecar]) {
        match (role, stand) {
            (Role::Init, Stand::Ended { exit_code: 0 })
            | (Role::Sidecar, Stand::Running { is_started: true } | Stand::Ended { .. }) => {}
            (Role::Init, Stand::Ended { exit_code }) => {
                if !pod.restarts(role, container, exit_code) {
                    return "Failed";
                }
                is_initializing = true;
            }
            _ => is_initializing = true,
        }
    }
    if is_initializing && !has_begun && !is_over {
        return "Pending";
    }
    let has_sidecar =
        stands(&[Role::Sidecar]).any(|(_, _, stand)| matches!(stand, Stand::Running { .. }));
    let main = stands(&[Role::Main]).map(|(_, container, stand)| (container, stand));
    match main_phase(pod, main, is_over) {
        // A sidecar that has yet to stop keeps the Pod running.
        "Succeeded" | "Failed" if has_sidecar && !is_over => "Running",
        phase => phase,
    }
}

fn main_phase<'a>(
    pod: &PodView,
    stands: impl Iterator<Item = (&'a k8s::Container, Stand)>,
    is_over: bool,
) -> &'static str {
    let (mut running, mut pending, mut unknown, mut ended, mut succeeded) = (0, 0, 0, 0, 0);
    let mut will_restart = false;
    for (container, stand) in stands {
        match stand {
            Stand::Pending => pending += 1,
            Stand::Running { .. } => running += 1,
            Stand::Unknown => unknown += 1,
            Stand::Ended { exit_code } => {
                ended += 1;
                succeeded += usize::from(exit_code == 0);
                will_restart |= pod.restarts(Role::Main, container, exit_code);
            }
        }
    }
    if is_over {
        // What never began cannot have succeeded.
        return if ended > 0 && succeeded == ended && pending + unknown + running == 0 {
            "Succeeded"
        } else {
            "Failed"
        };
    }
    match (pending, running, unknown, ended) {
        (0, 1.., 0, _) => "Running",
        (0, 0, 0, 1..) if will_restart => "Running",
        (0, 0, 0, 1..) if succeeded == ended => "Succeeded",
        (0, 0, 0, 1..) => "Failed",
        _ => "Pending",
    }
}
