//! CreateContainer: root file system, volumes, spec, record. Nothing runs yet.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use podo_image::{Image, Reference};
use podo_runtime::{ContainerSpec, Mount, MountKind, Overlay, ProcessSpec, Rootfs, Stdin};

use super::container::{Container, Life};
use super::records::{self, ContainerRecord};
use super::run_pod_sandbox::hostname_of;
use super::sandbox::Sandbox;
use super::spec::{devices, mounts, process, resources, sandbox as sandbox_spec, security};
use super::table::container_name;
use super::{Node, anonymous_volume, faults, new_id, now_ns, overlay};
use crate::v1::{self, ContainerConfig, ContainerEventType, NamespaceMode};
use crate::{Code, CriError};

/// What the image store prepared, as the runtime mounts it.
pub(super) fn overlay_of(rootfs: &podo_image::Rootfs) -> Rootfs {
    Rootfs::Overlay(Overlay {
        lower: rootfs.lower.clone(),
        upper: Some(rootfs.upper.clone()),
        work: Some(rootfs.work.clone()),
        volatile: true, // A container does not outlive a power failure.
    })
}

impl Node {
    pub(super) async fn create_container(
        self: &Arc<Self>,
        request: v1::CreateContainerRequest,
    ) -> Result<v1::CreateContainerResponse, CriError> {
        let config =
            request.config.ok_or_else(|| CriError::invalid("container without a config"))?;
        let sandbox = self.table.sandbox(&request.pod_sandbox_id)?;
        let node = Arc::clone(self);
        let made = self.gate.run(move || node.make_container(&sandbox, config));
        Ok(v1::CreateContainerResponse { container_id: made.await? })
    }

    fn make_container(
        &self,
        sandbox: &Sandbox,
        config: ContainerConfig,
    ) -> Result<String, CriError> {
        let _verbs = sandbox.verbs.lock();
        if !sandbox.is_ready() {
            let text = format!("sandbox {:?} is not running", sandbox.id());
            return Err(CriError::new(Code::FailedPrecondition, text));
        }
        check(sandbox, &config)?;
        let id = new_id();
        let name = self.table.reserve(container_name(sandbox.id(), &config), &id)?;
        let volume_count = image_volume_count(&config);
        match self.build_container(sandbox, &id, config) {
            Ok(record) => {
                let container = Arc::new(Container::new(record, Life::default()));
                self.table.insert_container(sandbox, container);
                name.keep();
                self.publish(&id, ContainerEventType::Created, sandbox);
                Ok(id)
            }
            Err(error) => {
                if let Err(error) = self.remove_container_parts(sandbox, &id, volume_count) {
                    tracing::warn!(container = id, %error, "part of a container stays behind");
                }
                Err(error)
            }
        }
    }

    fn build_container(
        &self,
        sandbox: &Sandbox,
        id: &str,
        config: ContainerConfig,
    ) -> Result<ContainerRecord, CriError> {
        let asked = config.image.clone().unwrap_or_default();
        let image = self.images.status(&asked.image);
        let image = image.ok_or_else(|| CriError::not_found("image", &asked.image))?;
        let dir = self.container_dir(id);
        let made = records::make_private_dir(&dir);
        made.map_err(|error| faults::of_file("make", &dir, &error))?;
        let spec = self.container_spec(sandbox, id, &config, &image)?;
        let runtime = sandbox.runtime.as_ref();
        let runtime = runtime.ok_or_else(|| CriError::not_found("sandbox", sandbox.id()))?;
        runtime.create_container(&spec).map_err(|error| faults::of_runtime(&error))?;
        let (image_name, image_ref) = shown_names(&image, &asked);
        let record = ContainerRecord {
            id: id.to_owned(),
            sandbox_id: sandbox.id().to_owned(),
            image_volume_count: image_volume_count(&config),
            config: Some(config),
            created_at: now_ns(),
            image_name,
            image_ref,
            image_id: image.id.to_string(),
            log_path: spec.log.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
            stop_signal: spec.stop_signal,
        };
        let written = records::write(&dir, &record);
        written.map_err(|error| faults::of_file("write", &dir, &error))?;
        Ok(record)
    }

