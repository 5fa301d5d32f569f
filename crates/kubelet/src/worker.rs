//! A Pod's worker: one task per Pod UID that brings the Pod on this node to what its object says, from its first moment to its last.
//!
//! Wakes on  a new version of the Pod, the runtime's word about its containers, a change of what it refers to, the end of something
//!           that it had begun, and the time at which something becomes due. It never looks around for its own sake.
//! Writes    the Pod's status; at the end it deletes the Pod, which somebody else asked for.
//!
//! Holds always
//! - What is to be done is decided by [`machine`] and [`plan`] alone; here it is only carried out.
//! - At most one write of the status is on its way, and none that changes nothing.

pub(crate) mod actuate;
pub(crate) mod jobs;
pub(crate) mod machine;
mod memory;
mod mounts;
mod outcome;
mod plan;
mod resize;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::{Object, Status};
use podo_base::{Backoff, BackoffPolicy, Stop, Timestamp};
use podo_client::transport::PatchKind;

use crate::context::Context;
use crate::events::Subject;
use crate::observed::{ObservedPod, RunState};
use crate::pod::{PodView, Role};
use crate::pods::{Inbox, Mailbox, Place, Shown};
use crate::resize::{Allocation, Held, Resize};
use crate::sources::Wanted;
use crate::status::{self, Probes, StatusInput, Verdict, writer};
use jobs::{Job, Start};
use machine::{Command, Machine, View};
use outcome::Outcome;
use plan::{Action, Why};

/// While more is about to happen, a status waits so long for it: a Pod that starts quickly is written once.
const SETTLE: Duration = Duration::from_millis(25);
/// After the runtime could not be asked, the next attempt.
const LOOK_RETRY: Duration = Duration::from_secs(1);
/// A write of a status that takes longer is tried again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Without anything due a worker wakes so seldom; it has nothing to do then.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// How long failed writes of a status wait.
const WRITE_RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(100),
    maximum: Duration::from_secs(10),
    reset_after: Duration::from_secs(60),
};

type Written = Result<Arc<Object>, Status>;

/// One Pod's worker.
pub(crate) struct Worker {
    ctx: Arc<Context>,
    mailbox: Arc<Mailbox>,
    shown: tokio::sync::watch::Sender<Arc<Shown>>,
    /// The Pod as it is to be here: as the server has it, but with what it was given.
    pod: Arc<PodView>,
    /// The Pod as the server has it.
    wanted: Arc<PodView>,
    resize: Resize,
    /// The Pod may want something else than it was given.
    needs_room: bool,
    ask_at: Option<Timestamp>,
    /// What the container that is being started will have.
    starting: Option<Held>,
    /// What the Pod was given is on disk.
    is_noted: bool,
    machine: Machine,
    observed: ObservedPod,
    probes: Probes,
    is_gone: bool,
    /// Whether the runtime has told its state: nothing is decided before.
    has_looked: bool,
    needs_look: bool,
    /// A container could not be started a moment ago.
    has_failed: bool,
    look_at: Option<Timestamp>,
    is_released: bool,
    rejection: Option<Verdict>,
    /// What is being done towards running.
    acting: Option<BoxFuture<'static, Outcome>>,
    /// What else is being done.
    others: FuturesUnordered<BoxFuture<'static, Outcome>>,
    report: Report,
}

/// The status on the server, and what is on its way there.
struct Report {
    /// The status as the server has it, and the version that it has it in.
    server: k8s::PodStatus,
    version: u64,
    /// What was written last, and what the server made of it.
    settled: Option<(k8s::PodStatus, k8s::PodStatus)>,
    sending: Option<(k8s::PodStatus, BoxFuture<'static, Written>)>,
    /// What is told whatever has come after it: why a container could not be started, which the next attempt hides.
    first: Option<k8s::PodStatus>,
    due_at: Option<Timestamp>,
    failures: Backoff,
    not_before: Option<Timestamp>,
}

impl Report {
    fn new(pod: &PodView, version: u64) -> Self {
        Self {
            server: pod.status().cloned().unwrap_or_default(),
            version,
            settled: None,
            sending: None,
            first: None,
            due_at: None,
            failures: Backoff::new(WRITE_RETRY),
            not_before: None,
        }
    }

