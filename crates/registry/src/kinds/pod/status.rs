//! What may change in a Pod's status.

use std::collections::HashSet;
use std::net::IpAddr;

use podo_api::Value;
use podo_api::field::{ErrorKind, Errors, FieldError, Path, quoted};
use podo_api::names;

use super::labels::check;
use super::validate::annotations;
use super::validate::security::check_id;
use super::view::{at, get, has, int, list, one_of, text};

const NON_TERMINATED: &str = "may not be transitioned to non-terminated state";

/// The lists of container statuses and the containers that they are about.
const STATUS_LISTS: [(&str, &str); 3] = [
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
];

/// Validates a change of a Pod's status (new, old).
pub(super) fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    annotations::update(new, old, errors);
    annotations::annotations(new, errors);
    let path = Path::new("status");
    let (spec, status, old_status) = (at(new, "spec"), at(new, "status"), at(old, "status"));
    conditions(status, &path.child("conditions"), errors);
    node_names(new, old, &path, errors);
    if let Some(generation) = int(status, "observedGeneration").filter(|&generation| generation < 0)
    {
        errors.invalid_value(
            &path.child("observedGeneration"),
            generation,
            "must be a non-negative integer",
        );
    }
    let class = text(status, "qosClass");
    if class != text(old_status, "qosClass") {
        errors.invalid(&path.child("qosClass"), class, "field is immutable");
    }
    for (statuses, containers) in STATUS_LISTS {
        transitions(new, old, statuses, containers, &path, errors);
    }
    claims(status, spec, &path.child("resourceClaimStatuses"), errors);
    extended_claim(status, spec, &path.child("extendedResourceClaimStatus"), errors);
    addresses(status, old_status, "podIPs", &path, errors);
    if !list(status, "hostIPs").is_empty() {
        host_address(status, &path, errors);
        addresses(status, old_status, "hostIPs", &path, errors);
    }
    for (statuses, _) in STATUS_LISTS {
        users(status, spec, statuses, &path, errors);
    }
    for (statuses, containers) in STATUS_LISTS {
        allocated(status, spec, statuses, containers, &path, errors);
    }
}

fn conditions(status: &Value, path: &Path, errors: &mut Errors) {
    for (index, condition) in list(status, "conditions").iter().enumerate() {
        let path = path.index(index);
        if let Some(generation) =
            int(condition, "observedGeneration").filter(|&generation| generation < 0)
        {
            const WHY: &str = "must be a non-negative integer";
            errors.invalid_value(&path.child("observedGeneration"), generation, WHY);
        }
        let kind = text(condition, "type");
        if !matches!(kind, "PodScheduled" | "Ready" | "Initialized") {
            check(errors, &path.child("Type"), kind, names::qualified_name(kind));
        }
    }
}

fn node_names(new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    let node = text(at(old, "spec"), "nodeName");
    if text(at(new, "spec"), "nodeName") != node {
        errors.forbidden(&path.child("nodeName"), "may not be changed directly");
    }
    let path = path.child("nominatedNodeName");
    let nominated = text(at(new, "status"), "nominatedNodeName");
    if nominated.is_empty() || nominated == text(at(old, "status"), "nominatedNodeName") {
        return;
    }
    check(errors, &path, nominated, names::dns1123_subdomain(nominated));
    if !node.is_empty() {
        errors.forbidden(&path, "may not be set on pods that are already bound to a node");
    }
}

/// A container that has ended for good does not come back.
fn transitions(
    new: &Value,
    old: &Value,
    statuses: &str,
    containers: &str,
    path: &Path,
    errors: &mut Errors,
) {
    let spec = at(old, "spec");
    let is_ephemeral = containers == "ephemeralContainers";
    if !is_ephemeral && any_restarts_all(spec) {
        return;
    }
    for (index, before) in list(at(old, "status"), statuses).iter().enumerate() {
        let Some(end) = get(at(before, "state"), "terminated") else { continue };
        let name = text(before, "name");
        let now =
            list(at(new, "status"), statuses).iter().find(|status| text(status, "name") == name);
        let is_back = now.is_some_and(|status| !has(at(status, "state"), "terminated"));
        let container =
            list(spec, containers).iter().find(|container| text(container, "name") == name);
        let exit_code = int(end, "exitCode").unwrap_or(0);
        let may_be_back = !is_ephemeral
            && container.is_some_and(|container| restarts(container, spec, exit_code));
        if is_back && !may_be_back {
            errors.forbidden(&path.child(statuses).index(index).child("state"), NON_TERMINATED);
        }
    }
}

/// Whether the end of some container can start all containers anew (KEP-5532).
fn any_restarts_all(spec: &Value) -> bool {
    ["initContainers", "containers"]
        .into_iter()
        .flat_map(|name| list(spec, name))
        .flat_map(|container| list(container, "restartPolicyRules"))
        .any(|rule| text(rule, "action") == "RestartAllContainers")
}

