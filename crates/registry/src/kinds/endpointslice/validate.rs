//! Validation of EndpointSlices (Kubernetes v1.36 `pkg/apis/discovery/validation`).

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use crate::kinds::address::{self, legacy_ip, not_special};
use crate::kinds::pod::view::{at, get, list, one_of, text, texts};
use crate::metadata::IMMUTABLE;

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 100;
const HINTS_MAX: usize = 8;

const ADDRESS_TYPES: &[&str] = &["FQDN", "IPv4", "IPv6"];
/// `IP` is from a time before there was a stable version; slices of then may stay.
const OLD_ADDRESS_TYPES: &[&str] = &["FQDN", "IP", "IPv4", "IPv6"];

/// Validates a new slice.
pub(super) fn create(slice: &Value, errors: &mut Errors) {
    validate(slice, None, ADDRESS_TYPES, errors);
}

/// Validates a changed slice.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    validate(new, Some(old), OLD_ADDRESS_TYPES, errors);
    if text(new, "addressType") != text(old, "addressType") {
        errors.invalid(&Path::new("addressType"), text(new, "addressType"), IMMUTABLE);
    }
}

fn validate(slice: &Value, old: Option<&Value>, types: &[&str], errors: &mut Errors) {
    let kind = text(slice, "addressType");
    let path = Path::new("addressType");
    if kind.is_empty() {
        errors.required(&path, "");
    } else {
        one_of(errors, &path, kind, types);
    }
    ports(list(slice, "ports"), &Path::new("ports"), errors);
    let before: Vec<&str> = old
        .into_iter()
        .flat_map(|old| list(old, "endpoints"))
        .flat_map(|endpoint| texts(endpoint, "addresses"))
        .collect();
    let path = Path::new("endpoints");
    let endpoints = list(slice, "endpoints");
    if endpoints.len() > ENDPOINTS_MAX {
        errors.too_many(&path, endpoints.len(), ENDPOINTS_MAX);
        return;
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = path.index(index);
        addresses(endpoint, kind, &before, &path.child("addresses"), errors);
        rest(endpoint, &path, errors);
    }
}

fn ports(ports: &[Value], path: &Path, errors: &mut Errors) {
    if ports.len() > PORTS_MAX {
        errors.too_many(path, ports.len(), PORTS_MAX);
        return;
    }
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            errors.invalid_all(&path.child("name"), name, names::dns1123_label(name));
        }
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        match get(port, "protocol").and_then(Value::as_str) {
            None => errors.required(&path.child("protocol"), ""),
            Some(protocol) => {
                one_of(errors, &path.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
            }
        }
        if let Some(protocol) = get(port, "appProtocol").and_then(Value::as_str) {
            let problems = names::qualified_name(protocol);
            errors.invalid_all(&path.child("appProtocol"), protocol, problems);
        }
    }
}

fn addresses(endpoint: &Value, kind: &str, before: &[&str], path: &Path, errors: &mut Errors) {
    let addresses: Vec<&str> = texts(endpoint, "addresses").collect();
    if addresses.is_empty() {
        errors.required(path, "must contain at least 1 address");
    } else if addresses.len() > ADDRESSES_MAX {
        errors.too_many(path, addresses.len(), ADDRESSES_MAX);
    }
    for (index, value) in addresses.iter().enumerate() {
        let item = path.index(index);
        match kind {
            "IP" => legacy_ip(errors, &item, value, before),
            "IPv4" | "IPv6" => {
                legacy_ip(errors, &item, value, before);
                if address::family(value).is_some_and(|family| family != kind) {
                    errors.invalid(path, value, format!("must be an {kind} address"));
                }
                not_special(errors, &item, value);
            }
            "FQDN" => {
                for (problem, part) in names::fully_qualified_domain_name(value) {
                    errors.invalid(&item, part, problem);
                }
            }
            _ => {}
        }
    }
}

fn rest(endpoint: &Value, path: &Path, errors: &mut Errors) {
    if let Some(node) = get(endpoint, "nodeName").and_then(Value::as_str) {
        errors.invalid_all(&path.child("nodeName"), node, names::dns1123_subdomain(node));
    }
    crate::metadata::labels(
        at(endpoint, "deprecatedTopology"),
        &path.child("deprecatedTopology"),
        errors,
    );
    if let Some(host) = get(endpoint, "hostname").and_then(Value::as_str) {
        errors.invalid_all(&path.child("hostname"), host, names::dns1123_label(host));
    }
    let (hints, path) = (at(endpoint, "hints"), path.child("hints"));
    hint_names(hints, "forZones", &path, names::label_value, errors);
    hint_names(hints, "forNodes", &path, names::dns1123_subdomain, errors);
}

fn hint_names(
    hints: &Value,
    field: &str,
    path: &Path,
    rule: fn(&str) -> names::Problems,
    errors: &mut Errors,
) {
    let path = path.child(field);
    let items = list(hints, field);
    if items.len() > HINTS_MAX {
        errors.too_many(&path, items.len(), HINTS_MAX);
        return;
    }
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let path = path.index(index).child("name");
        let name = text(item, "name");
        if !seen.insert(name) {
            errors.duplicate(&path, name);
        }
        errors.invalid_all(&path, name, rule(name));
    }
}
