//! Containers: what all have in common, and what regular and init containers have of their own.

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::check;
use super::super::view::{at, get, has, int, is_sidecar, list, one_of, required_one_of, text};
use super::volumes::Volumes;
use super::{env, handlers, mounts, pull_policy, resources, restart, security};

/// What the containers of a Pod refer to.
pub(super) struct Scope<'a> {
    /// The Pod's spec.
    pub(super) spec: &'a Value,
    /// The volumes that are valid, by name.
    pub(super) volumes: Volumes<'a>,
    /// The names of the Pod's resource claims.
    pub(super) claims: Vec<&'a str>,
}

impl<'a> Scope<'a> {
    /// The scope of a Pod's spec, with the volumes that are valid.
    pub(super) fn new(spec: &'a Value, volumes: Volumes<'a>) -> Self {
        let mut claims: Vec<&str> = list(spec, "resourceClaims")
            .iter()
            .map(|claim| text(claim, "name"))
            .filter(|name| !name.is_empty())
            .collect();
        claims.sort_unstable();
        claims.dedup();
        Self { spec, volumes, claims }
    }
}

/// The regular containers.
pub(super) fn regular(scope: &Scope<'_>, path: &Path, errors: &mut Errors) {
    let path = path.child("containers");
    let containers = list(scope.spec, "containers");
    if containers.is_empty() {
        errors.required(&path, "");
        return;
    }
    let mut seen = HashSet::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        common(container, scope, &path, errors);
        let name = text(container, "name");
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        handlers::all(container, scope.spec, &path, errors);
        restart::policy(container, &path, errors);
    }
    unique_host_ports(containers.iter().enumerate(), &path, errors);
}

/// The init containers, which share the names of the regular ones.
pub(super) fn init(scope: &Scope<'_>, path: &Path, errors: &mut Errors) {
    let path = path.child("initContainers");
    let mut seen: HashSet<&str> =
        list(scope.spec, "containers").iter().map(|container| text(container, "name")).collect();
    for (index, container) in list(scope.spec, "initContainers").iter().enumerate() {
        let at_index = path.index(index);
        common(container, scope, &at_index, errors);
        restart::policy(container, &at_index, errors);
        let name = text(container, "name");
        if seen.contains(name) {
            errors.duplicate(&at_index.child("name"), name);
        } else if !name.is_empty() {
            seen.insert(name);
        }
        // One runs after the other, so each has the host's ports for itself. The path is upstream's.
        unique_host_ports(std::iter::once((0, container)), &path, errors);
        if is_sidecar(container) {
            handlers::all(container, scope.spec, &at_index, errors);
        } else {
            without_handlers(container, &at_index, errors);
            resize_without_restart(container, &at_index, errors);
        }
    }
}

fn without_handlers(container: &Value, path: &Path, errors: &mut Errors) {
    const WHY: &str = "may not be set for init containers without restartPolicy=Always";
    for name in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if has(container, name) {
            errors.forbidden(&path.child(name), WHY);
        }
    }
}

fn resize_without_restart(container: &Value, path: &Path, errors: &mut Errors) {
    const WHY: &str = "must not be set to 'RestartContainer' for non-sidecar initContainers";
    for (index, policy) in list(container, "resizePolicy").iter().enumerate() {
        if text(policy, "restartPolicy") == "RestartContainer" {
            let path = path.child("resizePolicy").index(index).child("restartPolicy");
            errors.invalid(&path, "RestartContainer", WHY);
        }
    }
}

/// Where the message of a container that ended comes from.
const MESSAGE_POLICIES: [&str; 2] = ["File", "FallbackToLogsOnError"];

