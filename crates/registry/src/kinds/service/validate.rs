//! Validation of Services (Kubernetes v1.36 `pkg/apis/core/validation`).

use std::collections::HashSet;

use podo_api::field::{Errors, Path, quoted};
use podo_api::{Value, meta, names};

use super::{
    HEADLESS, HINTS_ANNOTATION, OLD_HINTS_ANNOTATION, cluster_ips, health_check_port,
    is_externally_accessible, is_headless, kind, needs_health_check, node_port, spec,
};
use crate::kinds::address::{family, legacy_cidr, legacy_ip, not_special};
use crate::kinds::endpoints::protocol;
use crate::kinds::pod::view::{at, get, has, int, list, one_of, required_one_of, text, texts};
use crate::metadata::{IMMUTABLE, labels};

/// The longest time that a client can stay with its endpoint, in seconds.
const AFFINITY_SECONDS_MAX: i64 = 86_400;

/// The annotation that `loadBalancerSourceRanges` replaced.
const RANGES_ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

const BALANCER_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
const SET_ONCE: &str = "may not change once set";

fn path(field: &str) -> Path {
    Path::new("spec").child(field)
}

/// Validates a Service; what `old` already had is not asked about again where rules became stricter.
pub(super) fn whole(service: &Value, old: Option<&Value>, errors: &mut Errors) {
    annotations(service, errors);
    by_type(service, errors);
    ports(service, errors);
    labels(at(spec(service), "selector"), &path("selector"), errors);
    affinity(service, errors);
    addresses(service, &old.map(cluster_ips).unwrap_or_default(), errors);
    external_ips(service, old, errors);
    let supported = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    required_one_of(errors, &path("type"), kind(service), &supported);
    port_numbers(service, errors);
    source_ranges(service, old, errors);
    balancer(service, errors);
    traffic(service, errors);
}

fn annotations(service: &Value, errors: &mut Errors) {
    let old = meta::annotation(service, OLD_HINTS_ANNOTATION);
    let new = meta::annotation(service, HINTS_ANNOTATION);
    if let (Some(old), Some(new)) = (old, new)
        && old != new
    {
        let path = Path::new("metadata").child("annotations").key(HINTS_ANNOTATION);
        let why = format!("must match annotations[{OLD_HINTS_ANNOTATION}] when both are specified");
        errors.invalid(&path, new, why);
    }
}

fn by_type(service: &Value, errors: &mut Errors) {
    let spec = spec(service);
    if list(spec, "ports").is_empty() && !is_headless(service) && kind(service) != "ExternalName" {
        errors.required(&path("ports"), "");
    }
    match kind(service) {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(service) => {
            let why = format!("may not be set to 'None' for {kind} services");
            errors.invalid(&path("clusterIPs").index(0), HEADLESS, why);
        }
        "ExternalName" => {
            let given = [
                ("clusterIPs", !cluster_ips(service).is_empty()),
                ("ipFamilies", !list(spec, "ipFamilies").is_empty()),
                ("ipFamilyPolicy", has(spec, "ipFamilyPolicy")),
            ];
            for (field, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                errors.forbidden(&path(field), "may not be set for ExternalName services");
            }
            let name = text(spec, "externalName");
            let name = name.strip_suffix('.').unwrap_or(name);
            if name.is_empty() {
                errors.required(&path("externalName"), "");
            } else {
                let problems = names::dns1123_subdomain(name);
                errors.invalid_all(&path("externalName"), name, problems);
            }
        }
        _ => {}
    }
}

fn ports(service: &Value, errors: &mut Errors) {
    let ports = list(spec(service), "ports");
    let mut seen: HashSet<&str> = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path("ports").index(index);
        let name = text(port, "name");
        if !name.is_empty() {
            errors.invalid_all(&path.child("name"), name, names::dns1123_label(name));
            if !seen.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
        } else if ports.len() > 1 {
            errors.required(&path.child("name"), "");
        }
        port_number(errors, &path.child("port"), at(port, "port"));
        protocol(errors, text(port, "protocol"), &path);
        port_number(errors, &path.child("targetPort"), at(port, "targetPort"));
        if let Some(protocol) = get(port, "appProtocol").and_then(Value::as_str) {
            let problems = names::qualified_name(protocol);
            errors.invalid_all(&path.child("appProtocol"), protocol, problems);
        }
    }
}

/// A port by number or by name.
fn port_number(errors: &mut Errors, path: &Path, port: &Value) {
    if let Some(name) = port.as_str() {
        errors.invalid_all(path, name, names::port_name(name));
        return;
    }
    let number = port.as_i64().unwrap_or(0);
    for problem in names::port_number(number) {
        errors.invalid_value(path, number, problem);
    }
}

