//! What to do next for a Pod that is to run: every decision, with no clock, no I/O and no lock.
//!
//! One action at a time: after each, the next is planned from what is true then. Only a refresh of the volumes goes beside a start.
//!
//! Source of the rules: Kubernetes v1.36 `computePodActions`, `computeInitContainerActions`.

use podo_api::duration::GoDuration;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::Timestamp;

use super::memory::{Memory, VolumeState};
use crate::container::labels;
use crate::observed::{ObservedContainer, ObservedPod, ObservedSandbox, RunState};
use crate::pod::{PodView, Role};
use crate::resize::Allocation;
use crate::restart_all;
use crate::status::{Probes, Waiting, has_begun};

/// A container to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) id: String,
    pub(crate) name: String,
    /// It may have processes.
    pub(crate) is_alive: bool,
}

/// Why a container is to be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is not what its spec says any more.
    Changed,
    /// It takes other resources only when it starts.
    Resized,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Set up the volumes.
    SetUpVolumes,
    /// Kill what is left in old sandboxes and stop them.
    StopSandboxes(Vec<String>),
    /// Make a sandbox.
    RunSandbox { attempt: u32 },
    /// Make and start a container.
    Start { role: Role, name: String, restart_count: u32 },
    /// Stop a container that is to be made anew.
    Replace { id: String, name: String, why: Why },
    /// Change the cgroups of the Pod and of containers, name and id, as they run; nothing of the resize is left if it is the last.
    Resize { containers: Vec<(String, String)>, is_last: bool },
    /// End containers at once and remove them: all are to be made anew.
    RemoveAll(Vec<Removal>),
    /// All is over: stop what is left.
    Finish,
}

/// What to do next, if anything, and when to look again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What to do now.
    pub(crate) action: Option<Action>,
    /// When something can be done that cannot be done now.
    pub(crate) wake_at: Option<Timestamp>,
    /// Containers that wait for the end of their back-off.
    pub(crate) crashed: Vec<(String, Waiting)>,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlanInput<'a> {
    pub(crate) pod: &'a PodView,
    pub(crate) observed: &'a ObservedPod,
    pub(crate) memory: &'a Memory,
    pub(crate) probes: &'a Probes,
    /// The status on the server, which knows what the runtime has forgotten.
    pub(crate) old: &'a k8s::PodStatus,
    /// What the Pod was given.
    pub(crate) allocation: &'a Allocation,
    pub(crate) now: Timestamp,
}

impl PlanInput<'_> {
    /// Whether a container was stopped to be made anew.
    fn is_replaced(&self, name: &str) -> bool {
        let last = self.observed.latest(name);
        last.is_some_and(|last| {
            last.state == RunState::Exited && self.memory.replaced.contains(&last.id)
        })
    }
}

impl Plan {
    fn act(action: Action) -> Self {
        Self { action: Some(action), ..Self::default() }
    }

    fn wait(until: Timestamp) -> Self {
        Self { wake_at: Some(until), ..Self::default() }
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([at]).min();
    }
}

