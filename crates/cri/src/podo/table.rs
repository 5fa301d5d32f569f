//! All sandboxes and containers of the node, by id, and the names that are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::container::Container;
use super::sandbox::Sandbox;
use crate::{Code, CriError, v1};

/// What the node has.
#[derive(Default)]
pub(super) struct Table {
    sandboxes: Mutex<BTreeMap<String, Arc<Sandbox>>>,
    containers: Mutex<BTreeMap<String, Arc<Container>>>,
    names: Mutex<BTreeMap<String, String>>,
}

/// A name that is taken until this is dropped, unless it is kept.
pub(super) struct Reservation<'a> {
    table: &'a Table,
    name: Option<String>,
}

impl Reservation<'_> {
    /// The name stays taken until [`Table::remove_sandbox`] or [`Table::remove_container`].
    pub(super) fn keep(mut self) {
        self.name = None;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.table.names.lock().remove(name);
        }
    }
}

/// The name of one try of one Pod's sandbox.
pub(super) fn sandbox_name(config: &v1::PodSandboxConfig) -> String {
    let metadata = config.metadata.clone().unwrap_or_default();
    format!("{}_{}_{}_{}", metadata.name, metadata.namespace, metadata.uid, metadata.attempt)
}

/// The name of one try of one container; names of containers have no `/`.
pub(super) fn container_name(sandbox_id: &str, config: &v1::ContainerConfig) -> String {
    let metadata = config.metadata.clone().unwrap_or_default();
    format!("{sandbox_id}/{}_{}", metadata.name, metadata.attempt)
}

impl Table {
    /// Takes a name for `id`.
    pub(super) fn reserve(&self, name: String, id: &str) -> Result<Reservation<'_>, CriError> {
        let mut names = self.names.lock();
        if let Some(owner) = names.get(&name) {
            let text = format!("name {name:?} is reserved for {owner:?}");
            return Err(CriError::new(Code::AlreadyExists, text));
        }
        names.insert(name.clone(), id.to_owned());
        drop(names);
        Ok(Reservation { table: self, name: Some(name) })
    }

    pub(super) fn insert_sandbox(&self, sandbox: Arc<Sandbox>) {
        self.names.lock().insert(sandbox_name(&sandbox.config()), sandbox.id().to_owned());
        self.sandboxes.lock().insert(sandbox.id().to_owned(), sandbox);
    }

    pub(super) fn insert_container(&self, sandbox: &Sandbox, container: Arc<Container>) {
        let config = container.record.config.clone().unwrap_or_default();
        let name = container_name(sandbox.id(), &config);
        self.names.lock().insert(name, container.id().to_owned());
        sandbox.containers.lock().insert(container.id().to_owned(), Arc::clone(&container));
        self.containers.lock().insert(container.id().to_owned(), container);
    }

    pub(super) fn remove_sandbox(&self, sandbox: &Sandbox) {
        self.names.lock().remove(&sandbox_name(&sandbox.config()));
        self.sandboxes.lock().remove(sandbox.id());
    }

    pub(super) fn remove_container(&self, sandbox: &Sandbox, container: &Container) {
        let config = container.record.config.clone().unwrap_or_default();
        self.names.lock().remove(&container_name(sandbox.id(), &config));
        sandbox.containers.lock().remove(container.id());
        self.containers.lock().remove(container.id());
    }

    pub(super) fn find_sandbox(&self, id: &str) -> Option<Arc<Sandbox>> {
        self.sandboxes.lock().get(id).cloned()
    }

    pub(super) fn find_container(&self, id: &str) -> Option<Arc<Container>> {
        self.containers.lock().get(id).cloned()
    }

    pub(super) fn sandbox(&self, id: &str) -> Result<Arc<Sandbox>, CriError> {
        self.find_sandbox(id).ok_or_else(|| CriError::not_found("sandbox", id))
    }

    pub(super) fn container(&self, id: &str) -> Result<Arc<Container>, CriError> {
        self.find_container(id).ok_or_else(|| CriError::not_found("container", id))
    }

    /// A container with its sandbox.
    pub(super) fn both(&self, id: &str) -> Result<(Arc<Sandbox>, Arc<Container>), CriError> {
        let container = self.container(id)?;
        Ok((self.sandbox(&container.record.sandbox_id)?, container))
    }

    pub(super) fn sandboxes(&self) -> Vec<Arc<Sandbox>> {
        self.sandboxes.lock().values().cloned().collect()
    }

    pub(super) fn containers(&self) -> Vec<Arc<Container>> {
        self.containers.lock().values().cloned().collect()
    }

    /// Ids of all sandboxes.
    pub(super) fn sandbox_ids(&self) -> BTreeSet<String> {
        self.sandboxes.lock().keys().cloned().collect()
    }
}
