//! [`Machine`]: where a Pod is in its life on this node, and what follows from what has happened. Pure: commands come out, and
//! somebody else carries them out ([`super::jobs`]).
//!
//! ```text
//! Syncing ─► Stopping ─► Cleaning ─┬─► Resting ─► Removing ─► Confirming ─► Ended
//! Rejected ────────────────────────┘  (kept for its logs)    (API object)
//! ```
//!
//! Holds always
//! - Nothing is started once stopping has begun, and nothing is cleaned up while a container may be alive.
//! - The API object is deleted only after everything is gone and its final status was written.

use std::collections::BTreeMap;
use std::time::Duration;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::Timestamp;

use super::actuate::Changed;
use super::memory::Memory;
use super::outcome::{Outcome, StartFailure};
use super::plan::{self, Action, PlanInput};
use crate::container::labels;
use crate::observed::{ObservedContainer, ObservedPod};
use crate::pod::{PodView, Role};
use crate::resize::Allocation;
use crate::restart_all;
use crate::status::{Probes, Verdict};

/// The least that is left of the grace period for sidecars, which end last, in seconds (Kubernetes v1.36).
const SIDECAR_GRACE_MIN: i64 = 2;
/// After something that has to be done failed, the next attempt.
const RETRY: Duration = Duration::from_secs(1);
/// After what a Pod was given could not be put in force, the next attempt: as often as a Pod is looked at again after an error
/// (Kubernetes v1.36 `backOffPeriod`).
const RESIZE_RETRY: Duration = Duration::from_secs(10);
/// After volumes were set up while what they are made from changed, the next look: soon, but not in the way of a Pod's start, during
/// which its sources are seen for the first time.
const AGAIN: Duration = Duration::from_millis(250);

/// Something to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Towards running.
    Act(Action),
    /// Bring the volumes up to date beside what is being done towards running.
    Refresh,
    /// Drop what is being done towards running.
    Abandon,
    /// Stop a container; `is_told` if an event says so.
    Stop { id: String, name: String, role: Role, grace: i64 },
    /// Stop the sandboxes and take the volumes down.
    CleanUp { sandboxes: Vec<String> },
    /// Remove every trace of the Pod from the node.
    Remove { sandboxes: Vec<String> },
    /// Delete the API object.
    Confirm,
    /// A container waits for the end of its back-off, from now on.
    TellBackOff { name: String },
    /// The pull of a container's image failed a while ago and waits for the next attempt.
    TellPullBackOff { name: String },
    /// Tell that the Pod has lived too long.
    TellDeadline(Verdict),
}

/// Where a Pod is in its life on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// It is to run.
    Syncing,
    /// Its containers are being stopped.
    Stopping(Stopping),
    /// Its sandboxes and volumes are being taken away.
    Cleaning { is_busy: bool, not_before: Option<Timestamp> },
    /// All is over, and its logs are kept until it is deleted.
    Resting,
    /// Every trace is being removed.
    Removing { is_busy: bool, not_before: Option<Timestamp> },
    /// The API object is to be deleted.
    Confirming { is_busy: bool, not_before: Option<Timestamp> },
    /// Nothing is left to do.
    Ended,
}

/// How far stopping is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stopping {
    since: Timestamp,
    /// Containers that were told to stop, with the grace that they were given.
    told: BTreeMap<String, i64>,
    not_before: Option<Timestamp>,
}

/// What a step is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) pod: &'a PodView,
    pub(crate) observed: &'a ObservedPod,
    pub(crate) probes: &'a Probes,
    /// The status on the server.
    pub(crate) old: &'a k8s::PodStatus,
    /// What the Pod was given.
    pub(crate) allocation: &'a Allocation,
    /// The API object is gone.
    pub(crate) is_gone: bool,
    /// The server knows the status as it is.
    pub(crate) is_told: bool,
    pub(crate) now: Timestamp,
}

/// A Pod's life on this node.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    stage: Stage,
    pub(crate) memory: Memory,
    /// Something is being done towards running.
    is_acting: bool,
    /// What is being done must end by itself: half of it would be left behind where nobody looks.
    must_end: bool,
    /// The volumes are being brought up to date beside it.
    is_refreshing: bool,
    /// Something that volumes are made from has changed since they were last begun to be set up.
    is_outdated: bool,
    verdict: Option<Verdict>,
    /// All that the Pod was given is in force since it was asked last.
    has_resized: bool,
    wake_at: Option<Timestamp>,
}