/// What to do next.
pub(crate) fn plan(input: PlanInput<'_>) -> Plan {
    let PlanInput { observed, memory, now, .. } = input;
    if let Some(plan) = plan_restart_of_all(input) {
        return plan;
    }
    if is_finished(input) {
        return Plan::act(Action::Finish);
    }
    let current = observed.ready_sandbox();
    let old: Vec<String> = observed
        .sandboxes
        .iter()
        .filter(|sandbox| current.is_none_or(|current| current.id != sandbox.id))
        .filter(|sandbox| !memory.stopped.contains(&sandbox.id))
        .filter(|sandbox| sandbox.is_ready || is_inhabited(observed, sandbox) || current.is_none())
        .map(|sandbox| sandbox.id.clone())
        .collect();
    let sandbox_at = memory.sandbox_not_before(now);
    if !old.is_empty() {
        return sandbox_at.map_or_else(|| Plan::act(Action::StopSandboxes(old)), Plan::wait);
    }
    match memory.volumes {
        VolumeState::Failed { not_before, .. } if now < not_before => {
            return Plan::wait(not_before);
        }
        VolumeState::Set { refresh_at } if refresh_at.is_none_or(|at| now < at) => {}
        VolumeState::Unset | VolumeState::Failed { .. } | VolumeState::Set { .. } => {
            return Plan::act(Action::SetUpVolumes);
        }
    }
    let mut plan = match current {
        Some(sandbox) => plan_containers(input, sandbox),
        None => match sandbox_at {
            Some(at) => Plan::wait(at),
            None => Plan::act(Action::RunSandbox { attempt: next_attempt(observed) }),
        },
    };
    if let VolumeState::Set { refresh_at: Some(at) } = memory.volumes {
        plan.wake(at);
    }
    plan
}

fn is_inhabited(observed: &ObservedPod, sandbox: &ObservedSandbox) -> bool {
    observed.alive().any(|container| container.sandbox_id == sandbox.id)
}

fn next_attempt(observed: &ObservedPod) -> u32 {
    observed.sandbox().map_or(0, |sandbox| sandbox.attempt + 1)
}

/// What to do while all containers are to be started anew; `None` if they are not.
fn plan_restart_of_all(input: PlanInput<'_>) -> Option<Plan> {
    let PlanInput { pod, observed, memory, old, now, .. } = input;
    if !restart_all::is_due(pod, observed, old) {
        return None;
    }
    let left = restart_all::left(pod, observed);
    if left.is_empty() || !restart_all::is_told(old) {
        return Some(Plan::default()); // Until the server knows.
    }
    let waits = restart_all::triggers(pod, observed).filter_map(|(container, record)| {
        let hash = labels::hash(container);
        Some(memory.restart_wait(&container.name, &hash, record.finished_at, now)?.1)
    });
    if let Some(until) = waits.chain(memory.sandbox_not_before(now)).max() {
        return Some(Plan::wait(until));
    }
    let removal = |record: &ObservedContainer| Removal {
        id: record.id.clone(),
        name: record.name.clone(),
        is_alive: matches!(record.state, RunState::Running | RunState::Unknown),
    };
    Some(Plan::act(Action::RemoveAll(left.into_iter().map(removal).collect())))
}

/// Whether nothing of the Pod will be started again: its main containers have ended for good, or its start has failed for good.
fn is_finished(input: PlanInput<'_>) -> bool {
    let is_final = |role: Role, container: &k8s::Container| {
        !input.is_replaced(&container.name)
            && input
                .observed
                .exit_of(&container.name, input.old)
                .is_some_and(|code| !input.pod.restarts(role, container, code))
    };
    let mains = &input.pod.spec.containers;
    let is_done =
        !mains.is_empty() && mains.iter().all(|container| is_final(Role::Main, container));
    let is_failed = input.pod.containers().any(|(role, container)| {
        role == Role::Init
            && is_final(role, container)
            && input.observed.exit_of(&container.name, input.old).is_some_and(|code| code != 0)
    });
    is_done || is_failed
}

/// What a container of the sandbox needs.
enum Need {
    /// Nothing: it runs or is done.
    Nothing,
    /// To be started, since it never was, or since it ended then.
    Start { after: Option<Timestamp> },
    /// To be stopped first.
    Replace(String, Why),
}

