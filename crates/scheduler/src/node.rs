//! [`NodeInfo`]: what the scheduler needs to know of a node, and what runs there.

use std::sync::Arc;

use podo_api::quantity::Quantity;
use podo_api::{Object, Value, tree};

use crate::pod::{HostPort, PodInfo};
use crate::resources::Resources;

/// Pods on a node that does not say how many it takes.
const PODS_DEFAULT: i64 = 110;

/// A node as the scheduler sees it.
#[derive(Debug, Clone)]
pub struct NodeInfo {
    /// The node's own object, for its labels; `None` while only Pods speak of it.
    pub object: Option<Arc<Object>>,
    /// Whether nothing new may run there.
    pub is_unschedulable: bool,
    /// Its taints.
    pub taints: Vec<Value>,
    /// What it has for Pods.
    pub allocatable: Resources,
    /// How many Pods it takes.
    pub pods_max: i64,
    /// What its Pods asked for.
    pub requested: Resources,
    /// What its Pods are counted as where nodes are compared.
    pub counted: Resources,
    /// How many Pods it has.
    pub pod_count: i64,
    /// The host ports that its Pods take.
    pub host_ports: Vec<HostPort>,
}

impl Default for NodeInfo {
    fn default() -> Self {
        Self {
            object: None,
            is_unschedulable: false,
            taints: Vec::new(),
            allocatable: Resources::default(),
            pods_max: PODS_DEFAULT,
            requested: Resources::default(),
            counted: Resources::default(),
            pod_count: 0,
            host_ports: Vec::new(),
        }
    }
}

impl NodeInfo {
    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.object.as_ref().and_then(|object| object.label(key))
    }

    /// Takes over what a node's object says; what runs there stays. Says whether anything changed that a filter looks at.
    pub fn set(&mut self, object: &Arc<Object>) -> bool {
        let before = self.clone();
        let value = object.view();
        let allocatable = tree::at(&value, &["status", "allocatable"]);
        self.is_unschedulable = tree::is_true(&value, &["spec", "unschedulable"]);
        self.taints = tree::items_at(&value, &["spec", "taints"]).to_vec();
        self.allocatable = Resources::of(allocatable);
        let pods = allocatable
            .get("pods")
            .and_then(Value::as_str)
            .and_then(|text| text.parse::<Quantity>().ok());
        self.pods_max = pods.map_or(PODS_DEFAULT, |pods| pods.value());
        let is_known = before.object.as_ref().is_some_and(|before| before.labels == object.labels);
        self.object = Some(Arc::clone(object));
        !is_known
            || self.is_unschedulable != before.is_unschedulable
            || self.taints != before.taints
            || self.allocatable != before.allocatable
            || self.pods_max != before.pods_max
    }

    /// Notes that a Pod runs here.
    pub fn add(&mut self, pod: &PodInfo) {
        self.requested.add(&pod.requests);
        self.counted.add(&pod.counted);
        self.pod_count += 1;
        self.host_ports.extend(pod.host_ports.iter().cloned());
    }

    /// Notes that a Pod does not run here any more.
    pub fn remove(&mut self, pod: &PodInfo) {
        self.requested.subtract(&pod.requests);
        self.counted.subtract(&pod.counted);
        self.pod_count -= 1;
        for port in &pod.host_ports {
            if let Some(at) = self.host_ports.iter().position(|known| known == port) {
                self.host_ports.swap_remove(at);
            }
        }
    }
}
