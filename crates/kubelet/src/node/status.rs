//! The node's status: one pure function from what the machine is, how the runtime is, and what the status was.

use std::collections::BTreeMap;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use podo_api::quantity::Quantity;
use podo_base::Timestamp;

use super::facts::{self, MachineFacts};
use crate::config::{KUBELET_VERSION, KubeletConfig};
use crate::status::time;

/// What a node's status is made from.
#[derive(Debug)]
pub(crate) struct NodeInput<'a> {
    pub(crate) config: &'a KubeletConfig,
    pub(crate) machine: &'a MachineFacts,
    /// The runtime's name and version as `name://version`.
    pub(crate) runtime: &'a str,
    pub(crate) images: Vec<k8s::ContainerImage>,
    /// Why no Pod can run here.
    pub(crate) not_ready: Option<String>,
    pub(crate) old: &'a k8s::NodeStatus,
    pub(crate) now: Timestamp,
}

/// The status of the node.
pub(crate) fn compute(input: NodeInput<'_>) -> k8s::NodeStatus {
    let NodeInput { config, machine, old, .. } = &input;
    k8s::NodeStatus {
        capacity: Some(amounts(old.capacity.as_ref(), &machine.capacity)),
        allocatable: Some(amounts(old.allocatable.as_ref(), &machine.allocatable)),
        conditions: Some(conditions(&input)),
        addresses: Some(addresses(config)),
        daemon_endpoints: Some(k8s::NodeDaemonEndpoints {
            kubelet_endpoint: Some(k8s::DaemonEndpoint { port: i32::from(config.kubelet_port) }),
        }),
        node_info: Some(k8s::NodeSystemInfo {
            machine_id: machine.machine_id.clone(),
            system_uuid: machine.system_uuid.clone(),
            boot_id: machine.boot_id.clone(),
            kernel_version: machine.kernel_version.clone(),
            os_image: machine.os_image.clone(),
            container_runtime_version: input.runtime.to_owned(),
            kubelet_version: KUBELET_VERSION.to_owned(),
            kube_proxy_version: String::new(),
            operating_system: "linux".to_owned(),
            architecture: facts::architecture().to_owned(),
            swap: (machine.swap_bytes > 0)
                .then_some(k8s::NodeSwapStatus { capacity: Some(machine.swap_bytes) }),
        }),
        images: Some(input.images.clone()).filter(|images| !images.is_empty()),
        // Others write these.
        ..(*old).clone()
    }
}

/// The machine's amounts; further ones that others added stay.
fn amounts(
    old: Option<&BTreeMap<String, Text>>,
    own: &BTreeMap<String, Quantity>,
) -> BTreeMap<String, Text> {
    let mut amounts = old.cloned().unwrap_or_default();
    amounts.extend(own.iter().map(|(name, amount)| (name.clone(), Text(amount.to_string()))));
    amounts
}

fn addresses(config: &KubeletConfig) -> Vec<k8s::NodeAddress> {
    let address =
        |type_: &str, address: String| k8s::NodeAddress { type_: type_.to_owned(), address };
    let ips = config.node_ips.iter().map(|ip| address("InternalIP", ip.to_string()));
    ips.chain([address("Hostname", config.node_name.clone())]).collect()
}

fn conditions(input: &NodeInput<'_>) -> Vec<k8s::NodeCondition> {
    let (ready, reason, message) = match &input.not_ready {
        None => ("True", "KubeletReady", "kubelet is posting ready status".to_owned()),
        Some(problem) => ("False", "KubeletNotReady", problem.clone()),
    };
    let own = [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available".to_owned(),
        ),
        (
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure".to_owned(),
        ),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available".to_owned(),
        ),
        ("Ready", ready, reason, message),
    ];
    let old = input.old.conditions.as_deref().unwrap_or_default();
    let is_own = |type_: &str| own.iter().any(|(own, ..)| *own == type_);
    let mut all: Vec<k8s::NodeCondition> =
        old.iter().filter(|condition| !is_own(&condition.type_)).cloned().collect();
    for (type_, status, reason, message) in &own {
        let before = old.iter().find(|condition| condition.type_ == *type_);
        let since = before.filter(|before| before.status == *status);
        let since = since.and_then(|before| before.last_transition_time.clone());
        all.push(k8s::NodeCondition {
            type_: (*type_).to_owned(),
            status: (*status).to_owned(),
            reason: Some((*reason).to_owned()),
            message: Some(message.clone()),
            last_heartbeat_time: Some(time(input.now)),
            last_transition_time: Some(since.unwrap_or_else(|| time(input.now))),
        });
    }
    all
}

