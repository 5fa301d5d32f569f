//! A Pod's status: one pure function from its spec, what the runtime knows and what its worker decided.
//!
//! Holds always
//! - Reasons, messages and order are those of Kubernetes v1.36.
//! - Conditions that are not the kubelet's are kept as they are; a condition's transition time changes only with its status.
//! - Final phases never change again.
//!
//! Not here: writing it ([`writer`]), deciding what to do ([`crate::worker`]).

mod conditions;
mod containers;
mod phase;
mod resources;
pub(crate) mod writer;

pub(crate) use containers::has_begun;

use std::collections::{BTreeMap, BTreeSet};

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use podo_api::k8s_openapi::jiff;
use podo_base::Timestamp;

use crate::observed::ObservedPod;
use crate::pod::PodView;
use crate::resize::Resize;
use crate::restart_all;

/// Why a container does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// One word, such as `CrashLoopBackOff`.
    pub(crate) reason: String,
    /// A sentence; may be empty.
    pub(crate) message: String,
}

/// What probes say of running containers: the door for probes. A container that is not listed has none that speaks against it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Probes {
    /// Containers whose start is not confirmed yet.
    pub(crate) not_started: Vec<String>,
    /// Containers that are not ready.
    pub(crate) not_ready: Vec<String>,
}

/// A verdict over the whole Pod, which no container's state changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// One word, such as `DeadlineExceeded`.
    pub(crate) reason: String,
    /// A sentence.
    pub(crate) message: String,
}

/// What a status is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusInput<'a> {
    /// The Pod.
    pub(crate) pod: &'a PodView,
    /// What the runtime knows.
    pub(crate) observed: &'a ObservedPod,
    /// Why containers do not run, by name.
    pub(crate) waiting: &'a BTreeMap<String, Waiting>,
    /// Containers, by id, that were stopped to be made anew.
    pub(crate) replaced: &'a BTreeSet<String>,
    /// What probes say.
    pub(crate) probes: &'a Probes,
    /// What the Pod was given, and what it was not.
    pub(crate) resize: &'a Resize,
    /// The status that was written last, or that the object came with.
    pub(crate) old: &'a k8s::PodStatus,
    /// The Pod failed for this reason, whatever its containers do.
    pub(crate) verdict: Option<&'a Verdict>,
    /// Nothing of the Pod will be started again.
    pub(crate) is_over: bool,
    /// The Pod still has something of the node that others wait for.
    pub(crate) holds_node: bool,
    /// The node's addresses.
    pub(crate) node_ips: &'a [String],
    /// The runtime's name, for container ids.
    pub(crate) runtime: &'a str,
    /// The time.
    pub(crate) now: Timestamp,
}

