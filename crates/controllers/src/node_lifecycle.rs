//! Node taints by condition: what is wrong with a node keeps new Pods away from it, and no longer than it is wrong.
//!
//! Reads     Nodes.
//! Writes    `spec.taints` of a Node (patch), those with the effect `NoSchedule` that stand for a condition; others stay.
//! Wakes on  a change to a Node.
//!
//! Not here: nodes that no longer renew their lease, and evicting Pods from them.

use std::sync::Arc;

use podo_api::k8s_openapi::api::core::v1::Node;
use podo_api::{Status, Value, meta, tree};
use podo_base::{Clock, Tasks};
use podo_client::informer::{self, Cache, Key};
use podo_client::queue::Queue;
use podo_client::runner::{self, Next};
use podo_client::transport::PatchKind;
use podo_client::{Client, Query};
use serde_json::json;

use crate::Context;

const NO_SCHEDULE: &str = "NoSchedule";

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// A condition, the status in which it is bad, and the taint that says so (Kubernetes v1.36 `nodeConditionToTaintKeyStatusMap`).
const TAINTS: &[(&str, &str, &str)] = &[
    ("Ready", "False", "node.kubernetes.io/not-ready"),
    ("Ready", "Unknown", "node.kubernetes.io/unreachable"),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

pub(super) fn start(context: &Context, tasks: &mut Tasks) {
    let client = (context.client)("node-controller");
    let clock = Arc::clone(&context.clock);
    let nodes = Cache::new();
    let queue = Arc::new(Queue::new(runner::RETRY));
    let stop = tasks.stop_signal();
    let wake = Arc::clone(&queue);
    let handler: informer::Handler = Box::new(move |change| {
        if let Some(node) = &change.new {
            wake.add(informer::key_of(node));
        }
    });
    let follow = informer::run::<Node>(
        context.manager.clone(),
        Query::default(),
        Arc::clone(&nodes),
        handler,
        stop.clone(),
    );
    tasks.spawn("node taints nodes", follow);
    let reconcile =
        move |key: Key| reconcile(key, client.clone(), Arc::clone(&clock), Arc::clone(&nodes));
    let run = runner::run("node-lifecycle-controller", queue, Arc::default(), reconcile, stop);
    tasks.spawn("node taints", run);
}

async fn reconcile(
    key: Key,
    client: Client,
    clock: Arc<dyn Clock>,
    nodes: Arc<Cache>,
) -> Result<Next, Status> {
    let Some(node) = nodes.get("", &key.1) else { return Ok(Next::OnChange) };
    let value = node.view();
    let Some(taints) = mended(&value, &clock.now().to_rfc3339()) else { return Ok(Next::OnChange) };
    // With the version, so that nobody else's taint is lost.
    let patch = json!({
        "metadata": {"resourceVersion": meta::str(&value, "resourceVersion")},
        "spec": {"taints": taints},
    });
    match client.patch::<Node>("", &node.name, "", PatchKind::Merge, patch).await {
        Ok(_) => Ok(Next::OnChange),
        Err(status) if status.is_not_found() => Ok(Next::OnChange),
        Err(status) => Err(status),
    }
}

/// The taints that a node should have, if they are others than it has.
fn mended(node: &Value, now: &str) -> Option<Vec<Value>> {
    let wanted = wanted(node);
    let present = tree::items_at(node, &["spec", "taints"]);
    let is_kept =
        |taint: &Value| !is_ours(taint) || wanted.contains(&tree::str_at(taint, &["key"]));
    let mut taints: Vec<Value> = present.iter().filter(|taint| is_kept(taint)).cloned().collect();
    let kept = taints.len();
    for key in wanted {
        let is_there = |taint: &Value| is_ours(taint) && tree::str_at(taint, &["key"]) == key;
        if !taints.iter().any(is_there) {
            taints.push(json!({"key": key, "effect": NO_SCHEDULE, "timeAdded": now}));
        }
    }
    (kept != present.len() || taints.len() != kept).then_some(taints)
}

fn wanted(node: &Value) -> Vec<&'static str> {
    let conditions = tree::items_at(node, &["status", "conditions"]);
    let has = |kind: &str, status: &str| {
        conditions.iter().any(|condition| {
            tree::str_at(condition, &["type"]) == kind
                && tree::str_at(condition, &["status"]) == status
        })
    };
    let mut wanted: Vec<&str> = TAINTS
        .iter()
        .filter(|(kind, status, _)| has(kind, status))
        .map(|(_, _, taint)| *taint)
        .collect();
    let is_known = conditions.iter().any(|condition| tree::str_at(condition, &["type"]) == "Ready");
    if !is_known {
        wanted.push("node.kubernetes.io/not-ready");
    }
    if tree::is_true(node, &["spec", "unschedulable"]) {
        wanted.push(UNSCHEDULABLE);
    }
    wanted
}

/// Whether a taint stands for a condition.
fn is_ours(taint: &Value) -> bool {
    let key = tree::str_at(taint, &["key"]);
    tree::str_at(taint, &["effect"]) == NO_SCHEDULE
        && (key == UNSCHEDULABLE || TAINTS.iter().any(|(_, _, known)| *known == key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_follow_conditions_and_others_stay() {
        let node = |ready: &str, taints: Value| {
            json!({
                "spec": {"taints": taints},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            })
        };
        let keys = |node: &Value| {
            mended(node, "now").map(|taints| {
                taints
                    .iter()
                    .map(|taint| tree::str_at(taint, &["key"]).to_owned())
                    .collect::<Vec<_>>()
            })
        };
        let not_ready = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
        let own = json!({"key": "own", "effect": "NoSchedule"});
        assert_eq!(keys(&node("True", json!([not_ready, own]))), Some(vec!["own".to_owned()]));
        assert_eq!(keys(&node("True", json!([own]))), None);
        assert_eq!(keys(&node("False", json!([not_ready]))), None);
        assert_eq!(
            keys(&node("Unknown", json!([not_ready]))),
            Some(vec!["node.kubernetes.io/unreachable".to_owned()])
        );
        assert_eq!(
            keys(&json!({"spec": {}})),
            Some(vec!["node.kubernetes.io/not-ready".to_owned()])
        );
    }
}
