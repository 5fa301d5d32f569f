//! Validation of Pods and of the Pod specs in templates (Kubernetes v1.36 `ValidatePodSpec`), in upstream's order.
//!
//! Holds always: every finding is made, none hides another; what is found depends on nothing but the object.

pub(crate) mod affinity;
pub(crate) mod annotations;
pub(crate) mod claim_template;
pub(crate) mod containers;
mod dns;
mod env;
mod ephemeral;
mod handlers;
mod mounts;
mod os;
mod paths;
pub(crate) mod resources;
mod restart;
pub(crate) mod security;
mod spread;
pub(crate) mod tolerations;
mod volumes;
mod volumes_legacy;
mod volumes_projected;
mod windows;

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::{meta, names};

use super::labels::{self, check};
use super::view::{at, get, has, in_range, int, is_on, list, one_of, required_one_of, text, texts};

/// What a Pod spec is part of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// Whether it is a Pod's own and not a template's.
    pub(crate) is_pod: bool,
    /// The metadata of the Pod, `null` in a template.
    pub(crate) metadata: &'a Value,
}

impl<'a> Owner<'a> {
    /// A Pod.
    pub(crate) fn pod(pod: &'a Value) -> Self {
        Self { is_pod: true, metadata: at(pod, "metadata") }
    }

    /// A template.
    #[allow(dead_code, reason = "kinds that have templates of Pods use it")]
    pub(crate) const TEMPLATE: Owner<'static> = Owner { is_pod: false, metadata: &Value::Null };
}

/// Validates a Pod beyond its metadata, whenever it is written.
pub(crate) fn pod(pod: &Value, errors: &mut Errors) {
    let (spec, path) = (at(pod, "spec"), Path::new("spec"));
    annotations::annotations(pod, errors);
    pod_spec(spec, Owner::pod(pod), &path, errors);
    token_volumes(spec, &path, errors);
    for name in ["containers", "initContainers"] {
        let path = path.child(name);
        for (at, container) in list(spec, name).iter().enumerate() {
            containers::only_in_pods(container, &path.index(at), errors);
        }
    }
}