fn need(
    input: PlanInput<'_>,
    sandbox: &ObservedSandbox,
    role: Role,
    container: &k8s::Container,
) -> Need {
    let name = container.name.as_str();
    let Some(record) = input.observed.latest_in(&sandbox.id, name) else {
        // What has ended for good does not run again in another sandbox; init containers do.
        let is_over = role == Role::Main
            && input
                .observed
                .exit_of(name, input.old)
                .is_some_and(|code| !input.pod.restarts(role, container, code));
        if is_over || (role == Role::Ephemeral && was_ephemeral(input, name)) {
            return Need::Nothing;
        }
        let ended = input.observed.latest(name).filter(|last| last.state == RunState::Exited);
        return Need::Start { after: ended.map(|last| last.finished_at) };
    };
    match record.state {
        // Made and never started: whoever made it was stopped in between.
        RunState::Created => Need::Replace(record.id.clone(), Why::Changed),
        RunState::Running if is_changed(role, container, record) => {
            Need::Replace(record.id.clone(), Why::Changed)
        }
        RunState::Running if input.allocation.needs_restart(input.pod, container) => {
            Need::Replace(record.id.clone(), Why::Resized)
        }
        RunState::Unknown if !input.memory.dead.contains(&record.id) => {
            Need::Replace(record.id.clone(), Why::Changed)
        }
        RunState::Running => Need::Nothing,
        RunState::Exited if input.is_replaced(name) => Need::Start { after: None },
        RunState::Exited | RunState::Unknown => {
            let code = if record.state == RunState::Exited { record.exit_code } else { 137 };
            if input.pod.restarts(role, container, code) {
                Need::Start { after: Some(record.finished_at) }
            } else {
                Need::Nothing
            }
        }
    }
}

/// Whether an ephemeral container was ever made: it never is again.
fn was_ephemeral(input: PlanInput<'_>, name: &str) -> bool {
    let mut told = input.old.ephemeral_container_statuses.iter().flatten();
    input.observed.latest(name).is_some()
        || told.any(|status| status.name == name && has_begun(status))
}

/// Whether what runs is not what its spec says any more, and is to be.
fn is_changed(role: Role, container: &k8s::Container, record: &ObservedContainer) -> bool {
    matches!(role, Role::Main | Role::Sidecar)
        && !record.hash.is_empty()
        && record.hash != labels::hash(container)
}

/// Whether the init containers have been through in this sandbox: a main container was made in it.
fn is_initialized(input: PlanInput<'_>, sandbox: &ObservedSandbox) -> bool {
    let mut mains = input.pod.spec.containers.iter();
    mains.any(|container| input.observed.latest_in(&sandbox.id, &container.name).is_some())
}

/// The containers that may be started now, in order.
fn wanted<'a>(
    input: PlanInput<'a>,
    sandbox: &ObservedSandbox,
) -> Vec<(Role, &'a k8s::Container, Need)> {
    let pod = input.pod;
    let mut wanted = Vec::new();
    // Debugging must be possible while the Pod does not get on.
    for container in pod.ephemeral_containers() {
        wanted.push((Role::Ephemeral, container, need(input, sandbox, Role::Ephemeral, container)));
    }
    let is_initialized = is_initialized(input, sandbox);
    let mut is_open = true;
    for (role, container) in pod.containers() {
        match role {
            Role::Ephemeral => continue,
            Role::Init if is_initialized || !is_open => continue,
            Role::Sidecar if !is_initialized && !is_open => continue,
            Role::Main if !is_open => continue,
            _ => {}
        }
        let need = need(input, sandbox, role, container);
        let is_passed = match role {
            Role::Init => is_done(input, sandbox, container),
            Role::Sidecar => is_initialized || is_up(input, sandbox, container),
            Role::Main | Role::Ephemeral => true,
        };
        wanted.push((role, container, need));
        is_open &= is_passed;
    }
    wanted
}

/// Whether an init container has done its work in this sandbox.
fn is_done(input: PlanInput<'_>, sandbox: &ObservedSandbox, container: &k8s::Container) -> bool {
    let record = input.observed.latest_in(&sandbox.id, &container.name);
    record.is_some_and(|record| record.state == RunState::Exited && record.exit_code == 0)
}

