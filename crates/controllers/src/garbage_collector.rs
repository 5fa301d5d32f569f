//! Garbage collector: deletes objects whose owners are all gone, and carries out deletions that wait for dependents or leave them
//! (Kubernetes v1.36 `pkg/controller/garbagecollector`).
//!
//! Reads     objects of all kinds but Events.
//! Writes    objects of all kinds: deletes them, patches their owner references and the finalizers `foregroundDeletion` and `orphan`;
//!           Events.
//! Wakes on  an object with owners that were not seen yet, an owner that goes, a deletion with one of the two finalizers.
//!
//! Holds always
//! - Nothing is looked at before every kind was listed.
//! - An object is deleted only if the server was asked for it and for all its owners, by UID, and only as it was then.
//! - An object with a living owner, or with one whose kind nobody knows, stays.

mod absent;
mod decide;
mod graph;
mod live;
mod ownership;
#[cfg(test)]
mod tests;
mod uid;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use absent::Owner;
use decide::{Dependents, Duty, Standing, Verdict};
use graph::{Graph, KindIndex, Wake};
use live::{Found, Live};
use ownership::{FOREGROUND, ORPHAN, Ownership, Reference};
use parking_lot::Mutex;
use podo_api::{Object, Status};
use podo_base::{Stop, Tasks};
use podo_client::informer::Key;
use podo_client::queue::Queue;
use podo_client::runner::{self, Next};
use podo_client::transport::Verb;
use podo_client::watcher::{self, Sink};
use tokio::sync::watch;
use uid::Uid;

use crate::{Context, StoredKind};

/// How many objects are looked at at once, so that the store can commit what becomes of them together (upstream: 20).
const WORKERS: usize = 4;

/// When a dependent is looked for again of which no event would tell.
const AGAIN: Duration = Duration::from_secs(2);

struct Collector {
    graph: Mutex<Graph>,
    queue: Arc<Queue<Key>>,
    live: Live,
    /// How many kinds were not listed yet.
    unlisted: watch::Sender<usize>,
}

/// Tells the graph of the objects of a kind.
struct Monitor {
    collector: Arc<Collector>,
    kind: KindIndex,
    is_listed: AtomicBool,
}

pub(super) fn start(context: &Context, tasks: &mut Tasks) {
    // Events own nothing and are owned by nobody (upstream: `ignoredResources`).
    let kinds: Arc<[StoredKind]> =
        context.stored.iter().filter(|kind| kind.kind != "Event").copied().collect();
    let live = Live {
        client: (context.client)("generic-garbage-collector"),
        clock: Arc::clone(&context.clock),
        kinds: Arc::clone(&kinds),
    };
    let collector = Arc::new(Collector {
        graph: Mutex::new(Graph::new(Arc::clone(&kinds))),
        queue: Arc::new(Queue::new(runner::RETRY)),
        live,
        unlisted: watch::Sender::new(kinds.len()),
    });
    let stop = tasks.stop_signal();
    for (kind, index) in kinds.iter().zip(0..) {
        let is_listed = AtomicBool::new(false);
        let monitor = Monitor { collector: Arc::clone(&collector), kind: index, is_listed };
        let request = kind.request(Verb::List, "", "");
        let watched = watcher::run(context.manager.clone(), request, monitor, stop.clone());
        tasks.spawn(format!("garbage {}", kind.plural), watched);
    }
    for _ in 0..WORKERS {
        tasks.spawn("garbage", work(Arc::clone(&collector), stop.clone()));
    }
}

async fn work(collector: Arc<Collector>, stop: Stop) {
    let mut unlisted = collector.unlisted.subscribe();
    if stop.or(unlisted.wait_for(|count| *count == 0)).await.is_none() {
        return;
    }
    let queue = Arc::clone(&collector.queue);
    let reconcile = move |key: Key| {
        let collector = Arc::clone(&collector);
        async move { collector.reconcile(&Uid::of(&key.1)).await }
    };
    runner::run("garbage-collector-controller", queue, Arc::default(), reconcile, stop).await;
}

impl Sink for Monitor {
    fn listed(&self, objects: Vec<Arc<Object>>, revision: u64) {
        self.collector.change(|graph| graph.list(self.kind, &objects, revision));
        if !self.is_listed.swap(true, Ordering::Relaxed) {
            self.collector.unlisted.send_modify(|count| *count = count.saturating_sub(1));
        }
    }

    fn put(&self, object: Arc<Object>) {
        let ownership = Ownership::of(&object);
        self.collector.change(|graph| graph.put(self.kind, &object, &ownership));
    }

    fn removed(&self, object: Arc<Object>) {
        self.collector.change(|graph| graph.remove(&Uid::of(&object.uid)));
    }
}

impl Collector {
    /// Changes the graph and queues whom that wakes.
    fn change(&self, change: impl FnOnce(&mut Graph) -> Wake) {
        let wake = change(&mut self.graph.lock());
        for uid in wake {
            self.queue.add((Arc::from(""), Arc::from(uid.to_string())));
        }
    }

    async fn reconcile(&self, uid: &Uid) -> Result<Next, Status> {
        let Some((index, seen)) = self.graph.lock().get(uid) else { return Ok(Next::OnChange) };
        let Some(kind) = self.live.kind(index) else { return Ok(Next::OnChange) };
        let latest = self.live.find(kind, &seen.namespace, &seen.name).await?;
        let Some(object) = latest.filter(|latest| latest.uid == seen.uid) else {
            self.change(|graph| graph.remove(uid));
            return Ok(Next::OnChange);
        };
        let ownership = Ownership::read(&object);
        let found = Found { kind, object };
        match decide::duty(&ownership) {
            Duty::Nothing => {}
            Duty::Orphan => self.orphan(&found, &ownership).await?,
            Duty::AwaitDependents => return self.await_dependents(uid, &found, &ownership).await,
            Duty::Judge => self.judge(uid, &found, &ownership).await?,
        }
        Ok(Next::OnChange)
    }

