//! Amounts of resources: the kinds of their names, sums over the containers of a Pod, and the quality of service that follows.

use std::collections::BTreeMap;

use podo_api::Value;
use podo_api::quantity::Quantity;

use super::view::{at, entries, get, is_sidecar, list};

/// Amounts by resource name.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// The resources that decide the quality of service.
const COMPUTE: [&str; 2] = ["cpu", "memory"];

/// The prefix of the names of huge pages; a page's size follows.
pub(crate) const HUGEPAGES_PREFIX: &str = "hugepages-";

/// What requests and limits of a Pod as a whole can be about, as the error texts list it.
pub(crate) const POD_LEVEL: [&str; 3] = ["cpu", HUGEPAGES_PREFIX, "memory"];

/// Names without a prefix that are known in quotas or of containers.
const STANDARD: &[&str] = &[
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
];

/// Names of things that are counted.
const COUNTED: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// Whether the name is one of huge pages.
pub(crate) fn is_hugepages(name: &str) -> bool {
    name.starts_with(HUGEPAGES_PREFIX)
}

/// Whether the name has no prefix, or one of Kubernetes itself.
pub(crate) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether more of the resource may be allowed than is there.
pub(crate) fn is_overcommittable(name: &str) -> bool {
    is_native(name) && !is_hugepages(name)
}

/// Whether the name is one without a prefix that Kubernetes knows.
pub(crate) fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || is_hugepages(name)
}

/// Whether the name is one without a prefix that containers can have.
pub(crate) fn is_standard_of_container(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_hugepages(name)
}

/// Whether the resource comes from a device plugin or the like: its name has a prefix that is not Kubernetes' own.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && podo_api::names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether amounts of the resource are whole numbers.
pub(crate) fn is_integer(name: &str) -> bool {
    COUNTED.contains(&name) || is_extended(name)
}

/// Whether a Pod as a whole can have requests and limits of the resource.
pub(crate) fn is_pod_level(name: &str) -> bool {
    COMPUTE.contains(&name) || is_hugepages(name)
}

/// The amounts of a list (`requests` or `limits`) of resource requirements.
pub(crate) fn amounts(requirements: &Value, list: &str) -> Amounts {
    entries(requirements, list)
        .into_iter()
        .map(|(name, amount)| (name.to_owned(), parse(amount)))
        .collect()
}

/// The quantity of a tree; nothing if it is none, which decoding rules out.
pub(crate) fn parse(amount: &Value) -> Quantity {
    amount.as_str().and_then(|text| text.parse().ok()).unwrap_or(Quantity::ZERO)
}

/// What the containers of a Pod need together (KEP-753): the sum of those that run side by side, or what the start needs at its
/// height, if that is more.
pub(crate) fn aggregate(spec: &Value, which: &str) -> Amounts {
    let mut total = Amounts::new();
    for container in list(spec, "containers") {
        add(&mut total, &amounts(at(container, "resources"), which));
    }
    let (mut sidecars, mut height) = (Amounts::new(), Amounts::new());
    for container in list(spec, "initContainers") {
        let own = amounts(at(container, "resources"), which);
        if is_sidecar(container) {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            raise(&mut height, &sidecars);
        } else {
            let mut now = sidecars.clone();
            add(&mut now, &own);
            raise(&mut height, &now);
        }
    }
    raise(&mut total, &height);
    total
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = total.get(name).map_or_else(|| amount.clone(), |total| total.add(amount));
        total.insert(name.clone(), sum);
    }
}

fn raise(total: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        if total.get(name).is_none_or(|total| total < amount) {
            total.insert(name.clone(), amount.clone());
        }
    }
}

/// The quality of service of a Pod: `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    let mut is_guaranteed = true;
    let mut count = |requirements: &Value| {
        add(&mut requests, &compute(requirements, "requests"));
        let own = compute(requirements, "limits");
        is_guaranteed &= own.len() == COMPUTE.len();
        add(&mut limits, &own);
    };
    match get(spec, "resources") {
        Some(requirements) => count(requirements),
        None => ["containers", "initContainers"]
            .into_iter()
            .flat_map(|name| list(spec, name))
            .for_each(|container| count(at(container, "resources"))),
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if is_guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// The amounts of processor and memory that are more than nothing.
fn compute(requirements: &Value, which: &str) -> Amounts {
    let mut own = amounts(requirements, which);
    own.retain(|name, amount| COMPUTE.contains(&name.as_str()) && amount.signum() > 0);
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(containers: &[(&str, &str)], expected: &str) {
        let containers: Vec<Value> = containers
            .iter()
            .map(|(requests, limits)| json!({"resources": {"requests": list(requests), "limits": list(limits)}}))
            .collect();
        assert_eq!(qos_class(&json!({"containers": containers})), expected);
    }

    fn list(text: &str) -> Value {
        text.split_whitespace()
            .filter_map(|entry| entry.split_once('='))
            .map(|(k, v)| (k.to_owned(), json!(v)))
            .collect()
    }

    #[test]
    fn a_pod_is_guaranteed_only_if_each_container_is_limited_to_what_it_requests() {
        check(&[("cpu=1 memory=1Gi", "cpu=1 memory=1Gi")], "Guaranteed");
        check(&[("cpu=1 memory=1Gi", "cpu=1000m memory=1Gi")], "Guaranteed");
        check(&[("cpu=1 memory=1Gi", "cpu=1 memory=1Gi"), ("", "")], "Burstable");
        check(&[("cpu=1", "cpu=1")], "Burstable");
        check(&[("cpu=1 memory=1Gi", "cpu=2 memory=1Gi")], "Burstable");
        check(&[("example.com/x=1", "example.com/x=1")], "BestEffort");
        check(&[("cpu=0", "cpu=0")], "BestEffort");
        check(&[("", "")], "BestEffort");
    }

    #[test]
    fn sidecars_count_beside_the_containers_and_other_init_containers_only_at_their_height() {
        let spec = json!({
            "containers": [{"resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [
                {"restartPolicy": "Always", "resources": {"requests": {"cpu": "2"}}},
                {"resources": {"requests": {"cpu": "4", "memory": "1Gi"}}},
            ],
        });
        let total = aggregate(&spec, "requests");
        assert_eq!(total["cpu"].to_string(), "6");
        assert_eq!(total["memory"].to_string(), "1Gi");
    }
}
