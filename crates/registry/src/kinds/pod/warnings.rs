//! Warnings about Pods and Pod specs: what is valid but hardly meant, or has no effect any more.

mod overlaps;

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Path, quoted};
use podo_api::names;

use super::resources::parse;
use super::validate::annotations::{APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD};
use super::view::{at, containers, entries, has, int, list, text};
use super::{status, strategy};

/// Labels of nodes that have another name now.
const OLD_NODE_LABELS: &[(&str, &str)] = &[
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
    ),
    (
        "beta.kubernetes.io/instance-type",
        "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
    ),
];

/// Annotations without effect.
const OLD_ANNOTATIONS: &[(&str, &str)] = &[
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];

/// Volume sources that are going or gone: the field, the name that the warning uses, what became of it.
const OLD_VOLUMES: &[(&str, &str, &str)] = &[
    (
        "photonPersistentDisk",
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// How many pairs of ports, or of files of a volume, are compared; what more than some hundreds of them get each other's way by is
/// left unsaid, since the work grows with the square.
const PAIRS_MAX: usize = 100_000;

const NULL_SELECTOR: &str = "a null labelSelector results in matching no pod";

/// Warnings about a Pod (new, old if it is an update).
///
/// Updates of the spec get none; updates of the status are about addresses.
pub(super) fn pod(new: &Value, old: Option<&Value>) -> Vec<String> {
    if let Some(old) = old {
        let is_status_new = at(new, "status") != at(old, "status");
        return if is_status_new { status::warnings(at(new, "status")) } else { Vec::new() };
    }
    let mut warnings = strategy::app_armor_warnings(new);
    let problems = names::dns1123_label(podo_api::meta::name(new));
    if !problems.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; \
             a DNS label is recommended: [{}]",
            problems.join(" ")
        ));
    }
    warnings.extend(pod_spec(new, &Path::root()));
    warnings
}

/// Warnings about the metadata and spec of a Pod or template; the path is empty for a Pod.
pub(crate) fn pod_spec(owner: &Value, path: &Path) -> Vec<String> {
    let (spec, metadata) = (at(owner, "spec"), at(owner, "metadata"));
    let spec_path = path.child("spec");
    let annotations_path = path.child("metadata").child("annotations");
    let mut warnings = Warnings(Vec::new());
    warnings.node_labels(spec, &spec_path);
    warnings.spread(spec, &spec_path);
    warnings.annotations(metadata, &annotations_path);
    warnings.volumes(spec, &spec_path);
    warnings.0.extend(overlaps::warnings(spec));
    warnings.names(spec, &spec_path);
    warnings.amounts(at(spec, "overhead"), &spec_path.child("overhead"));
    warnings.profiles(owner, path, &annotations_path);
    warnings.ports(spec, &spec_path);
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        let path = spec_path.child("terminationGracePeriodSeconds");
        warnings.add(&path, "must be >= 0; negative values are invalid and will be treated as 1");
    }
    warnings.affinity(spec, &spec_path.child("affinity"));
    warnings.addresses(spec, &spec_path);
    warnings.0
}

struct Warnings(Vec<String>);

impl Warnings {
    fn add(&mut self, path: &Path, text: impl AsRef<str>) {
        self.0.push(format!("{path}: {}", text.as_ref()));
    }

    fn node_labels(&mut self, spec: &Value, path: &Path) {
        for (key, _) in entries(spec, "nodeSelector") {
            if let Some(text) = old_label(key) {
                self.add(&path.child("nodeSelector").key(key), text);
            }
        }
        let affinity = at(at(spec, "affinity"), "nodeAffinity");
        let path = path.child("affinity").child("nodeAffinity");
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let terms_path = path.child(required).child("nodeSelectorTerms");
        for (index, term) in list(at(affinity, required), "nodeSelectorTerms").iter().enumerate() {
            self.node_term(term, &terms_path.index(index));
        }
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        for (index, term) in list(affinity, preferred).iter().enumerate() {
            self.node_term(
                at(term, "preference"),
                &path.child(preferred).index(index).child("preference"),
            );
        }
    }

    fn node_term(&mut self, term: &Value, path: &Path) {
        for (index, requirement) in list(term, "matchExpressions").iter().enumerate() {
            let key = text(requirement, "key");
            if let Some(text) = old_label(key) {
                let path = path.child("matchExpressions").index(index).child("key");
                self.add(&path, format!("{key} is {text}"));
            }
        }
    }

    fn spread(&mut self, spec: &Value, path: &Path) {
        for (index, constraint) in list(spec, "topologySpreadConstraints").iter().enumerate() {
            let path = path.child("topologySpreadConstraints").index(index);
            let key = text(constraint, "topologyKey");
            if let Some(text) = old_label(key) {
                self.add(&path.child("topologyKey"), format!("{key} is {text}"));
            }
            if !has(constraint, "labelSelector") {
                self.add(&path.child("labelSelector"), NULL_SELECTOR);
            }
        }
    }

