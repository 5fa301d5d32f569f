//! Filters: each says whether a node can run a Pod, and if not why, in upstream's words.
//!
//! Every rule is a plain function; [`FILTERS`] lists them in the order in which upstream's default plugins run.

use podo_api::{Value, tree};

use crate::node::NodeInfo;
use crate::pod::PodInfo;

/// Why a node cannot run a Pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refusal {
    /// What the Pod's condition says of such nodes.
    pub reasons: Vec<String>,
    /// Whether it would help to remove other Pods from the node.
    pub is_resolvable: bool,
}

impl Refusal {
    fn unresolvable(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], is_resolvable: false }
    }
}

type Filter = fn(&PodInfo, &str, &NodeInfo) -> Result<(), Refusal>;

/// All filters; the first refusal of a node counts.
const FILTERS: &[Filter] =
    &[unschedulable, node_name, taints, node_affinity, node_ports, resources_fit];

/// Whether a node can run a Pod.
pub(crate) fn check(pod: &PodInfo, name: &str, node: &NodeInfo) -> Result<(), Refusal> {
    FILTERS.iter().try_for_each(|filter| filter(pod, name, node))
}

fn unschedulable(pod: &PodInfo, _name: &str, node: &NodeInfo) -> Result<(), Refusal> {
    let taint =
        serde_json::json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    if !node.is_unschedulable || tolerates(pod, &taint) {
        return Ok(());
    }
    Err(Refusal::unresolvable("node(s) were unschedulable"))
}

fn node_name(pod: &PodInfo, name: &str, _node: &NodeInfo) -> Result<(), Refusal> {
    if pod.node_name.is_empty() || &*pod.node_name == name {
        return Ok(());
    }
    Err(Refusal::unresolvable("node(s) didn't match the requested node name"))
}

fn taints(pod: &PodInfo, _name: &str, node: &NodeInfo) -> Result<(), Refusal> {
    let untolerated = node.taints.iter().find(|taint| {
        let effect = tree::str_at(taint, &["effect"]);
        matches!(effect, "NoSchedule" | "NoExecute") && !tolerates(pod, taint)
    });
    match untolerated {
        None => Ok(()),
        Some(_) => Err(Refusal::unresolvable("node(s) had untolerated taint(s)")),
    }
}

/// Whether a Pod tolerates a taint (Kubernetes v1.36 `Toleration.ToleratesTaint`).
pub(crate) fn tolerates(pod: &PodInfo, taint: &Value) -> bool {
    let of_taint = |field: &str| tree::str_at(taint, &[field]);
    pod.tolerations.iter().any(|toleration| {
        let text = |field: &str| tree::str_at(toleration, &[field]);
        let has_effect = text("effect").is_empty() || text("effect") == of_taint("effect");
        let has_key = text("key").is_empty() || text("key") == of_taint("key");
        let has_value = match text("operator") {
            "Exists" => true,
            "" | "Equal" => text("value") == of_taint("value"),
            _ => false,
        };
        has_effect && has_key && has_value
    })
}

fn node_affinity(pod: &PodInfo, name: &str, node: &NodeInfo) -> Result<(), Refusal> {
    let is_selected = pod.node_selector.iter().all(|(key, value)| node.label(key) == Some(value));
    let is_wanted = match &*pod.node_affinity {
        Value::Null => true,
        affinity => tree::items_at(affinity, &["nodeSelectorTerms"])
            .iter()
            .any(|term| fits_term(term, name, node)),
    };
    if is_selected && is_wanted {
        return Ok(());
    }
    Err(Refusal::unresolvable("node(s) didn't match Pod's node affinity/selector"))
}

/// A term without requirements matches nothing.
pub(crate) fn fits_term(term: &Value, name: &str, node: &NodeInfo) -> bool {
    let expressions = tree::items_at(term, &["matchExpressions"]);
    let fields = tree::items_at(term, &["matchFields"]);
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let field = |key: &str| (key == "metadata.name").then_some(name);
    expressions.iter().all(|requirement| fits(requirement, &|key| node.label(key)))
        && fields.iter().all(|requirement| fits(requirement, &field))
}

fn fits<'a>(requirement: &Value, value_of: &dyn Fn(&str) -> Option<&'a str>) -> bool {
    let found = value_of(tree::str_at(requirement, &["key"]));
    let values = tree::items_at(requirement, &["values"]);
    let is_listed =
        || found.is_some_and(|found| values.iter().any(|value| value.as_str() == Some(found)));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let wanted = || number(values.first().and_then(Value::as_str));
    let compare = |is_fine: fn(i64, i64) -> bool| {
        number(found).zip(wanted()).is_some_and(|(found, wanted)| is_fine(found, wanted))
    };
    match tree::str_at(requirement, &["operator"]) {
        "In" => is_listed(),
        "NotIn" => !is_listed(),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => compare(|found, wanted| found > wanted),
        "Lt" => compare(|found, wanted| found < wanted),
        _ => false,
    }
}

fn node_ports(pod: &PodInfo, _name: &str, node: &NodeInfo) -> Result<(), Refusal> {
    let is_taken =
        pod.host_ports.iter().any(|port| node.host_ports.iter().any(|taken| taken.conflicts(port)));
    if is_taken {
        let reasons = vec!["node(s) didn't have free ports for the requested pod ports".to_owned()];
        return Err(Refusal { reasons, is_resolvable: true });
    }
    Ok(())
}

/// Whether what is asked for is free. A resource that is not asked for may be overdrawn already.
fn resources_fit(pod: &PodInfo, _name: &str, node: &NodeInfo) -> Result<(), Refusal> {
    let mut reasons = Vec::new();
    let mut is_resolvable = true;
    if node.pod_count + 1 > node.pods_max {
        reasons.push("Too many pods".to_owned());
    }
    let (asked, has, used) = (&pod.requests, &node.allocatable, &node.requested);
    let mut check = |name: &str, asked: i64, has: i64, used: i64| {
        if asked > 0 && asked > has - used {
            reasons.push(format!("Insufficient {name}"));
            is_resolvable &= asked <= has;
        }
    };
    check("cpu", asked.cpu_milli, has.cpu_milli, used.cpu_milli);
    check("memory", asked.memory_bytes, has.memory_bytes, used.memory_bytes);
    check(
        "ephemeral-storage",
        asked.ephemeral_storage_bytes,
        has.ephemeral_storage_bytes,
        used.ephemeral_storage_bytes,
    );
    for (name, amount) in &asked.scalar {
        let of = |resources: &crate::Resources| resources.scalar.get(name).copied().unwrap_or(0);
        check(name, *amount, of(has), of(used));
    }
    if reasons.is_empty() { Ok(()) } else { Err(Refusal { reasons, is_resolvable }) }
}
