//! Opening: what runs is found again, what was left unfinished is taken away, what a reboot ended is told as ended.
//!
//! Truth is joined from two sides. The runtime's directory says what lives and how things ended; our records say what they
//! are. What has a record and a living shim goes on; what has a record and no living shim has ended; what has no record was
//! never finished. Everything that belongs to none of them (layers, volumes, addresses, links, rules, pins) is a leak: it is
//! counted and taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use podo_base::Tasks;
use podo_image::builtin::Builtin;
use podo_image::{ImageService, ImageServiceConfig};
use podo_network::{Network, NetworkConfig};
use podo_runtime::{ContainerState, Found, Health, Launcher, SandboxState};

use super::config::{CriConfig, OpenError, Repaired};
use super::container::{Container, Life, end_of, unseen_end};
use super::gate::Gate;
use super::image_volume::container_of;
use super::records::{self, ContainerRecord, SandboxRecord};
use super::sandbox::Sandbox;
use super::spec::sandbox as spec;
use super::table::Table;
use super::{EVENTS_MAX, Node};

/// Opens a node to work on it: puts the host in order and listens to what lives.
pub(super) fn open(config: CriConfig) -> Result<Arc<Node>, OpenError> {
    let network = open_network(&config)?;
    let ensured = network.ensure()?;
    for change in &ensured.changed_settings {
        tracing::info!(?change, "setting of the host was changed");
    }
    let images = open_images(&config)?;
    let builtin =
        Builtin { version: config.version.clone(), executable: config.executable.clone() };
    images.register_builtin(&builtin)?;
    let node = find(config, network, images)?;
    node.resume(ensured.has_kept_host_ports);
    Ok(node)
}

/// Opens a node to take it away: the host stays as it is. Everything goes by the instance's name, so the addresses that it was
/// set up with need not be known.
pub(super) fn open_to_remove(config: CriConfig) -> Result<Arc<Node>, OpenError> {
    let network = open_network(&config)?;
    match network.ensure_rules() {
        // A kernel that cannot have them has none to take away.
        Err(error) if error.is_of_missing_module() => {}
        ensured => drop(ensured?),
    }
    let images = open_images(&config)?;
    let node = find(config, network, images)?;
    node.listen_to_all();
    Ok(node)
}

fn find(config: CriConfig, network: Network, images: ImageService) -> Result<Arc<Node>, OpenError> {
    let launcher = Launcher::new(&config.executable, config.run_dir.join("sandboxes"))?;
    let mut node = Node {
        launcher,
        images,
        network: Arc::new(network),
        table: Table::default(),
        events: Mutex::new(Some(broadcast::Sender::new(EVENTS_MAX))),
        tasks: Mutex::new(Some(Tasks::new("cri"))),
        gate: Gate::new(),
        repaired: Repaired::default(),
        config,
    };
    node.make_directories()?;
    let mut repaired = Repaired::default();
    node.find_sandboxes(&mut repaired)?;
    node.sweep(&mut repaired)?;
    node.repaired = repaired;
    if !repaired.is_clean() {
        tracing::warn!(?repaired, "leftovers of an earlier process were taken away");
    }
    Ok(Arc::new(node))
}

fn open_network(config: &CriConfig) -> Result<Network, OpenError> {
    Ok(Network::open(NetworkConfig {
        instance: config.instance.clone(),
        run_dir: config.run_dir.clone(),
        state_dir: config.data_dir.join("network"),
        pod_cidr: config.pod_cidr,
        cluster_cidr: config.cluster_cidr,
        node_addresses: config.node_addresses.clone(),
        mtu: config.mtu,
    })?)
}

fn open_images(config: &CriConfig) -> Result<ImageService, OpenError> {
    Ok(ImageService::open(ImageServiceConfig {
        registry: config.registry.clone(),
        ..ImageServiceConfig::new(config.data_dir.join("image"))
    })?)
}

impl Node {
    fn make_directories(&self) -> Result<(), OpenError> {
        let cri = self.config.data_dir.join("cri");
        for path in [
            cri.join("sandboxes"),
            cri.join("containers"),
            self.empty_dir(),
            self.image_volumes_dir(),
        ] {
            let made = records::make_private_dir(&path);
            made.map_err(|source| OpenError::Directory { path, source })?;
        }
        Ok(())
    }

