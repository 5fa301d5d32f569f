//! The shell around the decision: keeps the snapshot current, takes Pods in the order of their priority, posts Bindings, and tells in
//! a Pod's condition why it fits nowhere.
//!
//! Reads     Pods and Nodes.
//! Writes    `pods/binding`, the condition `PodScheduled` of `pods/status`, Events.
//! Wakes on  a Pod without a node, a change that may make room, a back-off that is over.
//!
//! Holds always
//! - A Pod is assumed on its node from the decision on, so that the next decision counts it; a Binding that fails takes that back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use podo_api::k8s_openapi::api::core::v1::{Node, Pod};
use podo_api::k8s_openapi::api::events::v1::Event;
use podo_api::{Object, Status, Value};
use podo_base::{Backoff, BackoffPolicy, Clock, Stop, Tasks};
use podo_client::informer::{self, Cache, Change};
use podo_client::transport::PatchKind;
use podo_client::{Client, Query};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::fit::{FitError, schedule};
use crate::pod::PodInfo;
use crate::snapshot::Snapshot;

/// The name by which Pods choose this scheduler.
const NAME: &str = "default-scheduler";

/// Bindings under way at a time: enough to fill the store's group commit.
const BINDINGS_MAX: usize = 64;

/// How long a Pod that fits nowhere waits before it is tried again after a change (Kubernetes v1.36: 1 s to 10 s).
const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    maximum: Duration::from_secs(10),
    reset_after: Duration::from_secs(60),
};

/// A Pod that fits nowhere is tried again by then even if nothing was seen to change (Kubernetes v1.36
/// `podMaxInUnschedulablePodsDuration`): the sweep that repairs a missed event.
const SWEEP: Duration = Duration::from_secs(300);

/// The order of the queue: higher priority first, then first come.
type Place = (i64, u64);

#[derive(Default)]
struct State {
    snapshot: Snapshot,
    /// Pods that wait to be scheduled, in order.
    ready: BTreeMap<Place, PodInfo>,
    /// Where in `ready` a Pod is.
    places: HashMap<Box<str>, Place>,
    /// Pods that fitted nowhere.
    parked: HashMap<Box<str>, Parked>,
    arrivals: u64,
    turn: usize,
}

struct Parked {
    pod: PodInfo,
    backoff: Backoff,
    since: Instant,
    /// Whether something changed that may make room for it.
    is_hopeful: bool,
}

struct Shell {
    client: Client,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
}

/// Starts the scheduler's tasks.
pub fn start(client: &Client, clock: Arc<dyn Clock>, tasks: &mut Tasks) {
    let shell = Arc::new(Shell {
        client: client.clone(),
        clock,
        state: Mutex::default(),
        changed: Notify::new(),
    });
    let stop = tasks.stop_signal();
    let (nodes, pods) = (Cache::new(), Cache::new());
    let on_node = Arc::clone(&shell);
    let handler: informer::Handler = Box::new(move |change| on_node.node_changed(change));
    let follow = informer::run::<Node>(
        client.clone(),
        Query::default(),
        Arc::clone(&nodes),
        handler,
        stop.clone(),
    );
    tasks.spawn("scheduler nodes", follow);
    let on_pod = Arc::clone(&shell);
    let handler: informer::Handler = Box::new(move |change| on_pod.pod_changed(change));
    let follow = informer::run::<Pod>(
        client.clone(),
        Query::default(),
        Arc::clone(&pods),
        handler,
        stop.clone(),
    );
    tasks.spawn("scheduler pods", follow);
    tasks.spawn("scheduler", async move {
        nodes.synced().await;
        pods.synced().await;
        shell.run(stop).await;
    });
}

impl State {
    fn queue(&mut self, pod: PodInfo) {
        self.forget(&pod.uid);
        self.arrivals += 1;
        let place = (-pod.priority, self.arrivals);
        self.places.insert(pod.uid.clone(), place);
        self.ready.insert(place, pod);
    }

    fn forget(&mut self, uid: &str) {
        if let Some(place) = self.places.remove(uid) {
            self.ready.remove(&place);
        }
    }

    fn take(&mut self) -> Option<PodInfo> {
        let (_, pod) = self.ready.pop_first()?;
        self.places.remove(&pod.uid);
        Some(pod)
    }

