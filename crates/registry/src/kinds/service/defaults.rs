//! The defaults of a Service that depend on nothing but itself.

use podo_api::{Value, tree};
use serde_json::json;

use super::{is_externally_accessible, kind};
use crate::kinds::pod::view::{at, int, text};

/// How long a client stays with its endpoint, in seconds (Kubernetes v1.36 `DefaultClientIPServiceAffinitySeconds`).
const AFFINITY_SECONDS: i64 = 10_800;

pub(super) fn set(service: &mut Value) {
    let spec = tree::as_map(service).entry("spec").or_insert_with(|| json!({}));
    affinity(spec);
    tree::set_default(spec, "type", "ClusterIP");
    for port in tree::items_mut(spec, "ports") {
        tree::set_default(port, "protocol", "TCP");
        let number = int(port, "port").unwrap_or(0);
        tree::set_default(port, "targetPort", number);
    }
    let is_external = is_externally_accessible(service);
    let kind = kind(service).to_owned();
    let spec = tree::map_mut(service, "spec");
    let mut set = |field: &str, value: Value| {
        if spec.get(field).is_none_or(|found| found.is_null() || found == "") {
            spec.insert(field.to_owned(), value);
        }
    };
    if is_external {
        set("externalTrafficPolicy", json!("Cluster"));
    }
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        set("internalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        set("allocateLoadBalancerNodePorts", json!(true));
        ingress_modes(service);
    }
}

fn affinity(spec: &mut Value) {
    tree::set_default(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => tree::set(spec, "sessionAffinityConfig", Value::Null),
        "ClientIP" => {
            let config = at(at(spec, "sessionAffinityConfig"), "clientIP");
            if int(config, "timeoutSeconds").is_none() {
                let config = json!({"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}});
                tree::set(spec, "sessionAffinityConfig", config);
            }
        }
        _ => {}
    }
}

/// An address of a load balancer is a virtual one unless it says otherwise (KEP-1860).
fn ingress_modes(service: &mut Value) {
    let Some(status) = tree::as_map(service).get_mut("status") else { return };
    let Some(balancer) = tree::as_map(status).get_mut("loadBalancer") else { return };
    for ingress in tree::items_mut(balancer, "ingress") {
        if !text(ingress, "ip").is_empty() {
            tree::set_default_pointer(ingress, "ipMode", "VIP");
        }
    }
}
