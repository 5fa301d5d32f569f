//! A Pod's conditions (Kubernetes v1.36 `pkg/kubelet/status/generate.go`).

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::containers::has_begun;
use super::{StatusInput, restarts_all, time};
use crate::pod::{PodView, Role};
use crate::restart_all;

/// The conditions that only the kubelet writes, in the order in which it lists them.
const OWN: [&str; 8] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    restart_all::CONDITION,
    PENDING,
    IN_PROGRESS,
];
/// The condition of a Pod that was not given what it asks for.
const PENDING: &str = "PodResizePending";
/// The condition of a Pod that does not have what it was given yet.
const IN_PROGRESS: &str = "PodResizeInProgress";

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Says {
    is_true: bool,
    reason: &'static str,
    message: String,
}

impl Says {
    fn yes() -> Self {
        Self { is_true: true, reason: "", message: String::new() }
    }

    fn no(reason: &'static str, message: String) -> Self {
        Self { is_true: false, reason, message }
    }
}

/// The conditions that others wrote.
pub(super) fn of_others(old: &k8s::PodStatus) -> Vec<k8s::PodCondition> {
    let all = old.conditions.iter().flatten();
    all.filter(|condition| !OWN.contains(&condition.type_.as_str())).cloned().collect()
}

/// All conditions: those of others as they are, then the kubelet's.
pub(super) fn all(
    input: StatusInput<'_>,
    phase: &str,
    statuses: &[k8s::ContainerStatus],
) -> Vec<k8s::PodCondition> {
    let old = input.old.conditions.as_deref().unwrap_or_default();
    let mut conditions = of_others(input.old);
    conditions.extend(resize(input, phase));
    let has_sandbox = input.observed.ready_sandbox().is_some();
    let containers_ready = containers_ready(input.pod, phase, statuses);
    let ready = match &containers_ready {
        says if says.is_true => ready(input.pod, &conditions),
        says => says.clone(),
    };
    let says = [
        if has_sandbox { Says::yes() } else { Says::no("", String::new()) },
        initialized(input.pod, phase, statuses),
        ready,
        containers_ready,
        Says::yes(),
    ];
    // The last only of those that it may ever be true of.
    let restarting = restart_all::is_possible(input.pod).then(|| restarting(input, phase));
    for (type_, says) in OWN.into_iter().zip(says.into_iter().chain(restarting)) {
        let before = old.iter().find(|condition| condition.type_ == type_);
        conditions.push(condition(type_, says, before, input));
    }
    conditions
}

fn condition(
    type_: &str,
    says: Says,
    before: Option<&k8s::PodCondition>,
    input: StatusInput<'_>,
) -> k8s::PodCondition {
    let status = if says.is_true { "True" } else { "False" };
    let unchanged = before.filter(|before| before.status == status);
    let since = unchanged.and_then(|before| before.last_transition_time.clone());
    let text = |text: String| (!text.is_empty()).then_some(text);
    k8s::PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: text(says.reason.to_owned()),
        message: text(says.message),
        // Upstream tells none with this one.
        observed_generation: input.pod.generation().filter(|_| type_ != restart_all::CONDITION),
        last_probe_time: None,
        last_transition_time: Some(since.unwrap_or_else(|| time(input.now))),
    }
}

/// How far a resize is, while there is one.
fn resize(input: StatusInput<'_>, phase: &str) -> Vec<k8s::PodCondition> {
    if matches!(phase, "Succeeded" | "Failed") {
        return Vec::new();
    }
    let pending = input.resize.pending.as_ref().map(|pending| {
        let (reason, message) = (pending.refusal.reason(), pending.refusal.message().to_owned());
        (PENDING, pending.generation, Says { is_true: true, reason, message })
    });
    let progress = input.resize.allocation.progress().map(|progress| {
        let message = input.resize.error.clone().unwrap_or_default();
        let reason = if message.is_empty() { "" } else { "Error" };
        (IN_PROGRESS, progress.generation, Says { is_true: true, reason, message })
    });
    let old = input.old.conditions.iter().flatten();
    let conditions = pending.into_iter().chain(progress).map(|(type_, generation, says)| {
        let before = old.clone().find(|condition| condition.type_ == type_);
        k8s::PodCondition {
            observed_generation: generation,
            ..condition(type_, says, before, input)
        }
    });
    conditions.collect()
}

