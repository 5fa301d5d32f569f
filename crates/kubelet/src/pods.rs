//! The Pods of this node: one entry per UID, with its worker's mailbox, what it takes of the node, and what can be seen of it.
//!
//! Holds always
//! - A mailbox holds the newest of each thing, never a queue: a slow worker costs no memory.
//! - What Pods take of the node is counted under one lock, so two Pods never get the same.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use podo_api::Object;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use tokio::sync::{Notify, watch};

use crate::admission::{self, Allocatable, Claim, NodeOffer, check_resize};
use crate::observed::ObservedPod;
use crate::pod::{PodView, QosClass};
use crate::resize::Refusal;
use crate::status::Verdict;

/// What has happened since a worker looked last.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The newest version of the Pod.
    pub(crate) pod: Option<Arc<Object>>,
    /// The Pod is gone from the server.
    pub(crate) is_gone: bool,
    /// The runtime has told something.
    pub(crate) has_runtime_changed: bool,
    /// What the Pod refers to has changed.
    pub(crate) have_sources_changed: bool,
    /// There may be room for what the Pod wants and was not given.
    pub(crate) has_room_changed: bool,
}

/// A worker's mailbox.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    inbox: Mutex<Inbox>,
    changed: Notify,
}

impl Mailbox {
    /// Puts something in.
    pub(crate) fn put(&self, change: impl FnOnce(&mut Inbox)) {
        change(&mut self.inbox.lock());
        self.changed.notify_one();
    }

    /// Waits for something and takes all of it. Safe to drop while it waits.
    pub(crate) async fn take(&self) -> Inbox {
        self.changed.notified().await;
        std::mem::take(&mut *self.inbox.lock())
    }
}

/// What can be seen of a Pod from outside of its worker.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// The Pod.
    pub(crate) pod: Arc<PodView>,
    /// Its status as it is, written or not.
    pub(crate) status: k8s::PodStatus,
    /// What the runtime knows of it.
    pub(crate) observed: ObservedPod,
}

#[derive(Debug)]
struct Entry {
    mailbox: Arc<Mailbox>,
    shown: watch::Sender<Arc<Shown>>,
    claim: Option<Claim>,
    /// What the Pod wants and was not given for want of room.
    wish: Option<Wish>,
}

/// What a Pod waits for.
#[derive(Debug)]
struct Wish {
    claim: Claim,
    /// What the Pod holds with the room that is kept for it, until it asks again.
    kept: Option<Claim>,
    /// Who comes first: the more important, of equals who has waited longer.
    rank: (Reverse<i32>, bool, u64),
}

impl Entry {
    /// What others cannot have.
    fn held(&self) -> Option<&Claim> {
        let kept = self.wish.as_ref().and_then(|wish| wish.kept.as_ref());
        kept.or(self.claim.as_ref())
    }
}

/// What a new worker gets.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its mailbox.
    pub(crate) mailbox: Arc<Mailbox>,
    /// Where it shows its Pod.
    pub(crate) shown: watch::Sender<Arc<Shown>>,
}

/// The Pods of this node by UID.
#[derive(Debug)]
pub(crate) struct Registry {
    pods: Mutex<BTreeMap<String, Entry>>,
    /// What Pods may use of the node.
    allocatable: Allocatable,
    /// Wishes so far.
    wishes: AtomicU64,
    /// What the burstable Pods hold of the node's CPU in all, in thousandths.
    burstable_milli_cpu: watch::Sender<i64>,
}

impl Registry {
    /// No Pods, on a node of which they may use so much.
    pub(crate) fn new(allocatable: Allocatable) -> Self {
        Self {
            pods: Mutex::default(),
            allocatable,
            wishes: AtomicU64::default(),
            burstable_milli_cpu: watch::Sender::default(),
        }
    }

    /// What the burstable Pods hold of the node's CPU in all, in thousandths.
    pub(crate) fn burstable_milli_cpu(&self) -> watch::Receiver<i64> {
        self.burstable_milli_cpu.subscribe()
    }

    /// Counts what is held anew, after a change of it.
    fn count(&self, pods: &BTreeMap<String, Entry>) {
        let claims = pods.values().filter_map(|entry| entry.claim.as_ref());
        let sum = claims.map(Claim::burstable_milli_cpu).sum();
        self.burstable_milli_cpu.send_if_modified(|told| std::mem::replace(told, sum) != sum);
    }

    /// Tells a Pod's worker something; false if there is none.
    pub(crate) fn tell(&self, uid: &str, change: impl FnOnce(&mut Inbox)) -> bool {
        let mailbox = self.pods.lock().get(uid).map(|entry| Arc::clone(&entry.mailbox));
        let Some(mailbox) = mailbox else { return false };
        mailbox.put(change);
        true
    }

    /// Tells all workers something.
    pub(crate) fn tell_all(&self, change: impl Fn(&mut Inbox)) {
        let mailboxes: Vec<_> =
            self.pods.lock().values().map(|entry| Arc::clone(&entry.mailbox)).collect();
        for mailbox in mailboxes {
            mailbox.put(&change);
        }
    }

    /// Makes an entry for a Pod that has none. What a Pod that was started before takes counts at once.
    pub(crate) fn add(&self, pod: &Arc<PodView>) -> Option<Place> {
        let mut pods = self.pods.lock();
        if pods.contains_key(pod.uid()) {
            return None;
        }
        let status = pod.status().cloned().unwrap_or_default();
        let is_running = status.start_time.is_some() && !pod.is_terminal();
        let claim = is_running.then(|| Claim::of_started(pod));
        let shown = Shown { pod: Arc::clone(pod), status, observed: ObservedPod::default() };
        let shown = watch::Sender::new(Arc::new(shown));
        let mailbox = Arc::new(Mailbox::default());
        let place = Place { mailbox: Arc::clone(&mailbox), shown: shown.clone() };
        pods.insert(pod.uid().to_owned(), Entry { mailbox, shown, claim, wish: None });
        self.count(&pods);
        Some(place)
    }

