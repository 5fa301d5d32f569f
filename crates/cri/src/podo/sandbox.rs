//! A sandbox as the node holds it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::container::Container;
use super::container_stats::Samples;
use super::records::SandboxRecord;
use crate::v1;

/// A sandbox: what it is, and what is left of it.
pub(super) struct Sandbox {
    pub(super) record: SandboxRecord,
    /// The runtime's client; none if its shim was not alive when it was found.
    pub(super) runtime: Option<podo_runtime::Sandbox>,
    /// Pin of its network namespace; none on the host's network.
    pub(super) netns: Option<PathBuf>,
    pub(super) containers: Mutex<BTreeMap<String, Arc<Container>>>,
    pub(super) samples: Mutex<Samples>,
    life: Mutex<SandboxLife>,
    /// Making and removing containers and stopping the whole exclude each other. Only taken on blocking threads.
    pub(super) verbs: Mutex<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SandboxLife {
    Ready,
    /// Its processes have ended.
    NotReady,
    /// On its way out: nothing may be made in it.
    Leaving,
}

impl Sandbox {
    pub(super) fn new(
        record: SandboxRecord,
        runtime: Option<podo_runtime::Sandbox>,
        netns: Option<PathBuf>,
    ) -> Self {
        let life = if runtime.is_some() { SandboxLife::Ready } else { SandboxLife::NotReady };
        Self {
            record,
            runtime,
            netns,
            containers: Mutex::default(),
            samples: Mutex::default(),
            life: Mutex::new(life),
            verbs: Mutex::default(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.record.id
    }

    pub(super) fn is_ready(&self) -> bool {
        *self.life.lock() == SandboxLife::Ready
    }

    pub(super) fn is_leaving(&self) -> bool {
        *self.life.lock() == SandboxLife::Leaving
    }

    /// Its processes have ended; `false` if that was known.
    pub(super) fn set_not_ready(&self) -> bool {
        let mut life = self.life.lock();
        let was_ready = *life == SandboxLife::Ready;
        if was_ready {
            *life = SandboxLife::NotReady;
        }
        was_ready
    }

    /// It is being removed.
    pub(super) fn set_leaving(&self) {
        *self.life.lock() = SandboxLife::Leaving;
    }

    pub(super) fn state(&self) -> v1::PodSandboxState {
        if self.is_ready() { v1::PodSandboxState::Ready } else { v1::PodSandboxState::NotReady }
    }

    pub(super) fn config(&self) -> v1::PodSandboxConfig {
        self.record.config.clone().unwrap_or_default()
    }

    pub(super) fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.record.config.as_ref().map(|config| &config.labels)
    }

    /// Its containers, oldest first.
    pub(super) fn containers(&self) -> Vec<Arc<Container>> {
        let mut containers: Vec<_> = self.containers.lock().values().cloned().collect();
        containers.sort_by_key(|container| container.record.created_at);
        containers
    }
}
