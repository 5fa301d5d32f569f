//! The worker's part in resizes: it asks for what the Pod wants, notes what it was given, and tells.

use std::sync::Arc;
use std::time::Duration;

use super::actuate::{Change, Changed};
use super::{Worker, jobs};
use crate::blocking;
use crate::events::Subject;
use crate::pod::{PodView, QosClass};
use crate::resize::{self, Allocation, Held, Pending, checkpoint};

/// After what a Pod was given could not be noted, the next attempt.
const RETRY: Duration = Duration::from_secs(10);

impl Worker {
    /// Takes a version of the Pod: on this node it is what it was given.
    pub(super) fn take(&mut self, wanted: Arc<PodView>) {
        self.pod = self.resize.allocation.view(&wanted);
        self.needs_room |= wanted.spec != self.wanted.spec;
        self.wanted = wanted;
    }

    /// Notes what a Pod is given that the node takes. One that asks for nothing may not ask for more later (KEP-1287).
    pub(super) async fn note_admitted(&mut self) {
        if self.resize.allocation.progress().is_none() {
            // A status that was written before says nothing more.
            self.ctx.registry.hold(&self.pod);
        }
        if self.pod.qos_class() != QosClass::BestEffort && self.pod.phase() == "Pending" {
            self.save(self.resize.allocation.clone()).await;
        }
    }

    /// Writes down what the Pod is given.
    fn save(&self, allocation: Allocation) -> impl Future<Output = bool> + use<> {
        let (pod, dir) = (self.pod.full_name(), self.ctx.config.pod_dir(self.pod.uid()));
        async move {
            let saved = blocking::run(move || checkpoint::write(&dir, &allocation)).await;
            saved
                .inspect_err(|error| tracing::warn!(pod, %error, "what it is given not noted"))
                .is_ok()
        }
    }

    /// Asks for what the Pod wants if that is not what it was given.
    pub(super) async fn ask_for_room(&mut self) {
        let is_due = self.needs_room || self.ask_at.is_some_and(|at| at <= self.now());
        if !is_due || !self.machine.is_syncing() || self.pod.is_deleting() {
            return;
        }
        (self.needs_room, self.ask_at) = (false, None);
        if self.resize.allocation.is_all_of(&self.wanted) {
            self.ctx.registry.withdraw(self.pod.uid());
            self.resize.pending = None;
            return;
        }
        let generation = self.wanted.generation();
        let subject = Subject::pod(&self.wanted);
        if let Err(refusal) = self.ctx.registry.resize(&self.wanted) {
            let what = refusal.reason();
            let text = resize::event_text(what, &self.wanted, generation, refusal.message());
            let event = refusal.event();
            let pending = Some(Pending { refusal, generation });
            if self.resize.pending != pending {
                self.ctx.recorder.warning(subject, event, text);
                self.resize.pending = pending;
            }
            return;
        }
        let given = self.resize.allocation.raised(&self.wanted, &self.pod);
        if !self.save(given.clone()).await {
            self.ctx.registry.hold(&self.pod);
            self.ask_at = Some(self.now().plus(RETRY));
            return;
        }
        self.resize.allocation = given;
        self.resize.pending = None;
        self.resize.error = None;
        self.pod = Arc::clone(&self.wanted);
        self.machine.resize_begins();
        // Volumes of the downward API show what containers were given.
        self.machine.sources_changed();
        let text = resize::event_text("started", &self.pod, generation, "");
        self.ctx.recorder.normal(subject, "ResizeStarted", text);
    }

    /// What a resize changes next.
    pub(super) fn change_of(&self, containers: Vec<(String, String)>, is_last: bool) -> Change {
        let sandbox = self.observed.ready_sandbox();
        Change {
            sandbox_id: sandbox.map(|sandbox| sandbox.id.clone()).unwrap_or_default(),
            allocation: self.resize.allocation.clone(),
            containers,
            is_widened: self.machine.memory.is_widened,
            is_last,
        }
    }

    /// Notes what a container that is being started will have.
    pub(super) fn note_start(&mut self, start: &jobs::Start) {
        let container = self.pod.container(&start.name).map(|(_, container)| container);
        self.starting = container.map(|container| Held::of(&self.pod, container));
    }

    /// Notes that a container was started.
    pub(super) fn note_started(&mut self, name: &str) {
        if let Some(has) = self.starting.take()
            && self.resize.allocation.before(name).is_some()
        {
            self.resize.allocation.note(&self.pod, name, has);
            self.is_noted = false;
        }
    }

    /// Notes what was put in force.
    pub(super) fn note_resized(&mut self, changed: &mut Changed) {
        let progress = self.resize.allocation.progress();
        changed.is_current = progress.is_some_and(|now| now.generation == changed.generation);
        for (name, has) in &changed.has {
            self.resize.allocation.note(&self.pod, name, has.clone());
        }
        if changed.is_current {
            let error = changed.error.as_deref();
            if let Some(error) = error.filter(|error| self.resize.error.as_deref() != Some(*error))
            {
                let generation = changed.generation;
                let text = resize::event_text("error", &self.pod, generation, error);
                self.ctx.recorder.warning(Subject::pod(&self.pod), "ResizeError", text);
            }
            self.resize.error.clone_from(&changed.error);
        }
    }

    /// Writes down what has been noted since, and ends a resize once all is in force.
    pub(super) async fn keep_resize(&mut self) {
        if self.machine.take_resized()
            && let Some(progress) = self.resize.allocation.finish()
        {
            self.is_noted = false;
            self.ctx.registry.hold(&self.pod);
            let text = resize::event_text("completed", &self.pod, progress.generation, "");
            self.ctx.recorder.normal(Subject::pod(&self.pod), "ResizeCompleted", text);
        }
        if !std::mem::replace(&mut self.is_noted, true) {
            // What is not written down is done once more by who starts anew.
            self.save(self.resize.allocation.clone()).await;
        }
    }
}
