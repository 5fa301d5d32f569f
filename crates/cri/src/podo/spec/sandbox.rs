//! A sandbox's spec.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use podo_network::{HostPort, HostSocket, Transport};
use podo_runtime::{IdMap, NetworkMode, PidMode, SandboxSpec, UserNamespace};

use super::resources::{resources, with_overhead};
use crate::v1::{self, NamespaceMode, Protocol};
use crate::{Code, CriError};

/// The pause process and the shim are the last that the kernel kills for want of memory but for its own; the kubelet's value
/// for sandboxes.
const OOM_SCORE_ADJ: i32 = -998;

/// Settings that let a process that is not root bind low ports and send pings, as containerd 2 gives them to every Pod.
const UNPRIVILEGED: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

/// Whose namespace is asked for.
pub(in crate::podo) fn mode(number: i32) -> Result<NamespaceMode, CriError> {
    NamespaceMode::try_from(number).map_err(|_| CriError::invalid("unknown namespace mode"))
}

/// A sandbox's namespace options.
pub(in crate::podo) fn namespaces(config: &v1::PodSandboxConfig) -> v1::NamespaceOption {
    let security = config.linux.as_ref().and_then(|linux| linux.security_context.as_ref());
    security.and_then(|security| security.namespace_options.clone()).unwrap_or_default()
}

/// Whether a sandbox has the host's network.
pub(in crate::podo) fn is_on_host_network(config: &v1::PodSandboxConfig) -> bool {
    namespaces(config).network == NamespaceMode::Node as i32
}

/// The spec of a sandbox whose network namespace is pinned at `netns`.
pub(in crate::podo) fn spec(
    id: &str,
    config: &v1::PodSandboxConfig,
    cgroup_root: &str,
    netns: PathBuf,
) -> Result<SandboxSpec, CriError> {
    let options = namespaces(config);
    let linux = config.linux.clone().unwrap_or_default();
    let network = match mode(options.network)? {
        NamespaceMode::Node => NetworkMode::Host,
        NamespaceMode::Pod => NetworkMode::Pinned(netns),
        _ => return Err(CriError::invalid("a sandbox's network is the Pod's or the node's")),
    };
    let pid = match mode(options.pid)? {
        NamespaceMode::Node => PidMode::Host,
        NamespaceMode::Pod => PidMode::Sandbox,
        _ => PidMode::Container,
    };
    let user_namespace = user_namespace(options.userns_options.as_ref())?;
    let limits = with_overhead(linux.resources.as_ref(), linux.overhead.as_ref());
    Ok(SandboxSpec {
        id: id.to_owned(),
        hostname: Some(config.hostname.clone()).filter(|name| !name.is_empty()),
        sysctls: sysctls(&linux.sysctls, &network, user_namespace.is_some()),
        network,
        pid,
        host_ipc: mode(options.ipc)? == NamespaceMode::Node,
        user_namespace,
        cgroup: cgroup(cgroup_root, &linux.cgroup_parent, id),
        resources: resources(&limits),
        oom_score_adj: Some(OOM_SCORE_ADJ),
        ..SandboxSpec::default()
    })
}

fn sysctls(
    asked: &BTreeMap<String, String>,
    network: &NetworkMode,
    has_user_namespace: bool,
) -> BTreeMap<String, String> {
    let mut all = asked.clone();
    if *network != NetworkMode::Host {
        for (name, value) in UNPRIVILEGED {
            // In a user namespace ids of the range may not be mapped, which the kernel refuses.
            let is_refused = has_user_namespace && name == "net.ipv4.ping_group_range";
            let is_given = all.contains_key(name) || all.contains_key(&name.replace('.', "/"));
            if !is_refused && !is_given {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    all
}

/// The sandbox's cgroup below the node's; one of its own if it has no parent.
fn cgroup(root: &str, parent: &str, id: &str) -> String {
    let parent = parent.trim_matches('/');
    let parent = if parent.is_empty() { id } else { parent };
    format!("{}/{parent}", root.trim_matches('/'))
}

fn user_namespace(options: Option<&v1::UserNamespace>) -> Result<Option<UserNamespace>, CriError> {
    let Some(options) = options.filter(|options| options.mode == NamespaceMode::Pod as i32) else {
        return Ok(None);
    };
    let maps = |maps: &[v1::IdMapping]| -> Vec<IdMap> {
        maps.iter()
            .map(|map| IdMap { inside: map.container_id, host: map.host_id, count: map.length })
            .collect()
    };
    if options.uids.is_empty() && options.gids.is_empty() {
        return Ok(None); // The zero value of the message: mode Pod without maps.
    }
    if options.uids.is_empty() || options.gids.is_empty() {
        return Err(CriError::invalid("a user namespace needs maps of users and of groups"));
    }
    Ok(Some(UserNamespace { uids: maps(&options.uids), gids: maps(&options.gids) }))
}

/// Ports of the host that lead into the sandbox.
pub(in crate::podo) fn host_ports(mappings: &[v1::PortMapping]) -> Result<Vec<HostPort>, CriError> {
    mappings.iter().filter(|mapping| mapping.host_port > 0).map(host_port).collect()
}

fn host_port(mapping: &v1::PortMapping) -> Result<HostPort, CriError> {
    let port = |number: i32| {
        let port = u16::try_from(number).ok().filter(|port| *port > 0);
        port.ok_or_else(|| CriError::invalid(format!("port {number} is out of range")))
    };
    let address = match mapping.host_ip.as_str() {
        "" => Ipv4Addr::UNSPECIFIED,
        text => text.parse().map_err(|_| {
            let text = format!("host IP {text:?} is not an IPv4 address");
            CriError::new(Code::Unimplemented, text)
        })?,
    };
    let transport = match Protocol::try_from(mapping.protocol) {
        Ok(Protocol::Tcp) => Transport::Tcp,
        Ok(Protocol::Udp) => Transport::Udp,
        Ok(Protocol::Sctp) => Transport::Sctp,
        Err(_) => return Err(CriError::invalid("unknown protocol")),
    };
    Ok(HostPort {
        host: HostSocket { address, transport, port: port(mapping.host_port)? },
        endpoint_port: port(mapping.container_port)?,
    })
}

#[cfg(test)]
mod tests;