    /// Lets the dependents of an object stay without it.
    async fn orphan(&self, owner: &Found, ownership: &Ownership) -> Result<(), Status> {
        let owners = [owner.object.uid.to_string()];
        for (dependent, _) in self.live.dependents(owner).await? {
            self.live.unlink(&dependent, &owners).await?;
        }
        self.live.remove_finalizer(owner, ownership, ORPHAN).await
    }

    /// Lets an object go if no dependent blocks it any longer; each that does is looked at by itself.
    async fn await_dependents(
        &self,
        uid: &Uid,
        owner: &Found,
        ownership: &Ownership,
    ) -> Result<Next, Status> {
        if self.graph.lock().is_blocked(uid) {
            return Ok(Next::OnChange);
        }
        let dependents = self.live.dependents(owner).await?;
        let references = dependents.iter().flat_map(|(_, dependent)| &dependent.references);
        let mut blocking = references.filter(|reference| {
            reference.block_owner_deletion && *reference.uid == *owner.object.uid
        });
        match blocking.next() {
            None => {
                self.live.remove_finalizer(owner, ownership, FOREGROUND).await?;
                Ok(Next::OnChange)
            }
            // The graph has no place for one that takes the owner for a kind that nobody knows: its end is looked for.
            Some(one) if self.live.kind_of(one).is_none() => Ok(Next::After(AGAIN)),
            // The graph will hear of it, and of its end.
            Some(_) => Ok(Next::OnChange),
        }
    }

    /// Does with an object as its owners stand.
    async fn judge(&self, uid: &Uid, found: &Found, ownership: &Ownership) -> Result<(), Status> {
        let mut standings = Vec::with_capacity(ownership.references.len());
        for reference in &ownership.references {
            match self.standing(found, reference).await? {
                Some(standing) => standings.push(standing),
                None => return Ok(()),
            }
        }
        let dependents = {
            let graph = self.graph.lock();
            Dependents { exist: graph.has_dependents(uid), wait: graph.has_waiting_dependents(uid) }
        };
        let verdict = decide::verdict(ownership, &standings, dependents);
        let Found { kind, object } = found;
        match verdict {
            Verdict::Keep => Ok(()),
            Verdict::Unlink(owners) => self.live.unlink(found, &owners).await,
            // The change wakes it again: it is deleted as it is then.
            Verdict::Delete { unblocks: true, .. } if blocks_any(ownership) => {
                self.live.unblock(found, ownership).await
            }
            Verdict::Delete { propagation, .. } => {
                tracing::info!(
                    kind = kind.kind,
                    namespace = &*object.namespace,
                    name = &*object.name,
                    propagation,
                    "collected"
                );
                match self.live.delete(found, propagation).await {
                    Err(status) if !status.is_not_found() => Err(status),
                    _gone => Ok(()),
                }
            }
        }
    }

    /// How an owner stands; `None` if that cannot be said and the object stays.
    async fn standing(
        &self,
        found: &Found,
        reference: &Reference,
    ) -> Result<Option<Standing>, Status> {
        let Some((index, kind)) = self.live.kind_of(reference) else { return Ok(None) };
        let own = &*found.object.namespace;
        let lists = {
            let graph = self.graph.lock();
            if graph.is_absent(&owner_of(index, kind, own, reference)) {
                return Ok(Some(Standing::Dangling));
            }
            graph.lists()
        };
        if kind.is_namespaced && own.is_empty() {
            self.check_namespace(found, kind, reference).await?;
            return Ok(None);
        }
        let namespace = if kind.is_namespaced { own } else { "" };
        let owner = self.live.find(kind, namespace, &reference.name).await?;
        let Some(owner) = owner.filter(|owner| *owner.uid == *reference.uid) else {
            self.check_namespace(found, kind, reference).await?;
            self.change(|graph| graph.refute(owner_of(index, kind, own, reference)));
            return Ok(Some(Standing::Dangling));
        };
        if Ownership::of(&owner).awaits_dependents() {
            return Ok(Some(Standing::Waiting));
        }
        self.graph.lock().confirm(index, &owner, lists);
        Ok(Some(Standing::Solid))
    }

    /// Tells of an owner that is not where its dependent may refer to, if it is elsewhere.
    async fn check_namespace(
        &self,
        found: &Found,
        kind: StoredKind,
        reference: &Reference,
    ) -> Result<(), Status> {
        if self.live.is_elsewhere(kind, &reference.uid, &found.object.namespace).await? {
            self.live.tell_invalid_namespace(found, reference).await;
        }
        Ok(())
    }
}

/// The owner that an object of a namespace refers to.
fn owner_of(index: KindIndex, kind: StoredKind, namespace: &str, reference: &Reference) -> Owner {
    Owner {
        kind: index,
        namespace: if kind.is_namespaced { namespace } else { "" }.into(),
        name: reference.name.as_str().into(),
        uid: Uid::of(&reference.uid),
    }
}

fn blocks_any(ownership: &Ownership) -> bool {
    ownership.references.iter().any(|reference| reference.block_owner_deletion)
}
