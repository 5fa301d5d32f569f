//! What a container is to be: the parts put together in the runtime's terms.

use std::path::Path;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_cri::v1;

use super::downward::NodeFacts;
use super::env::Environment;
use super::expand::expand;
use super::security::{SecurityError, SecurityInput};
use super::{labels, resources, security};
use crate::pod::{PodView, Role};

/// What a container is made from beside its Pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContainerInput<'a> {
    /// How many containers of the name came before.
    pub(crate) restart_count: u32,
    /// The image by its reference in the runtime.
    pub(crate) image_ref: &'a str,
    /// The environment.
    pub(crate) environment: &'a Environment,
    /// The mounts, in the order in which they are made.
    pub(crate) mounts: &'a [v1::Mount],
    /// The node.
    pub(crate) node: &'a NodeFacts,
    /// What the security context is made from.
    pub(crate) security: SecurityInput<'a>,
}

/// The configuration of a container.
pub(crate) fn config(
    pod: &PodView,
    role: Role,
    container: &k8s::Container,
    input: ContainerInput<'_>,
) -> Result<v1::ContainerConfig, SecurityError> {
    let environment = input.environment;
    let expanded = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| expand(word, |name| environment.text(name))).collect()
    };
    let envs = environment
        .variables
        .iter()
        .map(|(key, value)| v1::KeyValue { key: key.clone(), value: value.clone() })
        .collect();
    Ok(v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata {
            name: container.name.clone(),
            attempt: input.restart_count,
        }),
        image: Some(v1::ImageSpec {
            image: input.image_ref.to_owned(),
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..v1::ImageSpec::default()
        }),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs,
        mounts: input.mounts.to_vec(),
        labels: labels::of_container(pod, container),
        annotations: labels::annotations(pod, container, input.restart_count),
        log_path: log_path(&container.name, input.restart_count),
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(resources::of_container(pod, role, container, input.node)),
            security_context: Some(security::of_container(pod, role, container, input.security)?),
        }),
        stop_signal: stop_signal(container).into(),
        ..v1::ContainerConfig::default()
    })
}

/// Where a container's log is, below the Pod's.
pub(crate) fn log_path(container: &str, restart_count: u32) -> String {
    Path::new(container).join(format!("{restart_count}.log")).to_string_lossy().into_owned()
}

fn stop_signal(container: &k8s::Container) -> v1::Signal {
    let name = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
    name.and_then(v1::Signal::from_name).unwrap_or(v1::Signal::RuntimeDefault)
}

/// A mount's path in the container; one that is not absolute counts from the root.
pub(crate) fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// Whether what is mounted below is read-only too: the runtime can do it, so `IfPossible` is as good as `Enabled` (KEP-3857).
pub(crate) fn is_recursive_read_only(mount: &k8s::VolumeMount) -> bool {
    matches!(mount.recursive_read_only.as_deref(), Some("Enabled" | "IfPossible"))
}

/// How a mount reaches in and out.
pub(crate) fn propagation(mount: &k8s::VolumeMount) -> i32 {
    match mount.mount_propagation.as_deref() {
        Some("HostToContainer") => v1::MountPropagation::HostToContainer.into(),
        Some("Bidirectional") => v1::MountPropagation::Bidirectional.into(),
        _ => v1::MountPropagation::Private.into(),
    }
}
