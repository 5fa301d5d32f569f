//! NodeRestriction: a node writes its own Node, its own Lease, and the status of its own Pods (KEP-279, KEP-2837).
//!
//! What a node could otherwise do to others: steer workloads to itself by labels and taints, have another node deleted by owner
//! references (CVE-2025-5187), take devices or Secrets by Pods that it makes up (CVE-2025-4563), act as accounts of Pods that run
//! elsewhere.

mod labels;
mod objects;
mod pods;
mod tokens;

#[cfg(test)]
mod tests;

use podo_api::field::quoted;
use podo_api::{Status, Value, meta, tree};

use super::{Operation, Request};
use crate::authz::node_name_of;
use crate::verbs::find;

/// A write of a node.
struct Write<'a> {
    request: &'a Request<'a>,
    node: &'a str,
    /// The object as it is to be; `null` if it is to be deleted.
    value: &'a Value,
    old: Option<&'a Value>,
}

pub(super) fn validate(
    request: &Request<'_>,
    value: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    let Some(node) = node_name_of(request.user) else { return Ok(()) };
    let write = Write { request, node, value, old };
    if node.is_empty() {
        let user = quoted(&request.user.name);
        return write.deny(format!("could not determine node from user {user}"));
    }
    let names = &request.definition().names;
    match (names.group, names.plural, request.target.subresource_name()) {
        ("", "pods", "") => pods::pod(&write),
        ("", "pods", "status") => pods::status(&write),
        ("", "pods", "eviction") => pods::eviction(&write),
        ("", "pods", other) => {
            let other = quoted(other);
            write.deny(format!(
                "unexpected pod subresource {other}, only 'status' and 'eviction' are allowed"
            ))
        }
        ("", "nodes", _) => objects::node(&write),
        ("", "persistentvolumeclaims", "status") => objects::claim_status(&write),
        ("", "persistentvolumeclaims", _) => write.deny("may only update PVC status"),
        ("", "serviceaccounts", "token") => tokens::request(&write),
        ("coordination.k8s.io", "leases", _) => objects::lease(&write),
        ("storage.k8s.io", "csinodes", _) => objects::csi_node(&write),
        ("resource.k8s.io", "resourceslices", _) => objects::resource_slice(&write),
        ("certificates.k8s.io", "certificatesigningrequests", "") => {
            objects::signing_request(&write)
        }
        _ => Ok(()),
    }
}

impl Write<'_> {
    fn deny(&self, why: impl std::fmt::Display) -> Result<(), Status> {
        Err(self.request.forbidden(self.value, why))
    }

    /// Denies unless something holds.
    fn require(&self, holds: bool, why: impl FnOnce() -> String) -> Result<(), Status> {
        if holds { Ok(()) } else { self.deny(why()) }
    }

    /// The node as texts quote it.
    fn quoted_node(&self) -> String {
        quoted(self.node)
    }

    fn operation(&self) -> Operation {
        self.request.operation
    }

    /// The name of the object, also while it is being created.
    fn name(&self) -> &str {
        if self.request.target.name.is_empty() {
            meta::name(self.value)
        } else {
            &self.request.target.name
        }
    }

    fn unexpected_operation(&self) -> Result<(), Status> {
        self.deny(format!("unexpected operation {}", quoted(operation_name(self.operation()))))
    }

    /// An object of the core group.
    fn read(&self, plural: &str, name: &str) -> Result<Value, Status> {
        let definition = podo_registry::find("", "v1", plural);
        let definition =
            definition.ok_or_else(|| Status::internal(format!("{plural} are not served")))?;
        let own = &self.request.target.namespace;
        let namespace = if definition.is_namespaced() { own.clone() } else { "".into() };
        let target =
            crate::call::Target { definition, namespace, name: name.into(), subresource: None };
        Ok(find(self.request.api, &target)?.value())
    }
}

fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

/// The node that a Pod is bound to.
fn node_of(pod: &Value) -> &str {
    tree::str_at(pod, &["spec", "nodeName"])
}
