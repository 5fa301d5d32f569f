//! [`PodInfo`]: what the scheduler needs to know of a Pod, a small projection of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use podo_api::{Object, Value, meta, tree};

use crate::resources::Resources;

/// A host port that a Pod takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// The address; `0.0.0.0` for all.
    pub ip: Box<str>,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Box<str>,
    /// The port.
    pub port: i64,
}

impl HostPort {
    /// Whether two Pods cannot have both.
    pub fn conflicts(&self, other: &Self) -> bool {
        let is_any = |ip: &str| ip == "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || is_any(&self.ip) || is_any(&other.ip))
    }
}

/// What a container that asks for nothing is counted as, so that such Pods spread as well (Kubernetes v1.36
/// `DefaultMilliCPURequest`, `DefaultMemoryRequest`).
const COUNTED: Resources = Resources {
    cpu_milli: 100,
    memory_bytes: 200 * 1024 * 1024,
    ephemeral_storage_bytes: 0,
    scalar: BTreeMap::new(),
};

/// A Pod as the scheduler sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct PodInfo {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// UID.
    pub uid: Box<str>,
    /// The generation of its spec.
    pub generation: i64,
    /// What it asks for.
    pub requests: Resources,
    /// What it is counted as where nodes are compared: containers that ask for no CPU or memory count as asking for some.
    pub counted: Resources,
    /// The node that it names or is bound to; empty if none.
    pub node_name: Box<str>,
    /// Labels that its node must have.
    pub node_selector: Vec<(Box<str>, Box<str>)>,
    /// `requiredDuringSchedulingIgnoredDuringExecution` of its node affinity; `null` if it has none.
    pub node_affinity: Arc<Value>,
    /// `preferredDuringSchedulingIgnoredDuringExecution` of it.
    pub node_preferences: Arc<[Value]>,
    /// The taints that it tolerates.
    pub tolerations: Arc<[Value]>,
    /// The host ports that it takes.
    pub host_ports: Vec<HostPort>,
    /// Its priority.
    pub priority: i64,
    /// Whether something holds it back from being scheduled.
    pub is_gated: bool,
    /// The scheduler that it wants.
    pub scheduler_name: Box<str>,
    /// Whether it has ended or is being deleted.
    pub is_over: bool,
    /// Whether it has ended: it takes nothing any more.
    pub is_finished: bool,
    /// The message of its condition `PodScheduled`, if that is false.
    pub unschedulable: Option<Box<str>>,
}

impl PodInfo {
    /// The projection of a Pod.
    pub fn of(object: &Object) -> Self {
        let value = object.view();
        let spec = tree::at(&value, &["spec"]);
        let text = |field: &str| Box::from(tree::str_at(spec, &[field]));
        let affinity = tree::at(spec, &["affinity", "nodeAffinity"]);
        let required = tree::at(affinity, &["requiredDuringSchedulingIgnoredDuringExecution"]);
        let preferred =
            tree::items_at(affinity, &["preferredDuringSchedulingIgnoredDuringExecution"]);
        let is_finished =
            matches!(tree::str_at(&value, &["status", "phase"]), "Succeeded" | "Failed");
        let selector = tree::at(spec, &["nodeSelector"]).as_object().into_iter().flatten();
        Self {
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            uid: object.uid.clone(),
            generation: tree::int_at(&value, &["metadata", "generation"]).unwrap_or(0),
            requests: requests(&value, &Resources::default()),
            counted: requests(&value, &COUNTED),
            node_name: text("nodeName"),
            node_selector: selector
                .map(|(key, value)| (key.as_str().into(), value.as_str().unwrap_or("").into()))
                .collect(),
            node_affinity: Arc::new(required.clone()),
            node_preferences: preferred.into(),
            tolerations: tree::items_at(spec, &["tolerations"]).into(),
            host_ports: host_ports(spec),
            priority: tree::int_at(spec, &["priority"]).unwrap_or(0),
            is_gated: !tree::items_at(spec, &["schedulingGates"]).is_empty(),
            scheduler_name: text("schedulerName"),
            is_over: is_finished || meta::is_deleting(&value),
            is_finished,
            unschedulable: unschedulable(&value),
        }
    }

    /// Whether it takes the same from the same node.
    pub(crate) fn takes_as(&self, other: &Self) -> bool {
        (&self.node_name, &self.requests, &self.host_ports)
            == (&other.node_name, &other.requests, &other.host_ports)
    }

