//! Pod garbage collector: removes Pods that nobody will finish: those of nodes that are gone, those that are being deleted and have
//! no node, and the oldest finished ones when there are too many.
//!
//! Reads     Pods and Nodes.
//! Writes    Pods (delete without grace; status of those whose node is gone).
//! Wakes on  a deleted node, a Pod that is being deleted or has finished; and every 20 seconds, as upstream, for what a node's
//!           absence makes garbage only after a quarantine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking::Missing;
use podo_api::k8s_openapi::api::core::v1::{Node, Pod};
use podo_api::{Object, Status, Value, meta, tree};
use podo_base::{Clock, Tasks, Timestamp};
use podo_client::informer::{self, Cache};
use podo_client::queue::Queue;
use podo_client::runner::{self, Next};
use podo_client::transport::PatchKind;
use podo_client::{Client, Deletion, Query};
use serde_json::json;

use crate::Context;

/// Finished Pods that are kept (Kubernetes v1.36 `--terminated-pod-gc-threshold`).
const FINISHED_MAX: usize = 12_500;

/// How long a node must be gone before its Pods are garbage (Kubernetes v1.36 `quarantineTime`).
const QUARANTINE: Duration = Duration::from_secs(40);

/// How often everything is looked at (Kubernetes v1.36 `gcCheckPeriod`).
const PERIOD: Duration = Duration::from_secs(20);

/// Nodes that Pods name and that do not exist, with the time since when that is known.
mod parking {
    use super::{HashMap, QUARANTINE, Timestamp};

    #[derive(Default)]
    pub(super) struct Missing(HashMap<String, Timestamp>);

    impl Missing {
        /// Notes which nodes are missing at `now` and returns those that have been for long enough.
        pub(super) fn update<'a>(
            &mut self,
            names: impl Iterator<Item = &'a str>,
            now: Timestamp,
        ) -> Vec<String> {
            let mut present = HashMap::new();
            for name in names {
                let since = self.0.get(name).copied().unwrap_or(now);
                present.insert(name.to_owned(), since);
            }
            self.0 = present;
            let is_over = |since: &Timestamp| now.since(*since) >= QUARANTINE;
            self.0
                .iter()
                .filter(|(_, since)| is_over(since))
                .map(|(name, _)| name.clone())
                .collect()
        }
    }
}

struct Collector {
    client: Client,
    clock: Arc<dyn Clock>,
    pods: Arc<Cache>,
    nodes: Arc<Cache>,
    missing: tokio::sync::Mutex<Missing>,
}

pub(super) fn start(context: &Context, tasks: &mut Tasks) {
    let client = (context.client)("pod-garbage-collector");
    let queue = Arc::new(Queue::new(runner::RETRY));
    let collector = Arc::new(Collector {
        client: client.clone(),
        clock: Arc::clone(&context.clock),
        pods: Cache::new(),
        nodes: Cache::new(),
        missing: tokio::sync::Mutex::default(),
    });
    let stop = tasks.stop_signal();
    let wake = Arc::clone(&queue);
    let handler: informer::Handler = Box::new(move |change| {
        if change.new.as_ref().is_some_and(|pod| is_unscheduled_and_going(&pod.view())) {
            wake.add(all());
        }
    });
    let cache = Arc::clone(&collector.pods);
    tasks.spawn(
        "pod-garbage pods",
        informer::run::<Pod>(
            context.manager.clone(),
            Query::default(),
            cache,
            handler,
            stop.clone(),
        ),
    );
    let wake = Arc::clone(&queue);
    let handler: informer::Handler = Box::new(move |change| {
        if change.new.is_none() {
            wake.add(all());
        }
    });
    let cache = Arc::clone(&collector.nodes);
    tasks.spawn(
        "pod-garbage nodes",
        informer::run::<Node>(
            context.manager.clone(),
            Query::default(),
            cache,
            handler,
            stop.clone(),
        ),
    );
    queue.add(all());
    let reconcile = move |_key| {
        let collector = Arc::clone(&collector);
        async move { collector.collect().await }
    };
    tasks.spawn(
        "pod-garbage",
        runner::run("pod-garbage-collector-controller", queue, Arc::default(), reconcile, stop),
    );
}

/// One pass looks at all Pods: there is one key.
fn all() -> informer::Key {
    (Arc::from(""), Arc::from("all"))
}