/// Whether a container that ended is started again: its rules decide, then its own policy, then the Pod's (KEP-5307).
pub(crate) fn restarts(container: &Value, spec: &Value, exit_code: i64) -> bool {
    let by_policy = |policy: &str| match policy {
        "OnFailure" => exit_code != 0,
        "Never" => false,
        _ => true,
    };
    let matches = |rule: &Value| {
        let codes = at(rule, "exitCodes");
        let is_listed = list(codes, "values").iter().any(|code| code.as_i64() == Some(exit_code));
        match text(codes, "operator") {
            "In" => is_listed,
            "NotIn" => !is_listed,
            _ => false,
        }
    };
    match get(container, "restartPolicy").and_then(Value::as_str) {
        Some(_) if list(container, "restartPolicyRules").iter().any(matches) => true,
        Some(own) => by_policy(own),
        None => by_policy(text(spec, "restartPolicy")),
    }
}

fn claims(status: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (index, claim) in list(status, "resourceClaimStatuses").iter().enumerate() {
        let path = path.index(index);
        let name = text(claim, "name");
        if !list(spec, "resourceClaims").iter().any(|claim| text(claim, "name") == name) {
            errors.invalid(
                &path.child("name"),
                name,
                "must match the name of an entry in `spec.resourceClaims`",
            );
        }
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        if let Some(object) = get(claim, "resourceClaimName").and_then(Value::as_str) {
            check(
                errors,
                &path.child("resourceClaimName"),
                object,
                names::dns1123_subdomain(object),
            );
        }
    }
}

/// The claim that was made for extended resources (KEP-5004).
fn extended_claim(status: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    let Some(claim) = get(status, "extendedResourceClaimStatus") else { return };
    let mappings = list(claim, "requestMappings");
    let mappings_path = path.child("requestMappings");
    if mappings.is_empty() {
        errors.required(&mappings_path, "at least one request mapping is required");
    }
    let mut seen = HashSet::new();
    for (index, mapping) in mappings.iter().enumerate() {
        let at_index = mappings_path.index(index);
        mapped(mapping, spec, &at_index, errors);
        let request = text(mapping, "requestName");
        check(errors, &path.child("requestName"), request, names::dns1123_label(request));
        let key = ["containerName", "resourceName", "requestName"]
            .map(|name| (name, text(mapping, name)));
        if !seen.insert(key) {
            for (name, value) in key {
                errors.duplicate(&at_index.child(name), value);
            }
        }
    }
    let path = path.child("resourceClaimName");
    match text(claim, "resourceClaimName") {
        "" => errors.required(&path, ""),
        name => check(errors, &path, name, names::dns1123_subdomain(name)),
    }
}

fn mapped(mapping: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    let (name, resource) = (text(mapping, "containerName"), text(mapping, "resourceName"));
    let mut containers =
        ["containers", "initContainers"].into_iter().flat_map(|name| list(spec, name));
    match containers.find(|container| text(container, "name") == name) {
        None => {
            const WHY: &str = "must match the name of an entry in spec.initContainers.name or spec.containers.name";
            errors.invalid(&path.child("containerName"), name, WHY);
        }
        Some(container) if !has(at(at(container, "resources"), "requests"), resource) => {
            const WHY: &str = "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests";
            errors.invalid(&path.child("resourceName"), resource, WHY);
        }
        Some(_) => {}
    }
}

fn host_address(status: &Value, path: &Path, errors: &mut Errors) {
    let first = list(status, "hostIPs").first().map_or("", |ip| text(ip, "ip"));
    if first != text(status, "hostIP") {
        errors.invalid(
            &path.child("hostIPs").index(0).child("ip"),
            first,
            "must be equal to `hostIP`",
        );
    }
}

/// Addresses are valid, or were there before, and at most one of each family.
fn addresses(status: &Value, old: &Value, name: &str, path: &Path, errors: &mut Errors) {
    let path = path.child(name);
    let of = |status: &'_ Value| -> Vec<String> {
        list(status, name).iter().map(|ip| text(ip, "ip").to_owned()).collect()
    };
    let (now, before) = (of(status), of(old));
    for (index, ip) in now.iter().enumerate().filter(|(_, ip)| !before.contains(ip)) {
        check(errors, &path.index(index), ip, names::ip_legacy(ip));
    }
    if now.len() < 2 {
        return;
    }
    let mut families = HashSet::new();
    for ip in &now {
        let Ok(address) = ip.parse::<IpAddr>() else {
            let detail =
                format!("failed to check for dual stack with error:invalid IP: {}", quoted(ip));
            let field = path.clone();
            errors.push(FieldError { kind: ErrorKind::Internal, field, value: None, detail });
            break;
        };
        families.insert(address.is_ipv4());
    }
    if families.len() != 2 || now.len() > 2 {
        let shown: Vec<String> =
            now.iter().map(|ip| format!("{{\"IP\":{}}}", Value::from(ip.as_str()))).collect();
        let shown = format!("[{}]", shown.join(","));
        errors.invalid_text(&path, shown, "may specify no more than one IP for each IP family");
    }
}

