//! The shell around the decision: keeps the snapshot current, takes Pods in the order of their priority, posts Bindings, and tells in
//! a Pod's condition why it fits nowhere.
//!
//! Reads     Pods and Nodes.
//! Writes    `pods/binding`, the condition `PodScheduled` of `pods/status`, Events.
//! Wakes on  a Pod without a node, a change that may make room, a back-off that is over.
//!
//! Holds always
//! - A Pod is assumed on its node from the decision on, so that the next decision counts it; a Binding that fails takes that back.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use podo_api::k8s_openapi::api::core::v1::{Node, Pod};
use podo_api::k8s_openapi::api::events::v1::Event;
use podo_api::{Status, Value};
use podo_base::{Clock, Stop, Tasks};
use podo_client::informer::{self, Cache, Change};
use podo_client::transport::PatchKind;
use podo_client::{Client, Query};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::fit::FitError;
use crate::pod::PodInfo;
use crate::state::{NAME, State, Step};

/// Bindings under way at a time: enough to fill the store's group commit.
const BINDINGS_MAX: usize = 64;

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

impl Shell {
    fn node_changed(&self, change: &Change) {
        let name = &change.object().name;
        self.state.lock().node_changed(name, change.new.as_ref(), Instant::now());
        self.changed.notify_one();
    }

    fn pod_changed(&self, change: &Change) {
        let now = Instant::now();
        match &change.new {
            None => self.state.lock().pod_gone(&change.object().uid, now),
            Some(pod) => {
                let before = change.old.as_ref().map(|old| PodInfo::of(old));
                self.state.lock().pod_changed(before.as_ref(), PodInfo::of(pod), now);
            }
        }
        self.changed.notify_one();
    }

    async fn run(self: Arc<Self>, stop: Stop) {
        let mut bindings: JoinSet<()> = JoinSet::new();
        while !stop.is_requested() {
            while bindings.try_join_next().is_some() {}
            if bindings.len() >= BINDINGS_MAX {
                stop.or(bindings.join_next()).await;
                continue;
            }
            let step = self.state.lock().step(Instant::now());
            match step {
                Step::Wait(due) => self.wait(due, &stop).await,
                Step::Act(pod, decision) => {
                    let shell = Arc::clone(&self);
                    bindings.spawn(async move { shell.act(pod, decision).await });
                }
            }
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

    async fn act(&self, pod: Box<PodInfo>, decision: Result<Box<str>, FitError>) {
        match decision {
            Ok(node) => {
                let result = self.bind(&pod, &node).await;
                match result {
                    Ok(()) => {
                        self.state.lock().bound(&pod.uid);
                        let note = format!("Successfully assigned {} to {node}", pod.full_name());
                        self.tell(&pod, "Normal", "Scheduled", "Binding", &note).await;
                    }
                    Err(status) => self.binding_failed(*pod, &status),
                }
            }
            Err(error) => {
                let message = error.to_string();
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
        let is_hopeless = status.is_not_found() || status.is_conflict();
        if !is_hopeless {
            tracing::debug!(pod = pod.full_name(), error = %status, "binding failed");
        }
        self.state.lock().not_bound(pod, is_hopeless, Instant::now());
        self.changed.notify_one();
    }

    /// Tells in the Pod's condition why it fits nowhere, unless it says so already.
    async fn report(&self, pod: &PodInfo, message: &str) {
        if pod.unschedulable.as_deref() == Some(message) {
            return;
        }
        let mut condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null, "observedGeneration": pod.generation,
        });
        // Another message is no transition.
        if pod.unschedulable.is_none() {
            condition["lastTransitionTime"] = self.clock.now().to_rfc3339().into();
        }
        let patch = json!({"status": {"conditions": [condition]}});
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