fn affinity(service: &Value, errors: &mut Errors) {
    let spec = spec(service);
    let kind = text(spec, "sessionAffinity");
    required_one_of(errors, &path("sessionAffinity"), kind, &["ClientIP", "None"]);
    let path = path("sessionAffinityConfig");
    let config = get(spec, "sessionAffinityConfig");
    match (kind, config) {
        ("ClientIP", config) => {
            let why = "when session affinity type is ClientIP";
            let Some(config) = config else { return errors.required(&path, why) };
            let path = path.child("clientIP");
            let Some(config) = get(config, "clientIP") else { return errors.required(&path, why) };
            let path = path.child("timeoutSeconds");
            let Some(seconds) = int(config, "timeoutSeconds") else {
                return errors.required(&path, why);
            };
            if !(1..=AFFINITY_SECONDS_MAX).contains(&seconds) {
                let why = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
                errors.invalid_value(&path, seconds, why);
            }
        }
        ("None", Some(_)) => {
            errors.forbidden(&path, "must not be set when session affinity is None");
        }
        _ => {}
    }
}

/// Validates addresses, families and their policy together.
pub(super) fn addresses(service: &Value, before: &[&str], errors: &mut Errors) {
    if kind(service) == "ExternalName" {
        return;
    }
    let spec = spec(service);
    let ips = cluster_ips(service);
    let list = path("clusterIPs");
    let shown = || Value::from(ips.clone());
    match (text(spec, "clusterIP"), ips.first()) {
        ("", Some(_)) => {
            let why = "must be empty when `clusterIP` is not specified";
            errors.invalid_value(&list, shown(), why);
        }
        ("", None) => {}
        (_, None) => errors.required(&list, ""),
        (single, Some(first)) if *first != single => {
            errors.invalid_value(&list, shown(), "first value must match `clusterIP`");
        }
        _ => {}
    }
    families(spec, errors);
    let found = errors.iter().count();
    for (index, ip) in ips.iter().enumerate() {
        if index == 0 && *ip == HEADLESS {
            if ips.len() > 1 {
                let why = "'None' must be the first and only value";
                errors.invalid_value(&list, shown(), why);
            }
        } else {
            legacy_ip(errors, &list.index(index), ip, before);
        }
    }
    let has_invalid = errors.iter().count() > found;
    if ips.len() > 2 {
        errors.invalid_value(&list, shown(), "may only hold up to 2 values");
    }
    if has_invalid {
        return;
    }
    if ips.len() > 1 && !is_dual_stack(&ips) {
        let why = "may specify no more than one IP for each IP family";
        errors.invalid_value(&list, shown(), why);
    }
    if is_headless(service) {
        return;
    }
    for (index, (ip, wanted)) in ips.iter().zip(texts(spec, "ipFamilies")).enumerate() {
        if matches!(wanted, "IPv4" | "IPv6") && family(ip) != Some(wanted) {
            let why = format!("expected an {wanted} value as indicated by `ipFamilies[{index}]`");
            errors.invalid(&list.index(index), ip, why);
        }
    }
}

fn families(spec: &Value, errors: &mut Errors) {
    let mut seen = Vec::new();
    for (index, family) in texts(spec, "ipFamilies").enumerate() {
        let path = path("ipFamilies").index(index);
        one_of(errors, &path, family, &["IPv4", "IPv6"]);
        if seen.contains(&family) {
            errors.duplicate(&path, family);
        }
        seen.push(family);
    }
    if let Some(policy) = get(spec, "ipFamilyPolicy").and_then(Value::as_str) {
        let supported = ["PreferDualStack", "RequireDualStack", "SingleStack"];
        one_of(errors, &path("ipFamilyPolicy"), policy, &supported);
    }
}

fn is_dual_stack(ips: &[&str]) -> bool {
    ["IPv4", "IPv6"].iter().all(|wanted| ips.iter().any(|ip| family(ip) == Some(wanted)))
}

fn external_ips(service: &Value, old: Option<&Value>, errors: &mut Errors) {
    let before: Vec<&str> =
        old.map(|old| texts(spec(old), "externalIPs").collect()).unwrap_or_default();
    for (index, ip) in texts(spec(service), "externalIPs").enumerate() {
        let path = path("externalIPs").index(index);
        let found = errors.iter().count();
        legacy_ip(errors, &path, ip, &before);
        if errors.iter().count() == found {
            not_special(errors, &path, ip);
        }
    }
}

