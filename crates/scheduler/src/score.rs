//! Scores: of the nodes that can run a Pod, which should.

use podo_api::{Value, tree};

use crate::filter::{fits_term, tolerates};
use crate::node::NodeInfo;
use crate::pod::PodInfo;
use crate::resources::Resources;

/// The best score of one rule.
const SCORE_MAX: i64 = 100;

/// How well each of some nodes suits a Pod: more is better. Rules that only compare nodes with each other give the best
/// [`SCORE_MAX`] (Kubernetes v1.36 `DefaultNormalizeScore`); the weights are those of its default plugins.
pub(crate) fn scores(pod: &PodInfo, nodes: &[(&str, &NodeInfo)]) -> Vec<i64> {
    let wishes = shares(nodes.iter().map(|(name, node)| wishes(pod, name, node)).collect());
    let unwelcome = shares(nodes.iter().map(|(_, node)| unwelcome(pod, node)).collect());
    let of_each = nodes.iter().zip(wishes).zip(unwelcome);
    let score = |(((_, node), wishes), unwelcome): ((&(&str, &NodeInfo), i64), i64)| {
        let resources = least_allocated(pod, node) + balanced(pod, node);
        resources + 2 * wishes + 3 * (SCORE_MAX - unwelcome)
    };
    of_each.map(score).collect()
}

/// Each amount as its share of the greatest.
fn shares(amounts: Vec<i64>) -> Vec<i64> {
    let greatest = amounts.iter().copied().max().unwrap_or(0).max(1);
    amounts.into_iter().map(|amount| amount * SCORE_MAX / greatest).collect()
}

/// CPU and memory that would be used of what the node has, with the Pod.
fn amounts(used: &Resources, more: &Resources, node: &NodeInfo) -> [(i64, i64); 2] {
    let has = &node.allocatable;
    [
        (used.cpu_milli + more.cpu_milli, has.cpu_milli),
        (used.memory_bytes + more.memory_bytes, has.memory_bytes),
    ]
}

/// The share that would stay free.
fn least_allocated(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let free = |(used, has): (i64, i64)| {
        if has <= 0 || used > has { 0 } else { (has - used) * SCORE_MAX / has }
    };
    amounts(&node.counted, &pod.counted, node).into_iter().map(free).sum::<i64>() / 2
}

/// How even the use of CPU and memory would be. A Pod that asks for neither does not ask for evenness.
fn balanced(pod: &PodInfo, node: &NodeInfo) -> i64 {
    if (pod.requests.cpu_milli, pod.requests.memory_bytes) == (0, 0) {
        return 0;
    }
    let [cpu, memory] = amounts(&node.requested, &pod.requests, node);
    if cpu.1 <= 0 || memory.1 <= 0 {
        return SCORE_MAX;
    }
    let [cpu, memory] = [cpu, memory].map(|(used, has)| (used * SCORE_MAX / has).min(SCORE_MAX));
    SCORE_MAX - (cpu - memory).abs() / 2
}

/// The weights of the preferences that the node meets. One that asks for nothing is met nowhere.
fn wishes(pod: &PodInfo, name: &str, node: &NodeInfo) -> i64 {
    let is_met = |wish: &&Value| fits_term(tree::at(wish, &["preference"]), name, node);
    let weight = |wish: &Value| tree::int_at(wish, &["weight"]).unwrap_or(0);
    pod.node_preferences.iter().filter(is_met).map(weight).sum()
}

/// How many taints would rather not have the Pod.
fn unwelcome(pod: &PodInfo, node: &NodeInfo) -> i64 {
    let is_unwelcome = |taint: &&Value| {
        tree::str_at(taint, &["effect"]) == "PreferNoSchedule" && !tolerates(pod, taint)
    };
    i64::try_from(node.taints.iter().filter(is_unwelcome).count()).unwrap_or(SCORE_MAX)
}
