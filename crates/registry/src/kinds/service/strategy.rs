//! What a change of the type takes away: fields that the new type does not have, as long as the client did not also change them.

use podo_api::{Value, tree};
use serde_json::json;

use super::{
    health_check_port, is_externally_accessible, kind, needs_cluster_ip, needs_health_check,
    needs_node_ports, node_ports, spec,
};
use crate::kinds::pod::view::at;

pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && !needs_cluster_ip(new) {
        if is_same(new, old, "clusterIP") && is_same(new, old, "clusterIPs") {
            drop_fields(new, &["clusterIP", "clusterIPs"]);
        }
        for field in ["ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            drop_if_same(new, old, field);
        }
    }
    let is_nothing_added = || node_ports(new).iter().all(|port| node_ports(old).contains(port));
    if needs_node_ports(old) && !needs_node_ports(new) && is_nothing_added() {
        drop_node_ports(new);
    }
    let is_same_port = health_check_port(new) == health_check_port(old);
    if needs_health_check(old) && !needs_health_check(new) && is_same_port {
        drop_fields(new, &["healthCheckNodePort"]);
    }
    if kind(old) == "LoadBalancer" && kind(new) != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            drop_if_same(new, old, field);
        }
    }
    if is_externally_accessible(old) && !is_externally_accessible(new) {
        drop_if_same(new, old, "externalTrafficPolicy");
    }
    if kind(new) != "LoadBalancer" {
        let status = tree::as_map(new).entry("status").or_insert(Value::Null);
        tree::set(status, "loadBalancer", json!({}));
    }
}

fn is_same(new: &Value, old: &Value, field: &str) -> bool {
    at(spec(new), field) == at(spec(old), field)
}

fn drop_if_same(new: &mut Value, old: &Value, field: &str) {
    if is_same(new, old, field) {
        drop_fields(new, &[field]);
    }
}

fn drop_fields(service: &mut Value, fields: &[&str]) {
    if let Some(spec) = tree::as_map(service).get_mut("spec") {
        for field in fields {
            tree::set(spec, field, Value::Null);
        }
    }
}

fn drop_node_ports(service: &mut Value) {
    if let Some(spec) = tree::as_map(service).get_mut("spec") {
        for port in tree::items_mut(spec, "ports") {
            tree::set(port, "nodePort", Value::Null);
        }
    }
}
