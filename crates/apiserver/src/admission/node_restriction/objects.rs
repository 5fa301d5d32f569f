//! What a node may do to objects that are not Pods.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podo_api::{Status, Value, meta, tree};
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use super::{Operation, Write, labels};

/// The namespace of the nodes' Leases.
const LEASES: &str = "kube-node-lease";

/// Signers whose certificates say that their holder is a node.
const NODE_SIGNERS: [&str; 2] =
    ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];

pub(super) fn node(write: &Write<'_>) -> Result<(), Status> {
    let (node, name) = (write.quoted_node(), super::quoted(write.name()));
    write.require(write.name() == write.node, || {
        format!("node {node} is not allowed to modify node {name}")
    })?;
    match (write.operation(), write.old) {
        (Operation::Create, _) => create_node(write, &node),
        (Operation::Update, Some(old)) => update_node(write, &node, old),
        _ => Ok(()),
    }
}

fn create_node(write: &Write<'_>, node: &str) -> Result<(), Status> {
    write.require(tree::at(write.value, &["spec", "configSource"]).is_null(), || {
        format!("node {node} is not allowed to create pods with a non-nil configSource")
    })?;
    let forbidden = labels::forbidden(write.value, None);
    write.require(forbidden.is_empty(), || {
        format!("node {node} is not allowed to set the following labels: {}", forbidden.join(", "))
    })
}

fn update_node(write: &Write<'_>, node: &str, old: &Value) -> Result<(), Status> {
    let is_same = |path: &[&str]| {
        let list = |object: &Value| tree::items_at(object, path).to_vec();
        list(write.value) == list(old)
    };
    let source = |object: &Value| tree::at(object, &["spec", "configSource"]).clone();
    write.require(source(write.value).is_null() || source(write.value) == source(old), || {
        format!("node {node} is not allowed to update configSource to a new non-nil configSource")
    })?;
    write.require(is_same(&["spec", "taints"]), || {
        format!("node {node} is not allowed to modify taints")
    })?;
    write.require(is_same(&["metadata", "ownerReferences"]), || {
        format!("node {node} is not allowed to modify ownerReferences")
    })?;
    let forbidden = labels::forbidden(write.value, Some(old));
    write.require(forbidden.is_empty(), || {
        format!("is not allowed to modify labels: {}", forbidden.join(", "))
    })
}

/// Of a claim a node tells only how large it is and how resizing goes.
pub(super) fn claim_status(write: &Write<'_>) -> Result<(), Status> {
    let (Operation::Update, Some(old)) = (write.operation(), write.old) else {
        return write.unexpected_operation();
    };
    let without = |claim: &Value| {
        let mut claim = claim.clone();
        meta::set(&mut claim, "resourceVersion", Value::Null);
        meta::set(&mut claim, "managedFields", Value::Null);
        let status = tree::as_map(&mut claim).entry("status").or_insert(Value::Null);
        for field in ["allocatedResourceStatuses", "allocatedResources", "capacity", "conditions"] {
            tree::set(status, field, Value::Null);
        }
        claim
    };
    let node = write.quoted_node();
    write.require(without(write.value) == without(old), || {
        format!("node {node} is not allowed to update fields other than status.quantity and status.conditions")
    })
}

pub(super) fn lease(write: &Write<'_>) -> Result<(), Status> {
    write.require(&*write.request.target.namespace == LEASES, || {
        format!("can only access leases in the \"{LEASES}\" system namespace")
    })?;
    write.require(write.name() == write.node, || {
        "can only access node lease with the same name as the requesting node".to_owned()
    })
}

pub(super) fn csi_node(write: &Write<'_>) -> Result<(), Status> {
    write.require(write.name() == write.node, || {
        "can only access CSINode with the same name as the requesting node".to_owned()
    })
}

pub(super) fn resource_slice(write: &Write<'_>) -> Result<(), Status> {
    let (object, verb) = match write.operation() {
        Operation::Create => (write.value, "create"),
        Operation::Delete => (write.old.unwrap_or(write.value), "delete"),
        Operation::Update | Operation::Connect => return Ok(()),
    };
    write.require(tree::str_at(object, &["spec", "nodeName"]) == write.node, || {
        format!("can only {verb} ResourceSlice with the same NodeName as the requesting node")
    })
}

/// A node asks for certificates of its own only.
pub(super) fn signing_request(write: &Write<'_>) -> Result<(), Status> {
    let signer = tree::str_at(write.value, &["spec", "signerName"]);
    if write.operation() != Operation::Create || !NODE_SIGNERS.contains(&signer) {
        return Ok(());
    }
    let Some(name) = common_name(tree::str_at(write.value, &["spec", "request"])) else {
        return write.deny("unable to parse csr: PEM block type must be CERTIFICATE REQUEST");
    };
    let node = write.node;
    write.require(name == format!("system:node:{node}"), || {
        format!("can only create a node CSR with CN=system:node:{node}")
    })
}

/// The common name in a request for a certificate, which is PEM in base64.
fn common_name(request: &str) -> Option<String> {
    let pem = STANDARD.decode(request).ok()?;
    let der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(&pem).ok()?;
    let (_, request) = X509CertificationRequest::from_der(&der).ok()?;
    let subject = &request.certification_request_info.subject;
    subject.iter_common_name().last().and_then(|name| name.as_str().ok()).map(str::to_owned)
}
