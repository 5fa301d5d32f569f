//! [`ObservedPod`]: what the runtime knows of one Pod, in the terms that decisions and statuses are made of.
//!
//! Pure data. Who fills it is [`crate::runtime`].

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::Timestamp;

use crate::container::resources::Amounts;

/// What became of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    /// Made, not started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// The runtime cannot say.
    Unknown,
}

/// One sandbox of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObservedSandbox {
    /// The runtime's id.
    pub(crate) id: String,
    /// Which of the Pod's sandboxes it is, from 0.
    pub(crate) attempt: u32,
    /// Whether its namespaces and network stand.
    pub(crate) is_ready: bool,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// Its addresses, the preferred one first; none on the host's network.
    pub(crate) ips: Vec<String>,
}

/// As whom a container runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ObservedUser {
    /// The user.
    pub(crate) uid: i64,
    /// The primary group.
    pub(crate) gid: i64,
    /// The further groups.
    pub(crate) groups: Vec<i64>,
}

/// The runtime's word for an end that nobody saw.
const UNKNOWN: &str = "Unknown";

/// A mount inside a container, as the runtime reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObservedMount {
    /// Where it is in the container.
    pub(crate) container_path: String,
    /// What it shows of the host.
    pub(crate) host_path: String,
}

/// One container of a Pod, alive or dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObservedContainer {
    /// The runtime's id.
    pub(crate) id: String,
    /// The sandbox that it belongs to.
    pub(crate) sandbox_id: String,
    /// Its name in the Pod.
    pub(crate) name: String,
    /// How many of the same name came before.
    pub(crate) restart_count: u32,
    /// What became of it.
    pub(crate) state: RunState,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it was started; 0 if it was not.
    pub(crate) started_at: Timestamp,
    /// When it ended; 0 if it did not.
    pub(crate) finished_at: Timestamp,
    /// How it ended.
    pub(crate) exit_code: i32,
    /// The runtime's word for the end, such as `OOMKilled`.
    pub(crate) reason: String,
    /// The runtime's text about the end, or the container's last words.
    pub(crate) message: String,
    /// The image as the runtime names it.
    pub(crate) image: String,
    /// The image by digest.
    pub(crate) image_ref: String,
    /// What tells one version of the container's spec from another.
    pub(crate) hash: String,
    /// Where its log is.
    pub(crate) log_path: String,
    /// As whom it runs.
    pub(crate) user: Option<ObservedUser>,
    /// The signal that stops it, such as `SIGTERM`.
    pub(crate) stop_signal: Option<String>,
    /// What is mounted in it.
    pub(crate) mounts: Vec<ObservedMount>,
    /// CPU and memory in force, where the runtime tells.
    pub(crate) amounts: Option<Amounts>,
}

impl ObservedContainer {
    /// Whether the runtime knows neither its start nor its end.
    fn is_forgotten(&self) -> bool {
        self.state == RunState::Exited
            && self.started_at == Timestamp::default()
            && self.reason == UNKNOWN
    }
}

/// Whether the server was told that a container ran.
fn has_run(told: &k8s::ContainerStatus, id: &str) -> bool {
    let is_it = |told: &Option<String>| {
        told.as_deref().and_then(|told| told.split_once("://")).is_some_and(|(_, told)| told == id)
    };
    told.state.iter().chain(&told.last_state).any(|state| {
        let ended = state.terminated.as_ref().is_some_and(|end| is_it(&end.container_id));
        ended || (state.running.is_some() && is_it(&told.container_id))
    })
}

/// What the runtime knows of one Pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ObservedPod {
    /// Its sandboxes, the newest first.
    pub(crate) sandboxes: Vec<ObservedSandbox>,
    /// Its containers, the newest first.
    pub(crate) containers: Vec<ObservedContainer>,
}

impl ObservedPod {
    /// The newest sandbox.
    pub(crate) fn sandbox(&self) -> Option<&ObservedSandbox> {
        self.sandboxes.first()
    }

    /// The newest sandbox if it stands.
    pub(crate) fn ready_sandbox(&self) -> Option<&ObservedSandbox> {
        self.sandbox().filter(|sandbox| sandbox.is_ready)
    }

    /// The newest container of a name.
    pub(crate) fn latest(&self, name: &str) -> Option<&ObservedContainer> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The newest container of a name that belongs to a sandbox.
    pub(crate) fn latest_in(&self, sandbox_id: &str, name: &str) -> Option<&ObservedContainer> {
        self.containers
            .iter()
            .find(|container| container.name == name && container.sandbox_id == sandbox_id)
    }

    /// How a container ended, whatever sandbox it was in; `None` if it did not. What the runtime has forgotten the server may know.
    pub(crate) fn exit_of(&self, name: &str, told: &k8s::PodStatus) -> Option<i32> {
        match self.latest(name) {
            Some(record) => (record.state == RunState::Exited).then_some(record.exit_code),
            None => {
                let statuses = told.container_statuses.iter().chain(&told.init_container_statuses);
                let status = statuses.flatten().find(|status| status.name == name)?;
                Some(status.state.as_ref()?.terminated.as_ref()?.exit_code)
            }
        }
    }

    /// The containers that may have processes.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.containers
            .iter()
            .filter(|container| matches!(container.state, RunState::Running | RunState::Unknown))
    }

    /// Takes those that never ran for what they are. Of a container that was there before a restart of the machine the runtime knows
    /// that it is over, but not whether it had been started; that it ran, the server was told at the time.
    pub(crate) fn know_unstarted(&mut self, told: &k8s::PodStatus) {
        let lists = [
            &told.container_statuses,
            &told.init_container_statuses,
            &told.ephemeral_container_statuses,
        ];
        for status in lists.into_iter().flatten().flatten() {
            let latest = self.containers.iter_mut().find(|container| container.name == status.name);
            if let Some(latest) = latest.filter(|latest| latest.is_forgotten())
                && !has_run(status, &latest.id)
            {
                latest.state = RunState::Created;
                latest.finished_at = Timestamp::default();
                latest.exit_code = 0;
                latest.reason.clear();
            }
        }
    }

    /// Puts everything in the order that this type promises.
    pub(crate) fn sort(&mut self) {
        self.sandboxes.sort_by_key(|sandbox| {
            std::cmp::Reverse((sandbox.attempt, sandbox.created_at, sandbox.id.clone()))
        });
        self.containers.sort_by_key(|container| {
            std::cmp::Reverse((container.created_at, container.restart_count, container.id.clone()))
        });
    }
}

#[cfg(test)]
pub(crate) mod words;