    /// Records of one kind by id; what has none, or one that cannot be read, is not among them.
    fn records<T: prost::Message + Default>(
        &self,
        kind: &str,
    ) -> Result<BTreeMap<String, T>, OpenError> {
        let path = self.config.data_dir.join("cri").join(kind);
        let read = || -> io::Result<BTreeMap<String, T>> {
            let names = records::names_in(&path)?.into_iter();
            let found = names.map(|name| Ok((records::read::<T>(&path.join(&name))?, name)));
            let found = found.collect::<io::Result<Vec<_>>>()?.into_iter();
            Ok(found.filter_map(|(record, name)| Some((name, record?))).collect())
        };
        read().map_err(|source| OpenError::Directory { path: path.clone(), source })
    }

    fn find_sandboxes(&self, repaired: &mut Repaired) -> Result<(), OpenError> {
        let mut sandboxes = self.records::<SandboxRecord>("sandboxes")?;
        sandboxes.retain(|name, record| record.id == *name);
        let mut containers: BTreeMap<String, Vec<ContainerRecord>> = BTreeMap::new();
        for (name, record) in self.records::<ContainerRecord>("containers")? {
            if record.id == name {
                containers.entry(record.sandbox_id.clone()).or_default().push(record);
            }
        }
        for Found { id, health, state } in podo_runtime::list(&self.runtime_dir())? {
            let Some(record) = sandboxes.remove(&id) else {
                repaired.sandboxes += 1; // Never finished, or already forgotten.
                if let Err(error) = self.end_runtime_sandbox(&id) {
                    repaired.leaks += 1;
                    tracing::warn!(sandbox = id, %error, "leftover sandbox stays");
                }
                continue;
            };
            let own = containers.remove(&id).unwrap_or_default();
            self.find_sandbox(record, own, health, state, repaired);
        }
        // Their run directory went with the last boot.
        for (id, record) in sandboxes {
            let own = containers.remove(&id).unwrap_or_default();
            self.find_sandbox(record, own, Health::OtherBoot, None, repaired);
        }
        Ok(())
    }

    fn find_sandbox(
        &self,
        record: SandboxRecord,
        containers: Vec<ContainerRecord>,
        health: Health,
        state: Option<SandboxState>,
        repaired: &mut Repaired,
    ) {
        let id = record.id.clone();
        let is_ended = state.as_ref().is_none_or(|state| state.exited.is_some());
        let runtime = match health {
            Health::Alive(runtime) => Some(*runtime),
            Health::ShimGone | Health::OtherBoot | Health::Unfinished => None,
        };
        let config = record.config.clone().unwrap_or_default();
        let netns = (!spec::is_on_host_network(&config)).then(|| self.netns_path(&id));
        let is_alive = runtime.is_some();
        let sandbox = Arc::new(Sandbox::new(record, runtime, netns));
        if is_ended {
            sandbox.set_not_ready();
        }
        self.table.insert_sandbox(Arc::clone(&sandbox));
        let states = state.map(|state| state.containers).unwrap_or_default();
        let mut states: BTreeMap<String, ContainerState> =
            states.into_iter().map(|state| (state.created.spec.id.clone(), state)).collect();
        for record in containers {
            let state = states.remove(&record.id);
            if is_alive && state.is_none() {
                repaired.containers += 1; // Its removal was not finished.
                continue; // Without an entry in the table its parts are swept.
            }
            self.find_container(&sandbox, record, state, is_alive);
        }
        // Made in the runtime, but never finished.
        for (container, _) in states {
            repaired.containers += 1;
            self.remove_orphan(&sandbox, &container, repaired);
        }
        // One that cannot be purged must not keep the others from being found; it is tried again when it is removed.
        if !is_alive && let Err(error) = podo_runtime::purge(&self.runtime_dir(), &id) {
            repaired.leaks += 1;
            tracing::warn!(sandbox = id, error = %podo_base::Chain(&error), "dead sandbox not purged");
        }
    }

    fn remove_orphan(&self, sandbox: &Sandbox, container: &str, repaired: &mut Repaired) {
        if let Err(error) = self.remove_container_parts(sandbox, container, 0) {
            repaired.leaks += 1;
            tracing::warn!(container, %error, "leftover container stays");
        }
    }

