//! The Node authorizer: a node reads what its Pods refer to and writes what is its own (KEP-279, KEP-4601).
//!
//! A Secret, ConfigMap, claim, volume or service account is a node's business if a chain leads from it to the node: over a Pod
//! that the node runs, over a claim of such a Pod, over a volume of such a claim. What a node may write is narrowed further by
//! [`crate::admission`], which sees the object.

use std::sync::LazyLock;

use podo_api::selector::field::Selector;
use podo_api::{Value, tree};
use podo_store::Key;

use super::Opinion;
use super::Rule;
use super::attributes::Attributes;
use super::node_pods::NodePods;
use super::pod_references::PodReferences;
use super::volume_secrets;
use crate::storage::Store;
use crate::user::User;

/// The namespace of the nodes' Leases.
pub(crate) const LEASES: &str = "kube-node-lease";

const USER_PREFIX: &str = "system:node:";
const NODES_GROUP: &str = "system:nodes";

/// What nodes may do to resources that are not a node's own or another's.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(crate::bootstrap::node_rules);

/// The node that a user is; a name of no letters is a node too, but none that anything belongs to.
pub(crate) fn node_name_of(user: &User) -> Option<&str> {
    user.name.strip_prefix(USER_PREFIX).filter(|_| user.is_in(NODES_GROUP))
}

/// A question of a node.
struct Question<'a> {
    store: &'a Store,
    pods: &'a NodePods,
    node: &'a str,
    of: &'a Attributes<'a>,
}

/// What the node authorizer thinks.
pub(super) fn authorize(
    store: &Store,
    pods: &NodePods,
    node: &str,
    attributes: &Attributes<'_>,
) -> Opinion {
    if node.is_empty() {
        let user = podo_api::field::quoted(&attributes.user.name);
        return no(format!("unknown node for user {user}"));
    }
    let question = Question { store, pods, node, of: attributes };
    let own = if attributes.is_resource() { question.own() } else { None };
    own.unwrap_or_else(|| {
        if RULES.iter().any(|rule| attributes.is_allowed_by(rule)) { yes() } else { no("") }
    })
}

fn yes() -> Opinion {
    Opinion::Allow(String::new())
}

fn no(why: impl Into<String>) -> Opinion {
    Opinion::None(why.into())
}