    /// The running container of the sandbox whose processes the new one is to see (`kubectl debug --target`).
    fn pid_target(
        &self,
        sandbox: &Sandbox,
        config: &ContainerConfig,
    ) -> Result<Option<String>, CriError> {
        let context = config.linux.as_ref().and_then(|linux| linux.security_context.as_ref());
        let options = context.and_then(|context| context.namespace_options.as_ref());
        let is_target =
            |options: &&v1::NamespaceOption| options.pid == NamespaceMode::Target as i32;
        let Some(options) = options.filter(is_target) else { return Ok(None) };
        let target = &options.target_id;
        let refuse = |why: String| {
            let text = format!("invalid target container: container {target:?} {why}");
            Err(CriError::new(Code::FailedPrecondition, text))
        };
        let Some(container) = self.table.find_container(target) else {
            return refuse("does not exist".to_owned());
        };
        let owner = &container.record.sandbox_id;
        if owner != sandbox.id() {
            let id = sandbox.id();
            return refuse(format!("(sandbox {owner}) does not belong to sandbox {id}"));
        }
        let state = container.life.borrow().state();
        if state != v1::ContainerState::Running {
            let name = format!("{state:?}").to_uppercase();
            return refuse(format!("is not running - in state CONTAINER_{name}"));
        }
        Ok(Some(container.record.id.clone()))
    }

    fn container_spec(
        &self,
        sandbox: &Sandbox,
        id: &str,
        config: &ContainerConfig,
        image: &Image,
    ) -> Result<ContainerSpec, CriError> {
        let linux = config.linux.clone().unwrap_or_default();
        let context = linux.security_context.unwrap_or_default();
        let limits = linux.resources.unwrap_or_default();
        let process = process_spec(sandbox, config, &context, &limits, image)?;
        let log = log_place(sandbox, config)?;
        let rootfs = self.images.prepare_rootfs(&image.id.to_string(), id);
        let rootfs = rootfs.map_err(|error| faults::of_snapshot(&error))?;
        Ok(ContainerSpec {
            id: id.to_owned(),
            process,
            pid_target: self.pid_target(sandbox, config)?,
            mounts: self.mounts(sandbox, id, config, image, &rootfs)?,
            rootfs: overlay_of(&rootfs),
            read_only_root: context.readonly_rootfs,
            masked_paths: context.masked_paths,
            read_only_paths: context.readonly_paths,
            privileged: context.privileged,
            devices: devices::devices(&config.devices)?,
            resources: resources::resources(&limits),
            log: log.as_ref().map(|(_, path)| path.clone()),
            log_root: log.map(|(root, _)| root),
            log_limit: self.config.log_limit,
            stdin: match (config.stdin, config.stdin_once) {
                (false, _) => Stdin::Null,
                (true, false) => Stdin::Open,
                (true, true) => Stdin::Once,
            },
            tty: config.tty,
            stop_signal: process::stop_signal(config, &image.config)?,
            ..ContainerSpec::default()
        })
    }

    /// The runtime's own files, the image's volumes, the Pod's mounts: a later one lies over an earlier one.
    fn mounts(
        &self,
        sandbox: &Sandbox,
        id: &str,
        config: &ContainerConfig,
        image: &Image,
        rootfs: &podo_image::Rootfs,
    ) -> Result<Vec<Mount>, CriError> {
        let mut all = Vec::new();
        for bind in &rootfs.binds {
            all.push(mounts::own_file(&bind.source, &bind.target.to_string_lossy(), true));
        }
        let context = config.linux.as_ref().and_then(|linux| linux.security_context.as_ref());
        let is_read_only = context.is_some_and(|context| context.readonly_rootfs);
        for (name, inside) in [("hostname", "/etc/hostname"), ("resolv.conf", "/etc/resolv.conf")] {
            if !mounts::is_mounted(&config.mounts, inside) {
                let file = self.sandbox_dir(sandbox.id()).join(name);
                all.push(mounts::own_file(&file, inside, is_read_only));
            }
        }
        all.extend(self.anonymous_volumes(sandbox, id, config, image, rootfs)?);
        let mut image_volumes = 0;
        for mount in &config.mounts {
            if mount.image.is_some() {
                all.push(self.mount_image_volume(id, image_volumes, mount)?);
                image_volumes += 1;
            } else {
                all.push(mounts::bind(mount)?);
            }
        }
        Ok(all)
    }

    fn anonymous_volumes(
        &self,
        sandbox: &Sandbox,
        id: &str,
        config: &ContainerConfig,
        image: &Image,
        rootfs: &podo_image::Rootfs,
    ) -> Result<Vec<Mount>, CriError> {
        let is_free =
            |path: &&String| path.starts_with('/') && !mounts::is_mounted(&config.mounts, path);
        let paths: Vec<&String> = image.config.volumes.iter().filter(is_free).collect();
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |error: std::io::Error| {
            CriError::new(Code::Internal, format!("volumes of the image cannot be made: {error}"))
        };
        let tree = overlay::read_only(&rootfs.lower, &self.empty_dir()).map_err(failed)?;
        let is_mapped = sandbox_spec::namespaces(&sandbox.config())
            .userns_options
            .is_some_and(|options| !options.uids.is_empty());
        let mut all = Vec::new();
        for (index, path) in paths.into_iter().enumerate() {
            let directory = anonymous_volume::directory(&self.container_dir(id), index);
            anonymous_volume::fill(&tree, path, &directory).map_err(failed)?;
            let mut mount = mounts::own_file(&directory, path, false);
            if let MountKind::Bind { idmap, .. } = &mut mount.kind {
                *idmap = is_mapped;
            }
            all.push(mount);
        }
        Ok(all)
    }
}