fn users(status: &Value, spec: &Value, statuses: &str, path: &Path, errors: &mut Errors) {
    let is_windows = text(at(spec, "os"), "name") == "windows";
    for (index, status) in list(status, statuses).iter().enumerate() {
        let Some(user) = get(at(status, "user"), "linux") else { continue };
        let path = path.child(statuses).index(index).child("user").child("linux");
        if is_windows {
            errors.forbidden(&path, "cannot be set for a windows pod");
            continue;
        }
        for name in ["uid", "gid"] {
            check_id(int(user, name).unwrap_or(0), &path.child(name), errors);
        }
        for (index, group) in list(user, "supplementalGroups").iter().enumerate() {
            let path = path.child("supplementalGroups").index(index);
            check_id(group.as_i64().unwrap_or(0), &path, errors);
        }
    }
}

/// The health of devices that containers have (KEP-4680).
fn allocated(
    status: &Value,
    spec: &Value,
    statuses: &str,
    containers: &str,
    path: &Path,
    errors: &mut Errors,
) {
    for (index, status) in list(status, statuses).iter().enumerate() {
        let path = path.child(statuses).index(index).child("allocatedResourcesStatus");
        let resources = list(status, "allocatedResourcesStatus");
        if containers == "ephemeralContainers" {
            if !resources.is_empty() {
                errors.forbidden(&path, "must not be specified in container status");
            }
            continue;
        }
        let name = text(status, "name");
        let container =
            list(spec, containers).iter().find(|container| text(container, "name") == name);
        for (index, resource) in resources.iter().enumerate() {
            let path = path.index(index);
            if let Some(container) = container {
                belongs(text(resource, "name"), container, &path.child("name"), errors);
            }
            health(resource, &path.child("resources"), errors);
        }
    }
}

fn belongs(name: &str, container: &Value, path: &Path, errors: &mut Errors) {
    let requirements = at(container, "resources");
    let (is_known, why) = if name.starts_with("claim:") {
        let is_known = list(requirements, "claims").iter().any(|claim| {
            let request = text(claim, "request");
            let slash = if request.is_empty() { "" } else { "/" };
            name == format!("claim:{}{slash}{request}", text(claim, "name"))
        });
        (
            is_known,
            "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty",
        )
    } else {
        (
            has(at(requirements, "requests"), name),
            "must match one of the container's resource requests",
        )
    };
    if !is_known {
        errors.invalid(path, name, why);
    }
}

fn health(resource: &Value, path: &Path, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (index, device) in list(resource, "resources").iter().enumerate() {
        let path = path.index(index);
        let health = text(device, "health");
        one_of(errors, &path.child("health"), health, &["Healthy", "Unhealthy", "Unknown"]);
        let id = text(device, "resourceID");
        if !seen.insert(id) {
            errors.duplicate(&path.child("resourceID"), id);
        }
    }
}

/// Warnings about unusual addresses.
pub(super) fn warnings(status: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in ["podIPs", "hostIPs"] {
        for (index, ip) in list(status, name).iter().enumerate() {
            let path = Path::new("status").child(name).index(index).child("ip");
            warnings
                .extend(names::ip_warning(text(ip, "ip")).map(|text| format!("{path}: {text}")));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(policy: &str, container: Value, exit_code: i64, is_allowed: bool) {
        let spec = json!({"restartPolicy": policy, "containers": [container]});
        let pod = |state: Value| json!({"spec": spec, "status": {"containerStatuses": [{"name": "c", "state": state}]}});
        let mut errors = Errors::new();
        let old = pod(json!({"terminated": {"exitCode": exit_code}}));
        validate(&pod(json!({"running": {}})), &old, &mut errors);
        let expected = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state";
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts, if is_allowed { vec![] } else { vec![expected.to_owned()] });
    }

    #[test]
    fn a_container_that_ended_comes_back_only_if_it_is_to_be_restarted() {
        check("Always", json!({"name": "c"}), 0, true);
        check("OnFailure", json!({"name": "c"}), 1, true);
        check("OnFailure", json!({"name": "c"}), 0, false);
        check("Never", json!({"name": "c"}), 1, false);
        check("Never", json!({"name": "c", "restartPolicy": "OnFailure"}), 1, true);
        let rule = json!({"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}});
        let container =
            json!({"name": "c", "restartPolicy": "Never", "restartPolicyRules": [rule]});
        check("Never", container.clone(), 42, true);
        check("Never", container, 1, false);
    }

    #[test]
    fn a_pod_has_at_most_one_address_of_each_family() {
        let status = |ips: &[&str]| {
            let ips: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
            json!({"status": {"podIPs": ips}})
        };
        for (ips, expected) in [
            (&["10.0.0.1", "fd00::1"][..], ""),
            (
                &["10.0.0.1", "10.0.0.2"],
                "status.podIPs: Invalid value: [{\"IP\":\"10.0.0.1\"},{\"IP\":\"10.0.0.2\"}]: may specify no more than one IP for each IP family",
            ),
        ] {
            let mut errors = Errors::new();
            validate(&status(ips), &json!({}), &mut errors);
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(texts.join("; "), expected);
        }
    }
}