impl Question<'_> {
    /// The answer for resources that are divided among the nodes; `None` for all others.
    fn own(&self) -> Option<Opinion> {
        let is_status = self.of.subresource == "status";
        Some(match (self.of.group, self.of.resource) {
            ("", "secrets" | "configmaps") => self.read_one(),
            ("", "persistentvolumeclaims") if is_status => self.update_status(),
            ("", "persistentvolumeclaims" | "persistentvolumes")
            | ("resource.k8s.io", "resourceclaims")
            | ("storage.k8s.io", "volumeattachments") => self.get_one(),
            ("", "serviceaccounts") => self.service_account(),
            ("", "nodes") => self.nodes(),
            ("", "pods") => self.pods(),
            ("coordination.k8s.io", "leases") => self.leases(),
            ("storage.k8s.io", "csinodes") => self.csi_nodes(),
            ("resource.k8s.io", "resourceslices") => self.resource_slices(),
            _ => return None,
        })
    }

    /// Secrets and ConfigMaps: `get`, `list` and `watch` of one object.
    fn read_one(&self) -> Opinion {
        if !matches!(self.of.verb, "get" | "list" | "watch") {
            return no("can only read resources of this type");
        }
        if !self.of.subresource.is_empty() {
            return no("cannot read subresource");
        }
        if self.of.namespace.is_empty() {
            return no("can only read namespaced object of this type");
        }
        self.related()
    }

    fn get_one(&self) -> Opinion {
        if self.of.verb != "get" {
            return no("can only get individual resources of this type");
        }
        if !self.of.subresource.is_empty() {
            return no("cannot get subresource");
        }
        self.related()
    }

    fn update_status(&self) -> Opinion {
        if !matches!(self.of.verb, "update" | "patch") {
            return no("can only get/update/patch this type");
        }
        self.related()
    }

    fn service_account(&self) -> Opinion {
        if self.of.verb == "get" && self.of.subresource.is_empty() {
            return self.read_one();
        }
        if self.of.verb != "create" || self.of.name.is_empty() {
            return no("can only create tokens for individual service accounts");
        }
        if self.of.subresource != "token" {
            return no("can only create token subresource of serviceaccount");
        }
        self.related()
    }

    fn nodes(&self) -> Opinion {
        let node = self.node;
        match (self.of.subresource, self.of.verb) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => yes(),
            ("", "get" | "list" | "watch") => match self.of.name {
                name if name == node => yes(),
                "" => no(format!("node '{node}' cannot read all nodes, only its own Node object")),
                name => no(format!("node '{node}' cannot read '{name}', only its own Node object")),
            },
            _ => no(""),
        }
    }

    fn pods(&self) -> Opinion {
        match (self.of.subresource, self.of.verb) {
            ("", "get") => self.related(),
            ("", "list" | "watch") if self.selects("spec.nodeName") => yes(),
            ("", "list" | "watch") if !self.of.name.is_empty() => self.related(),
            ("", "list" | "watch") => {
                no("can only list/watch pods with spec.nodeName field selector")
            }
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => {
                yes()
            }
            _ => no(""),
        }
    }

    fn leases(&self) -> Opinion {
        if !matches!(self.of.verb, "get" | "create" | "update" | "patch" | "delete") {
            return no("can only get, create, update, patch, or delete a node lease");
        }
        if self.of.namespace != LEASES {
            return no(format!("can only access leases in the \"{LEASES}\" system namespace"));
        }
        if self.of.verb != "create" && self.of.name != self.node {
            return no("can only access node lease with the same name as the requesting node");
        }
        yes()
    }

    fn csi_nodes(&self) -> Opinion {
        if !matches!(self.of.verb, "get" | "create" | "update" | "patch" | "delete") {
            return no("can only get, create, update, patch, or delete a CSINode");
        }
        if !self.of.subresource.is_empty() {
            return no("cannot authorize CSINode subresources");
        }
        if self.of.verb != "create" && self.of.name != self.node {
            return no("can only access CSINode with the same name as the requesting node");
        }
        yes()
    }

    fn resource_slices(&self) -> Opinion {
        if !self.of.subresource.is_empty() {
            return no("cannot authorize ResourceSlice subresources");
        }
        match self.of.verb {
            "create" => yes(),
            "get" | "update" | "patch" | "delete" => self.related(),
            "watch" | "list" | "deletecollection" if self.selects("spec.nodeName") => yes(),
            "watch" | "list" | "deletecollection" => no(
                "can only list/watch/deletecollection resourceslices with nodeName field selector",
            ),
            _ => no(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, \
                 deletecollection",
            ),
        }
    }

    /// Whether the request selects by a field that only this node's objects have.
    fn selects(&self, field: &str) -> bool {
        let selector = Selector::parse(self.of.field_selector).unwrap_or_default();
        selector.required(field) == Some(self.node)
    }

    /// Whether a chain leads from the object to the node.
    fn related(&self) -> Opinion {
        if self.of.name.is_empty() {
            return no("No Object name found");
        }
        if self.is_related() {
            return yes();
        }
        no(format!("no relationship found between node '{}' and this object", self.node))
    }

    fn is_related(&self) -> bool {
        let (namespace, name) = (self.of.namespace, self.of.name);
        match self.of.resource {
            "secrets" => self.any(&|pod| pod.secrets.contains(name)) || self.mounts_with_secret(),
            "configmaps" => self.any(&|pod| pod.config_maps.contains(name)),
            "persistentvolumeclaims" => self.any(&|pod| pod.claims.contains(name)),
            "resourceclaims" => self.any(&|pod| pod.resource_claims.contains(name)),
            "serviceaccounts" => self.any(&|pod| *pod.service_account == *name),
            "pods" => self.pods.runs(self.node, namespace, name),
            "persistentvolumes" => self.mounts(),
            "volumeattachments" => self.is_of_node("volumeattachments.storage.k8s.io"),
            "resourceslices" => self.is_of_node("resourceslices.resource.k8s.io"),
            _ => false,
        }
    }

    fn any(&self, is_meant: &dyn Fn(&PodReferences) -> bool) -> bool {
        self.pods.any_refers(self.store, self.node, self.of.namespace, is_meant)
    }

    fn read(&self, bucket: &str, rest: impl Into<std::sync::Arc<str>>) -> Option<Value> {
        Some(self.store.get(&Key::new(bucket, rest)).ok()??.value.view())
    }

    fn is_of_node(&self, bucket: &str) -> bool {
        let object = self.read(bucket, self.of.name);
        object.is_some_and(|object| tree::str_at(&object, &["spec", "nodeName"]) == self.node)
    }

    /// Whether a Pod of the node claims the volume that is asked for.
    fn mounts(&self) -> bool {
        let Some(volume) = self.read("persistentvolumes", self.of.name) else { return false };
        let claim = tree::at(&volume, &["spec", "claimRef"]);
        let (namespace, name) =
            (tree::str_at(claim, &["namespace"]), tree::str_at(claim, &["name"]));
        !name.is_empty()
            && self
                .pods
                .any_refers(self.store, self.node, namespace, &|pod| pod.claims.contains(name))
    }

    /// Whether a volume that a Pod of the node claims is mounted with the Secret that is asked for.
    fn mounts_with_secret(&self) -> bool {
        self.pods.any_claim(self.store, self.node, &|namespace, claim| {
            let claimed = self.read("persistentvolumeclaims", format!("{namespace}/{claim}"));
            let volume =
                claimed.map(|found| tree::str_at(&found, &["spec", "volumeName"]).to_owned());
            let volume = volume.filter(|name| !name.is_empty());
            let volume = volume.and_then(|name| self.read("persistentvolumes", name));
            volume.is_some_and(|volume| {
                let owner = tree::at(&volume, &["spec", "claimRef"]);
                tree::str_at(owner, &["namespace"]) == namespace
                    && tree::str_at(owner, &["name"]) == claim
                    && volume_secrets::uses_secret(&volume, self.of.namespace, self.of.name)
            })
        })
    }
}