    /// Something may have made room: Pods that fitted nowhere are worth another look.
    fn raise_hopes(&mut self) {
        for parked in self.parked.values_mut() {
            parked.is_hopeful = true;
        }
    }

    /// Queues parked Pods whose time has come and says when the next one's comes.
    fn unpark(&mut self, now: Instant) -> Option<Instant> {
        let due = |parked: &Parked| {
            if parked.is_hopeful {
                now + parked.backoff.remaining(now)
            } else {
                parked.since + SWEEP
            }
        };
        let ready: Vec<Box<str>> = self
            .parked
            .iter()
            .filter(|(_, parked)| due(parked) <= now)
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in ready {
            if let Some(parked) = self.parked.get(&uid) {
                let pod = parked.pod.clone();
                self.queue(pod);
            }
        }
        let queued = &self.places;
        self.parked
            .iter()
            .filter(|(uid, _)| !queued.contains_key(*uid))
            .map(|(_, parked)| due(parked))
            .min()
    }
}

impl Shell {
    fn node_changed(&self, change: &Change) {
        let mut state = self.state.lock();
        match &change.new {
            Some(node) => state.snapshot.set_node(node),
            None => state.snapshot.remove_node(&change.object().name),
        }
        state.raise_hopes();
        drop(state);
        self.changed.notify_one();
    }

