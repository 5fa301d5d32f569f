//! Whether a Pod that was bound to this node fits: amounts, node selector, ports, taints, sysctls.
//!
//! The scheduler has looked at most of it; but a Pod can be bound by hand, and two schedulers can both be right.
//! Reasons and messages are those of Kubernetes v1.36 `pkg/kubelet/lifecycle/predicate.go`.

use std::collections::{BTreeMap, BTreeSet};

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::quantity::Quantity;
use podo_api::selector::label::{Operator, Requirement};

use crate::pod::{self, PodView, QosClass};
use crate::resize::Refusal;
use crate::status::Verdict;

/// The sysctls that any Pod may set (Kubernetes v1.36 `pkg/kubelet/sysctl/safe_sysctls.go`).
const SAFE_SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// A port of the host: address, protocol, number.
type HostPort = (String, String, i32);

/// What Pods may use of a node.
pub(crate) type Allocatable = BTreeMap<String, Quantity>;

/// What a Pod takes of its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    class: QosClass,
    milli_cpu: i64,
    amounts: BTreeMap<String, i64>,
    ports: BTreeSet<HostPort>,
}

impl Claim {
    /// What a Pod asks for.
    pub(crate) fn of(pod: &PodView) -> Self {
        let names = pod
            .containers()
            .flat_map(|(_, container)| container.resources.iter())
            .flat_map(|all| all.requests.iter().chain(&all.limits).flatten())
            .map(|(name, _)| name.as_str())
            .filter(|name| *name != "cpu");
        let names: BTreeSet<&str> = names.chain(["memory", "ephemeral-storage"]).collect();
        let amount = |name: &str| pod::pod_request(&pod.spec, name).value();
        Self {
            class: pod.qos_class(),
            milli_cpu: pod::pod_request(&pod.spec, "cpu").milli_value(),
            amounts: names.into_iter().map(|name| (name.to_owned(), amount(name))).collect(),
            ports: host_ports(pod),
        }
    }

    /// What a Pod takes that was started before: not less than what the server was told that it has, which may be more than it was
    /// given since (Kubernetes v1.36 `PodRequests` with `UseStatusResources`).
    pub(crate) fn of_started(pod: &PodView) -> Self {
        let mut told = pod.clone();
        let statuses = pod.status().into_iter().flat_map(|status| {
            let init = status.init_container_statuses.iter().flatten();
            init.chain(status.container_statuses.iter().flatten())
        });
        for status in statuses {
            let has = status.resources.as_ref().and_then(|all| all.requests.clone());
            let init = told.spec.init_containers.iter_mut().flatten();
            let mut all = init.chain(&mut told.spec.containers);
            if let Some((container, has)) =
                all.find(|container| container.name == status.name).zip(has)
            {
                container.resources.get_or_insert_default().requests = Some(has);
            }
        }
        let mut claim = Self::of(pod);
        claim.raise_to(&Self::of(&told));
        claim
    }

    /// Raises it to another where that is more.
    pub(crate) fn raise_to(&mut self, other: &Self) {
        self.milli_cpu = self.milli_cpu.max(other.milli_cpu);
        for (name, amount) in &other.amounts {
            let own = self.amounts.entry(name.clone()).or_default();
            *own = (*own).max(*amount);
        }
    }

    /// The CPU that a burstable Pod asks for, in thousandths; 0 for other Pods.
    pub(crate) fn burstable_milli_cpu(&self) -> i64 {
        if self.class == QosClass::Burstable { self.milli_cpu } else { 0 }
    }
}

fn host_ports(pod: &PodView) -> BTreeSet<HostPort> {
    let ports = pod.containers().flat_map(|(_, container)| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|number| *number > 0)?;
            let ip = match port.host_ip.as_deref() {
                None | Some("" | "0.0.0.0" | "::") => String::new(),
                Some(ip) => ip.to_owned(),
            };
            Some((ip, port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()), number))
        })
        .collect()
}

/// Two claims on a port clash if one of them is on all addresses, or both on the same.
fn clashes(one: &HostPort, other: &HostPort) -> bool {
    one.1 == other.1
        && one.2 == other.2
        && (one.0 == other.0 || one.0.is_empty() || other.0.is_empty())
}

/// What the node offers.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeOffer {
    /// Its name.
    pub(crate) name: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its taints.
    pub(crate) taints: Vec<k8s::Taint>,
    /// What Pods may use of it.
    pub(crate) allocatable: Allocatable,
    /// Sysctls that Pods may set beside the safe ones.
    pub(crate) unsafe_sysctls: Vec<String>,
}