/// Each protocol has a port, and a node port, once.
fn port_numbers(service: &Value, errors: &mut Errors) {
    let ports = list(spec(service), "ports");
    let path = path("ports");
    if kind(service) == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| node_port(port) != 0) {
            let why = "may not be used when `type` is 'ClusterIP'";
            errors.forbidden(&path.index(index).child("nodePort"), why);
        }
    }
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate().filter(|(_, port)| node_port(port) != 0) {
        if !seen.insert((text(port, "protocol"), node_port(port))) {
            errors.duplicate_value(&path.index(index).child("nodePort"), node_port(port));
        }
    }
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let (protocol, number) = (text(port, "protocol"), int(port, "port").unwrap_or(0));
        if !seen.insert((protocol, number)) {
            errors.push(podo_api::field::FieldError {
                kind: podo_api::field::ErrorKind::Duplicate,
                field: path.index(index),
                value: Some(shown_port(protocol, number)),
                detail: String::new(),
            });
        }
    }
}

/// A port in Kubernetes' internal form.
fn shown_port(protocol: &str, number: i64) -> String {
    format!(
        "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}",
        quoted(protocol)
    )
}

fn source_ranges(service: &Value, old: Option<&Value>, errors: &mut Errors) {
    let is_balancer = kind(service) == "LoadBalancer";
    let ranges = list(spec(service), "loadBalancerSourceRanges");
    if !ranges.is_empty() {
        let path = path("LoadBalancerSourceRanges");
        if !is_balancer {
            errors.forbidden(&path, BALANCER_ONLY);
        }
        let before: Vec<&str> = old
            .map(|old| texts(spec(old), "loadBalancerSourceRanges").map(str::trim).collect())
            .unwrap_or_default();
        for (index, range) in texts(spec(service), "loadBalancerSourceRanges").enumerate() {
            // The annotation allowed blanks around a range, and so does the field.
            legacy_cidr(errors, &path.index(index), range.trim(), &before);
        }
    } else if let Some(ranges) = meta::annotation(service, RANGES_ANNOTATION) {
        let path = Path::new("metadata").child("annotations").key(RANGES_ANNOTATION);
        if !is_balancer {
            errors.forbidden(&path, BALANCER_ONLY);
        }
        let before: Vec<&str> = old
            .and_then(|old| meta::annotation(old, RANGES_ANNOTATION))
            .map(|ranges| ranges.split(',').map(str::trim).collect())
            .unwrap_or_default();
        if !ranges.trim().is_empty() {
            for range in ranges.split(',') {
                legacy_cidr(errors, &path, range.trim(), &before);
            }
        }
    }
}

fn balancer(service: &Value, errors: &mut Errors) {
    let is_balancer = kind(service) == "LoadBalancer";
    let allocates = has(spec(service), "allocateLoadBalancerNodePorts");
    if allocates && !is_balancer {
        errors.forbidden(&path("allocateLoadBalancerNodePorts"), BALANCER_ONLY);
    }
    if is_balancer && !allocates {
        errors.required(&Path::new("allocateLoadBalancerNodePorts"), "");
    }
    class(service, errors);
}

fn class(service: &Value, errors: &mut Errors) {
    let Some(class) = get(spec(service), "loadBalancerClass").and_then(Value::as_str) else {
        return;
    };
    let path = path("loadBalancerClass");
    if kind(service) == "LoadBalancer" {
        errors.invalid_all(&path, class, names::qualified_name(class));
    } else {
        errors.forbidden(&path, BALANCER_ONLY);
    }
}

fn traffic(service: &Value, errors: &mut Errors) {
    let spec = spec(service);
    let external = text(spec, "externalTrafficPolicy");
    let field = path("externalTrafficPolicy");
    if is_externally_accessible(service) {
        required_one_of(errors, &field, external, &["Cluster", "Local"]);
    } else if !external.is_empty() {
        errors.invalid(&field, external, "may only be set for externally-accessible services");
    }
    let port = health_check_port(service);
    let field = path("healthCheckNodePort");
    match (needs_health_check(service), port) {
        (false, 0) => {}
        (false, port) => {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.invalid_value(&field, port, why);
        }
        (true, 0) => errors.required(&field, ""),
        (true, _) => port_number(errors, &field, at(spec, "healthCheckNodePort")),
    }
    let field = path("internalTrafficPolicy");
    match get(spec, "internalTrafficPolicy").and_then(Value::as_str) {
        Some(policy) => one_of(errors, &field, policy, &["Cluster", "Local"]),
        None if matches!(kind(service), "ClusterIP" | "NodePort" | "LoadBalancer") => {
            errors.required(&field, "");
        }
        None => {}
    }
    if let Some(distribution) = get(spec, "trafficDistribution").and_then(Value::as_str) {
        let supported = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        one_of(errors, &path("trafficDistribution"), distribution, &supported);
    }
}

