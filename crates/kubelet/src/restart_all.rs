//! All containers of a Pod started anew in its sandbox, because one of them ended as its rule says (KEP-5532).
//!
//! Holds always
//! - Nothing is ended before the server knows of it by a condition, and nothing is started before the server knows that all of it
//!   is gone: who dies in between goes on where it was.
//!
//! Source of the rules: Kubernetes v1.36 `ShouldAllContainersRestart`, `AllContainersRestartCleanedUp`.

use podo_api::k8s_openapi::api::core::v1 as k8s;

use crate::observed::{ObservedContainer, ObservedPod, RunState};
use crate::pod::{PodView, Role, asks_for_all};

/// The condition that tells of it.
pub(crate) const CONDITION: &str = "AllContainersRestarting";
/// The word for a container that was removed for it.
pub(crate) const REASON: &str = "RestartingAllContainers";
/// The text for a container that was removed for it.
pub(crate) const MESSAGE: &str = "The container is removed because RestartAllContainers in place";

/// The containers that are started anew: all but ephemeral ones.
fn subjects(pod: &PodView) -> impl Iterator<Item = &k8s::Container> {
    let all = pod.containers().filter(|(role, _)| *role != Role::Ephemeral);
    all.map(|(_, container)| container)
}

/// Whether a container of the Pod may ask for it.
pub(crate) fn is_possible(pod: &PodView) -> bool {
    let mut rules = subjects(pod).flat_map(|one| one.restart_policy_rules.iter().flatten());
    rules.any(|rule| rule.action == "RestartAllContainers")
}

/// Whether the server knows that it is under way.
pub(crate) fn is_told(old: &k8s::PodStatus) -> bool {
    let mut conditions = old.conditions.iter().flatten();
    conditions.any(|condition| condition.type_ == CONDITION && condition.status == "True")
}

/// Whether it is under way or asked for.
pub(crate) fn is_due(pod: &PodView, observed: &ObservedPod, old: &k8s::PodStatus) -> bool {
    let asks = |container: &k8s::Container| {
        let code = observed.exit_of(&container.name, old);
        code.is_some_and(|code| asks_for_all(container, code))
    };
    is_told(old) || subjects(pod).any(asks)
}

/// The containers whose end asks for it.
pub(crate) fn triggers<'a>(
    pod: &'a PodView,
    observed: &'a ObservedPod,
) -> impl Iterator<Item = (&'a k8s::Container, &'a ObservedContainer)> {
    subjects(pod).filter_map(|container| {
        let record = observed.latest(&container.name)?;
        let has_ended = record.state == RunState::Exited;
        (has_ended && asks_for_all(container, record.exit_code)).then_some((container, record))
    })
}

/// What is still to be removed, those that asked for it last.
pub(crate) fn left<'a>(pod: &PodView, observed: &'a ObservedPod) -> Vec<&'a ObservedContainer> {
    let is_subject = |record: &&ObservedContainer| subjects(pod).any(|one| one.name == record.name);
    let mut left: Vec<_> = observed.containers.iter().filter(is_subject).collect();
    left.sort_by_key(|record| triggers(pod, observed).any(|(_, trigger)| trigger.id == record.id));
    left
}

/// Whether a container was removed for it and has not been started since.
pub(crate) fn is_removed(status: &k8s::ContainerStatus) -> bool {
    let is_waiting = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
    let end = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    is_waiting && end.is_some_and(|end| end.reason.as_deref() == Some(REASON))
}