/// Checks whether a Pod fits beside what others have claimed.
pub(crate) fn check(pod: &PodView, offer: &NodeOffer, claims: &[&Claim]) -> Result<(), Verdict> {
    if let Some(sysctl) = forbidden_sysctl(pod, offer) {
        return refuse("SysctlForbidden", format!("forbidden sysctl: {sysctl:?} not allowlisted"));
    }
    check_amounts(&Claim::of(pod), &offer.allocatable, claims)?;
    if !matches_node(pod, offer) {
        return refuse_by("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
    }
    let ports = host_ports(pod);
    let taken = claims.iter().flat_map(|claim| &claim.ports);
    if taken.into_iter().any(|taken| ports.iter().any(|port| clashes(port, taken))) {
        return refuse_by(
            "NodePorts",
            "node(s) didn't have free ports for the requested pod ports",
        );
    }
    if let Some(taint) = untolerated(pod, offer) {
        let value = taint.value.as_deref().unwrap_or_default();
        let message = format!("node(s) had untolerated taint(s) {{{}: {value}}}", taint.key);
        return refuse_by("TaintToleration", &message);
    }
    match pod.spec.os.as_ref().map(|os| os.name.as_str()) {
        None | Some("linux") => Ok(()),
        Some(_) => refuse(
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS".to_owned(),
        ),
    }
}

fn refuse(reason: &str, message: String) -> Result<(), Verdict> {
    Err(Verdict { reason: reason.to_owned(), message })
}

fn refuse_by(predicate: &str, why: &str) -> Result<(), Verdict> {
    refuse(predicate, format!("Predicate {predicate} failed: {why}"))
}

/// Checks whether a running Pod can have what it asks for, beside what others have claimed
/// (Kubernetes v1.36 `podResizesAdmitHandler`, `canAdmitPod`).
pub(crate) fn check_resize(
    claim: &Claim,
    allocatable: &Allocatable,
    others: &[&Claim],
) -> Result<(), Refusal> {
    let capacity = |name: &str| allocatable.get(name).cloned().unwrap_or(Quantity::ZERO);
    let memory = claim.amounts.get("memory").copied().unwrap_or_default();
    let (memory_max, cpu_max) = (capacity("memory").value(), capacity("cpu").milli_value());
    for (name, wanted, capacity) in
        [("memory", memory, memory_max), ("cpu", claim.milli_cpu, cpu_max)]
    {
        if wanted > capacity {
            return Err(Refusal::Infeasible(format!(
                "Node didn't have enough capacity: {name}, requested: {wanted}, capacity: {capacity}"
            )));
        }
    }
    check_amounts(claim, allocatable, others).map_err(|verdict| Refusal::Deferred(verdict.message))
}

fn check_amounts(
    claim: &Claim,
    allocatable: &Allocatable,
    claims: &[&Claim],
) -> Result<(), Verdict> {
    let check = |name: &str, wanted: i64, used: i64, capacity: i64| {
        if wanted == 0 || wanted <= capacity - used {
            return Ok(());
        }
        let message = format!(
            "Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}"
        );
        refuse(&format!("OutOf{name}"), message)
    };
    let capacity = |name: &str| allocatable.get(name).cloned().unwrap_or(Quantity::ZERO);
    let count = i64::try_from(claims.len()).unwrap_or(i64::MAX);
    check("pods", 1, count, capacity("pods").value())?;
    let used = claims.iter().map(|claim| claim.milli_cpu).sum();
    check("cpu", claim.milli_cpu, used, capacity("cpu").milli_value())?;
    for (name, wanted) in &claim.amounts {
        let used = claims.iter().filter_map(|claim| claim.amounts.get(name)).sum();
        check(name, *wanted, used, capacity(name).value())?;
    }
    Ok(())
}

fn forbidden_sysctl(pod: &PodView, offer: &NodeOffer) -> Option<String> {
    let all = pod.spec.security_context.iter().flat_map(|all| all.sysctls.iter().flatten());
    let is_allowed = |name: &str| {
        SAFE_SYSCTLS.contains(&name)
            || offer.unsafe_sysctls.iter().any(|allowed| match allowed.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => allowed == name,
            })
    };
    all.map(|sysctl| sysctl.name.replace('/', ".")).find(|name| !is_allowed(name))
}

/// Whether the node is one that the Pod wants: by its selector and by the required part of its affinity.
fn matches_node(pod: &PodView, offer: &NodeOffer) -> bool {
    let mut selector = pod.spec.node_selector.iter().flatten();
    if !selector.all(|(key, value)| offer.labels.get(key) == Some(value)) {
        return false;
    }
    let affinity = pod.spec.affinity.as_ref().and_then(|all| all.node_affinity.as_ref());
    let required =
        affinity.and_then(|all| all.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|required| {
        required.node_selector_terms.iter().any(|term| matches_term(term, offer))
    })
}

/// Terms are alternatives; all parts of one must hold, and one without parts holds for no node.
fn matches_term(term: &k8s::NodeSelectorTerm, offer: &NodeOffer) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let has_parts = !expressions.is_empty() || !fields.is_empty();
    let label = |key: &str| offer.labels.get(key).map(String::as_str);
    let field = |key: &str| (key == "metadata.name").then_some(offer.name.as_str());
    has_parts
        && expressions.iter().all(|one| holds(one, label(&one.key)))
        && fields.iter().all(|one| holds(one, field(&one.key)))
}