/// Validates what is asked of a Pod when it is created, after [`pod`].
pub(crate) fn create(pod: &Value, errors: &mut Errors) {
    let (spec, path) = (at(pod, "spec"), Path::new("spec"));
    if !list(spec, "ephemeralContainers").is_empty() {
        errors.forbidden(&path.child("ephemeralContainers"), "cannot be set on create");
    }
    if !text(spec, "nodeName").is_empty() && !list(spec, "schedulingGates").is_empty() {
        errors.forbidden(
            &path.child("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        );
    }
    annotations::match_fields(pod, errors);
}

/// Validates a Pod spec.
pub(crate) fn pod_spec(spec: &Value, owner: Owner<'_>, path: &Path, errors: &mut Errors) {
    if !has(spec, "terminationGracePeriodSeconds") {
        errors.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volumes::volumes(spec, owner, path, errors);
    resources::claims(spec, owner, path, errors);
    let scope = containers::Scope::new(spec, volumes);
    containers::regular(&scope, path, errors);
    containers::init(&scope, path, errors);
    ephemeral::containers(&scope, path, errors);
    resources::pod_level(spec, path, errors);
    host_network_ports(spec, owner, path, errors);
    policies(spec, path, errors);
    labels::labels(errors, spec, "nodeSelector", path);
    security::pod(spec, path, errors);
    affinity::affinity(at(spec, "affinity"), &path.child("affinity"), errors);
    dns::config(spec, path, errors);
    gates(spec, path, errors);
    spread::constraints(spec, path, errors);
    windows::host_process(spec, path, errors);
    host_users(spec, path, errors);
    dns::hostname_override(spec, path, errors);
    references(spec, path, errors);
    scheduling(spec, path, errors);
    os::os(spec, path, errors);
    env::file_volumes(spec, path, errors);
}

/// Tokens are a service account's.
fn token_volumes(spec: &Value, path: &Path, errors: &mut Errors) {
    if !text(spec, "serviceAccountName").is_empty() {
        return;
    }
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let path = path.child("volumes").index(index).child("projected").child("sources");
        for (source_index, source) in list(at(volume, "projected"), "sources").iter().enumerate() {
            if has(source, "serviceAccountToken") {
                let path = path.index(source_index).child("serviceAccountToken");
                errors.forbidden(&path, "must not be specified when serviceAccountName is not set");
            }
        }
    }
}

/// On the host's network a port is the same inside and outside; templates may leave the outside open.
fn host_network_ports(spec: &Value, owner: Owner<'_>, path: &Path, errors: &mut Errors) {
    if !is_on(spec, "hostNetwork") {
        return;
    }
    for (index, container) in list(spec, "containers").iter().enumerate() {
        let path = path.child("containers").index(index).child("ports");
        for (index, port) in list(container, "ports").iter().enumerate() {
            let outside = int(port, "hostPort").unwrap_or(0);
            let inside = int(port, "containerPort").unwrap_or(0);
            if (owner.is_pod || outside != 0) && outside != inside {
                const WHY: &str = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid_value(&path.index(index).child("hostPort"), outside, WHY);
            }
        }
    }
}

fn policies(spec: &Value, path: &Path, errors: &mut Errors) {
    const RESTART: [&str; 3] = ["Always", "OnFailure", "Never"];
    const DNS: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    for (name, policies) in [("restartPolicy", &RESTART[..]), ("dnsPolicy", &DNS)] {
        required_one_of(errors, &path.child(name), text(spec, name), policies);
    }
}

fn gates(spec: &Value, path: &Path, errors: &mut Errors) {
    for (index, gate) in list(spec, "readinessGates").iter().enumerate() {
        let name = text(gate, "conditionType");
        let path = path.child("readinessGates").index(index).child("conditionType");
        check(errors, &path, name, names::qualified_name(name));
    }
    let mut seen = HashSet::new();
    for (index, gate) in list(spec, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        let path = path.child("schedulingGates").index(index);
        check(errors, &path, name, names::qualified_name(name));
        if !seen.insert(name) {
            errors.duplicate(&path, name);
        }
    }
}

/// With users of its own a Pod cannot share other namespaces of the host (KEP-127).
fn host_users(spec: &Value, path: &Path, errors: &mut Errors) {
    const WHY: &str = "when `hostUsers` is false";
    if at(spec, "hostUsers").as_bool() != Some(false) {
        return;
    }
    for (name, shown) in
        [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")]
    {
        if is_on(spec, name) {
            errors.forbidden(&path.child(shown), WHY);
        }
    }
    for (container, path) in super::view::containers(spec, path) {
        if !list(container, "volumeDevices").is_empty() {
            errors.forbidden(&path.child("volumeDevices"), WHY);
        }
    }
}

/// Names of other objects, and of the Pod in the network.
fn references(spec: &Value, path: &Path, errors: &mut Errors) {
    let name = |field: &str, rule: fn(&str) -> names::Problems, errors: &mut Errors| {
        let value = text(spec, field);
        if !value.is_empty() {
            check(errors, &path.child(field), value, rule(value));
        }
    };
    name("serviceAccountName", names::dns1123_subdomain, errors);
    name("nodeName", names::dns1123_subdomain, errors);
    if let Some(seconds) = int(spec, "activeDeadlineSeconds") {
        in_range(errors, &path.child("activeDeadlineSeconds"), seconds, 1, i64::from(i32::MAX));
    }
    name("hostname", names::dns1123_label, errors);
    name("subdomain", names::dns1123_label, errors);
}

fn scheduling(spec: &Value, path: &Path, errors: &mut Errors) {
    tolerations::tolerations(list(spec, "tolerations"), &path.child("tolerations"), errors);
    host_aliases(spec, path, errors);
    let priority_class = text(spec, "priorityClassName");
    if !priority_class.is_empty() {
        let problems = names::dns1123_subdomain(priority_class);
        check(errors, &path.child("priorityClassName"), priority_class, problems);
    }
    if let Some(class) = get(spec, "runtimeClassName").and_then(Value::as_str) {
        check(errors, &path.child("runtimeClassName"), class, names::dns1123_subdomain(class));
    }
    if let Some(policy) = get(spec, "preemptionPolicy").and_then(Value::as_str) {
        const POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];
        required_one_of(errors, &path.child("preemptionPolicy"), policy, &POLICIES);
    }
    resources::overhead(spec, path, errors);
}

fn host_aliases(spec: &Value, path: &Path, errors: &mut Errors) {
    for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
        let path = path.child("hostAliases").index(index);
        let ip = text(alias, "ip");
        check(errors, &path.child("ip"), ip, names::ip_legacy(ip));
        for (index, host) in texts(alias, "hostnames").enumerate() {
            let problems = names::dns1123_subdomain(host);
            check(errors, &path.child("hostnames").index(index), host, problems);
        }
    }
}

/// The pull policy of an image.
fn pull_policy(owner: &Value, path: &Path, name: &str, errors: &mut Errors) {
    const POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
    required_one_of(errors, &path.child(name), text(owner, name), &POLICIES);
}

/// A field that, if set, is one of a few words.
fn optional_one_of(
    owner: &Value,
    path: &Path,
    name: &str,
    supported: &[&str],
    errors: &mut Errors,
) {
    if let Some(value) = get(owner, name).and_then(Value::as_str) {
        one_of(errors, &path.child(name), value, supported);
    }
}

/// Whether the node's kubelet runs the Pod from a file and this is its reflection.
pub(crate) fn is_mirror(pod: &Value) -> bool {
    meta::annotation(pod, annotations::MIRROR).is_some()
}