    /// A container's life: from the runtime's records, else from the end that we kept, else nobody knows.
    fn find_container(
        &self,
        sandbox: &Sandbox,
        record: ContainerRecord,
        state: Option<ContainerState>,
        is_alive: bool,
    ) {
        let dir = self.container_dir(&record.id);
        let kept = records::read_end(&dir).ok().flatten();
        let mut life = Life::default();
        if let Some(state) = state {
            let started_at = state.started.as_ref().map_or(0, |start| start.started_at_ns);
            life.end = state.exited.map(|exit| end_of(&exit, started_at));
            life.started = state.started;
        }
        if life.end.is_none() {
            life.end.clone_from(&kept);
        }
        if life.end.is_none() && !is_alive {
            let started_at = life.started.as_ref().map_or(0, |start| start.started_at_ns);
            life.end = Some(unseen_end(started_at));
        }
        if kept.is_none()
            && let Some(end) = &life.end
            && let Err(error) = records::write_end(&dir, end)
        {
            tracing::warn!(container = record.id, %error, "end of a container cannot be kept");
        }
        self.table.insert_container(sandbox, Arc::new(Container::new(record, life)));
    }

    /// Takes away what belongs to nobody.
    fn sweep(&self, repaired: &mut Repaired) -> Result<(), OpenError> {
        let sandboxes = self.table.sandbox_ids();
        let containers: BTreeSet<String> =
            self.table.containers().iter().map(|one| one.id().to_owned()).collect();
        let is_known =
            |name: &str| sandboxes.contains(name) || containers.contains(container_of(name));
        let mut doomed = BTreeSet::new();
        let leases = self.images.rootfs_list().map_err(podo_image::service::OpenError::from)?;
        let volumes = self.image_volumes_dir();
        let mounts = records::names_in(&volumes);
        let mounts = mounts.map_err(|source| OpenError::Directory { path: volumes, source })?;
        doomed.extend(leases.into_iter().chain(mounts).filter(|name| !is_known(name)));
        for name in doomed {
            repaired.root_file_systems += 1;
            if let Err(error) = self.remove_image_volume(&name) {
                repaired.leaks += 1;
                tracing::warn!(name, %error, "leftover root file system stays");
            }
        }
        for (kind, known) in [("sandboxes", &sandboxes), ("containers", &containers)] {
            let path = self.config.data_dir.join("cri").join(kind);
            let names = records::names_in(&path);
            let names =
                names.map_err(|source| OpenError::Directory { path: path.clone(), source })?;
            for name in names.into_iter().filter(|name| !known.contains(name)) {
                if let Err(error) = records::remove_dir(&path.join(&name)) {
                    repaired.leaks += 1;
                    tracing::warn!(name, %error, "leftover directory stays");
                }
            }
        }
        let ready = self.table.sandboxes().into_iter().filter(|sandbox| sandbox.is_ready());
        let live = ready.map(|sandbox| sandbox.id().to_owned()).collect();
        repaired.network = self.network.reconcile(&live)?;
        Ok(())
    }

    /// Goes on with what lives.
    fn resume(self: &Arc<Self>, has_kept_host_ports: bool) {
        self.listen_to_all();
        for sandbox in self.table.sandboxes() {
            if !has_kept_host_ports && sandbox.is_ready() && sandbox.netns.is_some() {
                self.restore_host_ports(&sandbox);
            }
        }
    }

    /// Listens to what lives, then reads its state once more: what happened between is not missed.
    fn listen_to_all(self: &Arc<Self>) {
        for sandbox in self.table.sandboxes() {
            if let Err(error) = self.watch_sandbox(&sandbox) {
                tracing::warn!(sandbox = sandbox.id(), %error, "events cannot be listened to");
            }
            for container in sandbox.containers() {
                self.catch_up(&sandbox, &container);
            }
        }
    }

    fn restore_host_ports(&self, sandbox: &Sandbox) {
        let ports = spec::host_ports(&sandbox.config().port_mappings).unwrap_or_default();
        if ports.is_empty() {
            return;
        }
        if let Err(error) = self.network.add_hostports(sandbox.id(), &ports) {
            let error = podo_base::Chain(&error).to_string();
            tracing::warn!(sandbox = sandbox.id(), error, "host ports cannot be restored");
        }
    }
}