/// Lists names as Go prints a list.
fn names(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

/// `containers with unknown status: [a], containers with … status: [b c]`; empty if there is nothing to say.
fn unfinished(unknown: &[&str], others: &[&str], word: &str) -> String {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("containers with unknown status: {}", names(unknown)));
    }
    if !others.is_empty() {
        parts.push(format!("containers with {word} status: {}", names(others)));
    }
    parts.join(", ")
}

/// Whether all containers are being removed to be made anew.
fn restarting(input: StatusInput<'_>, phase: &str) -> Says {
    match phase {
        "Succeeded" => return Says::no("PodCompleted", String::new()),
        "Failed" => return Says::no("PodFailed", String::new()),
        _ => {}
    }
    if !restarts_all(input) || restart_all::left(input.pod, input.observed).is_empty() {
        return Says::no("", String::new());
    }
    Says {
        is_true: true,
        reason: "RestartAllContainersStarted",
        message: "container exited with restart policy rule".to_owned(),
    }
}

fn containers_ready(pod: &PodView, phase: &str, statuses: &[k8s::ContainerStatus]) -> Says {
    let (mut unknown, mut unready) = (Vec::new(), Vec::new());
    for (role, container) in pod.containers() {
        if !matches!(role, Role::Sidecar | Role::Main) {
            continue;
        }
        match statuses.iter().find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !status.ready => unready.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    match phase {
        "Succeeded" if unknown.is_empty() => return Says::no("PodCompleted", String::new()),
        "Failed" => return Says::no("PodFailed", String::new()),
        _ => {}
    }
    let message = unfinished(&unknown, &unready, "unready");
    if message.is_empty() { Says::yes() } else { Says::no("ContainersNotReady", message) }
}

/// Whether the conditions that the Pod's readiness gates name hold.
fn ready(pod: &PodView, conditions: &[k8s::PodCondition]) -> Says {
    let mut messages = Vec::new();
    for gate in pod.spec.readiness_gates.iter().flatten() {
        let type_ = &gate.condition_type;
        match conditions.iter().find(|condition| condition.type_ == *type_) {
            None => messages.push(format!(
                "corresponding condition of pod readiness gate {type_:?} does not exist."
            )),
            Some(found) if found.status != "True" => messages.push(format!(
                "the status of pod readiness gate {type_:?} is not \"True\", but {}",
                found.status
            )),
            Some(_) => {}
        }
    }
    if messages.is_empty() {
        return Says::yes();
    }
    Says::no("ReadinessGatesNotReady", messages.join(", "))
}

fn initialized(pod: &PodView, phase: &str, statuses: &[k8s::ContainerStatus]) -> Says {
    let (mut unknown, mut incomplete) = (Vec::new(), Vec::new());
    for (role, container) in pod.containers() {
        let is_done = |status: &k8s::ContainerStatus| match role {
            Role::Sidecar => status.started == Some(true),
            _ => status.ready,
        };
        if !matches!(role, Role::Init | Role::Sidecar) {
            continue;
        }
        match statuses.iter().find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !is_done(status) => incomplete.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    if phase == "Succeeded" && unknown.is_empty() {
        return Says { reason: "PodCompleted", ..Says::yes() };
    }
    if has_main_begun(pod, statuses) {
        return Says::yes();
    }
    let message = unfinished(&unknown, &incomplete, "incomplete");
    if message.is_empty() { Says::yes() } else { Says::no("ContainersNotInitialized", message) }
}

/// Whether a main container has ever run: then the init containers were done, whatever has become of sidecars since.
fn has_main_begun(pod: &PodView, statuses: &[k8s::ContainerStatus]) -> bool {
    pod.spec.containers.iter().any(|container| {
        let status = statuses.iter().find(|status| status.name == container.name);
        status.is_some_and(has_begun)
    })
}