    fn pod_changed(&self, change: &Change) {
        let object: &Object = change.object();
        let pod = PodInfo::of(object);
        let mut state = self.state.lock();
        if change.new.is_none() || pod.is_finished {
            state.forget(&pod.uid);
            state.parked.remove(&pod.uid);
            if state.snapshot.displace(&pod.uid) {
                state.raise_hopes();
            }
        } else if !pod.node_name.is_empty() {
            state.forget(&pod.uid);
            state.parked.remove(&pod.uid);
            state.snapshot.place(pod);
        } else if is_ours(&pod) {
            Self::pending_changed(&mut state, change, pod);
        } else {
            state.forget(&pod.uid);
            state.parked.remove(&pod.uid);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A Pod without a node is queued when it is new or when its spec changed; its own condition is no reason to try again.
    fn pending_changed(state: &mut State, change: &Change, pod: PodInfo) {
        let before = change.old.as_ref().map(|old| PodInfo::of(old));
        let is_same = before.is_some_and(|before| {
            PodInfo { unschedulable: pod.unschedulable.clone(), ..before } == pod
        });
        match state.parked.get_mut(&pod.uid) {
            Some(parked) if is_same => parked.pod = pod,
            _ if is_same && !state.places.contains_key(&pod.uid) => {}
            _ => {
                state.parked.remove(&pod.uid);
                state.queue(pod);
            }
        }
    }

    async fn run(self: Arc<Self>, stop: Stop) {
        let mut bindings: JoinSet<()> = JoinSet::new();
        while !stop.is_requested() {
            while bindings.try_join_next().is_some() {}
            if bindings.len() >= BINDINGS_MAX {
                stop.or(bindings.join_next()).await;
                continue;
            }
            let (next, due) = {
                let mut state = self.state.lock();
                let due = state.unpark(Instant::now());
                (state.take(), due)
            };
            let Some(pod) = next else {
                self.wait(due, &stop).await;
                continue;
            };
            let decision = self.decide(&pod);
            let shell = Arc::clone(&self);
            bindings.spawn(async move { shell.act(pod, decision).await });
        }
        bindings.shutdown().await;
    }

    async fn wait(&self, due: Option<Instant>, stop: &Stop) {
        let changed = self.changed.notified();
        match due {
            None => {
                stop.or(changed).await;
            }
            Some(due) => {
                // Whichever comes first: a change, or the end of a back-off.
                let _elapsed = stop.or(tokio::time::timeout_at(due.into(), changed)).await;
            }
        }
    }

    /// Chooses a node and assumes the Pod there.
    fn decide(&self, pod: &PodInfo) -> Result<Box<str>, FitError> {
        let mut state = self.state.lock();
        state.turn = state.turn.wrapping_add(1);
        let node = schedule(&state.snapshot, pod, state.turn)?;
        state.snapshot.place(PodInfo { node_name: node.clone(), ..pod.clone() });
        Ok(node)
    }

    async fn act(&self, pod: PodInfo, decision: Result<Box<str>, FitError>) {
        match decision {
            Ok(node) => {
                let result = self.bind(&pod, &node).await;
                match result {
                    Ok(()) => {
                        self.state.lock().parked.remove(&pod.uid);
                        let note = format!("Successfully assigned {} to {node}", pod.full_name());
                        self.tell(&pod, "Normal", "Scheduled", "Binding", &note).await;
                    }
                    Err(status) => self.binding_failed(pod, &status),
                }
            }
            Err(error) => {
                let message = error.to_string();
                self.park(&pod);
                self.report(&pod, &message).await;
            }
        }
    }

    async fn bind(&self, pod: &PodInfo, node: &str) -> Result<(), Status> {
        let binding = json!({
            "kind": "Binding", "apiVersion": "v1",
            "metadata": {"name": &*pod.name, "namespace": &*pod.namespace, "uid": &*pod.uid},
            "target": {"kind": "Node", "name": node},
        });
        self.client.post::<Pod>(&pod.namespace, &pod.name, "binding", &binding).await.map(|_| ())
    }

    /// The Pod is gone, or is bound already: then its own events settle it. Anything else is tried again.
    fn binding_failed(&self, pod: PodInfo, status: &Status) {
        let mut state = self.state.lock();
        state.snapshot.displace(&pod.uid);
        if status.is_not_found() || status.is_conflict() {
            return;
        }
        tracing::debug!(pod = pod.full_name(), error = %status, "binding failed");
        drop(state);
        self.park(&pod);
        if let Some(parked) = self.state.lock().parked.get_mut(&pod.uid) {
            parked.is_hopeful = true;
        }
        self.changed.notify_one();
    }

    fn park(&self, pod: &PodInfo) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let parked = state.parked.entry(pod.uid.clone()).or_insert_with(|| Parked {
            pod: pod.clone(),
            backoff: Backoff::new(RETRY),
            since: now,
            is_hopeful: false,
        });
        parked.backoff.fail(now);
        parked.since = now;
        parked.is_hopeful = false;
    }

    /// Tells in the Pod's condition why it fits nowhere, unless it says so already.
    async fn report(&self, pod: &PodInfo, message: &str) {
        if pod.unschedulable.as_deref() == Some(message) {
            return;
        }
        let now = self.clock.now().to_rfc3339();
        let patch = json!({"status": {"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null, "lastTransitionTime": now,
        }]}});
        let kind = PatchKind::Strategic;
        if let Err(status) =
            self.client.patch::<Pod>(&pod.namespace, &pod.name, "status", kind, patch).await
            && !status.is_not_found()
        {
            tracing::debug!(pod = pod.full_name(), error = %status, "condition not written");
        }
        self.tell(pod, "Warning", "FailedScheduling", "Scheduling", message).await;
    }

    async fn tell(&self, pod: &PodInfo, kind: &str, reason: &str, action: &str, note: &str) {
        let event = self.event(pod, kind, reason, action, note);
        if let Err(status) = self.client.create::<Event>(&pod.namespace, &event).await {
            tracing::debug!(pod = pod.full_name(), error = %status, "event not written");
        }
    }

    fn event(&self, pod: &PodInfo, kind: &str, reason: &str, action: &str, note: &str) -> Value {
        let now = self.clock.now();
        json!({
            "kind": "Event", "apiVersion": "events.k8s.io/v1",
            "metadata": {"name": format!("{}.{:x}", pod.name, now.as_micros()), "namespace": &*pod.namespace},
            "eventTime": now.to_rfc3339_micros(),
            "reportingController": NAME,
            "reportingInstance": NAME,
            "action": action,
            "reason": reason,
            "type": kind,
            "note": note,
            "regarding": {
                "kind": "Pod", "apiVersion": "v1", "namespace": &*pod.namespace, "name": &*pod.name, "uid": &*pod.uid,
            },
        })
    }
}

fn is_ours(pod: &PodInfo) -> bool {
    &*pod.scheduler_name == NAME && !pod.is_gated && !pod.is_over
}