/// What containers of every kind have in common.
pub(super) fn common(container: &Value, scope: &Scope<'_>, path: &Path, errors: &mut Errors) {
    let name = text(container, "name");
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    } else {
        check(errors, &path.child("name"), name, names::dns1123_label(name));
    }
    if text(container, "image").is_empty() {
        errors.required(&path.child("image"), "");
    }
    let message_policy = text(container, "terminationMessagePolicy");
    required_one_of(
        errors,
        &path.child("terminationMessagePolicy"),
        message_policy,
        &MESSAGE_POLICIES,
    );
    ports(container, path, errors);
    env::variables(container, path, errors);
    env::sources(container, path, errors);
    mounts::mounts(container, scope, path, errors);
    mounts::devices(container, scope, path, errors);
    pull_policy(container, path, "imagePullPolicy", errors);
    let requirements = at(container, "resources");
    resources::container(requirements, &scope.claims, &path.child("resources"), errors);
    resize_policy(container, scope.spec, path, errors);
    security::container(container, scope.spec, path, errors);
}

/// What is asked of containers in Pods but not in templates.
pub(crate) fn only_in_pods(container: &Value, path: &Path, errors: &mut Errors) {
    let image = text(container, "image");
    if image.trim() != image {
        errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
    }
}

fn ports(container: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("ports");
    let mut seen = HashSet::new();
    for (index, port) in list(container, "ports").iter().enumerate() {
        let path = path.index(index);
        port_name(port, &mut seen, &path, errors);
        match int(port, "containerPort").unwrap_or(0) {
            0 => errors.required(&path.child("containerPort"), ""),
            number => port_number(number, &path.child("containerPort"), errors),
        }
        if let Some(number) = int(port, "hostPort").filter(|&number| number != 0) {
            port_number(number, &path.child("hostPort"), errors);
        }
        let protocol = text(port, "protocol");
        required_one_of(errors, &path.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
    }
}

fn port_name<'a>(port: &'a Value, seen: &mut HashSet<&'a str>, path: &Path, errors: &mut Errors) {
    let name = text(port, "name");
    if name.is_empty() {
        return;
    }
    let path = path.child("name");
    let problems = names::port_name(name);
    if !problems.is_empty() {
        check(errors, &path, name, problems);
    } else if !seen.insert(name) {
        errors.duplicate(&path, name);
    }
}

/// A port's number.
pub(super) fn port_number(number: i64, path: &Path, errors: &mut Errors) {
    for problem in names::port_number(number) {
        errors.invalid_value(path, number, problem);
    }
}

/// No two containers can have the same port of the host.
fn unique_host_ports<'a>(
    containers: impl Iterator<Item = (usize, &'a Value)>,
    path: &Path,
    errors: &mut Errors,
) {
    let mut seen = HashSet::new();
    for (index, container) in containers {
        for (port_index, port) in list(container, "ports").iter().enumerate() {
            let number = int(port, "hostPort").unwrap_or(0);
            let key = format!("{}/{}/{number}", text(port, "protocol"), text(port, "hostIP"));
            if number != 0 && !seen.insert(key.clone()) {
                let path = path.index(index).child("ports").index(port_index).child("hostPort");
                errors.duplicate(&path, &key);
            }
        }
    }
}

/// What a change of resources does to a running container (KEP-1287).
fn resize_policy(container: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("resizePolicy");
    let mut seen = HashSet::new();
    for (index, policy) in list(container, "resizePolicy").iter().enumerate() {
        let (resource, restart) = (text(policy, "resourceName"), text(policy, "restartPolicy"));
        if !seen.insert(resource) {
            errors.duplicate(&path.index(index), resource);
        }
        required_one_of(errors, &path, resource, &["cpu", "memory"]);
        required_one_of(errors, &path, restart, &["NotRequired", "RestartContainer"]);
        if text(spec, "restartPolicy") == "Never" && restart != "NotRequired" {
            const WHY: &str = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.invalid(&path, restart, WHY);
        }
    }
}

/// The words for what mounts do to each other.
pub(super) fn mount_propagation(mode: &str, container: &Value, path: &Path, errors: &mut Errors) {
    one_of(errors, path, mode, &["Bidirectional", "HostToContainer", "None"]);
    let is_privileged = get(container, "securityContext")
        .is_some_and(|context| at(context, "privileged").as_bool() == Some(true));
    if mode == "Bidirectional" && !is_privileged {
        const WHY: &str =
            "Bidirectional mount propagation is available only to privileged containers";
        errors.forbidden(path, WHY);
    }
}
