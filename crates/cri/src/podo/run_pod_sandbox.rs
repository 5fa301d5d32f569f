//! RunPodSandbox: the namespaces, the pause process, the network, the host's ports, the files.
//!
//! In this order, so that everything is there before the first container: files, shim and pause, link and address, host
//! ports, record. A failure takes all away again; a crash in between leaves what the next opening finds by the missing record.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use podo_runtime::{PauseImage, ProcessSpec, RuntimeError, SandboxSpec, UserSpec, seccomp};

use super::create_container::overlay_of;
use super::records::{self, SandboxRecord};
use super::runtime_status::HANDLERS;
use super::sandbox::Sandbox;
use super::spec::{process, resolv_conf, sandbox as spec};
use super::table::sandbox_name;
use super::{Node, faults, new_id, now_ns};
use crate::v1::{self, ContainerEventType};
use crate::{CriError, PullOptions};

/// Files of a sandbox that its containers see; anyone in them may read, as in any system's `/etc`.
const FILE_MODE: u32 = 0o644;

impl Node {
    pub(super) async fn run_pod_sandbox(
        self: &Arc<Self>,
        request: v1::RunPodSandboxRequest,
    ) -> Result<v1::RunPodSandboxResponse, CriError> {
        let config = request.config.ok_or_else(|| CriError::invalid("sandbox without a config"))?;
        check(&config, &request.runtime_handler)?;
        self.ensure_pause_image().await?;
        let node = Arc::clone(self);
        let made = self.gate.run(move || node.make_sandbox(config, request.runtime_handler));
        Ok(v1::RunPodSandboxResponse { pod_sandbox_id: made.await? })
    }

    async fn ensure_pause_image(self: &Arc<Self>) -> Result<(), CriError> {
        let Some(name) = &self.config.pause_image else { return Ok(()) };
        match self.images.status(name) {
            Some(image) if image.is_pinned => return Ok(()),
            Some(_) => {}
            None => {
                let image = Some(v1::ImageSpec { image: name.clone(), ..v1::ImageSpec::default() });
                let request = v1::PullImageRequest { image, ..v1::PullImageRequest::default() };
                self.pull_image(request, PullOptions::default()).await?;
            }
        }
        let (node, name) = (Arc::clone(self), name.clone());
        let pin = move || node.images.set_pinned(&name, true).map_err(|e| CriError::internal(&e));
        self.gate.run(pin).await.map(drop)
    }

    fn make_sandbox(
        self: &Arc<Self>,
        config: v1::PodSandboxConfig,
        runtime_handler: String,
    ) -> Result<String, CriError> {
        let id = new_id();
        let name = self.table.reserve(sandbox_name(&config), &id)?;
        match self.build_sandbox(&id, config, runtime_handler) {
            Ok(sandbox) => {
                name.keep();
                self.publish(&id, ContainerEventType::Created, &sandbox);
                self.publish(&id, ContainerEventType::Started, &sandbox);
                Ok(id)
            }
            Err(error) => {
                self.undo_sandbox(&id);
                Err(error)
            }
        }
    }

    fn build_sandbox(
        self: &Arc<Self>,
        id: &str,
        config: v1::PodSandboxConfig,
        runtime_handler: String,
    ) -> Result<Arc<Sandbox>, CriError> {
        let dir = self.sandbox_dir(id);
        write_files(&dir, &config).map_err(|error| faults::of_file("write", &dir, &error))?;
        if !config.log_directory.is_empty() {
            let logs = Path::new(&config.log_directory);
            let made = fs::create_dir_all(logs);
            made.map_err(|error| faults::of_file("make", logs, &error))?;
        }
        let mut spec = spec::spec(id, &config, &self.config.cgroup_root, self.netns_path(id))?;
        self.set_pause_image(&mut spec)?;
        let runtime = self.launcher.create(&spec).map_err(|error| faults::of_runtime(&error))?;
        let mut record = SandboxRecord {
            id: id.to_owned(),
            config: Some(config),
            runtime_handler,
            created_at: now_ns(),
            ..SandboxRecord::default()
        };
        let netns = self.connect(&mut record)?;
        let sandbox = Arc::new(Sandbox::new(record, Some(runtime), netns));
        self.watch_sandbox(&sandbox)?;
        let written = records::write(&dir, &sandbox.record);
        if let Err(error) = written {
            sandbox.set_leaving();
            return Err(faults::of_file("write", &dir, &error));
        }
        self.table.insert_sandbox(Arc::clone(&sandbox));
        Ok(sandbox)
    }

