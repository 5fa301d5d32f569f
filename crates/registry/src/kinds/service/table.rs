//! The columns of a Service's table.

use std::collections::BTreeSet;

use podo_api::Value;
use podo_api::table::Cell;

use super::{cluster_ips, kind, node_port, spec};
use crate::kinds::pod::view::{at, entries, int, list, text, texts};
use crate::kinds::resource::joined;
use crate::table::{AGE, NAME};
use crate::{Column, Description};

const NONE: &str = "<none>";

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    column("Type", "type", 0, |service| kind(service).into()),
    column("Cluster-IP", "clusterIP", 0, |service| {
        cluster_ips(service).first().copied().unwrap_or(NONE).into()
    }),
    column("External-IP", "externalIPs", 0, |service| external(service).into()),
    column("Port(s)", "ports", 0, |service| ports(service).into()),
    AGE,
    column("Selector", "selector", 1, |service| selector(service).into()),
];

const fn column(
    name: &'static str,
    field: &'static str,
    priority: u8,
    cell: fn(&Value) -> Cell,
) -> Column {
    let description = Description::Field("core/v1.ServiceSpec", field);
    Column { name, kind: "string", format: "", description, priority, cell }
}

fn external(service: &Value) -> String {
    let spec = spec(service);
    let ips = texts(spec, "externalIPs");
    match kind(service) {
        "ClusterIP" | "NodePort" => joined(ips, NONE),
        "LoadBalancer" => {
            let balancer = at(at(service, "status"), "loadBalancer");
            let address = |ingress| match text(ingress, "ip") {
                "" => text(ingress, "hostname"),
                ip => ip,
            };
            let given: BTreeSet<&str> = list(balancer, "ingress")
                .iter()
                .map(address)
                .filter(|one| !one.is_empty())
                .collect();
            joined(given.into_iter().chain(ips), "<pending>")
        }
        "ExternalName" => text(spec, "externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(service: &Value) -> String {
    let shown = |port: &Value| {
        let (number, protocol) = (int(port, "port").unwrap_or(0), text(port, "protocol"));
        match node_port(port) {
            0 => format!("{number}/{protocol}"),
            node_port => format!("{number}:{node_port}/{protocol}"),
        }
    };
    joined(list(spec(service), "ports").iter().map(shown), NONE)
}

fn selector(service: &Value) -> String {
    let pairs = entries(spec(service), "selector");
    let shown = |(key, value): (&str, &Value)| format!("{key}={}", value.as_str().unwrap_or(""));
    joined(pairs.into_iter().map(shown), NONE)
}