    /// Whether the server has a status as it is.
    fn is_told(&self, status: &k8s::PodStatus) -> bool {
        let made_of_it = |(sent, made): &(k8s::PodStatus, k8s::PodStatus)| {
            sent == status && *made == self.server
        };
        *status == self.server || self.settled.as_ref().is_some_and(made_of_it)
    }

    /// Takes a version of the Pod that the server has told.
    fn see(&mut self, status: k8s::PodStatus, version: u64) {
        if version >= self.version {
            self.server = status;
            self.version = version;
        }
    }
}

/// The Pod of an object.
pub(crate) fn view_of(object: &Object) -> Option<Arc<PodView>> {
    match object.to::<k8s::Pod>() {
        Ok(pod) => Some(Arc::new(PodView::new(pod))),
        Err(error) => {
            tracing::error!(?object, %error, "pod cannot be read");
            None
        }
    }
}

impl Worker {
    /// A worker for a Pod.
    pub(crate) fn new(
        ctx: Arc<Context>,
        place: Place,
        wanted: Arc<PodView>,
        allocation: Allocation,
        version: u64,
    ) -> Self {
        let pod = allocation.view(&wanted);
        Self {
            ctx,
            resize: Resize { allocation, ..Resize::default() },
            needs_room: !Arc::ptr_eq(&pod, &wanted),
            wanted,
            ask_at: None,
            starting: None,
            is_noted: true,
            mailbox: place.mailbox,
            shown: place.shown,
            machine: Machine::new(),
            observed: ObservedPod::default(),
            probes: Probes::default(),
            is_gone: false,
            has_looked: false,
            needs_look: true,
            has_failed: false,
            look_at: None,
            is_released: false,
            rejection: None,
            acting: None,
            others: FuturesUnordered::new(),
            report: Report::new(&pod, version),
            pod,
        }
    }

    /// Works until the Pod is gone or it is time to stop.
    pub(crate) async fn run(mut self, stop: Stop) {
        if stop.or(self.admit()).await.is_none() {
            return;
        }
        loop {
            self.advance().await;
            if self.machine.has_ended() {
                break;
            }
            let wake = self.wake_in();
            tokio::select! {
                biased;
                () = stop.requested() => return,
                inbox = self.mailbox.take() => self.receive(inbox),
                outcome = some(&mut self.acting) => {
                    self.acting = None;
                    self.finish(outcome);
                }
                Some(outcome) = self.others.next(), if !self.others.is_empty() => {
                    self.finish(outcome);
                }
                written = some_second(&mut self.report.sending) => self.written(written),
                () = tokio::time::sleep(wake) => {}
            }
        }
        self.ctx.sources.forget(self.pod.uid());
        self.ctx.registry.remove(self.pod.uid());
    }

    /// Lets the node take the Pod or refuse it. What was started before was admitted before.
    async fn admit(&mut self) {
        let ctx = Arc::clone(&self.ctx);
        ctx.sources.follow(self.pod.uid(), self.pod.namespace(), &Wanted::of(&self.pod));
        if self.pod.is_terminal() || self.pod.is_deleting() {
            return;
        }
        // All Pods of the first list, and the node, have to be known to see what is left.
        ctx.pods.synced().await;
        ctx.node.synced().await;
        let mut admitted = ctx.registry.admit(&self.pod, &ctx.offer());
        if admitted.is_err() {
            admitted = ctx.registry.admit(&self.pod, &ctx.newest_offer().await);
        }
        if let Err(verdict) = admitted {
            let (reason, message) = (verdict.reason.as_str(), verdict.message.as_str());
            ctx.recorder.warning(Subject::pod(&self.pod), reason, message);
            self.machine = Machine::rejected();
            self.rejection = Some(verdict);
            return;
        }
        self.note_admitted().await;
    }

    fn now(&self) -> Timestamp {
        self.ctx.clock.now()
    }

