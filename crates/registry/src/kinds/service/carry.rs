//! What a client may leave out because the server gave it: it is taken from the present Service, or from its twin field.

use podo_api::{Value, tree};

use super::{
    cluster_ips, health_check_port, needs_cluster_ip, needs_health_check, needs_node_ports,
    node_port, node_ports, spec,
};
use crate::kinds::pod::view::{list, text};

/// Fills in what an old client, or one that knows only its own fields, did not say.
pub fn carry(new: &mut Value, old: Option<&Value>) {
    if let Some(old) = old {
        allocated(new, old);
    }
    pair(new, old);
}

/// Takes over allocated values that are missing.
fn allocated(new: &mut Value, old: &Value) {
    if needs_cluster_ip(old) && needs_cluster_ip(new) {
        let before = text(spec(old), "clusterIP");
        if text(spec(new), "clusterIP").is_empty() {
            set(new, "clusterIP", before.into());
        }
        if cluster_ips(new).is_empty() && text(spec(new), "clusterIP") == before {
            set(new, "clusterIPs", cluster_ips(old).into());
        }
    }
    if needs_node_ports(old) && needs_node_ports(new) {
        carry_node_ports(new, old);
    }
    if needs_health_check(old) && needs_health_check(new) && health_check_port(new) == 0 {
        set(new, "healthCheckNodePort", health_check_port(old).into());
    }
}

/// A port without a node port gets the one that the port of its name had, if no other port names that one.
fn carry_node_ports(new: &mut Value, old: &Value) {
    let (now, before) = (node_ports(new), node_ports(old));
    let named: Vec<(&str, i64)> =
        list(spec(old), "ports").iter().map(|port| (text(port, "name"), node_port(port))).collect();
    let Some(spec) = tree::as_map(new).get_mut("spec") else { return };
    for port in tree::items_mut(spec, "ports").iter_mut().filter(|port| node_port(port) == 0) {
        let found = named.iter().rev().find(|(name, _)| *name == text(port, "name"));
        if let Some((_, number)) = found
            && *number != 0
            && !(now.contains(number) && before.contains(number))
        {
            tree::set(port, "nodePort", *number);
        }
    }
}

/// Keeps `clusterIP` and `clusterIPs` together for clients that know only the first.
fn pair(new: &mut Value, old: Option<&Value>) {
    let single = text(spec(new), "clusterIP").to_owned();
    let Some(old) = old else {
        if !single.is_empty() && cluster_ips(new).is_empty() {
            set(new, "clusterIPs", vec![single].into());
        }
        return;
    };
    let before = text(spec(old), "clusterIP");
    let (listed, listed_before) = (cluster_ips(new), cluster_ips(old));
    if before == single {
        if listed.is_empty() {
            set(new, "clusterIPs", cluster_ips(old).into());
        }
    } else if listed.is_empty() || listed == listed_before {
        let list = if single.is_empty() { Value::Null } else { vec![single].into() };
        set(new, "clusterIPs", list);
    }
}

fn set(service: &mut Value, field: &str, value: Value) {
    let spec = tree::as_map(service).entry("spec").or_insert(Value::Null);
    tree::set(spec, field, value);
}