    /// `namespace/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn unschedulable(pod: &Value) -> Option<Box<str>> {
    let conditions = tree::items_at(pod, &["status", "conditions"]);
    let condition =
        conditions.iter().find(|condition| tree::str_at(condition, &["type"]) == "PodScheduled")?;
    (tree::str_at(condition, &["status"]) == "False")
        .then(|| tree::str_at(condition, &["message"]).into())
}

/// What a Pod asks for in all: its containers together, or more if an init container needs more; sidecars run beside both
/// (Kubernetes v1.36 `k8s.io/component-helpers/resource`).
///
/// `missing` is what a container is counted as that asks for no CPU or no memory.
fn requests(pod: &Value, missing: &Resources) -> Resources {
    let (spec, status) = (tree::at(pod, &["spec"]), tree::at(pod, &["status"]));
    let is_infeasible = is_resize_infeasible(status);
    let of = |container: &Value, statuses: &str| {
        let name = tree::str_at(container, &["name"]);
        let mut told = tree::items_at(status, &[statuses]).iter();
        let told = told.find(|status| tree::str_at(status, &["name"]) == name);
        held(told.unwrap_or(&Value::Null), asked(container, missing), is_infeasible)
    };
    let mut total = Resources::default();
    for container in tree::items_at(spec, &["containers"]) {
        total.add(&of(container, "containerStatuses"));
    }
    let (mut sidecars, mut init) = (Resources::default(), Resources::default());
    for container in tree::items_at(spec, &["initContainers"]) {
        let is_sidecar = tree::str_at(container, &["restartPolicy"]) == "Always";
        let own = of(container, if is_sidecar { "initContainerStatuses" } else { "" });
        if is_sidecar {
            total.add(&own);
            sidecars.add(&own);
            init.raise_to(&sidecars);
        } else {
            let mut with_sidecars = own;
            with_sidecars.add(&sidecars);
            init.raise_to(&with_sidecars);
        }
    }
    total.raise_to(&init);
    let whole = tree::at(spec, &["resources", "requests"]);
    total.replace_by(whole, &held(status, Resources::of(whole), is_infeasible));
    total.add(&Resources::of(tree::at(spec, &["overhead"])));
    total
}

fn asked(container: &Value, missing: &Resources) -> Resources {
    let list = tree::at(container, &["resources", "requests"]);
    let mut asked = Resources::of(list);
    if list.get("cpu").is_none() {
        asked.cpu_milli = missing.cpu_milli;
    }
    if list.get("memory").is_none() {
        asked.memory_bytes = missing.memory_bytes;
    }
    asked
}

/// What a container, or a Pod as a whole, holds of its node by its status: the most of what it asks for, was given and has, while it is
/// resized; what it asks for does not count if the node can never give it (KEP-1287, KEP-5419).
fn held(status: &Value, asked: Resources, is_infeasible: bool) -> Resources {
    if !tree::at(status, &["resources"]).is_object() {
        return asked;
    }
    let mut held = if is_infeasible { Resources::default() } else { asked };
    held.raise_to(&Resources::of(tree::at(status, &["resources", "requests"])));
    held.raise_to(&Resources::of(tree::at(status, &["allocatedResources"])));
    held
}

fn is_resize_infeasible(status: &Value) -> bool {
    let conditions = tree::items_at(status, &["conditions"]);
    let pending = conditions.iter().find(|one| tree::str_at(one, &["type"]) == "PodResizePending");
    pending.is_some_and(|pending| tree::str_at(pending, &["reason"]) == "Infeasible")
}

fn host_ports(spec: &Value) -> Vec<HostPort> {
    let sidecars = tree::items_at(spec, &["initContainers"])
        .iter()
        .filter(|container| tree::str_at(container, &["restartPolicy"]) == "Always");
    let containers = tree::items_at(spec, &["containers"]).iter().chain(sidecars);
    containers
        .flat_map(|container| tree::items_at(container, &["ports"]))
        .filter_map(|port| {
            let number = tree::int_at(port, &["hostPort"]).filter(|number| *number > 0)?;
            let or = |field: &str, default: &str| match tree::str_at(port, &[field]) {
                "" => default.into(),
                text => text.into(),
            };
            Some(HostPort {
                ip: or("hostIP", "0.0.0.0"),
                protocol: or("protocol", "TCP"),
                port: number,
            })
        })
        .collect()
}