    fn wake_in(&self) -> Duration {
        let now = self.now();
        let moments = [self.machine.wake_at(), self.report.due_at, self.look_at, self.ask_at];
        let soonest = moments.into_iter().flatten().min();
        soonest.map_or(IDLE, |at| at.since(now).min(IDLE))
    }

    fn receive(&mut self, inbox: Inbox) {
        if let Some(object) = inbox.pod
            && let Some(pod) = view_of(&object)
        {
            self.report.see(pod.status().cloned().unwrap_or_default(), object.resource_version);
            if pod.spec != self.pod.spec {
                let wanted = Wanted::of(&pod);
                self.ctx.sources.follow(pod.uid(), pod.namespace(), &wanted);
            }
            let has_new_facts = pod.pod.metadata.labels != self.pod.pod.metadata.labels
                || pod.pod.metadata.annotations != self.pod.pod.metadata.annotations;
            if has_new_facts {
                self.machine.sources_changed();
            }
            self.take(pod);
        }
        self.needs_room |= inbox.has_room_changed;
        self.is_gone |= inbox.is_gone;
        self.needs_look |= inbox.has_runtime_changed;
        if inbox.have_sources_changed {
            self.machine.sources_changed();
        }
    }

    fn finish(&mut self, mut outcome: Outcome) {
        match &mut outcome {
            Outcome::Started { name, failure: None } => self.note_started(name),
            Outcome::Resized(changed) => self.note_resized(changed),
            _ => {}
        }
        // Volumes alone change nothing in the runtime.
        self.needs_look |= !matches!(outcome, Outcome::Volumes { .. } | Outcome::Confirmed { .. });
        self.has_failed |= matches!(outcome, Outcome::Started { failure: Some(_), .. });
        self.machine.apply(outcome, self.now());
    }

    /// Looks, decides, begins, tells.
    async fn advance(&mut self) {
        if self.needs_look || self.look_at.is_some_and(|at| at <= self.now()) {
            self.look().await;
        }
        if !self.has_looked {
            return;
        }
        self.keep_resize().await;
        self.ask_for_room().await;
        let mut status = self.status();
        if std::mem::take(&mut self.has_failed) {
            self.report.first = Some(status.clone());
        }
        // Each step may allow the next; there are as many as stages at most.
        for _ in 0..8 {
            let view = View {
                pod: &self.pod,
                observed: &self.observed,
                probes: &self.probes,
                old: &self.report.server,
                allocation: &self.resize.allocation,
                is_gone: self.is_gone,
                is_told: self.is_gone || self.report.is_told(&status),
                now: self.ctx.clock.now(),
            };
            let commands = self.machine.step(view);
            let is_done = commands.is_empty();
            for command in commands {
                self.begin(command);
            }
            status = self.status();
            if is_done {
                break;
            }
        }
        if self.machine.is_released() && !self.is_released {
            self.is_released = true;
            self.ctx.registry.release(self.pod.uid());
        }
        self.show(&status);
        self.tell(status);
    }

    async fn look(&mut self) {
        match self.ctx.runtime.observe(self.pod.uid(), &self.observed).await {
            Ok(mut observed) => {
                observed.know_unstarted(&self.report.server);
                self.observed = observed;
                self.has_looked = true;
                self.needs_look = false;
                self.look_at = None;
            }
            Err(error) => {
                tracing::warn!(pod = self.pod.full_name(), %error, "runtime not asked");
                self.needs_look = false;
                self.look_at = Some(self.now().plus(LOOK_RETRY));
            }
        }
    }

    fn status(&self) -> k8s::PodStatus {
        let (old, now) = (&self.report.server, self.now());
        if let Some(verdict) = &self.rejection {
            return status::rejected(&self.pod, old, verdict, now);
        }
        status::compute(StatusInput {
            pod: &self.pod,
            observed: &self.observed,
            waiting: &self.machine.memory.waiting,
            replaced: &self.machine.memory.replaced,
            probes: &self.probes,
            resize: &self.resize,
            old,
            verdict: self.machine.verdict(),
            is_over: self.machine.is_over(),
            holds_node: self.machine.holds_node(),
            node_ips: &self.ctx.facts.ips,
            runtime: &self.ctx.runtime.name,
            now,
        })
    }

