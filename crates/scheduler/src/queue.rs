//! The queue: which Pod is tried next, and what those that fitted nowhere wait for.
//!
//! Holds always
//! - A Pod is in one place: in line, waiting for one thing, or with who took it.
//! - A Pod that fitted nowhere is not tried again before something changed that lets it run, so that its back-off counts tries that
//!   were worth it; it is tried once more after [`SWEEP`] whatever was seen.
//! - Where nothing else is in line, a Pod that can run by now does not wait for its back-off (Kubernetes v1.36
//!   `SchedulerPopFromBackoffQ`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use podo_base::{Backoff, BackoffPolicy};

use crate::pod::PodInfo;

/// How long a Pod that fitted nowhere waits before it is tried again after a change (Kubernetes v1.36: 1 s to 10 s).
const RETRY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    maximum: Duration::from_secs(10),
    reset_after: Duration::from_secs(60),
};

/// A Pod that fits nowhere is tried again by then even if nothing was seen to change (Kubernetes v1.36
/// `podMaxInUnschedulablePodsDuration`): the sweep that repairs a missed event.
pub(crate) const SWEEP: Duration = Duration::from_secs(300);

/// The order of the line: higher priority first, then first come.
type Place = (i64, u64);

/// What a Pod waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// A change by which it can run, or the sweep.
    Room,
    /// There is room: the end of its back-off, or the end of the line.
    Turn,
    /// The end of its back-off: its Binding failed.
    Retry,
}

/// A Pod that was tried before.
#[derive(Debug)]
struct Tried {
    pod: PodInfo,
    backoff: Backoff,
    /// What it waits for, and when it is tried whatever happens; `None` while it is in line or with who took it.
    waits: Option<(Wait, Instant)>,
}

/// Pods without a node.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Pods that are tried one after the other.
    line: BTreeMap<Place, PodInfo>,
    /// Where in `line` a Pod is.
    places: HashMap<Box<str>, Place>,
    /// Pods that were tried before, by UID.
    tried: HashMap<Box<str>, Tried>,
    /// Those of them that wait, by when they are tried whatever happens.
    dues: BTreeSet<(Instant, Box<str>)>,
    /// Those of them that wait for their turn, in the same order.
    turns: BTreeSet<(Instant, Box<str>)>,
    arrivals: u64,
}

impl Queue {
    /// A Pod that is new, or whose spec changed: what happened to it before does not count.
    pub(crate) fn add(&mut self, pod: PodInfo) {
        self.forget(&pod.uid);
        self.line_up(pod);
    }

    /// A Pod of which nothing changed that could place it. It is told with its newest state, and is no reason to try again.
    pub(crate) fn refresh(&mut self, pod: PodInfo) {
        if let Some(place) = self.places.get(&pod.uid) {
            self.line.insert(*place, pod.clone());
        }
        if let Some(tried) = self.tried.get_mut(&pod.uid) {
            tried.pod = pod;
        }
    }

    /// A Pod that is placed, gone or not ours.
    pub(crate) fn forget(&mut self, uid: &str) {
        if let Some(place) = self.places.remove(uid) {
            self.line.remove(&place);
        }
        self.set_waits(uid, None);
        self.tried.remove(uid);
    }

    /// The Pod whose turn it is. It is with the caller until it is told what became of it.
    pub(crate) fn next(&mut self, now: Instant) -> Option<PodInfo> {
        while let Some((due, uid)) = self.dues.first()
            && *due <= now
        {
            let uid = uid.clone();
            if let Some(pod) = self.stop_waiting(&uid) {
                self.line_up(pod);
            }
        }
        if let Some((_, pod)) = self.line.pop_first() {
            self.places.remove(&pod.uid);
            return Some(pod);
        }
        let (_, uid) = self.turns.first()?;
        let uid = uid.clone();
        self.stop_waiting(&uid)
    }

    /// When the next wait is over.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// A Pod that was tried and fits nowhere.
    pub(crate) fn refused(&mut self, pod: PodInfo, now: Instant) {
        let uid = pod.uid.clone();
        self.failed(pod, now);
        self.set_waits(&uid, Some((Wait::Room, now + SWEEP)));
    }

    /// A Pod whose Binding failed.
    pub(crate) fn retry(&mut self, pod: PodInfo, now: Instant) {
        let uid = pod.uid.clone();
        let due = now + self.failed(pod, now);
        self.set_waits(&uid, Some((Wait::Retry, due)));
    }

    /// Something changed: Pods that waited for room and can run now get their turn.
    pub(crate) fn raise_hopes(&mut self, now: Instant, can_run: impl Fn(&PodInfo) -> bool) {
        let hopeful: Vec<(Box<str>, Instant)> = self
            .tried
            .iter()
            .filter(|(_, tried)| matches!(tried.waits, Some((Wait::Room, _))))
            .filter(|(_, tried)| can_run(&tried.pod))
            .map(|(uid, tried)| (uid.clone(), now + tried.backoff.remaining(now)))
            .collect();
        for (uid, due) in hopeful {
            self.set_waits(&uid, Some((Wait::Turn, due)));
        }
    }

    fn line_up(&mut self, pod: PodInfo) {
        self.arrivals += 1;
        let place = (-pod.priority, self.arrivals);
        self.places.insert(pod.uid.clone(), place);
        self.line.insert(place, pod);
    }

    fn stop_waiting(&mut self, uid: &str) -> Option<PodInfo> {
        self.set_waits(uid, None);
        self.tried.get(uid).map(|tried| tried.pod.clone())
    }

    /// Counts a try that failed; says how long the back-off lasts.
    fn failed(&mut self, pod: PodInfo, now: Instant) -> Duration {
        let tried = self.tried.entry(pod.uid.clone()).or_insert_with(|| Tried {
            pod: pod.clone(),
            backoff: Backoff::new(RETRY),
            waits: None,
        });
        tried.pod = pod;
        tried.backoff.fail(now)
    }

    fn set_waits(&mut self, uid: &str, waits: Option<(Wait, Instant)>) {
        let Some(tried) = self.tried.get_mut(uid) else { return };
        if let Some((_, due)) = tried.waits {
            let entry = (due, Box::from(uid));
            self.dues.remove(&entry);
            self.turns.remove(&entry);
        }
        tried.waits = waits;
        if let Some((wait, due)) = waits {
            self.dues.insert((due, uid.into()));
            if wait == Wait::Turn {
                self.turns.insert((due, uid.into()));
            }
        }
    }
}
