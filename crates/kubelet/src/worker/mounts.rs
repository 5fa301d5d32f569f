//! What of the host a container sees: its volumes, its `/etc/hosts`, the file for its last words; made here and told to the runtime.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_cri::v1;

use super::jobs::{Failed, Start, host_name};
use crate::container::config::{absolute, is_recursive_read_only, propagation};
use crate::container::env::Environment;
use crate::container::expand::expand;
use crate::container::hosts;
use crate::context::Context;
use crate::images::PresentImage;
use crate::pod::PodView;

/// Makes a folder and those that it lies in.
pub(super) fn make_dir(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// What a container's mounts are made from.
#[derive(Debug)]
pub(super) struct MountInput {
    pub(super) ctx: Arc<Context>,
    pub(super) pod: Arc<PodView>,
    pub(super) start: Start,
    /// The part of its volume that each of the container's mounts shows.
    pub(super) sub_paths: Vec<String>,
    /// Images that are mounted, by volume.
    pub(super) images: Vec<(String, PresentImage)>,
}

/// The mounts of a container: its volumes, `/etc/hosts`, and the file for its last words. Waits for the disk.
pub(super) fn make(input: &MountInput) -> Result<Vec<v1::Mount>, Failed> {
    let MountInput { ctx, pod, start, .. } = input;
    let Some((_, container)) = pod.container(&start.name) else { return Ok(Vec::new()) };
    let mut mounts = volume_mounts(input, container)?;
    let is_mounted =
        |mounts: &[v1::Mount], path: &str| mounts.iter().any(|mount| mount.container_path == path);
    if !is_mounted(&mounts, "/etc/hosts") && (!start.pod_ips.is_empty() || pod.is_host_network()) {
        let path = write_hosts(ctx, pod, &start.pod_ips)?;
        mounts.push(file_mount(&path, "/etc/hosts"));
    }
    let message_path =
        container.termination_message_path.as_deref().filter(|path| !path.is_empty());
    if let Some(message_path) = message_path.map(absolute)
        && !is_mounted(&mounts, &message_path)
    {
        let path = make_message_file(ctx, pod, start).map_err(|error| Failed::config(&error))?;
        mounts.push(file_mount(&path, &message_path));
    }
    if let Some(range) = ctx.id_range(pod).map_err(|error| Failed::config(&error))? {
        // What root owns outside belongs to the Pod's root inside.
        for mount in mounts.iter_mut().filter(|mount| mount.image.is_none()) {
            (mount.uid_mappings, mount.gid_mappings) = (range.mappings(), range.mappings());
        }
    }
    Ok(mounts)
}

fn volume_mounts(input: &MountInput, container: &k8s::Container) -> Result<Vec<v1::Mount>, Failed> {
    let MountInput { ctx, pod, images, .. } = input;
    let mut mounts = Vec::new();
    let all = container.volume_mounts.iter().flatten().zip(&input.sub_paths);
    for (index, (mount, sub_path)) in all.enumerate() {
        let mut made = v1::Mount {
            container_path: absolute(&mount.mount_path),
            readonly: mount.read_only == Some(true) || is_always_read_only(pod, &mount.name),
            propagation: propagation(mount),
            recursive_read_only: is_recursive_read_only(mount),
            ..v1::Mount::default()
        };
        if let Some((_, image)) = images.iter().find(|(name, _)| *name == mount.name) {
            made.readonly = true;
            made.image =
                Some(v1::ImageSpec { image: image.reference.clone(), ..v1::ImageSpec::default() });
            made.image_sub_path.clone_from(sub_path);
        } else {
            let path = ctx.volumes.host_path(pod, &container.name, index, mount, sub_path);
            let path = path.map_err(|error| Failed::config(&error))?;
            made.host_path = path.to_string_lossy().into_owned();
        }
        mounts.push(made);
    }
    Ok(mounts)
}

/// Whether a volume shows what the API says, which nobody may write (Kubernetes v1.36: the attributes of the volume plug-ins).
fn is_always_read_only(pod: &PodView, volume: &str) -> bool {
    pod.volume(volume).is_some_and(|volume| {
        volume.config_map.is_some()
            || volume.secret.is_some()
            || volume.downward_api.is_some()
            || volume.projected.is_some()
    })
}

fn file_mount(host_path: &Path, container_path: &str) -> v1::Mount {
    v1::Mount {
        container_path: container_path.to_owned(),
        host_path: host_path.to_string_lossy().into_owned(),
        ..v1::Mount::default()
    }
}

/// The part of its volume that each mount of a container shows.
pub(super) fn sub_paths(
    container: &k8s::Container,
    environment: &Environment,
) -> Result<Vec<String>, Failed> {
    container.volume_mounts.iter().flatten().map(|mount| sub_path(mount, environment)).collect()
}

/// The part of a volume that a mount shows; `subPathExpr` may name variables, all of which must have a value: without one the whole
/// volume would be shown.
fn sub_path(mount: &k8s::VolumeMount, environment: &Environment) -> Result<String, Failed> {
    let Some(expression) = mount.sub_path_expr.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(mount.sub_path.clone().unwrap_or_default());
    };
    let missing = RefCell::new(BTreeSet::new());
    let path = expand(expression, |name| {
        let found = environment.text(name).filter(|value| !value.is_empty());
        if found.is_none() {
            missing.borrow_mut().insert(name.to_owned());
        }
        found
    });
    let missing = missing.into_inner();
    if !missing.is_empty() {
        let names: Vec<String> = missing.into_iter().collect();
        let message = format!("missing value for {}", names.join(", "));
        return Err(Failed { reason: "CreateContainerConfigError", message });
    }
    Ok(path)
}

fn write_hosts(ctx: &Context, pod: &PodView, ips: &[String]) -> Result<PathBuf, Failed> {
    let aliases = pod.spec.host_aliases.as_deref().unwrap_or_default();
    let text = if pod.is_host_network() {
        hosts::of_host(&std::fs::read_to_string("/etc/hosts").unwrap_or_default(), aliases)
    } else {
        let host = host_name(ctx, pod)
            .map_err(|message| Failed { reason: "CreateContainerConfigError", message })?;
        hosts::managed(ips, &host, aliases)
    };
    let path = ctx.config.pod_dir(pod.uid()).join("etc-hosts");
    let write = || -> std::io::Result<()> {
        // The same file for all containers: those that run see it change. They may have written any amount into it, so it is not
        // read (CVE-2020-8557).
        std::fs::write(&path, &text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))
    };
    write().map_err(|error| Failed::config(&error))?;
    Ok(path)
}

/// A new file for a container's last words, which its user may write whoever that is.
fn make_message_file(ctx: &Context, pod: &PodView, start: &Start) -> std::io::Result<PathBuf> {
    let dir = ctx.config.pod_dir(pod.uid()).join("containers").join(&start.name);
    make_dir(&dir, 0o750)?;
    let path = dir.join(start.restart_count.to_string());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o666).open(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
    Ok(path)
}
