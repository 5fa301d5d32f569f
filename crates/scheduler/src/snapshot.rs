//! [`Snapshot`]: all nodes and what runs on them, kept current event by event.
//!
//! Holds always
//! - A Pod counts on one node at the most: the one it is bound to, or the one it was assumed on while its Binding is under way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use podo_api::Object;

use crate::node::NodeInfo;
use crate::pod::PodInfo;

/// The state that decisions are made on.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Nodes by name.
    nodes: BTreeMap<Box<str>, NodeInfo>,
    /// Pods that count on a node, by UID.
    placed: HashMap<Box<str>, PodInfo>,
}

impl Snapshot {
    /// The nodes that exist.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeInfo)> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.object.is_some())
            .map(|(name, node)| (&**name, node))
    }

    /// A node that exists.
    pub fn node(&self, name: &str) -> Option<&NodeInfo> {
        self.nodes.get(name).filter(|node| node.object.is_some())
    }

    /// A node that exists or changed. Says whether that can matter to a Pod.
    pub fn set_node(&mut self, object: &Arc<Object>) -> bool {
        self.nodes.entry(object.name.clone()).or_default().set(object)
    }

    /// A node that is gone. What runs there still counts in case it comes back.
    pub fn remove_node(&mut self, name: &str) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.object = None;
            if node.pod_count == 0 {
                self.nodes.remove(name);
            }
        }
    }

    /// Whether a Pod counts.
    pub fn is_placed(&self, uid: &str) -> bool {
        self.placed.contains_key(uid)
    }

    /// Counts a Pod on the node that it names. Says on which node it took something else before.
    pub fn place(&mut self, pod: PodInfo) -> Option<Box<str>> {
        let is_same = self.placed.get(&pod.uid).is_some_and(|before| before.takes_as(&pod));
        let freed = self.displace(&pod.uid).filter(|_| !is_same);
        self.nodes.entry(pod.node_name.clone()).or_default().add(&pod);
        self.placed.insert(pod.uid.clone(), pod);
        freed
    }

    /// Stops counting a Pod. Says on which node it counted.
    pub fn displace(&mut self, uid: &str) -> Option<Box<str>> {
        let pod = self.placed.remove(uid)?;
        if let Some(node) = self.nodes.get_mut(&pod.node_name) {
            node.remove(&pod);
            if node.pod_count == 0 && node.object.is_none() {
                self.nodes.remove(&pod.node_name);
            }
        }
        Some(pod.node_name)
    }
}
