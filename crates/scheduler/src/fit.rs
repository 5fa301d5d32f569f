//! The decision: filters, then scores; and the sentence that tells why no node fits.

use std::collections::BTreeMap;
use std::fmt;

use crate::filter::{self, Refusal};
use crate::pod::PodInfo;
use crate::score;
use crate::snapshot::Snapshot;

/// Why a Pod fits nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FitError {
    node_count: usize,
    refusals: Vec<Refusal>,
}

impl fmt::Display for FitError {
    /// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. no new claims to deallocate, preemption: …`
    ///
    /// After the reasons comes what the plug-ins say that could have made room (Kubernetes v1.36, extension point PostFilter):
    /// the one for resource claims, which has none here to take away, and preemption.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.node_count == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let reasons = count(
            self.refusals.iter().flat_map(|refusal| refusal.reasons.iter().map(String::as_str)),
        );
        write!(f, "0/{} nodes are available: {}.", self.node_count, listed(&reasons))?;
        let preemption = count(self.refusals.iter().map(|refusal| {
            if refusal.is_resolvable {
                "No preemption victims found for incoming pod"
            } else {
                "Preemption is not helpful for scheduling"
            }
        }));
        write!(
            f,
            " no new claims to deallocate, preemption: 0/{} nodes are available: {}.",
            self.node_count,
            listed(&preemption)
        )
    }
}

impl std::error::Error for FitError {}

fn count<'a>(reasons: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    counts
}

/// Counts before reasons, in the order of the texts as upstream sorts them.
fn listed(counts: &BTreeMap<&str, usize>) -> String {
    let mut texts: Vec<String> =
        counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    texts.sort();
    texts.join(", ")
}

/// The node for a Pod. Of equally good ones, `turn` chooses, so that the choice can be made to alternate.
pub fn schedule(snapshot: &Snapshot, pod: &PodInfo, turn: usize) -> Result<Box<str>, FitError> {
    let mut refusals = Vec::new();
    let mut fitting = Vec::new();
    let mut node_count = 0;
    for (name, node) in snapshot.nodes() {
        node_count += 1;
        match filter::check(pod, name, node) {
            Ok(()) => fitting.push((name, node)),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let scores = score::scores(pod, &fitting);
    let best_score = scores.iter().max();
    let scored = fitting.iter().zip(&scores);
    let best: Vec<&str> = scored
        .filter(|(_, score)| Some(*score) == best_score)
        .map(|((name, _), _)| *name)
        .collect();
    match best.len() {
        0 => Err(FitError { node_count, refusals }),
        count => Ok(best[turn % count].into()),
    }
}
