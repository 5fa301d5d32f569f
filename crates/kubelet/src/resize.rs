//! What a Pod was given of the node, which need not be what its spec asks for: resizes of running Pods (KEP-1287, KEP-5419).
//!
//! ```text
//! spec ─► given, if it fits beside what others were given ─► in force in the cgroups
//!    pending: Infeasible, Deferred        in progress
//! ```
//!
//! Holds always
//! - Everything on the node is made from what was given; the spec is only what the Pod would like.
//! - What was given is on disk before anything is changed for it, so a node agent that starts anew goes on with it.
//!
//! Pure but for [`checkpoint`]. Source of the rules and of all texts: Kubernetes v1.36 `pkg/kubelet/allocation`,
//! `pkg/kubelet/events`.

pub(crate) mod checkpoint;

use std::collections::BTreeMap;
use std::sync::Arc;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use serde::{Deserialize, Serialize};

use crate::container::resources::Amounts;
use crate::pod::{PodView, quantity};

/// What a Pod was given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Allocation {
    containers: BTreeMap<String, k8s::ResourceRequirements>,
    pod: Option<k8s::ResourceRequirements>,
    /// What is still to be done so that it is in force.
    progress: Option<Progress>,
}

/// A resize that is being put in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    /// The generation of the Pod that asked for it.
    pub(crate) generation: Option<i64>,
    /// What containers have that do not have what they were given.
    before: BTreeMap<String, Held>,
    /// The most that the Pod's cgroup may have meanwhile: what it had, and what it is to have.
    pub(crate) widest: Amounts,
}

/// What a container has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Held {
    /// As it was given.
    pub(crate) resources: k8s::ResourceRequirements,
    /// As its cgroup has it.
    pub(crate) amounts: Amounts,
}

impl Held {
    /// What a container of a Pod has that was made as the Pod says.
    pub(crate) fn of(pod: &PodView, container: &k8s::Container) -> Self {
        Self {
            resources: container.resources.clone().unwrap_or_default(),
            amounts: Amounts::of_container(pod, container),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.amounts == other.amounts && is_same(&self.resources, &other.resources)
    }

    /// Whether a container has to be started anew to get another's: its policy says so for what differs.
    fn needs_restart(&self, other: &Self, container: &k8s::Container) -> bool {
        let (own, new) = (self.amounts, other.amounts);
        let request = |of: &Self| {
            of.resources.requests.as_ref().and_then(|all| all.get("memory")).map(quantity)
        };
        let is_changed = |name: &str| match name {
            "cpu" => (own.cpu_shares, own.cpu_quota) != (new.cpu_shares, new.cpu_quota),
            "memory" => own.memory_limit != new.memory_limit || request(self) != request(other),
            _ => false,
        };
        let mut policies = container.resize_policy.iter().flatten();
        policies.any(|policy| {
            policy.restart_policy == "RestartContainer" && is_changed(&policy.resource_name)
        })
    }
}

impl Allocation {
    /// All that a Pod asks for.
    pub(crate) fn of(pod: &PodView) -> Self {
        Self {
            containers: resizable(&pod.spec)
                .map(|one| (one.name.clone(), one.resources.clone().unwrap_or_default()))
                .collect(),
            pod: pod.spec.resources.clone(),
            progress: None,
        }
    }

    /// Whether it is all that a Pod asks for.
    pub(crate) fn is_all_of(&self, pod: &PodView) -> bool {
        let none = k8s::ResourceRequirements::default();
        let of_pod = |all: &Option<k8s::ResourceRequirements>| all.clone().unwrap_or_default();
        is_same(&of_pod(&self.pod), &of_pod(&pod.spec.resources))
            && resizable(&pod.spec).all(|container| {
                let asked = container.resources.as_ref().unwrap_or(&none);
                self.containers.get(&container.name).is_none_or(|given| is_same(given, asked))
            })
    }

    /// A Pod with what it was given instead of what it asks for.
    pub(crate) fn view(&self, wanted: &Arc<PodView>) -> Arc<PodView> {
        if self.is_all_of(wanted) {
            return Arc::clone(wanted);
        }
        let mut pod = PodView::clone(wanted);
        pod.spec.resources.clone_from(&self.pod);
        let init = pod.spec.init_containers.iter_mut().flatten();
        for container in init.chain(&mut pod.spec.containers) {
            if let Some(given) = self.containers.get(&container.name) {
                container.resources = Some(given.clone());
            }
        }
        Arc::new(pod)
    }

