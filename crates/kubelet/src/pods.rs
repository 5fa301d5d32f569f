//! The Pods of this node: one entry per UID, with its worker's mailbox, what it takes of the node, and what can be seen of it.
//!
//! Holds always
//! - A mailbox holds the newest of each thing, never a queue: a slow worker costs no memory.
//! - What Pods take of the node is counted under one lock, so two Pods never get the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use podo_api::Object;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use tokio::sync::{Notify, watch};

use crate::admission::{self, Claim, NodeOffer};
use crate::observed::ObservedPod;
use crate::pod::PodView;
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
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pods: Mutex<BTreeMap<String, Entry>>,
    /// What the burstable Pods hold of the node's CPU in all, in thousandths.
    burstable_milli_cpu: watch::Sender<i64>,
}

impl Registry {
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
        let claim = is_running.then(|| Claim::of(pod));
        let shown = Shown { pod: Arc::clone(pod), status, observed: ObservedPod::default() };
        let shown = watch::Sender::new(Arc::new(shown));
        let mailbox = Arc::new(Mailbox::default());
        let place = Place { mailbox: Arc::clone(&mailbox), shown: shown.clone() };
        pods.insert(pod.uid().to_owned(), Entry { mailbox, shown, claim });
        self.count(&pods);
        Some(place)
    }

    /// Lets a Pod take what it asks for of the node, if it fits.
    pub(crate) fn admit(&self, pod: &PodView, offer: &NodeOffer) -> Result<(), Verdict> {
        let mut pods = self.pods.lock();
        if pods.get(pod.uid()).is_some_and(|entry| entry.claim.is_some()) {
            return Ok(());
        }
        let claims: Vec<&Claim> = pods.values().filter_map(|entry| entry.claim.as_ref()).collect();
        admission::check(pod, offer, &claims)?;
        if let Some(entry) = pods.get_mut(pod.uid()) {
            entry.claim = Some(Claim::of(pod));
        }
        self.count(&pods);
        Ok(())
    }

    /// Gives back what a Pod took.
    pub(crate) fn release(&self, uid: &str) {
        let mut pods = self.pods.lock();
        if let Some(entry) = pods.get_mut(uid) {
            entry.claim = None;
        }
        self.count(&pods);
    }

    /// Forgets a Pod.
    pub(crate) fn remove(&self, uid: &str) {
        let mut pods = self.pods.lock();
        pods.remove(uid);
        self.count(&pods);
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
