//! What a Pod's sandbox is to be.

use std::collections::BTreeMap;
use std::path::Path;

use podo_cri::v1;

use super::dns::Resolver;
use super::hosts::HostName;
use super::security::SecurityError;
use super::user_namespace::IdRange;
use super::{labels, resources, security};
use crate::pod::PodView;

/// What a sandbox is made from beside its Pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SandboxInput<'a> {
    /// Which of the Pod's sandboxes it is.
    pub(crate) attempt: u32,
    /// Where the Pod's logs are.
    pub(crate) log_dir: &'a Path,
    /// The host name.
    pub(crate) host_name: &'a HostName,
    /// The resolver configuration.
    pub(crate) resolver: &'a Resolver,
    /// The cgroup below which `kubepods` stands.
    pub(crate) cgroup_root: &'a str,
    /// Where the node's seccomp profiles are.
    pub(crate) seccomp_root: &'a Path,
    /// The Pod's range of user ids, if it has a user namespace.
    pub(crate) id_range: Option<IdRange>,
}

/// The sandbox of a Pod.
pub(crate) fn config(
    pod: &PodView,
    input: SandboxInput<'_>,
) -> Result<v1::PodSandboxConfig, SecurityError> {
    let hostname =
        if pod.is_host_network() { String::new() } else { input.host_name.kernel_name.clone() };
    Ok(v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: pod.name().to_owned(),
            namespace: pod.namespace().to_owned(),
            uid: pod.uid().to_owned(),
            attempt: input.attempt,
        }),
        hostname,
        log_directory: input.log_dir.to_string_lossy().into_owned(),
        dns_config: Some(input.resolver.clone().into_cri()),
        port_mappings: port_mappings(pod),
        labels: labels::of_sandbox(pod),
        annotations: pod.pod.metadata.annotations.clone().unwrap_or_default(),
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent: resources::cgroup_parent(pod, input.cgroup_root),
            security_context: Some(security::of_sandbox(pod, input.seccomp_root, input.id_range)?),
            sysctls: sysctls(pod),
            overhead: None,
            resources: Some(resources::of_pod(pod)),
        }),
    })
}

fn sysctls(pod: &PodView) -> BTreeMap<String, String> {
    let all = pod.spec.security_context.iter().flat_map(|all| all.sysctls.iter().flatten());
    // Both `a.b` and `a/b` name the same one.
    all.map(|sysctl| (sysctl.name.replace('/', "."), sysctl.value.clone())).collect()
}

fn port_mappings(pod: &PodView) -> Vec<v1::PortMapping> {
    if pod.is_host_network() {
        return Vec::new();
    }
    let ports = pod.containers().flat_map(|(_, container)| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let host_port = port.host_port.filter(|port| *port > 0)?;
            let protocol = match port.protocol.as_deref() {
                Some("UDP") => v1::Protocol::Udp,
                Some("SCTP") => v1::Protocol::Sctp,
                _ => v1::Protocol::Tcp,
            };
            Some(v1::PortMapping {
                protocol: protocol.into(),
                container_port: port.container_port,
                host_port,
                host_ip: port.host_ip.clone().unwrap_or_default(),
            })
        })
        .collect()
}