    fn show(&self, status: &k8s::PodStatus) {
        self.shown.send_if_modified(|shown| {
            let is_same = Arc::ptr_eq(&shown.pod, &self.pod)
                && shown.status == *status
                && shown.observed == self.observed;
            if !is_same {
                *shown = Arc::new(Shown {
                    pod: Arc::clone(&self.pod),
                    status: status.clone(),
                    observed: self.observed.clone(),
                });
            }
            !is_same
        });
    }

    /// Writes the status if the server has another, soon or at once.
    fn tell(&mut self, status: k8s::PodStatus) {
        let now = self.now();
        if self.report.sending.is_some() && !self.is_gone {
            return;
        }
        let first = self.report.first.take().filter(|first| !self.report.is_told(first));
        let is_settling = self.machine.is_moving() && first.is_none();
        let status = first.unwrap_or(status);
        if self.is_gone || self.report.is_told(&status) {
            self.report.due_at = None;
            return;
        }
        let wait = if is_settling { SETTLE } else { Duration::ZERO };
        let due_at = match self.report.due_at {
            Some(due_at) if is_settling => due_at,
            _ => now.plus(wait),
        };
        let due_at = due_at.max(self.report.not_before.unwrap_or_default());
        if now < due_at {
            self.report.due_at = Some(due_at);
            return;
        }
        self.report.due_at = None;
        match writer::patch(self.pod.uid(), &self.report.server, &status) {
            Ok(Some(patch)) => {
                let (client, pod) = (self.ctx.client.clone(), Arc::clone(&self.pod));
                let write = async move {
                    let (namespace, name) = (pod.namespace(), pod.name());
                    let kind = PatchKind::Strategic;
                    let write = client.patch::<k8s::Pod>(namespace, name, "status", kind, patch);
                    tokio::time::timeout(WRITE_TIMEOUT, write).await.unwrap_or_else(|_| {
                        Err(Status::timeout("the API server did not answer", 1))
                    })
                };
                self.report.sending = Some((status, Box::pin(write)));
            }
            // They differ in nothing that could be written.
            Ok(None) => self.report.settled = Some((status, self.report.server.clone())),
            Err(error) => {
                tracing::error!(pod = self.pod.full_name(), %error, "status cannot be written");
                self.report.settled = Some((status, self.report.server.clone()));
            }
        }
    }

    fn written(&mut self, written: Written) {
        let Some((sent, _)) = self.report.sending.take() else { return };
        let now = self.now();
        match written {
            Ok(object) => {
                self.report.failures.reset();
                self.report.not_before = None;
                if let Some(pod) = view_of(&object) {
                    let made = pod.status().cloned().unwrap_or_default();
                    self.report.settled = Some((sent, made.clone()));
                    self.report.see(made, object.resource_version);
                }
            }
            Err(status) if status.is_not_found() => {
                // The word that it is gone is on its way.
                self.report.settled = Some((sent, self.report.server.clone()));
            }
            Err(status) => {
                let wait = self.report.failures.fail(self.ctx.clock.monotonic());
                self.report.not_before = Some(now.plus(wait));
                tracing::debug!(pod = self.pod.full_name(), error = %status, ?wait, "status not written");
            }
        }
    }

    /// Begins what was commanded.
    fn begin(&mut self, command: Command) {
        let job = Job { ctx: Arc::clone(&self.ctx), pod: Arc::clone(&self.pod) };
        match command {
            Command::Act(action) => self.act(job, action),
            Command::Refresh => self.others.push(Box::pin(jobs::set_up_volumes(job))),
            Command::Abandon => {
                self.acting = None;
                self.needs_look = true;
                self.look_at = Some(self.now());
            }
            Command::Stop { id, name, role, grace } => {
                let message = format!("Stopping container {name}");
                self.others.push(Box::pin(jobs::stop(job, role, id, name, message, grace)));
            }
            Command::CleanUp { sandboxes } => {
                self.others.push(Box::pin(jobs::clean_up(job, sandboxes)));
            }
            Command::Remove { sandboxes } => {
                self.others.push(Box::pin(jobs::remove(job, sandboxes)));
            }
            Command::Confirm => self.others.push(Box::pin(jobs::confirm(job))),
            Command::TellBackOff { name } => {
                let message = format!(
                    "Back-off restarting failed container {name} in pod {}",
                    job.pod.full_name()
                );
                self.ctx.recorder.warning(subject_of(&job.pod, &name), "BackOff", message);
            }
            Command::TellPullBackOff { name } => self.tell_pull_back_off(&name),
            Command::TellDeadline(verdict) => {
                let subject = Subject::pod(&job.pod);
                self.ctx.recorder.normal(subject, &verdict.reason, verdict.message);
            }
        }
    }

