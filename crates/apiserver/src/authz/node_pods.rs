//! Which Pods a node runs, and what they refer to.
//!
//! The index follows the Pods' events without reading the Pods: which node runs a Pod is a selectable field of its. What a Pod
//! refers to is read when somebody asks for it, and kept: it only grows while the Pod is the same, by ephemeral containers and
//! device claims, so what was found stays true and only a "no" makes a changed Pod be read again.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use podo_api::{Object, meta};
use podo_store::Key;

use super::mirror::{Change, Mirrored};
use super::pod_references::{MIRROR, PodReferences};
use crate::storage::Store;

const PODS: &str = "pods";

/// What is known of a Pod's references.
#[derive(Debug, Clone)]
struct Known {
    uid: Box<str>,
    version: u64,
    references: Arc<PodReferences>,
}

type Pods = HashMap<Box<str>, Mutex<Option<Known>>>;

/// The Pods by node, then by namespace, then by name.
#[derive(Debug, Default)]
pub(super) struct NodePods(HashMap<Box<str>, HashMap<Box<str>, Pods>>);

/// Where [`Object::fields`] holds the node of a Pod.
static NODE_FIELD: LazyLock<Option<usize>> = LazyLock::new(|| {
    let pods = podo_registry::find("", "v1", PODS)?;
    pods.stored().selectable.iter().position(|field| field.label == "spec.nodeName")
});

/// The node that runs a Pod; empty while there is none.
fn node_of(pod: &Object) -> &str {
    NODE_FIELD.and_then(|at| pod.fields.get(at)).map_or("", |node| node)
}

impl Mirrored for NodePods {
    const BUCKETS: &'static [&'static str] = &[PODS];

    fn reset(&mut self, _bucket: &str) {
        self.0.clear();
    }

    fn apply(&mut self, change: Change<'_>) {
        let old = change.old.map_or("", |entry| node_of(&entry.value));
        let new = change.new.map_or("", |entry| node_of(&entry.value));
        let (namespace, name) =
            change.key.rest().split_once('/').unwrap_or(("", change.key.rest()));
        if old != new && !old.is_empty() {
            self.remove(old, namespace, name);
        }
        if !new.is_empty() {
            let namespaces = self.0.entry(new.into()).or_default();
            namespaces.entry(namespace.into()).or_default().entry(name.into()).or_default();
        }
    }
}

impl NodePods {
    fn remove(&mut self, node: &str, namespace: &str, name: &str) {
        let Some(namespaces) = self.0.get_mut(node) else { return };
        let Some(pods) = namespaces.get_mut(namespace) else { return };
        pods.remove(name);
        if pods.is_empty() {
            namespaces.remove(namespace);
        }
        if namespaces.is_empty() {
            self.0.remove(node);
        }
    }

    /// Whether a node runs a Pod.
    pub(super) fn runs(&self, node: &str, namespace: &str, name: &str) -> bool {
        self.pods(node, namespace).is_some_and(|pods| pods.contains_key(name))
    }

    fn pods(&self, node: &str, namespace: &str) -> Option<&Pods> {
        self.0.get(node)?.get(namespace)
    }

    /// Whether a Pod that the node runs in a namespace has references of which `is_meant` holds.
    pub(super) fn any_refers(
        &self,
        store: &Store,
        node: &str,
        namespace: &str,
        is_meant: &dyn Fn(&PodReferences) -> bool,
    ) -> bool {
        let Some(pods) = self.pods(node, namespace) else { return false };
        let is_known = |slot: &Mutex<Option<Known>>| {
            slot.lock().as_ref().is_some_and(|known| is_meant(&known.references))
        };
        let reads = |name: &str, slot: &Mutex<Option<Known>>| {
            read(store, namespace, name, slot).is_some_and(|references| is_meant(&references))
        };
        // A Pod of the same name that was made anew is another one: what is known of it is checked against the store.
        pods.iter().any(|(name, slot)| is_known(slot) && reads(name, slot))
            || pods.iter().any(|(name, slot)| reads(name, slot))
    }

    /// Whether `is_meant` holds of a volume claim, by namespace and name, of any Pod that the node runs.
    pub(super) fn any_claim(
        &self,
        store: &Store,
        node: &str,
        is_meant: &dyn Fn(&str, &str) -> bool,
    ) -> bool {
        let Some(namespaces) = self.0.get(node) else { return false };
        namespaces.iter().any(|(namespace, pods)| {
            pods.iter().any(|(name, slot)| {
                let references = read(store, namespace, name, slot);
                references.is_some_and(|found| {
                    found.claims.iter().any(|claim| is_meant(namespace, claim))
                })
            })
        })
    }
}

/// The references of a Pod as it is in the store.
fn read(
    store: &Store,
    namespace: &str,
    name: &str,
    slot: &Mutex<Option<Known>>,
) -> Option<Arc<PodReferences>> {
    let entry = store.get(&Key::new(PODS, format!("{namespace}/{name}"))).ok()??;
    let object = &entry.value;
    let mut slot = slot.lock();
    if let Some(known) = &*slot
        && known.uid == object.uid
        && known.version == object.resource_version
    {
        return Some(Arc::clone(&known.references));
    }
    let pod = object.view();
    let is_mirror = meta::annotation(&pod, MIRROR).is_some();
    let references = if is_mirror { PodReferences::default() } else { PodReferences::of(&pod) };
    let references = Arc::new(references);
    *slot = Some(Known {
        uid: object.uid.clone(),
        version: object.resource_version,
        references: Arc::clone(&references),
    });
    Some(references)
}
