//! A container as the node holds it: what it is, how far it is, how it is shown.

use parking_lot::Mutex;
use tokio::sync::watch;

use podo_runtime::users::Identity;
use podo_runtime::{ExitRecord, StartRecord};

use super::container_stats::Samples;
use super::records::{ContainerRecord, End};
use crate::v1;

/// Exit code of a container whose real one nobody knows, as containerd gives it.
const UNKNOWN_EXIT_CODE: i32 = 255;

/// Exit code of a container whose program could not be started, as containerd gives it.
const START_ERROR_EXIT_CODE: i32 = 128;

/// A container.
pub(super) struct Container {
    pub(super) record: ContainerRecord,
    /// How far it is; waiting for its end is waiting for a change of this.
    pub(super) life: watch::Sender<Life>,
    /// Held while a change of `life` is made and told, so that changes are told in their order.
    pub(super) order: Mutex<()>,
    /// Limits in force, once they were changed.
    pub(super) updated: Mutex<Option<v1::LinuxContainerResources>>,
    pub(super) samples: Mutex<Samples>,
}

/// How far a container is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Life {
    pub(super) started: Option<StartRecord>,
    pub(super) end: Option<End>,
}

impl Life {
    pub(super) fn state(&self) -> v1::ContainerState {
        match (&self.started, &self.end) {
            (_, Some(_)) => v1::ContainerState::Exited,
            (Some(_), None) => v1::ContainerState::Running,
            (None, None) => v1::ContainerState::Created,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.state() == v1::ContainerState::Running
    }
}

/// How an exit is shown.
pub(super) fn end_of(exit: &ExitRecord, started_at: i64) -> End {
    let (reason, exit_code, message) = match &exit.start_failure {
        Some(fault) => ("StartError", START_ERROR_EXIT_CODE, fault.message.clone()),
        None if exit.is_oom_killed() => ("OOMKilled", exit.exit_code, String::new()),
        None if exit.exit_code == 0 => ("Completed", 0, String::new()),
        None => ("Error", exit.exit_code, String::new()),
    };
    End {
        exit_code,
        reason: reason.to_owned(),
        message,
        finished_at: exit.finished_at_ns,
        started_at,
    }
}

/// The end of a container that nobody saw: its shim was killed, or the machine has booted since.
pub(super) fn unseen_end(started_at: i64) -> End {
    End {
        exit_code: UNKNOWN_EXIT_CODE,
        reason: "Unknown".to_owned(),
        message: String::new(),
        finished_at: super::now_ns(),
        started_at,
    }
}

impl Container {
    pub(super) fn new(record: ContainerRecord, life: Life) -> Self {
        Self {
            record,
            life: watch::Sender::new(life),
            order: Mutex::default(),
            updated: Mutex::default(),
            samples: Mutex::default(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.record.id
    }

    pub(super) fn state(&self) -> v1::ContainerState {
        self.life.borrow().state()
    }

    pub(super) fn is_running(&self) -> bool {
        self.life.borrow().is_running()
    }

    fn config(&self) -> v1::ContainerConfig {
        self.record.config.clone().unwrap_or_default()
    }

    fn image(&self, config: &v1::ContainerConfig) -> v1::ImageSpec {
        let asked = config.image.clone().unwrap_or_default();
        v1::ImageSpec { image: self.record.image_name.clone(), ..asked }
    }

    /// As it is listed.
    pub(super) fn summary(&self) -> v1::Container {
        let config = self.config();
        v1::Container {
            id: self.record.id.clone(),
            pod_sandbox_id: self.record.sandbox_id.clone(),
            image: Some(self.image(&config)),
            metadata: config.metadata,
            image_ref: self.record.image_ref.clone(),
            state: self.state() as i32,
            created_at: self.record.created_at,
            labels: config.labels,
            annotations: config.annotations,
            image_id: self.record.image_id.clone(),
        }
    }

    /// Everything about it.
    pub(super) fn status(&self) -> v1::ContainerStatus {
        let config = self.config();
        let life = self.life.borrow().clone();
        let end = life.end.clone().unwrap_or_default();
        let started_at = life.started.as_ref().map_or(end.started_at, |start| start.started_at_ns);
        let stop_signal = v1::Signal::from_number(self.record.stop_signal);
        v1::ContainerStatus {
            id: self.record.id.clone(),
            state: life.state() as i32,
            created_at: self.record.created_at,
            started_at,
            finished_at: end.finished_at,
            exit_code: end.exit_code,
            image: Some(self.image(&config)),
            image_ref: self.record.image_ref.clone(),
            reason: end.reason,
            message: end.message,
            log_path: self.record.log_path.clone(),
            resources: Some(v1::ContainerResources { linux: self.resources(&config) }),
            image_id: self.record.image_id.clone(),
            user: life.started.map(|start| user_of(&start.identity)),
            stop_signal: stop_signal.unwrap_or(v1::Signal::RuntimeDefault) as i32,
            metadata: config.metadata,
            labels: config.labels,
            annotations: config.annotations,
            mounts: config.mounts,
        }
    }

    fn resources(&self, config: &v1::ContainerConfig) -> Option<v1::LinuxContainerResources> {
        let updated = self.updated.lock().clone();
        updated.or_else(|| config.linux.as_ref().and_then(|linux| linux.resources.clone()))
    }
}

/// Who it runs as.
fn user_of(identity: &Identity) -> v1::ContainerUser {
    v1::ContainerUser {
        linux: Some(v1::LinuxContainerUser {
            uid: identity.uid.into(),
            gid: identity.gid.into(),
            supplemental_groups: identity.groups.iter().map(|gid| i64::from(*gid)).collect(),
        }),
    }
}

#[cfg(test)]
mod tests;