    /// Lets a Pod take what it asks for of the node, if it fits.
    pub(crate) fn admit(&self, pod: &PodView, offer: &NodeOffer) -> Result<(), Verdict> {
        let mut pods = self.pods.lock();
        if pods.get(pod.uid()).is_some_and(|entry| entry.claim.is_some()) {
            return Ok(());
        }
        let claims: Vec<&Claim> = pods.values().filter_map(Entry::held).collect();
        admission::check(pod, offer, &claims)?;
        if let Some(entry) = pods.get_mut(pod.uid()) {
            entry.claim = Some(Claim::of(pod));
        }
        self.count(&pods);
        Ok(())
    }

    /// Lets a running Pod take what it asks for now as well, if it fits; else it is told when that may have changed.
    pub(crate) fn resize(&self, pod: &PodView) -> Result<(), Refusal> {
        let mut pods = self.pods.lock();
        let claim = Claim::of(pod);
        let fits = check_resize(&claim, &self.allocatable, &others(&pods, pod.uid()));
        let Some(entry) = pods.get_mut(pod.uid()) else { return fits };
        match &fits {
            Ok(()) => {
                entry.wish = None;
                entry.claim.get_or_insert_with(|| claim.clone()).raise_to(&claim);
            }
            Err(Refusal::Infeasible(_)) => entry.wish = None,
            Err(Refusal::Deferred(_)) => {
                let since = match &entry.wish {
                    Some(wish) => wish.rank.2,
                    None => self.wishes.fetch_add(1, Ordering::Relaxed),
                };
                let priority = Reverse(pod.spec.priority.unwrap_or_default());
                let rank = (priority, pod.qos_class() != QosClass::Guaranteed, since);
                entry.wish = Some(Wish { claim, kept: None, rank });
            }
        }
        self.count(&pods);
        fits
    }

    /// A Pod no longer wants what it was not given.
    pub(crate) fn withdraw(&self, uid: &str) {
        self.change(|pods| {
            if let Some(entry) = pods.get_mut(uid) {
                entry.wish = None;
            }
        });
    }

    /// A Pod holds what it asks for and nothing else.
    pub(crate) fn hold(&self, pod: &PodView) {
        self.change(|pods| {
            let claim = pods.get_mut(pod.uid()).and_then(|entry| entry.claim.as_mut());
            if let Some(claim) = claim {
                *claim = Claim::of(pod);
            }
        });
    }

    /// Changes what is held so that there may be more room.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Entry>)) {
        let mut pods = self.pods.lock();
        change(&mut pods);
        self.grant(&mut pods);
        self.count(&pods);
    }

    /// Keeps room for the wishes that fit, one after the other, and tells all who have one.
    fn grant(&self, pods: &mut BTreeMap<String, Entry>) {
        let mut wishes: Vec<_> = pods
            .iter_mut()
            .filter_map(|(uid, entry)| {
                let wish = entry.wish.as_mut()?;
                wish.kept = None;
                Some((wish.rank, uid.clone()))
            })
            .collect();
        wishes.sort();
        for (_, uid) in wishes {
            let others = others(pods, &uid);
            let wish = pods.get(&uid).and_then(|entry| entry.wish.as_ref());
            let fits = wish
                .is_some_and(|wish| check_resize(&wish.claim, &self.allocatable, &others).is_ok());
            let Some(entry) = pods.get_mut(&uid) else { continue };
            if let (Some(wish), Some(claim), true) = (&mut entry.wish, &entry.claim, fits) {
                wish.kept.insert(claim.clone()).raise_to(&wish.claim);
            }
            entry.mailbox.put(|inbox| inbox.has_room_changed = true);
        }
    }

    /// Gives back what a Pod took.
    pub(crate) fn release(&self, uid: &str) {
        self.change(|pods| {
            if let Some(entry) = pods.get_mut(uid) {
                entry.claim = None;
                entry.wish = None;
            }
        });
    }

    /// Forgets a Pod.
    pub(crate) fn remove(&self, uid: &str) {
        self.change(|pods| drop(pods.remove(uid)));
    }

    /// Whether there is an entry for a UID.
    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.pods.lock().contains_key(uid)
    }

    /// What can be seen of a Pod, the newest of its name.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<watch::Receiver<Arc<Shown>>> {
        let pods = self.pods.lock();
        let of_name = pods.values().filter(|entry| {
            let shown = entry.shown.borrow();
            shown.pod.namespace() == namespace && shown.pod.name() == name
        });
        let created =
            |entry: &&Entry| entry.shown.borrow().pod.pod.metadata.creation_timestamp.clone();
        of_name.max_by_key(created).map(|entry| entry.shown.subscribe())
    }

    /// What can be seen of all Pods.
    pub(crate) fn all(&self) -> Vec<Arc<Shown>> {
        self.pods.lock().values().map(|entry| Arc::clone(&entry.shown.borrow())).collect()
    }
}

/// What the other Pods hold.
fn others<'a>(pods: &'a BTreeMap<String, Entry>, uid: &str) -> Vec<&'a Claim> {
    let others = pods.iter().filter(|(of, _)| *of != uid);
    others.filter_map(|(_, entry)| entry.held()).collect()
}

#[cfg(test)]
mod tests;
