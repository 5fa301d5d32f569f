//! Scores: of the nodes that can run a Pod, which should.

use podo_api::tree;

use crate::filter::tolerates;
use crate::node::NodeInfo;
use crate::pod::PodInfo;

/// The best score of one rule.
const SCORE_MAX: i64 = 100;

/// What a container that asks for nothing is counted as, so that such Pods spread as well (Kubernetes v1.36
/// `DefaultMilliCPURequest`, `DefaultMemoryRequest`).
const CPU_MILLI_DEFAULT: i64 = 100;
const MEMORY_BYTES_DEFAULT: i64 = 200 * 1024 * 1024;

/// How well a node suits a Pod: more is better.
pub(crate) fn score(pod: &PodInfo, node: &NodeInfo) -> i64 {
    // Upstream weighs tolerated taints three times as much as free resources.
    least_allocated(pod, node) + balanced(pod, node) + 3 * untainted(pod, node)
}

fn amounts(pod: &PodInfo, node: &NodeInfo) -> [(i64, i64); 2] {
    let or = |asked: i64, default: i64| if asked == 0 { default } else { asked };
    let cpu = node.requested.cpu_milli + or(pod.requests.cpu_milli, CPU_MILLI_DEFAULT);
    let memory = node.requested.memory_bytes + or(pod.requests.memory_bytes, MEMORY_BYTES_DEFAULT);
    [(cpu, node.allocatable.cpu_milli), (memory, node.allocatable.memory_bytes)]
}

/// The share that would stay free.
fn least_allocated(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let free = |(used, has): (i64, i64)| {
        if has <= 0 || used > has { 0 } else { (has - used) * SCORE_MAX / has }
    };
    amounts(pod, node).into_iter().map(free).sum::<i64>() / 2
}

/// How even the use of CPU and memory would be.
fn balanced(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let [cpu, memory] = amounts(pod, node).map(|(used, has)| {
        if has <= 0 { SCORE_MAX } else { (used * SCORE_MAX / has).min(SCORE_MAX) }
    });
    SCORE_MAX - (cpu - memory).abs() / 2
}

/// Taints that would rather not have the Pod lower the score.
fn untainted(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let unwelcome = node
        .taints
        .iter()
        .filter(|taint| {
            tree::str_at(taint, &["effect"]) == "PreferNoSchedule" && !tolerates(pod, taint)
        })
        .count();
    SCORE_MAX / (1 + i64::try_from(unwelcome).unwrap_or(SCORE_MAX))
}