    /// Gives the sandbox its address and its ports of the host, unless the host's network is its own.
    fn connect(&self, record: &mut SandboxRecord) -> Result<Option<std::path::PathBuf>, CriError> {
        let config = record.config.clone().unwrap_or_default();
        if spec::is_on_host_network(&config) {
            return Ok(None);
        }
        let netns = self.netns_path(&record.id);
        let attached = self.network.attach(&record.id, &netns);
        let attachment = attached.map_err(|error| faults::of_network(&error))?;
        let ports = spec::host_ports(&config.port_mappings)?;
        if !ports.is_empty() {
            let added = self.network.add_hostports(&record.id, &ports);
            added.map_err(|error| faults::of_network(&error))?;
        }
        record.ip = attachment.ip.to_string();
        record.host_interface = attachment.host_interface;
        Ok(Some(netns))
    }

    fn set_pause_image(&self, spec: &mut SandboxSpec) -> Result<(), CriError> {
        let Some(name) = &self.config.pause_image else { return Ok(()) };
        let image = self.images.status(name).ok_or_else(|| CriError::not_found("image", name))?;
        let rootfs = self.images.prepare_rootfs(&image.id.to_string(), &spec.id);
        let rootfs = rootfs.map_err(|error| faults::of_snapshot(&error))?;
        spec.pause = Some(PauseImage {
            rootfs: overlay_of(&rootfs),
            process: ProcessSpec {
                args: process::args(&[], &[], &image.config)?,
                env: process::environment(&image.config.env, &[], "", false)?,
                cwd: image.config.working_dir.clone(),
                user: UserSpec { user: image.config.user.clone(), ..UserSpec::default() },
                no_new_privileges: true,
                seccomp: Some(seccomp::runtime_default(0)),
                ..ProcessSpec::default()
            },
        });
        Ok(())
    }

    /// Takes everything of a sandbox away that may be there. What cannot be is found at the next opening.
    pub(super) fn undo_sandbox(&self, id: &str) {
        for error in [
            self.network.detach(id).map_err(|error| faults::of_network(&error)).err(),
            self.end_runtime_sandbox(id).err(),
            self.images.remove_rootfs(id).map_err(|error| faults::of_snapshot(&error)).err(),
            records::remove_dir(&self.sandbox_dir(id))
                .map_err(|error| CriError::internal(&error))
                .err(),
        ]
        .into_iter()
        .flatten()
        {
            tracing::warn!(sandbox = id, %error, "part of a sandbox stays behind");
        }
    }

    /// Ends a sandbox's processes and takes away its namespaces and cgroups; none is fine.
    pub(super) fn end_runtime_sandbox(&self, id: &str) -> Result<(), CriError> {
        let ended = match podo_runtime::Sandbox::open(&self.runtime_dir(), id) {
            Ok(sandbox) => self.launcher.remove(sandbox),
            Err(RuntimeError::ShimGone { .. }) => podo_runtime::purge(&self.runtime_dir(), id),
            Err(error) => Err(error),
        };
        ended.map_err(|error| faults::of_runtime(&error))
    }
}

fn check(config: &v1::PodSandboxConfig, handler: &str) -> Result<(), CriError> {
    if !HANDLERS.contains(&handler) {
        return Err(CriError::invalid(format!("no runtime for {handler:?} is configured")));
    }
    let metadata = config.metadata.clone().unwrap_or_default();
    if metadata.name.is_empty() || metadata.namespace.is_empty() || metadata.uid.is_empty() {
        return Err(CriError::invalid("sandbox config must include metadata"));
    }
    if !config.dns_config.as_ref().is_none_or(resolv_conf::is_sane) {
        return Err(CriError::invalid("an entry of the DNS config has a line break"));
    }
    if config.hostname.contains(['\n', '\0', '/']) {
        return Err(CriError::invalid(format!("bad host name {:?}", config.hostname)));
    }
    Ok(())
}

/// `hostname` and `resolv.conf`, which containers get mounted. Without a DNS config they have the node's.
fn write_files(dir: &Path, config: &v1::PodSandboxConfig) -> io::Result<()> {
    records::make_private_dir(dir)?;
    let hostname = hostname_of(config);
    let resolv_conf = match &config.dns_config {
        Some(dns) => resolv_conf::content(dns),
        None => match fs::read_to_string("/etc/resolv.conf") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        },
    };
    for (name, content) in [("hostname", format!("{hostname}\n")), ("resolv.conf", resolv_conf)] {
        let path = dir.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(FILE_MODE))?;
    }
    Ok(())
}

/// The name that processes of a sandbox see: its own, else the node's.
pub(super) fn hostname_of(config: &v1::PodSandboxConfig) -> String {
    if config.hostname.is_empty() {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    } else {
        config.hostname.clone()
    }
}