fn is_unscheduled_and_going(pod: &Value) -> bool {
    meta::is_deleting(pod) && tree::str_at(pod, &["spec", "nodeName"]).is_empty()
}

fn is_finished(pod: &Value) -> bool {
    matches!(tree::str_at(pod, &["status", "phase"]), "Succeeded" | "Failed")
}

impl Collector {
    async fn collect(&self) -> Result<Next, Status> {
        self.pods.synced().await;
        self.nodes.synced().await;
        let pods = self.pods.list();
        let values: Vec<(Arc<Object>, Value)> =
            pods.into_iter().map(|pod| (Arc::clone(&pod), pod.view())).collect();
        for (pod, value) in values.iter().filter(|(_, value)| is_unscheduled_and_going(value)) {
            self.remove(pod, value, "PodGC: unscheduled terminating pod").await?;
        }
        let gone = self.gone_nodes(&values).await?;
        for (pod, value) in &values {
            let node = tree::str_at(value, &["spec", "nodeName"]);
            if gone.iter().any(|gone| gone == node) {
                self.fail(pod, value).await?;
                self.remove(pod, value, "PodGC: node no longer exists").await?;
            }
        }
        for (pod, value) in surplus(&values) {
            self.remove(pod, value, "PodGC: too many finished pods").await?;
        }
        Ok(Next::After(PERIOD))
    }

    /// The nodes that have been gone for the quarantine; each is asked for once more at the API, since a cache may lag.
    async fn gone_nodes(&self, pods: &[(Arc<Object>, Value)]) -> Result<Vec<String>, Status> {
        let named = pods.iter().map(|(_, pod)| tree::str_at(pod, &["spec", "nodeName"]));
        let missing = named.filter(|name| !name.is_empty() && self.nodes.get("", name).is_none());
        let candidates = self.missing.lock().await.update(missing, self.clock.now());
        let mut gone = Vec::new();
        for name in candidates {
            if self.client.find::<Node>("", &name).await?.is_none() {
                gone.push(name);
            }
        }
        Ok(gone)
    }

    /// A Pod whose node is gone has failed, and says that it was disrupted.
    async fn fail(&self, pod: &Object, value: &Value) -> Result<(), Status> {
        if is_finished(value) {
            return Ok(());
        }
        let now = self.clock.now().to_rfc3339();
        let patch = json!({"status": {"phase": "Failed", "conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists", "lastTransitionTime": now,
        }]}});
        let kind = PatchKind::Strategic;
        match self.client.patch::<Pod>(&pod.namespace, &pod.name, "status", kind, patch).await {
            Ok(_) => Ok(()),
            Err(status) if status.is_not_found() => Ok(()),
            Err(status) => Err(status),
        }
    }

    async fn remove(&self, pod: &Object, value: &Value, why: &str) -> Result<(), Status> {
        let uid = meta::uid(value).to_owned();
        let deletion = Deletion { grace_seconds: Some(0), uid: Some(uid), ..Deletion::default() };
        tracing::info!(namespace = &*pod.namespace, pod = &*pod.name, why, "pod removed");
        match self.client.delete::<Pod>(&pod.namespace, &pod.name, &deletion).await {
            Ok(()) => Ok(()),
            Err(status) if status.is_not_found() || status.is_conflict() => Ok(()),
            Err(status) => Err(status),
        }
    }
}

/// The oldest finished Pods beyond those that are kept.
fn surplus(pods: &[(Arc<Object>, Value)]) -> Vec<&(Arc<Object>, Value)> {
    let mut finished: Vec<_> = pods.iter().filter(|(_, pod)| is_finished(pod)).collect();
    finished.sort_by_key(|(_, pod)| meta::str(pod, "creationTimestamp").to_owned());
    let count = finished.len().saturating_sub(FINISHED_MAX);
    finished.truncate(count);
    finished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_must_be_missing_for_the_whole_quarantine() {
        let mut missing = Missing::default();
        let at = Timestamp::from_seconds;
        assert_eq!(missing.update(["a"].into_iter(), at(100)), Vec::<String>::new());
        assert_eq!(missing.update(["a"].into_iter(), at(139)), Vec::<String>::new());
        assert_eq!(missing.update(["a"].into_iter(), at(140)), ["a"]);
        assert_eq!(missing.update([].into_iter(), at(141)), Vec::<String>::new());
        assert_eq!(missing.update(["a"].into_iter(), at(142)), Vec::<String>::new());
    }
}
