//! Endpoints: the addresses behind a Service in the form that EndpointSlices have replaced.

mod repack;

use podo_api::field::{Errors, Path};
use podo_api::names;
use podo_api::{Value, tree};

use super::address::{self, legacy_ip, not_special};
use super::pod::view::{get, int, list, one_of, text};
use super::resource::is_new;
use crate::{Column, Definition, Description, Names, table};

/// How many endpoints a table shows.
const SHOWN_MAX: usize = 3;

/// Endpoints.
pub(crate) static ENDPOINTS: Definition = Definition {
    names: Names {
        kind: "Endpoints",
        plural: "endpoints",
        singular: "endpoints",
        short: &["ep"],
        ..Definition::BASE.names
    },
    ty: "core/v1.Endpoints",
    columns: &[
        table::NAME,
        Column {
            name: "Endpoints",
            kind: "string",
            format: "",
            description: Description::Field("core/v1.Endpoints", "subsets"),
            priority: 0,
            cell: |endpoints| summary(endpoints).into(),
        },
        table::AGE,
    ],
    default,
    prepare_create: |endpoints| canonicalize(endpoints, None),
    prepare_update: |new, old| canonicalize(new, Some(old)),
    validate: |endpoints, errors| {
        if is_new(endpoints) {
            validate(endpoints, None, errors);
        }
    },
    validate_update: |new, old, errors| validate(new, Some(old), errors),
    warnings,
    allows_create_on_update: true,
    deprecation: Some(
        "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ),
    ..Definition::BASE
};

fn default(endpoints: &mut Value) {
    for subset in tree::items_mut(endpoints, "subsets") {
        for port in tree::items_mut(subset, "ports") {
            tree::set_default(port, "protocol", "TCP");
        }
    }
}

/// Brings valid subsets into the form that says the same with the fewest subsets.
fn canonicalize(endpoints: &mut Value, old: Option<&Value>) {
    let mut errors = Errors::new();
    validate(endpoints, old, &mut errors);
    if errors.is_empty() && !list(endpoints, "subsets").is_empty() {
        let subsets = repack::repack(list(endpoints, "subsets"));
        tree::set(endpoints, "subsets", subsets);
    }
}

/// The lists of addresses of a subset.
const ADDRESSES: [&str; 2] = ["addresses", "notReadyAddresses"];

fn addresses(endpoints: &Value) -> impl Iterator<Item = (Path, &Value)> {
    let path = Path::new("subsets");
    list(endpoints, "subsets").iter().enumerate().flat_map(move |(at, subset)| {
        let path = path.index(at);
        ADDRESSES.into_iter().flat_map(move |name| {
            let path = path.child(name);
            list(subset, name)
                .iter()
                .enumerate()
                .map(move |(at, address)| (path.index(at), address))
        })
    })
}

fn validate(endpoints: &Value, old: Option<&Value>, errors: &mut Errors) {
    let before: Vec<&str> =
        old.into_iter().flat_map(|old| addresses(old).map(|(_, old)| text(old, "ip"))).collect();
    let path = Path::new("subsets");
    for (index, subset) in list(endpoints, "subsets").iter().enumerate() {
        let path = path.index(index);
        if ADDRESSES.iter().all(|name| list(subset, name).is_empty()) {
            errors.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for name in ADDRESSES {
            for (index, address) in list(subset, name).iter().enumerate() {
                validate_address(address, &before, &path.child(name).index(index), errors);
            }
        }
        let ports = list(subset, "ports");
        for (index, port) in ports.iter().enumerate() {
            validate_port(port, ports.len() > 1, &path.child("ports").index(index), errors);
        }
    }
}

fn validate_address(address: &Value, before: &[&str], path: &Path, errors: &mut Errors) {
    let ip = text(address, "ip");
    legacy_ip(errors, &path.child("ip"), ip, before);
    let host = text(address, "hostname");
    if !host.is_empty() {
        errors.invalid_all(&path.child("hostname"), host, names::dns1123_label(host));
    }
    if let Some(node) = get(address, "nodeName").and_then(Value::as_str) {
        errors.invalid_all(&path.child("nodeName"), node, names::dns1123_subdomain(node));
    }
    not_special(errors, &path.child("ip"), ip);
}

fn validate_port(port: &Value, needs_name: bool, path: &Path, errors: &mut Errors) {
    let name = text(port, "name");
    if !name.is_empty() {
        errors.invalid_all(&path.child("name"), name, names::dns1123_label(name));
    } else if needs_name {
        errors.required(&path.child("name"), "");
    }
    let number = int(port, "port").unwrap_or(0);
    for problem in names::port_number(number) {
        errors.invalid_value(&path.child("port"), number, problem);
    }
    protocol(errors, text(port, "protocol"), path);
    if let Some(protocol) = get(port, "appProtocol").and_then(Value::as_str) {
        errors.invalid_all(&path.child("appProtocol"), protocol, names::qualified_name(protocol));
    }
}

/// The protocol of a port, here and of Services.
pub(super) fn protocol(errors: &mut Errors, protocol: &str, path: &Path) {
    let path = path.child("protocol");
    if protocol.is_empty() {
        errors.required(&path, "");
    } else {
        one_of(errors, &path, protocol, &["SCTP", "TCP", "UDP"]);
    }
}

fn warnings(endpoints: &Value, _old: Option<&Value>) -> Vec<String> {
    addresses(endpoints)
        .filter_map(|(path, address)| address::warning(&path.child("ip"), text(address, "ip")))
        .collect()
}

/// The first endpoints, and how many more there are.
fn summary(endpoints: &Value) -> String {
    let subsets = list(endpoints, "subsets");
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut all: Vec<String> = Vec::new();
    for subset in subsets {
        let ips: Vec<&str> =
            list(subset, "addresses").iter().map(|address| text(address, "ip")).collect();
        let ports = list(subset, "ports");
        if ports.is_empty() {
            all.extend(ips.iter().map(|&ip| ip.to_owned()));
        }
        for port in ports {
            let port = int(port, "port").unwrap_or(0);
            all.extend(ips.iter().map(|ip| {
                if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
            }));
        }
    }
    shortened(&all, SHOWN_MAX)
}

/// The first items with commas between them, and how many more there are.
pub(super) fn shortened(items: &[String], max: usize) -> String {
    let first = items[..items.len().min(max)].join(",");
    if items.len() > max { format!("{first} + {} more...", items.len() - max) } else { first }
}