    fn annotations(&mut self, metadata: &Value, path: &Path) {
        for (key, text) in OLD_ANNOTATIONS {
            if has(at(metadata, "annotations"), key) {
                self.add(&path.key(key), text);
            }
        }
    }

    fn volumes(&mut self, spec: &Value, path: &Path) {
        for (index, volume) in list(spec, "volumes").iter().enumerate() {
            let path = path.child("volumes").index(index);
            for &(name, shown, text) in OLD_VOLUMES {
                if has(volume, name) {
                    self.add(&path.child(shown), text);
                }
            }
            let claim = at(at(at(volume, "ephemeral"), "volumeClaimTemplate"), "spec");
            let storage = at(at(at(claim, "resources"), "requests"), "storage");
            if parse(storage).milli_value() % 1000 != 0 {
                let path = path.child("ephemeral").child("volumeClaimTemplate").child("spec");
                let path = path.child("resources").child("requests").key("storage");
                self.fraction(storage, &path);
            }
        }
    }

    fn names(&mut self, spec: &Value, path: &Path) {
        for (list_name, field, text) in
            [("hostAliases", "ip", "duplicate ip"), ("imagePullSecrets", "name", "duplicate name")]
        {
            self.repeated(list(spec, list_name), &path.child(list_name), field, text);
        }
        for (index, secret) in list(spec, "imagePullSecrets").iter().enumerate() {
            if text(secret, "name").is_empty() {
                let path = path.child("imagePullSecrets").index(index).child("name");
                self.add(&path, "invalid empty name \"\"");
            }
        }
    }

    fn repeated(&mut self, items: &[Value], path: &Path, field: &str, why: &str) {
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let value = text(item, field);
            if !seen.insert(value) {
                self.add(&path.index(index).child(field), format!("{why} {}", quoted(value)));
            }
        }
    }

    /// Amounts of bytes that are no whole numbers.
    fn amounts(&mut self, list: &Value, path: &Path) {
        for name in ["memory", "ephemeral-storage"] {
            self.amount(list, name, path);
        }
    }

    fn amount(&mut self, list: &Value, name: &str, path: &Path) {
        let amount = at(list, name);
        if parse(amount).milli_value() % 1000 != 0 {
            self.fraction(amount, &path.key(name));
        }
    }

    fn fraction(&mut self, amount: &Value, path: &Path) {
        let amount = quoted(amount.as_str().unwrap_or(""));
        self.add(path, format!("fractional byte value {amount} is invalid, must be an integer"));
    }

    /// Profiles in annotations, amounts and variables of containers.
    fn profiles(&mut self, owner: &Value, path: &Path, annotations_path: &Path) {
        const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
        let spec = at(owner, "spec");
        let annotations = at(at(owner, "metadata"), "annotations");
        let context = at(spec, "securityContext");
        if !has(context, "seccompProfile") && has(annotations, SECCOMP_POD) {
            self.add(&annotations_path.key(SECCOMP_POD), SECCOMP);
        }
        let is_template = *path != Path::root();
        for (container, container_path) in containers(spec, &path.child("spec")) {
            let own = at(container, "securityContext");
            let name = text(container, "name");
            let key = format!("{SECCOMP_CONTAINER}{name}");
            if !has(own, "seccompProfile") && has(annotations, &key) {
                self.add(&annotations_path.key(&key), SECCOMP);
            }
            let key = format!("{APP_ARMOR}{name}");
            let has_field = has(context, "appArmorProfile") || has(own, "appArmorProfile");
            if is_template && !has_field && has(annotations, &key) {
                let text = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
                self.add(&annotations_path.key(&key), text);
            }
            let resources = at(container, "resources");
            let resources_path = container_path.child("resources");
            for name in ["memory", "ephemeral-storage"] {
                for which in ["limits", "requests"] {
                    self.amount(at(resources, which), name, &resources_path.child(which));
                }
            }
            self.variables(container, &container_path.child("env"));
        }
    }

    /// A variable that is set twice and does not build on its first value.
    fn variables(&mut self, container: &Value, path: &Path) {
        let mut seen = HashSet::new();
        for (index, variable) in list(container, "env").iter().enumerate() {
            let name = text(variable, "name");
            if seen.insert(name) {
                continue;
            }
            let (value, reference) = (text(variable, "value"), format!("$({name})"));
            if has(variable, "valueFrom") || value == reference || !value.contains(&reference) {
                let text = format!(
                    "hides previous definition of {}, which may be dropped when using apply",
                    quoted(name)
                );
                self.add(&path.index(index), text);
            }
        }
    }

    fn ports(&mut self, spec: &Value, path: &Path) {
        let mut earlier: Vec<(Path, &Value)> = Vec::new();
        let mut pairs = 0;
        for (container, path) in containers(spec, path) {
            for (index, port) in list(container, "ports").iter().enumerate() {
                let path = path.child("ports").index(index);
                if !text(port, "hostIP").is_empty() && host_port(port) == 0 {
                    self.add(&path, format!("hostIP set without hostPort: {}", shown_port(port)));
                }
                pairs += earlier.len();
                if pairs > PAIRS_MAX {
                    return;
                }
                for (other_path, other) in &earlier {
                    if let Some(what) = collision(port, other) {
                        self.add(&path, format!("{what} port definition with {other_path}"));
                    }
                }
                earlier.push((path, port));
            }
        }
    }

    fn affinity(&mut self, spec: &Value, path: &Path) {
        for name in ["podAffinity", "podAntiAffinity"] {
            let affinity = at(at(spec, "affinity"), name);
            let path = path.child(name);
            let required = "requiredDuringSchedulingIgnoredDuringExecution";
            for (index, term) in list(affinity, required).iter().enumerate() {
                if !has(term, "labelSelector") {
                    self.add(
                        &path.child(required).index(index).child("labelSelector"),
                        NULL_SELECTOR,
                    );
                }
            }
            let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
            for (index, term) in list(affinity, preferred).iter().enumerate() {
                if !has(at(term, "podAffinityTerm"), "labelSelector") {
                    let path = path.child(preferred).index(index).child("podAffinityTerm");
                    self.add(&path.child("labelSelector"), NULL_SELECTOR);
                }
            }
        }
    }

    /// Addresses in an unusual notation.
    fn addresses(&mut self, spec: &Value, path: &Path) {
        let path_of_dns = path.child("dnsConfig").child("nameservers");
        for (index, server) in list(at(spec, "dnsConfig"), "nameservers").iter().enumerate() {
            self.address(server.as_str().unwrap_or(""), &path_of_dns.index(index));
        }
        for (index, alias) in list(spec, "hostAliases").iter().enumerate() {
            self.address(text(alias, "ip"), &path.child("hostAliases").index(index).child("ip"));
        }
    }

    fn address(&mut self, ip: &str, path: &Path) {
        if let Some(text) = names::ip_warning(ip) {
            self.add(path, text);
        }
    }
}