impl Machine {
    /// A Pod that the node takes.
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Syncing,
            memory: Memory::default(),
            is_acting: false,
            must_end: false,
            is_refreshing: false,
            is_outdated: false,
            verdict: None,
            has_resized: false,
            wake_at: None,
        }
    }

    /// Whether the Pod is to run.
    pub(crate) fn is_syncing(&self) -> bool {
        self.stage == Stage::Syncing
    }

    /// The Pod was given something else.
    pub(crate) fn resize_begins(&mut self) {
        self.has_resized = false;
        self.memory.forget_resize();
    }

    /// Whether all that the Pod was given is in force, once.
    pub(crate) fn take_resized(&mut self) -> bool {
        std::mem::take(&mut self.has_resized)
    }

    /// A Pod that the node refuses.
    pub(crate) fn rejected() -> Self {
        Self { stage: Stage::Resting, ..Self::new() }
    }

    /// When to step without an event.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        self.wake_at
    }

    /// The verdict over the whole Pod.
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Whether more is about to happen without anybody's doing, so that a status now would be old at once.
    pub(crate) fn is_moving(&self) -> bool {
        self.is_acting
    }

    /// Whether nothing of the Pod will be started again and nothing of it is alive.
    pub(crate) fn is_over(&self) -> bool {
        !matches!(self.stage, Stage::Syncing | Stage::Stopping(_))
    }

    /// Whether the Pod holds nothing of the node any more: neither amounts nor ports.
    pub(crate) fn is_released(&self) -> bool {
        !matches!(self.stage, Stage::Syncing | Stage::Stopping(_) | Stage::Cleaning { .. })
    }

    /// Whether the Pod may not be told to be over yet. When it cannot be cleaned up it is, though the node still counts it.
    pub(crate) fn holds_node(&self) -> bool {
        match &self.stage {
            Stage::Syncing | Stage::Stopping(_) => true,
            Stage::Cleaning { not_before, .. } => not_before.is_none(),
            _ => false,
        }
    }

    /// Whether nothing is left to do.
    pub(crate) fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Something that containers or volumes are made from has changed.
    pub(crate) fn sources_changed(&mut self) {
        self.memory.forget_failures();
        self.is_outdated = true;
        if let super::memory::VolumeState::Set { refresh_at } = &mut self.memory.volumes {
            *refresh_at = Some(Timestamp::default());
        }
    }

    /// Takes what came of a command.
    pub(crate) fn apply(&mut self, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Volumes { refresh_at, is_ok } => {
                // Beside a refresh nothing else is done with the volumes.
                if !std::mem::take(&mut self.is_refreshing) {
                    self.is_acting = false;
                }
                // Whether what they were made from was the old or the new state nobody knows.
                let again_at = self.is_outdated.then(|| now.plus(AGAIN));
                let refresh_at = refresh_at.into_iter().chain(again_at).min();
                self.memory.note_volumes(refresh_at, is_ok, now);
            }
            Outcome::Sandbox => {
                self.is_acting = false;
                self.memory.note_sandbox(now);
            }
            Outcome::SandboxesStopped { ids, is_ok } => {
                self.is_acting = false;
                self.memory.stopped.extend(ids);
                if !is_ok {
                    self.memory.note_sandbox(now);
                }
            }
            Outcome::AllRemoved { is_ok } => {
                self.is_acting = false;
                if !is_ok {
                    self.memory.note_sandbox(now);
                }
            }
            Outcome::Started { name, failure } => self.started(&name, failure, now),
            Outcome::Stopped { id, is_ok } => self.stopped(id, is_ok, now),
            Outcome::Resized(changed) => self.resized(&changed, now),
            Outcome::CleanedUp { is_ok } => {
                self.stage = if is_ok {
                    Stage::Resting
                } else {
                    Stage::Cleaning { is_busy: false, not_before: Some(now.plus(RETRY)) }
                };
            }
            Outcome::Removed { is_ok } => {
                let not_before = (!is_ok).then(|| now.plus(RETRY));
                self.stage = if is_ok {
                    Stage::Confirming { is_busy: false, not_before }
                } else {
                    Stage::Removing { is_busy: false, not_before }
                };
            }
            Outcome::Confirmed { is_ok } => {
                // What has finalizers stays a while; it is told to go once.
                if !is_ok {
                    let not_before = Some(now.plus(RETRY));
                    self.stage = Stage::Confirming { is_busy: false, not_before };
                }
            }
        }
    }

    fn started(&mut self, name: &str, failure: Option<StartFailure>, now: Timestamp) {
        self.is_acting = false;
        match failure {
            None => self.memory.note_started(name),
            Some(failure) => {
                let retry_at = now.plus(failure.retry_in);
                self.memory.note_failed(name, failure.waiting, retry_at, failure.later, now);
            }
        }
    }

    fn resized(&mut self, changed: &Changed, now: Timestamp) {
        self.is_acting = false;
        // Something else may have been given meanwhile: then there is more to do.
        if !changed.is_current {
            return;
        }
        let is_ok = changed.error.is_none();
        self.memory.note_resize((!is_ok).then(|| now.plus(RESIZE_RETRY)));
        self.has_resized = is_ok && changed.is_last;
    }

    fn stopped(&mut self, id: String, is_ok: bool, now: Timestamp) {
        if is_ok {
            self.memory.dead.insert(id.clone());
        }
        if let Stage::Stopping(stopping) = &mut self.stage {
            if !is_ok {
                stopping.told.remove(&id);
                stopping.not_before = Some(now.plus(RETRY));
            }
        } else {
            self.is_acting = false;
        }
    }

    /// What to do now.
    pub(crate) fn step(&mut self, view: View<'_>) -> Vec<Command> {
        let aged = self.memory.age(view.now).into_iter();
        let mut commands: Vec<Command> =
            aged.map(|name| Command::TellPullBackOff { name }).collect();
        self.wake_at = self.memory.ages_at();
        if self.stage == Stage::Syncing {
            self.sync(view, &mut commands);
        }
        if matches!(self.stage, Stage::Stopping(_)) {
            self.stop(view, &mut commands);
        }
        self.wind_down(view, &mut commands);
        commands
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = self.wake_at.into_iter().chain([at]).min();
    }

    fn sync(&mut self, view: View<'_>, commands: &mut Vec<Command>) {
        let is_over = matches!(view.old.phase.as_deref(), Some("Succeeded" | "Failed"));
        let is_late = !is_over && self.deadline(view, commands);
        if view.is_gone || view.pod.is_deleting() || is_over || is_late {
            return self.begin_stopping(view, commands);
        }
        if self.is_acting {
            return self.refresh(view, commands);
        }
        if self.is_refreshing {
            return;
        }
        let plan = plan::plan(PlanInput {
            pod: view.pod,
            observed: view.observed,
            memory: &self.memory,
            probes: view.probes,
            old: view.old,
            allocation: view.allocation,
            now: view.now,
        });
        if let Some(at) = plan.wake_at {
            self.wake(at);
        }
        for (name, waiting) in plan.crashed {
            let is_new = self.memory.waiting.get(&name) != Some(&waiting);
            if is_new {
                commands.push(Command::TellBackOff { name: name.clone() });
                self.memory.waiting.insert(name, waiting);
            }
        }
        match plan.action {
            None => {}
            Some(Action::Finish) => self.begin_stopping(view, commands),
            Some(action) => {
                self.is_acting = true;
                self.is_outdated &= action != Action::SetUpVolumes;
                self.must_end = !matches!(action, Action::Start { .. });
                self.note_action(&action, view);
                commands.push(Command::Act(action));
            }
        }
    }

    /// Brings the volumes up to date while a container is being started, which a pull may keep from ending for hours: those that
    /// run already wait neither for a new token nor for a changed config map.
    fn refresh(&mut self, view: View<'_>, commands: &mut Vec<Command>) {
        if self.must_end || self.is_refreshing {
            return;
        }
        match self.memory.volumes_due_at() {
            Some(at) if at <= view.now => {
                self.is_refreshing = true;
                self.is_outdated = false;
                commands.push(Command::Refresh);
            }
            Some(at) => self.wake(at),
            None => {}
        }
    }

    /// Notes what an action that begins comes to: a restart, so that the next one waits longer, or that there will be one.
    fn note_action(&mut self, action: &Action, view: View<'_>) {
        match action {
            Action::Start { name, .. } => {
                let container = view.pod.container(name).map(|(_, container)| container);
                let last = view.observed.latest(name);
                let last = last.filter(|last| !self.memory.replaced.contains(&last.id));
                if let Some((container, record)) = container.zip(last) {
                    self.note_restart(container, record, view.now);
                }
            }
            Action::Replace { id, .. } => {
                self.memory.replaced.insert(id.clone());
            }
            Action::RemoveAll(_) => {
                for (container, record) in restart_all::triggers(view.pod, view.observed) {
                    self.note_restart(container, record, view.now);
                }
            }
            _ => {}
        }
    }

    fn note_restart(
        &mut self,
        container: &k8s::Container,
        record: &ObservedContainer,
        now: Timestamp,
    ) {
        if record.finished_at > Timestamp::default() {
            let hash = labels::hash(container);
            self.memory.note_restart(&container.name, &hash, record.finished_at, now);
        }
    }

    /// Whether the Pod has lived longer than it may.
    fn deadline(&mut self, view: View<'_>, commands: &mut Vec<Command>) -> bool {
        let Some(seconds) = view.pod.spec.active_deadline_seconds else { return false };
        let Some(start) = &view.old.start_time else { return false };
        let start = Timestamp::from_seconds(start.0.as_second());
        let end = start.plus(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        if view.now < end {
            self.wake(end);
            return false;
        }
        let verdict = Verdict {
            reason: "DeadlineExceeded".to_owned(),
            message: "Pod was active on the node longer than the specified deadline".to_owned(),
        };
        if self.verdict.is_none() {
            commands.push(Command::TellDeadline(verdict.clone()));
            self.verdict = Some(verdict);
        }
        true
    }

    fn begin_stopping(&mut self, view: View<'_>, commands: &mut Vec<Command>) {
        // Volumes must not be made while they are taken down.
        if self.is_refreshing || (self.is_acting && self.must_end) {
            return;
        }
        if self.is_acting {
            // A pull may take for ever. What else was begun is in the sandbox, which is stopped and removed as a whole.
            commands.push(Command::Abandon);
            self.is_acting = false;
        }
        self.stage =
            Stage::Stopping(Stopping { since: view.now, told: BTreeMap::new(), not_before: None });
    }

    fn stop(&mut self, view: View<'_>, commands: &mut Vec<Command>) {
        let dead = &self.memory.dead;
        let alive: Vec<&ObservedContainer> =
            view.observed.alive().filter(|container| !dead.contains(&container.id)).collect();
        let Stage::Stopping(stopping) = &mut self.stage else { return };
        if alive.is_empty() {
            self.stage = Stage::Cleaning { is_busy: false, not_before: None };
            return;
        }
        if let Some(at) = stopping.not_before.take_if(|at| view.now < *at) {
            stopping.not_before = Some(at);
            return self.wake(at);
        }
        let grace = view.pod.grace_seconds();
        let elapsed = i64::try_from(view.now.since(stopping.since).as_secs()).unwrap_or(i64::MAX);
        for container in due_to_stop(view.pod, &alive) {
            let role = view.pod.container(&container.name).map_or(Role::Main, |(role, _)| role);
            let left = match role {
                Role::Sidecar => (grace - elapsed).max(SIDECAR_GRACE_MIN.min(grace)),
                _ => grace,
            };
            // Told again only if it has to hurry.
            let is_told = stopping.told.get(&container.id).is_some_and(|told| *told <= grace);
            if !is_told {
                stopping.told.insert(container.id.clone(), grace);
                commands.push(Command::Stop {
                    id: container.id.clone(),
                    name: container.name.clone(),
                    role,
                    grace: left,
                });
            }
        }
    }

    fn wind_down(&mut self, view: View<'_>, commands: &mut Vec<Command>) {
        let is_leaving = view.is_gone || view.pod.is_deleting();
        // Who removes the containers removes what the status is made from.
        if self.stage == Stage::Resting && is_leaving && view.is_told {
            self.stage = Stage::Removing { is_busy: false, not_before: None };
        }
        let sandboxes = || view.observed.sandboxes.iter().map(|one| one.id.clone()).collect();
        let mut wake = None;
        let mut is_due = |is_busy: &mut bool, not_before: Option<Timestamp>| {
            is_due(is_busy, not_before, view.now, &mut wake)
        };
        let command = match &mut self.stage {
            Stage::Cleaning { is_busy, not_before } => {
                is_due(is_busy, *not_before).then(|| Command::CleanUp { sandboxes: sandboxes() })
            }
            Stage::Removing { is_busy, not_before } => {
                is_due(is_busy, *not_before).then(|| Command::Remove { sandboxes: sandboxes() })
            }
            Stage::Confirming { .. } if view.is_gone => {
                self.stage = Stage::Ended;
                None
            }
            Stage::Confirming { is_busy, not_before } if view.is_told => {
                is_due(is_busy, *not_before).then_some(Command::Confirm)
            }
            _ => None,
        };
        commands.extend(command);
        if let Some(at) = wake {
            self.wake(at);
        }
    }
}

/// Whether something can be done now; from then on it is being done.
fn is_due(
    is_busy: &mut bool,
    not_before: Option<Timestamp>,
    now: Timestamp,
    wake: &mut Option<Timestamp>,
) -> bool {
    if *is_busy {
        return false;
    }
    match not_before {
        Some(at) if now < at => {
            *wake = Some(at);
            false
        }
        _ => {
            *is_busy = true;
            true
        }
    }
}

/// Whose turn it is to stop: everything but sidecars at once, then sidecars, the last first (KEP-753).
fn due_to_stop<'a>(pod: &PodView, alive: &[&'a ObservedContainer]) -> Vec<&'a ObservedContainer> {
    let role = |name: &str| pod.container(name).map_or(Role::Main, |(role, _)| role);
    let (sidecars, others): (Vec<_>, Vec<_>) =
        alive.iter().partition(|container| role(&container.name) == Role::Sidecar);
    if !others.is_empty() {
        return others;
    }
    let order = |name: &str| pod.init_containers().iter().position(|one| one.name == name);
    let last = sidecars.iter().map(|container| order(&container.name)).max().flatten();
    sidecars.into_iter().filter(|container| order(&container.name) == last).collect()
}

#[cfg(test)]
mod tests;