    fn tell_pull_back_off(&self, name: &str) {
        let container = self.pod.container(name).map(|(_, container)| container);
        let image = container.and_then(|container| container.image.as_deref()).unwrap_or_default();
        let subject = subject_of(&self.pod, name);
        let message = format!("Back-off pulling image {image:?}");
        self.ctx.recorder.normal(subject.clone(), "BackOff", message);
        self.ctx.recorder.warning(subject, "Failed", "Error: ImagePullBackOff");
    }

    fn act(&mut self, job: Job, action: Action) {
        self.acting = Some(match action {
            Action::SetUpVolumes => Box::pin(jobs::set_up_volumes(job)),
            Action::StopSandboxes(ids) => Box::pin(jobs::stop_sandboxes(job, ids)),
            Action::RunSandbox { attempt } => Box::pin(jobs::run_sandbox(job, attempt)),
            Action::Start { role, name, restart_count } => {
                let start = self.start_of(role, name, restart_count);
                self.note_start(&start);
                Box::pin(jobs::start(job, start))
            }
            Action::Replace { id, name, why } => {
                let role = job.pod.container(&name).map_or(Role::Main, |(role, _)| role);
                let message = match why {
                    Why::Changed => {
                        format!("Container {name} definition changed, will be restarted")
                    }
                    Why::Resized => format!("Container {name} resize requires restart"),
                };
                let grace = job.pod.grace_seconds();
                Box::pin(jobs::replace(job, role, id, name, message, grace))
            }
            Action::Resize { containers, is_last } => {
                let change = self.change_of(containers, is_last);
                Box::pin(actuate::resize(job, change))
            }
            Action::RemoveAll(removals) => Box::pin(jobs::remove_all(job, removals)),
            Action::Finish => Box::pin(std::future::pending()),
        });
    }

    fn start_of(&self, role: Role, name: String, restart_count: u32) -> Start {
        let sandbox = self.observed.ready_sandbox();
        let own_ips = sandbox.map(|sandbox| sandbox.ips.clone()).unwrap_or_default();
        let pod_ips = if self.pod.is_host_network() { self.ctx.facts.ips.clone() } else { own_ips };
        let ephemeral = self.pod.spec.ephemeral_containers.iter().flatten();
        let target = ephemeral
            .filter(|container| container.name == name)
            .find_map(|container| container.target_container_name.as_deref());
        let target = target.and_then(|target| self.observed.latest(target));
        let target = target.filter(|record| record.state == RunState::Running);
        Start {
            role,
            name,
            restart_count,
            sandbox_id: sandbox.map(|sandbox| sandbox.id.clone()).unwrap_or_default(),
            sandbox_attempt: sandbox.map(|sandbox| sandbox.attempt).unwrap_or_default(),
            pod_ips,
            target_id: target.map(|record| record.id.clone()).unwrap_or_default(),
        }
    }
}

/// What an event about a container of a Pod is about.
fn subject_of(pod: &PodView, container: &str) -> Subject {
    let role = pod.container(container).map_or(Role::Main, |(role, _)| role);
    Subject::container(pod, role, container)
}

/// Waits for a future that may not be there; then for ever.
async fn some<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn some_second<A, T>(pair: &mut Option<(A, BoxFuture<'static, T>)>) -> T {
    match pair {
        Some((_, future)) => future.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