fn holds(one: &k8s::NodeSelectorRequirement, value: Option<&str>) -> bool {
    let operator = match one.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan,
        "Lt" => Operator::LessThan,
        _ => return false,
    };
    let values: Vec<&str> = one.values.iter().flatten().map(String::as_str).collect();
    // The names of fields are no label keys, and only the value counts here.
    Requirement::new("key", operator, &values).is_ok_and(|requirement| requirement.matches(value))
}

/// A taint that ends Pods and that the Pod does not tolerate. Static Pods are not asked.
fn untolerated<'a>(pod: &PodView, offer: &'a NodeOffer) -> Option<&'a k8s::Taint> {
    let tolerates = |taint: &k8s::Taint| {
        pod.spec.tolerations.iter().flatten().any(|toleration| {
            let is_equal = |wanted: Option<&str>, found: &str| {
                wanted.is_none_or(|wanted| wanted.is_empty() || wanted == found)
            };
            is_equal(toleration.effect.as_deref(), &taint.effect)
                && is_equal(toleration.key.as_deref(), &taint.key)
                && (toleration.operator.as_deref() == Some("Exists")
                    || toleration.value.as_deref().unwrap_or_default()
                        == taint.value.as_deref().unwrap_or_default())
        })
    };
    offer.taints.iter().find(|taint| taint.effect == "NoExecute" && !tolerates(taint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn view(spec: Value) -> PodView {
        let mut spec = spec;
        if spec.get("containers").is_none() {
            spec["containers"] = json!([{"name": "c"}]);
        }
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec});
        PodView::new(serde_json::from_value(pod).expect("a Pod"))
    }

    fn offer() -> NodeOffer {
        let amounts =
            [("cpu", "2"), ("memory", "1Gi"), ("pods", "3"), ("ephemeral-storage", "10Gi")];
        let allocatable = amounts
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.parse().expect("a quantity")))
            .collect();
        let labels = [("gpu", "true"), ("size", "10")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        NodeOffer { name: "node-1".to_owned(), labels, allocatable, ..NodeOffer::default() }
    }

    fn asking(cpu: &str, port: i32, ip: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}},
            "ports": [{"containerPort": 80, "hostPort": port, "hostIP": ip}]}]})
    }

    fn verdict(spec: Value, others: &[Value]) -> String {
        let others: Vec<Claim> = others.iter().map(|spec| Claim::of(&view(spec.clone()))).collect();
        let claims: Vec<&Claim> = others.iter().collect();
        match check(&view(spec), &offer(), &claims) {
            Ok(()) => String::new(),
            Err(verdict) => format!("{} | {}", verdict.reason, verdict.message),
        }
    }

    #[test]
    fn a_pod_gets_only_what_is_left() {
        let plain = || json!({});
        assert_eq!(verdict(asking("2", 0, ""), &[]), "");
        assert_eq!(
            verdict(asking("1500m", 0, ""), &[asking("1", 0, "")]),
            "OutOfcpu | Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
        );
        assert_eq!(
            verdict(plain(), &[plain(), plain(), plain()]),
            "OutOfpods | Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
        );
    }

    #[test]
    fn ports_clash_by_address_protocol_and_number() {
        let clash = "NodePorts | Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
        assert_eq!(verdict(asking("0", 80, ""), &[asking("0", 80, "")]), clash);
        assert_eq!(verdict(asking("0", 80, "127.0.0.1"), &[asking("0", 80, "0.0.0.0")]), clash);
        assert_eq!(verdict(asking("0", 80, "127.0.0.1"), &[asking("0", 80, "127.0.0.2")]), "");
        assert_eq!(verdict(asking("0", 80, ""), &[asking("0", 81, "")]), "");
    }

    #[test]
    fn a_pod_for_another_kind_of_node_is_refused() {
        let refused = "NodeAffinity | Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
        let affinity = |term: Value| {
            json!({"affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}})
        };
        let expression = |key: &str, operator: &str, values: Value| {
            affinity(
                json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}),
            )
        };
        assert_eq!(verdict(json!({"nodeSelector": {"gpu": "true"}}), &[]), "");
        assert_eq!(verdict(json!({"nodeSelector": {"gpu": "false"}}), &[]), refused);
        assert_eq!(verdict(expression("size", "Gt", json!(["9"])), &[]), "");
        assert_eq!(verdict(expression("size", "In", json!(["9"])), &[]), refused);
        assert_eq!(verdict(affinity(json!({})), &[]), refused);
        let by_name = affinity(json!({"matchFields": [
            {"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}));
        assert_eq!(verdict(by_name, &[]), "");
    }

    #[test]
    fn only_listed_sysctls_may_be_set() {
        let sysctl =
            |name: &str| json!({"securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
        assert_eq!(verdict(sysctl("net/ipv4/tcp_syncookies"), &[]), "");
        assert_eq!(
            verdict(sysctl("kernel.msgmax"), &[]),
            "SysctlForbidden | forbidden sysctl: \"kernel.msgmax\" not allowlisted"
        );
    }
}
