//! [`ObservedPod`]: what the runtime knows of one Pod, in the terms that decisions and statuses are made of.
//!
//! Pure data. Who fills it is [`crate::runtime`].

use podo_base::Timestamp;

/// What became of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
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
pub struct ObservedSandbox {
    /// The runtime's id.
    pub id: String,
    /// Which of the Pod's sandboxes it is, from 0.
    pub attempt: u32,
    /// Whether its namespaces and network stand.
    pub is_ready: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its addresses, the preferred one first; none on the host's network.
    pub ips: Vec<String>,
}

/// As whom a container runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedUser {
    /// The user.
    pub uid: i64,
    /// The primary group.
    pub gid: i64,
    /// The further groups.
    pub groups: Vec<i64>,
}

/// A mount inside a container, as the runtime reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedMount {
    /// Where it is in the container.
    pub container_path: String,
    /// What it shows of the host.
    pub host_path: String,
}

/// One container of a Pod, alive or dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedContainer {
    /// The runtime's id.
    pub id: String,
    /// The sandbox that it belongs to.
    pub sandbox_id: String,
    /// Its name in the Pod.
    pub name: String,
    /// How many of the same name came before.
    pub restart_count: u32,
    /// What became of it.
    pub state: RunState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was started; 0 if it was not.
    pub started_at: Timestamp,
    /// When it ended; 0 if it did not.
    pub finished_at: Timestamp,
    /// How it ended.
    pub exit_code: i32,
    /// The runtime's word for the end, such as `OOMKilled`.
    pub reason: String,
    /// The runtime's text about the end, or the container's last words.
    pub message: String,
    /// The image as the runtime names it.
    pub image: String,
    /// The image by digest.
    pub image_ref: String,
    /// What tells one version of the container's spec from another.
    pub hash: String,
    /// Where its log is.
    pub log_path: String,
    /// As whom it runs.
    pub user: Option<ObservedUser>,
    /// The signal that stops it, such as `SIGTERM`.
    pub stop_signal: Option<String>,
    /// What is mounted in it.
    pub mounts: Vec<ObservedMount>,
}

/// What the runtime knows of one Pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedPod {
    /// Its sandboxes, the newest first.
    pub sandboxes: Vec<ObservedSandbox>,
    /// Its containers, the newest first.
    pub containers: Vec<ObservedContainer>,
}

impl ObservedPod {
    /// The newest sandbox.
    pub fn sandbox(&self) -> Option<&ObservedSandbox> {
        self.sandboxes.first()
    }

    /// The newest sandbox if it stands.
    pub fn ready_sandbox(&self) -> Option<&ObservedSandbox> {
        self.sandbox().filter(|sandbox| sandbox.is_ready)
    }

    /// The newest container of a name.
    pub fn latest(&self, name: &str) -> Option<&ObservedContainer> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The newest container of a name that belongs to a sandbox.
    pub fn latest_in(&self, sandbox_id: &str, name: &str) -> Option<&ObservedContainer> {
        self.containers
            .iter()
            .find(|container| container.name == name && container.sandbox_id == sandbox_id)
    }

    /// The containers that may have processes.
    pub fn alive(&self) -> impl Iterator<Item = &ObservedContainer> {
        self.containers
            .iter()
            .filter(|container| matches!(container.state, RunState::Running | RunState::Unknown))
    }

    /// Puts everything in the order that this type promises.
    pub fn sort(&mut self) {
        self.sandboxes.sort_by_key(|sandbox| {
            std::cmp::Reverse((sandbox.attempt, sandbox.created_at, sandbox.id.clone()))
        });
        self.containers.sort_by_key(|container| {
            std::cmp::Reverse((container.created_at, container.restart_count, container.id.clone()))
        });
    }
}