/// Whether a sidecar is so far that the next container may begin.
fn is_up(input: PlanInput<'_>, sandbox: &ObservedSandbox, container: &k8s::Container) -> bool {
    let record = input.observed.latest_in(&sandbox.id, &container.name);
    record.is_some_and(|record| record.state == RunState::Running)
        && !input.probes.not_started.contains(&container.name)
}

/// What to do next in the cgroups so that what the Pod was given is in force. Containers that have to be started anew are so in between:
/// after the Pod's cgroup has room for them, and before it has not for what they had.
fn resize_step(input: PlanInput<'_>, sandbox: &ObservedSandbox) -> Option<Action> {
    let PlanInput { pod, observed, memory, allocation, .. } = input;
    allocation.progress()?;
    let mut changed = Vec::new();
    let mut has_restarts = false;
    for (role, container) in pod.containers().filter(|(role, _)| *role != Role::Ephemeral) {
        let name = container.name.as_str();
        has_restarts |= input.is_replaced(name);
        let record = observed.latest_in(&sandbox.id, name);
        let Some(record) = record.filter(|record| record.state == RunState::Running) else {
            continue;
        };
        if allocation.needs_restart(pod, container) && role != Role::Init {
            has_restarts = true;
        } else if allocation.before(name).is_some() {
            changed.push((name.to_owned(), record.id.clone()));
        }
    }
    let is_due = !has_restarts || !memory.is_widened || !changed.is_empty();
    is_due.then_some(Action::Resize { containers: changed, is_last: !has_restarts })
}

fn plan_containers(input: PlanInput<'_>, sandbox: &ObservedSandbox) -> Plan {
    let PlanInput { pod, observed, memory, now, .. } = input;
    let mut plan = Plan::default();
    if let Some(action) = resize_step(input, sandbox) {
        match memory.resize_not_before(now) {
            None => return Plan::act(action),
            Some(at) => plan.wake(at),
        }
    }
    for (role, container, need) in wanted(input, sandbox) {
        let name = container.name.as_str();
        match need {
            Need::Nothing => {}
            Need::Replace(id, why) => {
                let action = Action::Replace { id, name: name.to_owned(), why };
                plan.action.get_or_insert(action);
            }
            Need::Start { after } => {
                if let Some(at) = memory.not_before(name, now) {
                    plan.wake(at);
                    continue;
                }
                let hash = labels::hash(container);
                let wait = after.and_then(|after| memory.restart_wait(name, &hash, after, now));
                if let Some((wait, until)) = wait {
                    plan.wake(until);
                    let wait = GoDuration::from(wait);
                    let message = format!(
                        "back-off {wait} restarting failed container={name} pod={}",
                        pod.full_name()
                    );
                    let reason = "CrashLoopBackOff".to_owned();
                    plan.crashed.push((name.to_owned(), Waiting { reason, message }));
                    continue;
                }
                let restart_count = restart_count(observed, input.old, name);
                let action = Action::Start { role, name: name.to_owned(), restart_count };
                plan.action.get_or_insert(action);
            }
        }
    }
    plan
}

/// How many containers of the name came before the one that is started next.
fn restart_count(observed: &ObservedPod, old: &k8s::PodStatus, name: &str) -> u32 {
    if let Some(record) = observed.latest(name) {
        // One that was made and never started is no restart.
        return record.restart_count + u32::from(record.state != RunState::Created);
    }
    let all =
        [&old.container_statuses, &old.init_container_statuses, &old.ephemeral_container_statuses];
    let status = all.into_iter().flatten().flatten().find(|status| status.name == name);
    // The runtime has forgotten those before, as after a restart of the machine: the server has counted them.
    // One that was made and never started has an id as well, but has not run.
    let count = status.filter(|status| has_begun(status)).map(|status| {
        // One that was removed to be made anew is counted already.
        let counted = u32::from(!restart_all::is_removed(status));
        u32::try_from(status.restart_count).unwrap_or(0) + counted
    });
    count.unwrap_or(0)
}

#[cfg(test)]
mod tests;