fn old_label(key: &str) -> Option<&'static str> {
    OLD_NODE_LABELS.iter().find(|(old, _)| *old == key).map(|(_, text)| *text)
}

fn host_port(port: &Value) -> i64 {
    int(port, "hostPort").unwrap_or(0)
}

/// How two ports get into each other's way.
fn collision(port: &Value, other: &Value) -> Option<&'static str> {
    let key = |port: &Value| (int(port, "containerPort"), text(port, "protocol").to_owned());
    if key(port) != key(other) {
        return None;
    }
    let (ip, other_ip) = (text(port, "hostIP"), text(other, "hostIP"));
    let (number, other_number) = (host_port(port), host_port(other));
    if ip == other_ip && number == other_number {
        Some("duplicate")
    } else if number == 0 || other_number == 0 {
        Some("overlapping")
    } else if number == other_number && ip.is_empty() != other_ip.is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

/// A port as Go prints the struct.
fn shown_port(port: &Value) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text(port, "name"),
        host_port(port),
        int(port, "containerPort").unwrap_or(0),
        text(port, "protocol"),
        text(port, "hostIP"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(spec: Value, expected: &[&str]) {
        assert_eq!(pod(&json!({"metadata": {"name": "p"}, "spec": spec}), None), expected);
    }

    #[test]
    fn a_variable_that_is_set_twice_is_hidden() {
        let env = |second: &str| json!({"containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": second}]}]});
        check(
            env("2"),
            &[
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            ],
        );
        check(env("$(A)2"), &[]);
    }

    #[test]
    fn ports_that_get_in_each_others_way_are_named() {
        let port = |host_port: i64, ip: &str| json!({"containerPort": 80, "protocol": "TCP", "hostPort": host_port, "hostIP": ip});
        let spec = |ports: [Value; 2]| json!({"containers": [{ "ports": ports }]});
        check(spec([port(80, ""), port(81, "")]), &[]);
        check(
            spec([port(80, ""), port(80, "1.2.3.4")]),
            &[
                "spec.containers[0].ports[1]: dangerously ambiguous port definition with spec.containers[0].ports[0]",
            ],
        );
        check(
            json!({"containers": [{"ports": [{"containerPort": 80, "protocol": "TCP", "hostIP": "1.2.3.4"}]}]}),
            &[
                "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.2.3.4}",
            ],
        );
    }

    #[test]
    fn a_name_that_is_no_dns_label_surprises_as_host_name() {
        let pod = pod(&json!({"metadata": {"name": "a.b"}, "spec": {}}), None);
        assert_eq!(
            pod,
            [
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]"
            ]
        );
    }
}
