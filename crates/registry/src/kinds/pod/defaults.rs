//! Defaults of Pods and of the Pod specs in templates (Kubernetes v1.36 `pkg/apis/core/v1` defaults and conversions).
//!
//! Holds always: a second run changes nothing. Not here: what admission adds (tolerations, service account, priority).

mod resources;
mod volumes;

use podo_api::Value;
use podo_api::{meta, tree};

use super::image_name;
use super::view::{at, get, int, is_on, list, text};

/// How long a Pod has to stop if it does not say.
const GRACE_SECONDS: i64 = 30;

/// Annotations of releases before init containers had a field; the served form drops them.
const DROPPED_ANNOTATIONS: [&str; 4] = [
    "pod.beta.kubernetes.io/init-containers",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-container-statuses",
];

/// Sets the defaults of a Pod.
pub(crate) fn pod(pod: &mut Value) {
    drop_annotations(pod);
    let spec = field(pod, "spec");
    pod_spec(spec);
    resources::requests_from_limits(spec);
    resources::pod_level(spec);
    tree::set_default_pointer(spec, "enableServiceLinks", true);
    if is_on(spec, "hostNetwork") {
        host_ports(spec);
    }
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        tree::set(spec, "terminationGracePeriodSeconds", 1);
    }
    pod_ips(field(pod, "status"));
}

/// Sets the defaults that every Pod spec has, those in templates too.
pub(crate) fn pod_spec(spec: &mut Value) {
    tree::set_default(spec, "dnsPolicy", "ClusterFirst");
    tree::set_default(spec, "restartPolicy", "Always");
    tree::set_default(spec, "schedulerName", "default-scheduler");
    tree::set_default_pointer(spec, "securityContext", Value::Object(serde_json::Map::new()));
    tree::set_default_pointer(spec, "terminationGracePeriodSeconds", GRACE_SECONDS);
    service_account(spec);
    for volume in tree::items_mut(spec, "volumes") {
        volumes::volume(volume);
    }
    for name in super::view::CONTAINER_LISTS {
        for container in tree::items_mut(spec, name) {
            container_defaults(container);
        }
    }
    resources::round_up(spec.get_mut("overhead"));
    if let Some(pod_resources) = spec.get_mut("resources") {
        resources::round_up_requirements(pod_resources);
    }
}

/// A field to be changed, made an empty map if it is not set.
fn field<'a>(value: &'a mut Value, name: &str) -> &'a mut Value {
    let field = tree::as_map(value).entry(name).or_insert(Value::Null);
    tree::as_map(field);
    field
}

fn drop_annotations(pod: &mut Value) {
    if let Some(annotations) =
        meta::of_mut(pod).get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.retain(|key, _| !DROPPED_ANNOTATIONS.contains(&key.as_str()));
        if annotations.is_empty() {
            meta::set(pod, "annotations", Value::Null);
        }
    }
}

/// The old name of the field is another name for the same thing.
fn service_account(spec: &mut Value) {
    let name = match text(spec, "serviceAccountName") {
        "" => text(spec, "serviceAccount"),
        name => name,
    };
    if !name.is_empty() {
        let name = name.to_owned();
        tree::set(spec, "serviceAccount", name.as_str());
        tree::set(spec, "serviceAccountName", name);
    }
}

fn container_defaults(container: &mut Value) {
    let policy =
        if image_name::is_latest(text(container, "image")) { "Always" } else { "IfNotPresent" };
    tree::set_default(container, "imagePullPolicy", policy);
    tree::set_default(container, "terminationMessagePath", "/dev/termination-log");
    tree::set_default(container, "terminationMessagePolicy", "File");
    for port in tree::items_mut(container, "ports") {
        tree::set_default(port, "protocol", "TCP");
    }
    for variable in tree::items_mut(container, "env") {
        env_source(variable.get_mut("valueFrom"));
    }
    resources::round_up_requirements(field(container, "resources"));
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if get(container, name).is_some() {
            probe(field(container, name));
        }
    }
    if get(container, "lifecycle").is_some() {
        let lifecycle = field(container, "lifecycle");
        for name in ["postStart", "preStop"] {
            http_get(lifecycle.get_mut(name));
        }
    }
}

fn env_source(source: Option<&mut Value>) {
    let Some(source) = source else { return };
    if get(source, "fieldRef").is_some() {
        tree::set_default(field(source, "fieldRef"), "apiVersion", "v1");
    }
    if get(source, "fileKeyRef").is_some() {
        tree::set_default_pointer(field(source, "fileKeyRef"), "optional", false);
    }
}

fn probe(probe: &mut Value) {
    tree::set_default(probe, "timeoutSeconds", 1);
    tree::set_default(probe, "periodSeconds", 10);
    tree::set_default(probe, "successThreshold", 1);
    tree::set_default(probe, "failureThreshold", 3);
    if get(probe, "grpc").is_some() {
        tree::set_default_pointer(field(probe, "grpc"), "service", "");
    }
    http_get(Some(probe));
}

/// The defaults of `httpGet` of a probe or hook.
fn http_get(handler: Option<&mut Value>) {
    let Some(handler) = handler.filter(|handler| get(handler, "httpGet").is_some()) else { return };
    let request = field(handler, "httpGet");
    tree::set_default(request, "path", "/");
    tree::set_default(request, "scheme", "HTTP");
}

/// On the host's network the ports of containers are ports of the host.
fn host_ports(spec: &mut Value) {
    for name in ["containers", "initContainers"] {
        for container in tree::items_mut(spec, name) {
            for port in tree::items_mut(container, "ports") {
                let number = int(port, "containerPort").unwrap_or(0);
                tree::set_default(port, "hostPort", number);
            }
        }
    }
}

/// `podIP` and `podIPs` say the same; where they differ, the older field wins, since old nodes know only that.
fn pod_ips(status: &mut Value) {
    let first = list(status, "podIPs").first().map_or("", |ip| text(ip, "ip")).to_owned();
    match text(status, "podIP").to_owned() {
        ip if ip == first => {}
        ip if ip.is_empty() => tree::set(status, "podIP", first),
        ip => {
            let ips = serde_json::json!([{ "ip": ip }]);
            tree::set(status, "podIPs", ips);
        }
    }
    if at(status, "podIP") == &Value::from("") {
        tree::set(status, "podIP", Value::Null);
    }
}

#[cfg(test)]
mod tests;
