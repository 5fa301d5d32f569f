//! Service: one address for the Pods that a selector chooses.
//!
//! Its fields hang together: the type decides which of them mean something, and some are given by the server. Here is the
//! definition and what the rules share; each step of a write has a file: [`defaults`], [`families`] and [`carry`] (before the
//! allocation), [`strategy`] (after it), [`validate`].
//!
//! Not here: which addresses and ports are free (the API server knows).

mod carry;
mod defaults;
mod families;
mod strategy;
mod table;
mod validate;

pub use carry::carry;
pub use families::init_families;

use podo_api::Value;
use podo_api::field::Path;

use super::address;
use super::pod::view::{at, get, int, list, text, texts};
use super::resource::is_new;
use crate::{Definition, Names, Selectable, StatusPolicy, name, proxy_of, status_of};

const TY: &str = "core/v1.Service";

/// What stands for an address in a Service that has none.
pub const HEADLESS: &str = "None";

/// The annotation that asked for topology hints before it was renamed.
const OLD_HINTS_ANNOTATION: &str = "service.kubernetes.io/topology-aware-hints";

/// The annotation that asks for topology hints.
const HINTS_ANNOTATION: &str = "service.kubernetes.io/topology-mode";

/// Service.
pub(crate) static SERVICE: Definition = Definition {
    names: Names {
        kind: "Service",
        plural: "services",
        singular: "service",
        short: &["svc"],
        categories: &["all"],
        ..Definition::BASE.names
    },
    ty: TY,
    subresources: &[proxy_of("ServiceProxyOptions"), status_of("", "v1", "Service", TY)],
    status: StatusPolicy::Separate,
    check_name: name::dns_label, // KEP-5311: no longer a DNS-1035 label.
    columns: table::COLUMNS,
    selectable: &[
        Selectable { label: "spec.clusterIP", read: |service| of_spec(service, "clusterIP") },
        Selectable { label: "spec.type", read: |service| of_spec(service, "type") },
    ],
    default: defaults::set,
    prepare_update: strategy::prepare_update,
    validate: |service, errors| {
        if is_new(service) {
            validate::whole(service, None, errors);
        }
    },
    validate_update: validate::change,
    validate_status: validate::status,
    warnings,
    allows_create_on_update: true,
    returns_deleted: true,
    ..Definition::BASE
};

fn of_spec(service: &Value, field: &str) -> String {
    text(spec(service), field).to_owned()
}

fn spec(service: &Value) -> &Value {
    at(service, "spec")
}

/// The type.
pub fn kind(service: &Value) -> &str {
    text(spec(service), "type")
}

/// Whether a Service of this type has an address, or says that it has none.
pub fn needs_cluster_ip(service: &Value) -> bool {
    kind(service) != "ExternalName"
}

/// Whether a Service of this type is reached by ports of the nodes.
pub fn needs_node_ports(service: &Value) -> bool {
    matches!(kind(service), "NodePort" | "LoadBalancer")
}

/// Whether the server chooses node ports that are not given.
pub fn allocates_node_ports(service: &Value) -> bool {
    match kind(service) {
        "NodePort" => true,
        "LoadBalancer" => at(spec(service), "allocateLoadBalancerNodePorts") != false,
        _ => false,
    }
}

/// Whether a load balancer asks each node whether it has endpoints.
pub fn needs_health_check(service: &Value) -> bool {
    kind(service) == "LoadBalancer" && text(spec(service), "externalTrafficPolicy") == "Local"
}

/// The port of that question; 0 if there is none.
pub fn health_check_port(service: &Value) -> i64 {
    int(spec(service), "healthCheckNodePort").unwrap_or(0)
}

/// The addresses, in order; `None` as a word counts as one.
pub fn cluster_ips(service: &Value) -> Vec<&str> {
    texts(spec(service), "clusterIPs").collect()
}

/// Whether the Service says that it has no address.
pub fn is_headless(service: &Value) -> bool {
    cluster_ips(service) == [HEADLESS]
}

/// The node ports that are set.
pub fn node_ports(service: &Value) -> Vec<i64> {
    let ports = list(spec(service), "ports").iter().map(node_port);
    ports.filter(|&port| port != 0).collect()
}

/// The node port of a port; 0 if it has none.
pub fn node_port(port: &Value) -> i64 {
    int(port, "nodePort").unwrap_or(0)
}

fn is_externally_accessible(service: &Value) -> bool {
    match kind(service) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(spec(service), "externalIPs").is_empty(),
        _ => false,
    }
}

fn warnings(service: &Value, _old: Option<&Value>) -> Vec<String> {
    let (spec, path) = (spec(service), Path::new("spec"));
    let mut warnings = Vec::new();
    if podo_api::meta::annotation(service, OLD_HINTS_ANNOTATION).is_some() {
        warnings.push(format!(
            "annotation {OLD_HINTS_ANNOTATION} is deprecated, please use {HINTS_ANNOTATION} instead"
        ));
    }
    let mut addresses = |field: &str, values: &[&str]| {
        let path = path.child(field);
        for (index, ip) in values.iter().enumerate() {
            warnings.extend(address::warning(&path.index(index), ip));
        }
    };
    if !matches!(text(spec, "clusterIP"), "" | HEADLESS) {
        addresses("clusterIPs", &cluster_ips(service));
    }
    let external: Vec<&str> = texts(spec, "externalIPs").collect();
    let is_headless = kind(service) == "ClusterIP" && text(spec, "clusterIP") == HEADLESS;
    if is_headless {
        warnings.extend(ignored_if_headless(spec));
    }
    for (index, ip) in external.iter().enumerate() {
        warnings.extend(address::warning(&path.child("externalIPs").index(index), ip));
    }
    if !external.is_empty() && !is_headless && needs_cluster_ip(service) {
        let text =
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
        warnings.push(text.to_owned());
    }
    let balancer = text(spec, "loadBalancerIP");
    if !balancer.is_empty() {
        warnings.extend(address::warning(&path.child("loadBalancerIP"), balancer));
    }
    for (index, cidr) in texts(spec, "loadBalancerSourceRanges").enumerate() {
        let path = path.child("loadBalancerSourceRanges").index(index);
        warnings.extend(address::network_warnings(&path, cidr));
    }
    warnings.extend(ignored_by_type(service));
    if text(spec, "trafficDistribution") == "PreferClose" {
        warnings.push(
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""
                .to_owned(),
        );
    }
    warnings
}

fn ignored_if_headless(spec: &Value) -> Vec<String> {
    let fields = [
        ("loadBalancerIP", !text(spec, "loadBalancerIP").is_empty()),
        ("externalIPs", !list(spec, "externalIPs").is_empty()),
        ("SessionAffinity", text(spec, "sessionAffinity") != "None"),
    ];
    let set = fields.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(field, _)| format!("spec.{field} is ignored for headless services")).collect()
}

fn ignored_by_type(service: &Value) -> Option<String> {
    let spec = spec(service);
    if kind(service) == "ExternalName" {
        let is_set = !list(spec, "externalIPs").is_empty();
        return is_set
            .then(|| "spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    get(spec, "externalName")
        .map(|_| "spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned())
}

#[cfg(test)]
mod tests;
