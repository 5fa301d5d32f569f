//! [`State`]: the snapshot and the queue together, changed by events and asked for the next decision.
//!
//! Holds always
//! - A Pod is decided on and put where it waits in one step, so that no change between the two is missed.
//! - A change of a node raises the hopes of those Pods alone that can run there now. A Node that only says that it lives changes
//!   nothing for any Pod (Kubernetes v1.36 queueing hints, which ask the filter that refused; here all of them are asked).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use podo_api::Object;

use crate::filter;
use crate::fit::{FitError, schedule};
use crate::pod::PodInfo;
use crate::queue::Queue;
use crate::snapshot::Snapshot;

/// The name by which Pods choose this scheduler.
pub(crate) const NAME: &str = "default-scheduler";

/// What is known, and who waits.
#[derive(Debug, Default)]
pub(crate) struct State {
    snapshot: Snapshot,
    queue: Queue,
    /// Pods that count on a node although nobody has said yet that they are bound.
    assumed: HashSet<Box<str>>,
    turn: usize,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Step {
    /// A Pod was decided on: it goes to a node, where it is assumed by now, or fits nowhere.
    Act(Box<PodInfo>, Result<Box<str>, FitError>),
    /// Nothing before this moment, unless something changes.
    Wait(Option<Instant>),
}

impl State {
    /// A node that is new, changed or, without an object, gone.
    pub(crate) fn node_changed(&mut self, name: &str, node: Option<&Arc<Object>>, now: Instant) {
        match node {
            Some(node) if self.snapshot.set_node(node) => self.room_on(name, now),
            Some(_) => {}
            None => self.snapshot.remove_node(name),
        }
    }

    /// A Pod that is new or changed, from what it was.
    pub(crate) fn pod_changed(&mut self, before: Option<&PodInfo>, pod: PodInfo, now: Instant) {
        if pod.is_finished {
            self.pod_gone(&pod.uid, now);
        } else if !pod.node_name.is_empty() {
            self.bound(&pod.uid);
            let freed = self.snapshot.place(pod);
            if let Some(node) = freed {
                self.room_on(&node, now);
            }
        } else if is_ours(&pod) {
            let is_same = before.is_some_and(|before| {
                PodInfo { unschedulable: pod.unschedulable.clone(), ..before.clone() } == pod
            });
            if is_same { self.queue.refresh(pod) } else { self.queue.add(pod) }
        } else {
            self.queue.forget(&pod.uid);
        }
    }

    /// A Pod that takes nothing any more.
    pub(crate) fn pod_gone(&mut self, uid: &str, now: Instant) {
        self.bound(uid);
        if let Some(node) = self.snapshot.displace(uid) {
            self.room_on(&node, now);
        }
    }

    /// Decides on the next Pod.
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        while let Some(pod) = self.queue.next(now) {
            if self.snapshot.is_placed(&pod.uid) {
                continue; // Its Binding is under way.
            }
            self.turn = self.turn.wrapping_add(1);
            let decision = schedule(&self.snapshot, &pod, self.turn);
            match &decision {
                Ok(node) => {
                    self.assumed.insert(pod.uid.clone());
                    self.snapshot.place(PodInfo { node_name: node.clone(), ..pod.clone() });
                }
                Err(_) => self.queue.refused(pod.clone(), now),
            }
            return Step::Act(Box::new(pod), decision);
        }
        Step::Wait(self.queue.due())
    }

    /// A Binding that was written.
    pub(crate) fn bound(&mut self, uid: &str) {
        self.assumed.remove(uid);
        self.queue.forget(uid);
    }

    /// A Binding that was not written; it is tried again unless that is hopeless.
    pub(crate) fn not_bound(&mut self, pod: PodInfo, is_hopeless: bool, now: Instant) {
        // Somebody else may have bound it meanwhile: then it counts where that was.
        let is_assumed = self.assumed.remove(&pod.uid);
        let freed = if is_assumed { self.snapshot.displace(&pod.uid) } else { None };
        if is_hopeless || !is_assumed {
            self.queue.forget(&pod.uid);
        } else {
            self.queue.retry(pod, now);
        }
        if let Some(node) = freed {
            self.room_on(&node, now);
        }
    }

    fn room_on(&mut self, name: &str, now: Instant) {
        let Some(node) = self.snapshot.node(name) else { return };
        self.queue.raise_hopes(now, |pod| filter::check(pod, name, node).is_ok());
    }
}

fn is_ours(pod: &PodInfo) -> bool {
    &*pod.scheduler_name == NAME && !pod.is_gated && !pod.is_over
}

#[cfg(test)]
mod tests;