/// Validates a changed Service.
pub(super) fn change(new: &Value, old: &Value, errors: &mut Errors) {
    addresses_change(new, old, errors);
    families_change(new, old, errors);
    let is_balancer = |service| kind(service) == "LoadBalancer";
    if is_balancer(old) && is_balancer(new) {
        let (now, before) =
            (get(spec(new), "loadBalancerClass"), get(spec(old), "loadBalancerClass"));
        if now != before {
            let shown = now.cloned().unwrap_or_default();
            errors.invalid_value(&path("loadBalancerClass"), shown, SET_ONCE);
        }
    }
    class(new, errors);
    if needs_health_check(old)
        && needs_health_check(new)
        && health_check_port(new) != health_check_port(old)
    {
        errors.forbidden(&path("healthCheckNodePort"), IMMUTABLE);
    }
    whole(new, Some(old), errors);
}

fn addresses_change(new: &Value, old: &Value, errors: &mut Errors) {
    let is_external = |service| kind(service) == "ExternalName";
    if is_external(new) || is_external(old) || (is_headless(new) && is_headless(old)) {
        return;
    }
    let (now, before) = (cluster_ips(new), cluster_ips(old));
    let list = path("clusterIPs");
    let shown = || Value::from(now.clone());
    if now.len() == before.len() {
        for (index, _) in now.iter().zip(&before).enumerate().filter(|(_, (now, was))| now != was) {
            errors.invalid_value(&list.index(index), shown(), SET_ONCE);
        }
        return;
    }
    if now.is_empty() {
        let why = "primary clusterIP can not be unset";
        errors.invalid_value(&list.index(0), Value::Null, why);
    } else if !before.is_empty() && now[0] != before[0] {
        errors.invalid_value(&list.index(0), shown(), SET_ONCE);
    }
    if now.len() < before.len() && now.len() == 1 {
        released(
            new,
            "must be set to 'SingleStack' when releasing the secondary clusterIP",
            errors,
        );
    }
}

fn families_change(new: &Value, old: &Value, errors: &mut Errors) {
    let is_external = |service| kind(service) == "ExternalName";
    if is_external(new) || is_external(old) || is_headless(new) || is_headless(old) {
        return;
    }
    let families = |service| texts(spec(service), "ipFamilies").collect::<Vec<_>>();
    let (now, before) = (families(new), families(old));
    let first = path("ipFamilies").index(0);
    if now.len() == before.len() {
        for _ in now.iter().zip(&before).filter(|(now, was)| now != was) {
            errors.invalid_value(&first, now.clone(), SET_ONCE);
        }
        return;
    }
    if now.len() < before.len() && cluster_ips(new).is_empty() {
        errors.invalid_value(&first, now.clone(), "primary ipFamily can not be unset");
    }
    if !now.is_empty() && !before.is_empty() && now[0] != before[0] {
        errors.invalid_value(&first, cluster_ips(new), SET_ONCE);
    }
    if now.len() < before.len() && now.len() == 1 {
        released(new, "must be set to 'SingleStack' when releasing the secondary ipFamily", errors);
    }
}

fn released(service: &Value, why: &str, errors: &mut Errors) {
    let policy = at(spec(service), "ipFamilyPolicy");
    if policy != "SingleStack" {
        errors.invalid_value(&path("ipFamilyPolicy"), policy.clone(), why);
    }
}

/// Validates a change of the status.
pub(super) fn status(new: &Value, old: &Value, errors: &mut Errors) {
    let ingresses = |service| list(at(at(service, "status"), "loadBalancer"), "ingress");
    let path = Path::new("status").child("loadBalancer").child("ingress");
    if kind(new) != "LoadBalancer" && !ingresses(new).is_empty() {
        errors.forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'");
        return;
    }
    let before: Vec<&str> = ingresses(old).iter().map(|ingress| text(ingress, "ip")).collect();
    for (index, ingress) in ingresses(new).iter().enumerate() {
        let path = path.index(index);
        let ip = text(ingress, "ip");
        if !ip.is_empty() {
            legacy_ip(errors, &path.child("ip"), ip, &before);
        }
        let mode = path.child("ipMode");
        match get(ingress, "ipMode").and_then(Value::as_str) {
            None if !ip.is_empty() => errors.required(&mode, "must be specified when `ip` is set"),
            None => {}
            Some(_) if ip.is_empty() => {
                errors.forbidden(&mode, "may not be specified when `ip` is not set");
            }
            Some(value) => one_of(errors, &mode, value, &["Proxy", "VIP"]),
        }
        let host = text(ingress, "hostname");
        if !host.is_empty() {
            let path = path.child("hostname");
            errors.invalid_all(&path, host, names::dns1123_subdomain(host));
            if family(host).is_some() {
                errors.invalid(&path, host, "must be a DNS name, not an IP address");
            }
        }
    }
}