fn process_spec(
    sandbox: &Sandbox,
    config: &ContainerConfig,
    context: &v1::LinuxContainerSecurityContext,
    limits: &v1::LinuxContainerResources,
    image: &Image,
) -> Result<ProcessSpec, CriError> {
    let capabilities = security::capabilities(context)?;
    let hostname = hostname_of(&sandbox.config());
    let oom_score_adj = i32::try_from(limits.oom_score_adj).ok();
    let oom_score_adj = oom_score_adj.filter(|adj| (-1000..=1000).contains(adj));
    let working_dir =
        if config.working_dir.is_empty() { &image.config.working_dir } else { &config.working_dir };
    security::check_apparmor(context.apparmor.as_ref())?;
    Ok(ProcessSpec {
        args: process::args(&config.command, &config.args, &image.config)?,
        env: process::environment(&image.config.env, &config.envs, &hostname, config.tty)?,
        cwd: working_dir.clone(),
        user: process::user(context, &image.config)?,
        capabilities,
        no_new_privileges: context.no_new_privs,
        seccomp: security::seccomp(context.seccomp.as_ref(), context.privileged, capabilities)?,
        oom_score_adj: Some(oom_score_adj.ok_or_else(|| {
            CriError::invalid(format!("oom_score_adj {} is out of range", limits.oom_score_adj))
        })?),
        ..ProcessSpec::default()
    })
}

fn check(sandbox: &Sandbox, config: &ContainerConfig) -> Result<(), CriError> {
    if config.metadata.as_ref().is_none_or(|metadata| metadata.name.is_empty()) {
        return Err(CriError::invalid("container config must include metadata"));
    }
    if !config.cdi_devices.is_empty() {
        return Err(CriError::new(Code::Unimplemented, "CDI devices are not supported"));
    }
    let linux = config.linux.as_ref();
    let Some(context) = linux.and_then(|linux| linux.security_context.as_ref()) else {
        return Ok(());
    };
    let sandbox_config = sandbox.config();
    let sandbox_linux = sandbox_config.linux.clone().unwrap_or_default();
    let allows_privileged =
        sandbox_linux.security_context.is_some_and(|context| context.privileged);
    if context.privileged && !allows_privileged {
        return Err(CriError::invalid("no privileged container allowed in sandbox"));
    }
    let Some(options) = &context.namespace_options else { return Ok(()) };
    let shared = sandbox_spec::namespaces(&sandbox_config);
    match sandbox_spec::mode(options.pid)? {
        NamespaceMode::Target => Ok(()), // `pid_target` looks at it.
        mode if mode as i32 != shared.pid => {
            Err(CriError::invalid("a container's PID namespace must be as its sandbox has it"))
        }
        _ => Ok(()),
    }
}

fn image_volume_count(config: &ContainerConfig) -> u32 {
    let count = config.mounts.iter().filter(|mount| mount.image.is_some()).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The log and the folder that it is found beneath: that of all sandboxes' logs, which holds the sandbox's. What lies below a
/// container may have been able to replace by links, so it is the shim that opens, and makes, what is there.
fn log_place(
    sandbox: &Sandbox,
    config: &ContainerConfig,
) -> Result<Option<(PathBuf, PathBuf)>, CriError> {
    let directory = PathBuf::from(sandbox.config().log_directory);
    if directory.as_os_str().is_empty() || config.log_path.is_empty() {
        return Ok(None);
    }
    let below = Path::new(&config.log_path);
    if !below.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(CriError::invalid(format!(
            "log path {:?} leads out of its directory",
            config.log_path
        )));
    }
    let root = directory.parent().unwrap_or(&directory).to_owned();
    Ok(Some((root, directory.join(below))))
}

/// The name and the digest name under which an image is shown: the name that was asked for if the image has it.
fn shown_names(image: &Image, asked: &v1::ImageSpec) -> (String, String) {
    let names = [&asked.user_specified_image, &asked.image];
    let named = names.into_iter().filter_map(|name| Reference::parse(name).ok());
    let known = named.filter_map(|name| name.repo_tag());
    let name = known.into_iter().find(|tag| image.repo_tags.contains(tag));
    let name = name.or_else(|| image.repo_tags.first().cloned());
    let digest = image.repo_digests.first().cloned().unwrap_or_else(|| image.id.to_string());
    (name.unwrap_or_else(|| asked.image.clone()), digest)
}