    /// The same after a Pod, which has been given `old` so far, is given all that it asks for.
    pub(crate) fn raised(&self, wanted: &PodView, old: &PodView) -> Self {
        let mut progress = self
            .progress
            .clone()
            .unwrap_or_else(|| Progress { widest: Amounts::of_pod(old), ..Progress::default() });
        progress.generation = wanted.generation();
        progress.widest = progress.widest.widest(Amounts::of_pod(wanted));
        for container in resizable(&old.spec) {
            let has = Held::of(old, container);
            progress.before.entry(container.name.clone()).or_insert(has);
        }
        progress.before.retain(|name, has| {
            let container = wanted.container(name).map(|(_, container)| container);
            container.is_some_and(|container| !has.is_same(&Held::of(wanted, container)))
        });
        Self { progress: Some(progress), ..Self::of(wanted) }
    }

    /// What is still to be done, if anything.
    pub(crate) fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// What a container has, if that is not what it was given.
    pub(crate) fn before(&self, name: &str) -> Option<&Held> {
        self.progress.as_ref()?.before.get(name)
    }

    /// Whether a container has to be started anew to get what it was given; `pod` is with what was given.
    pub(crate) fn needs_restart(&self, pod: &PodView, container: &k8s::Container) -> bool {
        let has = self.before(&container.name);
        has.is_some_and(|has| has.needs_restart(&Held::of(pod, container), container))
    }

    /// Notes what a container has; `pod` is with what was given.
    pub(crate) fn note(&mut self, pod: &PodView, name: &str, has: Held) {
        let Some(progress) = &mut self.progress else { return };
        let given = pod.container(name).map(|(_, container)| Held::of(pod, container));
        if given.is_none_or(|given| given.is_same(&has)) {
            progress.before.remove(name);
        } else {
            progress.before.insert(name.to_owned(), has);
        }
    }

    /// Notes that all is in force; returns what was still to be done.
    pub(crate) fn finish(&mut self) -> Option<Progress> {
        self.progress.take()
    }
}

/// The containers whose resources may change: all but ephemeral ones.
fn resizable(spec: &k8s::PodSpec) -> impl Iterator<Item = &k8s::Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

/// Whether requests and limits are the same amounts, however they are written.
fn is_same(one: &k8s::ResourceRequirements, other: &k8s::ResourceRequirements) -> bool {
    let amounts = |list: &Option<BTreeMap<String, Text>>| -> BTreeMap<String, _> {
        let list = list.iter().flatten();
        list.map(|(name, text)| (name.clone(), quantity(text))).collect()
    };
    amounts(&one.requests) == amounts(&other.requests)
        && amounts(&one.limits) == amounts(&other.limits)
}

/// How far the resize of a Pod is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Resize {
    /// What the Pod was given.
    pub(crate) allocation: Allocation,
    /// Why it was not given what it asks for.
    pub(crate) pending: Option<Pending>,
    /// Why what it was given is not in force.
    pub(crate) error: Option<String>,
}

/// Why a Pod was not given what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// What kind of reason.
    pub(crate) refusal: Refusal,
    /// The generation of the Pod that was refused.
    pub(crate) generation: Option<i64>,
}

/// Why a resize is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not fit beside what others hold.
    Deferred(String),
    /// It never fits the node.
    Infeasible(String),
}

impl Refusal {
    /// The condition's reason.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Deferred(_) => "Deferred",
            Self::Infeasible(_) => "Infeasible",
        }
    }

    /// The event's reason.
    pub(crate) fn event(&self) -> &'static str {
        match self {
            Self::Deferred(_) => "ResizeDeferred",
            Self::Infeasible(_) => "ResizeInfeasible",
        }
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        let (Self::Deferred(message) | Self::Infeasible(message)) = self;
        message
    }
}

/// What an event about a resize shows of the Pod, in this order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    init_containers: Vec<ContainerSummary<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<ContainerSummary<'a>>,
    generation: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
}

#[derive(Debug, Serialize)]
struct ContainerSummary<'a> {
    name: &'a str,
    resources: k8s::ResourceRequirements,
}

/// The text of an event about a resize: what has happened, and to what.
pub(crate) fn event_text(
    what: &str,
    pod: &PodView,
    generation: Option<i64>,
    error: &str,
) -> String {
    fn summary(container: &k8s::Container) -> ContainerSummary<'_> {
        let resources = container.resources.clone().unwrap_or_default();
        ContainerSummary { name: &container.name, resources }
    }
    let summary = Summary {
        init_containers: pod.init_containers().iter().map(summary).collect(),
        containers: pod.spec.containers.iter().map(summary).collect(),
        generation: generation.unwrap_or_default(),
        error,
    };
    match serde_json::to_string(&summary) {
        Ok(summary) => format!("Pod resize {what}: {summary}"),
        Err(_) => format!("Pod resize {what}"),
    }
}

#[cfg(test)]
mod tests;