/// Whether two statuses differ in nothing but the time at which they were made.
pub(crate) fn is_same(old: &k8s::NodeStatus, new: &k8s::NodeStatus) -> bool {
    let timeless = |status: &k8s::NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    timeless(old) == timeless(new)
}

/// The events that a change of conditions is worth.
pub(crate) fn transitions(
    node: &str,
    old: &k8s::NodeStatus,
    new: &k8s::NodeStatus,
) -> Vec<(&'static str, String)> {
    let status = |all: &k8s::NodeStatus, type_: &str| {
        let condition = all.conditions.iter().flatten().find(|one| one.type_ == type_);
        condition.map(|condition| condition.status.clone())
    };
    let words = [
        ("MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
        ("DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
        ("PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"),
        ("Ready", "NodeReady", "NodeNotReady"),
    ];
    let changed = words.into_iter().filter_map(|(type_, if_true, if_false)| {
        let now = status(new, type_);
        if now == status(old, type_) {
            return None;
        }
        let word = if now.as_deref() == Some("True") { if_true } else { if_false };
        Some((word, format!("Node {node} status is now: {word}")))
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use std::path::PathBuf;

    fn config() -> KubeletConfig {
        let ip = IpAddr::from([192, 0, 2, 1]);
        KubeletConfig::new("node-1", ip, PathBuf::from("/nowhere"), PathBuf::from("/nowhere"))
    }

    fn made(old: &k8s::NodeStatus, not_ready: Option<&str>, seconds: i64) -> k8s::NodeStatus {
        let config = config();
        let mut machine = MachineFacts::default();
        machine.capacity.insert("cpu".to_owned(), "2".parse().expect("a quantity"));
        compute(NodeInput {
            config: &config,
            machine: &machine,
            runtime: "podo://0.1.0",
            images: Vec::new(),
            not_ready: not_ready.map(ToOwned::to_owned),
            old,
            now: Timestamp::from_seconds(seconds),
        })
    }

    fn text(status: &k8s::NodeStatus) -> Vec<String> {
        let line = |one: &k8s::NodeCondition| {
            let reason = one.reason.clone().unwrap_or_default();
            let since = one.last_transition_time.as_ref().map_or(0, |time| time.0.as_second());
            format!("{} {} {reason} {since}", one.type_, one.status)
        };
        status.conditions.iter().flatten().map(line).collect()
    }

    #[test]
    fn conditions_keep_their_time_until_they_change_and_those_of_others_stay() {
        let mut old = made(&k8s::NodeStatus::default(), None, 10);
        let foreign = k8s::NodeCondition {
            type_: "NetworkUnavailable".to_owned(),
            status: "False".to_owned(),
            ..k8s::NodeCondition::default()
        };
        old.conditions.get_or_insert_default().insert(0, foreign);
        let new = made(&old, Some("container runtime is down"), 20);
        assert_eq!(
            text(&new),
            [
                "NetworkUnavailable False  0",
                "MemoryPressure False KubeletHasSufficientMemory 10",
                "DiskPressure False KubeletHasNoDiskPressure 10",
                "PIDPressure False KubeletHasSufficientPID 10",
                "Ready False KubeletNotReady 20",
            ]
        );
        assert_eq!(
            transitions("node-1", &old, &new),
            [("NodeNotReady", "Node node-1 status is now: NodeNotReady".to_owned())]
        );
    }

    #[test]
    fn only_the_heartbeat_is_no_change_and_amounts_of_others_stay() {
        let mut old = made(&k8s::NodeStatus::default(), None, 10);
        assert!(is_same(&old, &made(&old, None, 20)));
        let gpus = ("example.com/gpu".to_owned(), Text("4".to_owned()));
        old.capacity.get_or_insert_default().extend([gpus]);
        let new = made(&old, None, 20);
        let capacity = new.capacity.expect("given");
        assert_eq!(capacity.get("example.com/gpu"), Some(&Text("4".to_owned())));
        assert_eq!(capacity.get("cpu"), Some(&Text("2".to_owned())));
    }
}
