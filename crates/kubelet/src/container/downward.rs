//! The downward API: what a Pod says of itself to its containers, as environment or as files.
//!
//! Source of the rules: Kubernetes v1.36 `pkg/fieldpath` and `pkg/api/v1/resource`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::quantity::{Format, Quantity};

use crate::pod::{self, PodView};

/// Why a value cannot be told. The texts are upstream's: they reach the container's status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DownwardError {
    /// No such field, or one that cannot be told.
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    /// No such resource.
    #[error("unsupported container resource : {0}")]
    Resource(String),
    /// No such container.
    #[error("container {0} not found")]
    Container(String),
}

/// What the node adds to a Pod's own facts.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeFacts {
    /// The node's name.
    pub(crate) name: String,
    /// Its addresses, the preferred one first.
    pub(crate) ips: Vec<String>,
    /// What Pods may use of it, which stands in for missing limits.
    pub(crate) allocatable: BTreeMap<String, Quantity>,
    /// All its memory.
    pub(crate) memory_bytes: i64,
}

/// The value of a field for an environment variable.
pub(crate) fn field_for_env(
    path: &str,
    pod: &PodView,
    pod_ips: &[String],
    node: &NodeFacts,
) -> Result<String, DownwardError> {
    let first = |ips: &[String]| ips.first().cloned().unwrap_or_default();
    Ok(match path {
        "spec.nodeName" => node.name.clone(),
        "spec.serviceAccountName" => pod.spec.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" => first(&node.ips),
        "status.hostIPs" => node.ips.join(","),
        "status.podIP" => first(pod_ips),
        "status.podIPs" => pod_ips.join(","),
        _ => return field(path, pod),
    })
}

/// The value of a field of the Pod's metadata.
pub(crate) fn field(path: &str, pod: &PodView) -> Result<String, DownwardError> {
    let metadata = &pod.pod.metadata;
    let unknown = || DownwardError::Field(path.to_owned());
    if let Some((map, key)) = subscript(path) {
        let map = match map {
            "metadata.annotations" => metadata.annotations.as_ref(),
            "metadata.labels" => metadata.labels.as_ref(),
            _ => return Err(unknown()),
        };
        return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.annotations" => format_map(metadata.annotations.as_ref()),
        "metadata.labels" => format_map(metadata.labels.as_ref()),
        "metadata.name" => pod.name().to_owned(),
        "metadata.namespace" => pod.namespace().to_owned(),
        "metadata.uid" => pod.uid().to_owned(),
        _ => return Err(unknown()),
    })
}

/// `map['key']`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

/// A map as lines `key="value"`, sorted, the values quoted as Go's `%q` does.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quote(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A string as Go's `%q` prints it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            letter if letter.is_ascii_control() => {
                let _infallible = write!(quoted, "\\x{:02x}", u32::from(letter));
            }
            letter if letter.is_control() => {
                let _infallible = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// An amount that a container asks for or may use, in units of the divisor, rounded up.
pub(crate) fn resource(
    selector: &k8s::ResourceFieldSelector,
    pod: &PodView,
    own: &k8s::Container,
    node: &NodeFacts,
) -> Result<String, DownwardError> {
    let container = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
        None => own,
        Some(name) => {
            let found = pod.container(name).map(|(_, container)| container);
            found.ok_or_else(|| DownwardError::Container(name.to_owned()))?
        }
    };
    let unknown = || DownwardError::Resource(selector.resource.clone());
    let (list, name) = selector.resource.split_once('.').ok_or_else(unknown)?;
    if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !name.starts_with("hugepages-") {
        return Err(unknown());
    }
    let resources = container.resources.as_ref();
    let amount = match list {
        "limits" => pod::limit(container, name)
            .or_else(|| node.allocatable.get(name).cloned())
            .unwrap_or(Quantity::ZERO),
        "requests" => pod::amount(resources.and_then(|all| all.requests.as_ref()), name)
            .unwrap_or(Quantity::ZERO),
        _ => return Err(unknown()),
    };
    let one = Quantity::from_value(1, Format::DecimalSi);
    let divisor = selector.divisor.as_ref().map(pod::quantity);
    let divisor = divisor.filter(|divisor| !divisor.is_zero()).unwrap_or(one);
    let (amount, divisor) = if name == "cpu" {
        (amount.milli_value(), divisor.milli_value())
    } else {
        (amount.value(), divisor.value())
    };
    Ok(divide_up(amount, divisor.max(1)).to_string())
}

fn divide_up(amount: i64, divisor: i64) -> i64 {
    amount / divisor + i64::from(amount % divisor > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view() -> PodView {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u-1",
                "labels": {"app": "web", "tier": "a\"b"}, "annotations": {"k": "line\nline"}},
            "spec": {"serviceAccountName": "robot", "containers": [
                {"name": "c", "resources": {"requests": {"cpu": "250m", "memory": "32Mi"},
                    "limits": {"cpu": "1500m"}}}]}});
        PodView::new(serde_json::from_value(pod).expect("a Pod"))
    }

    fn node() -> NodeFacts {
        let allocatable = [("memory".to_owned(), "1Gi".parse().expect("a quantity"))];
        NodeFacts {
            name: "node-1".to_owned(),
            ips: vec!["192.0.2.1".to_owned(), "2001:db8::1".to_owned()],
            allocatable: allocatable.into(),
            ..NodeFacts::default()
        }
    }

    #[test]
    fn fields_are_told_as_upstream_writes_them() {
        let ips = ["10.42.0.2".to_owned(), "fd00::2".to_owned()];
        let get = |path: &str| field_for_env(path, &view(), &ips, &node());
        for (path, expected) in [
            ("metadata.name", "p"),
            ("metadata.namespace", "n"),
            ("metadata.uid", "u-1"),
            ("metadata.labels['app']", "web"),
            ("metadata.labels['none']", ""),
            ("metadata.labels", "app=\"web\"\ntier=\"a\\\"b\""),
            ("metadata.annotations", "k=\"line\\nline\""),
            ("spec.nodeName", "node-1"),
            ("spec.serviceAccountName", "robot"),
            ("status.hostIP", "192.0.2.1"),
            ("status.hostIPs", "192.0.2.1,2001:db8::1"),
            ("status.podIP", "10.42.0.2"),
            ("status.podIPs", "10.42.0.2,fd00::2"),
        ] {
            assert_eq!(get(path).as_deref(), Ok(expected), "{path}");
        }
        let error = get("spec.restartPolicy").expect_err("no such field");
        assert_eq!(error.to_string(), "unsupported fieldPath: spec.restartPolicy");
    }

    #[test]
    fn amounts_are_rounded_up_to_the_divisor_and_limits_default_to_the_node() {
        let check = |resource_name: &str, divisor: &str| {
            let selector = json!({"resource": resource_name, "divisor": divisor});
            let selector = serde_json::from_value(selector).expect("a selector");
            let pod = view();
            resource(&selector, &pod, &pod.spec.containers[0], &node()).expect("known")
        };
        assert_eq!(check("limits.cpu", "0"), "2");
        assert_eq!(check("limits.cpu", "1m"), "1500");
        assert_eq!(check("requests.cpu", "1"), "1");
        assert_eq!(check("requests.memory", "1Mi"), "32");
        assert_eq!(check("limits.memory", "0"), "1073741824");
        assert_eq!(check("limits.ephemeral-storage", "0"), "0");
    }
}