/// The time as the API has it: whole seconds.
pub(crate) fn time(at: Timestamp) -> Time {
    Time(jiff::Timestamp::from_second(at.as_seconds()).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// Whether all containers are being started anew.
fn restarts_all(input: StatusInput<'_>) -> bool {
    let is_ending = input.is_over || input.verdict.is_some() || input.pod.is_deleting();
    !is_ending && restart_all::is_due(input.pod, input.observed, input.old)
}

/// The status of a Pod.
pub(crate) fn compute(input: StatusInput<'_>) -> k8s::PodStatus {
    let StatusInput { pod, old, .. } = input;
    let mut container_statuses = containers::statuses(input, containers::Group::Main);
    let mut init_container_statuses = containers::statuses(input, containers::Group::Init);
    let mut ephemeral = containers::statuses(input, containers::Group::Ephemeral);
    let all: Vec<k8s::ContainerStatus> =
        init_container_statuses.iter().chain(&container_statuses).cloned().collect();
    let phase = final_phase(input, &all);
    if input.is_over && matches!(phase, "Succeeded" | "Failed") {
        containers::end_all(pod, &mut init_container_statuses, &mut container_statuses);
    }
    // Only init containers keep the order of the spec (Kubernetes v1.36 `SortedContainerStatuses`).
    container_statuses.sort_by(|one, other| one.name.cmp(&other.name));
    ephemeral.sort_by(|one, other| one.name.cmp(&other.name));
    let (host_ips, pod_ips) = addresses(input);
    let (allocated_resources, resources) = resources::of_pod(input);
    let mut status = k8s::PodStatus {
        phase: Some(phase.to_owned()),
        observed_generation: pod.generation(),
        start_time: Some(old.start_time.clone().unwrap_or_else(|| time(input.now))),
        qos_class: Some(pod.qos_class().as_str().to_owned()),
        host_ip: host_ips.first().cloned(),
        host_ips: some(host_ips.into_iter().map(|ip| k8s::HostIP { ip }).collect()),
        pod_ip: pod_ips.first().cloned(),
        pod_ips: some(pod_ips.into_iter().map(|ip| k8s::PodIP { ip }).collect()),
        conditions: Some(conditions::all(input, phase, &all)),
        container_statuses: some(container_statuses),
        init_container_statuses: some(init_container_statuses),
        ephemeral_container_statuses: some(ephemeral),
        allocated_resources,
        resources,
        // Others write these.
        nominated_node_name: old.nominated_node_name.clone(),
        resource_claim_statuses: old.resource_claim_statuses.clone(),
        extended_resource_claim_status: old.extended_resource_claim_status.clone(),
        node_allocatable_resource_claim_statuses: old
            .node_allocatable_resource_claim_statuses
            .clone(),
        ..k8s::PodStatus::default()
    };
    if let Some(verdict) = input.verdict.filter(|_| phase == "Failed") {
        status.reason = Some(verdict.reason.clone());
        status.message = Some(verdict.message.clone());
    } else if matches!(old.phase.as_deref(), Some("Succeeded" | "Failed")) {
        status.reason.clone_from(&old.reason);
        status.message.clone_from(&old.message);
    }
    status
}

/// The status of a Pod that the node refuses: nothing of it was ever started.
pub(crate) fn rejected(
    pod: &PodView,
    old: &k8s::PodStatus,
    verdict: &Verdict,
    now: Timestamp,
) -> k8s::PodStatus {
    k8s::PodStatus {
        phase: Some("Failed".to_owned()),
        reason: Some(verdict.reason.clone()),
        message: Some(format!("Pod was rejected: {}", verdict.message)),
        observed_generation: pod.generation(),
        start_time: Some(old.start_time.clone().unwrap_or_else(|| time(now))),
        qos_class: Some(pod.qos_class().as_str().to_owned()),
        // The kubelet speaks of nothing that it did not begin: what was said in its name goes (Kubernetes v1.36 `mergePodStatus`).
        conditions: some(conditions::of_others(old)),
        ..old.clone()
    }
}

/// The phase; one that is final stays.
fn final_phase(input: StatusInput<'_>, all: &[k8s::ContainerStatus]) -> &'static str {
    match input.old.phase.as_deref() {
        Some("Failed") => return "Failed",
        Some("Succeeded") => return "Succeeded",
        _ => {}
    }
    let phase = match input.verdict {
        Some(_) => "Failed",
        None => phase::of(input.pod, all, input.is_over),
    };
    // A Pod is not over before it has given everything back: the scheduler gives its place to others at once.
    match (phase, input.old.phase.as_deref()) {
        ("Succeeded" | "Failed", Some("Running")) if input.holds_node => "Running",
        ("Succeeded" | "Failed", _) if input.holds_node => "Pending",
        _ => phase,
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// The node's addresses and the Pod's. Addresses that the Pod had are told on after its network is gone.
fn addresses(input: StatusInput<'_>) -> (Vec<String>, Vec<String>) {
    let host_ips = input.node_ips.to_vec();
    if input.pod.is_host_network() {
        // Told from the first container on, as for other Pods.
        let has_sandbox = input.observed.sandbox().is_some() || input.old.pod_ip.is_some();
        return (host_ips.clone(), if has_sandbox { host_ips } else { Vec::new() });
    }
    let current = input.observed.sandbox().map(|sandbox| sandbox.ips.clone()).unwrap_or_default();
    if !current.is_empty() {
        return (host_ips, current);
    }
    let old = input.old.pod_ips.iter().flatten().map(|pod_ip| pod_ip.ip.clone()).collect();
    (host_ips, old)
}

#[cfg(test)]
mod tests;
