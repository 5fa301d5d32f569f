//! The graph of owners and dependents of all kinds, and who has to be looked at when it changes.
//!
//! Holds always
//! - An object is held only while it has owners or dependents, or while its deletion waits for what becomes of its dependents. What is
//!   held of it is a pointer to the stored object, which exists anyway.
//! - The graph only says whom to look at. Nothing is deleted because of what it says or does not say: that is decided by what the
//!   server says then.
//! - An object with a reference to an owner that the graph has not seen, or has seen otherwise, is looked at.

#[cfg(test)]
pub(super) mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use podo_api::Object;

use super::absent::{Absent, Owner};
use super::ownership::{Ownership, Reference};
use super::uid::Uid;
use crate::StoredKind;

/// The place of a kind in the list of kinds.
pub(super) type KindIndex = u16;

/// Whom to look at.
pub(super) type Wake = Vec<Uid>;

/// A reference to an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    owner: Uid,
    blocks: bool,
}

#[derive(Debug, Default)]
struct Node {
    /// The object; `None` for an owner that only references tell of so far.
    object: Option<Arc<Object>>,
    /// Sorted by owner.
    owners: Box<[Link]>,
    /// Sorted: most owners have a few, which a tree would take three times the room for.
    dependents: Vec<Uid>,
    /// Of the references that `owners` is made of.
    fingerprint: u64,
    kind: KindIndex,
    awaits_dependents: bool,
    orphans_dependents: bool,
}

/// The graph.
#[derive(Debug)]
pub(super) struct Graph {
    nodes: HashMap<Uid, Node>,
    absent: Absent,
    kinds: Arc<[StoredKind]>,
    /// How many lists it has been told of.
    lists: u64,
}

impl Node {
    fn version(&self) -> u64 {
        self.object.as_ref().map_or(0, |object| object.resource_version)
    }

    fn is_needed(&self) -> bool {
        !self.owners.is_empty()
            || !self.dependents.is_empty()
            || self.awaits_dependents
            || self.orphans_dependents
    }

    fn add_dependent(&mut self, uid: &Uid) {
        if let Err(at) = self.dependents.binary_search(uid) {
            self.dependents.insert(at, uid.clone());
        }
    }

    fn remove_dependent(&mut self, uid: &Uid) {
        if let Ok(at) = self.dependents.binary_search(uid) {
            self.dependents.remove(at);
        }
    }

    fn blocks(&self, owner: &Uid) -> bool {
        link_to(&self.owners, owner).is_some_and(|link| link.blocks)
    }
}

impl Graph {
    pub(super) fn new(kinds: Arc<[StoredKind]>) -> Self {
        Self { nodes: HashMap::new(), absent: Absent::default(), kinds, lists: 0 }
    }

    /// An object as it is now.
    pub(super) fn put(
        &mut self,
        kind: KindIndex,
        object: &Arc<Object>,
        ownership: &Ownership,
    ) -> Wake {
        let uid = Uid::of(&object.uid);
        let mut wake = Wake::new();
        let (awaits, orphans) = (ownership.awaits_dependents(), ownership.orphans_dependents());
        let is_of_interest = !ownership.references.is_empty() || awaits || orphans;
        if !is_of_interest && !self.nodes.contains_key(&uid) {
            return wake;
        }
        let node = self.nodes.entry(uid.clone()).or_default();
        if node.version() > object.resource_version {
            return wake;
        }
        node.object = Some(Arc::clone(object));
        node.kind = kind;
        if awaits && !node.awaits_dependents {
            wake.push(uid.clone());
            wake.extend(node.dependents.iter().cloned());
        }
        if orphans && !node.orphans_dependents {
            wake.push(uid.clone());
        }
        (node.awaits_dependents, node.orphans_dependents) = (awaits, orphans);
        let fingerprint = ownership.fingerprint();
        if fingerprint != node.fingerprint {
            node.fingerprint = fingerprint;
            self.link(&uid, &ownership.references, &mut wake);
            let is_solid =
                |reference: &Reference| self.is_solid(&object.namespace, &uid, reference);
            if !ownership.is_deleting() && !ownership.references.iter().all(is_solid) {
                wake.push(uid.clone());
            }
        }
        self.drop_unneeded(&uid);
        wake
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, uid: &Uid) -> Wake {
        let Some(node) = self.nodes.remove(uid) else { return Wake::new() };
        if let Some(object) = node.object.filter(|_| !node.dependents.is_empty()) {
            self.absent.add(Owner {
                kind: node.kind,
                namespace: object.namespace.clone(),
                name: object.name.clone(),
                uid: uid.clone(),
            });
        }
        let mut wake = node.dependents;
        for link in &node.owners {
            self.unlink(uid, link, &mut wake);
        }
        wake
    }

    /// All objects of a kind at a revision: those that are held and not among them are gone.
    pub(super) fn list(&mut self, kind: KindIndex, objects: &[Arc<Object>], revision: u64) -> Wake {
        self.lists += 1;
        let is_of_kind = |node: &Node| node.kind == kind && node.object.is_some();
        let held = self.nodes.iter().filter(|(_, node)| is_of_kind(node));
        let mut missing: HashSet<Uid> = held.map(|(uid, _)| uid.clone()).collect();
        let mut wake = Wake::new();
        for object in objects {
            if !missing.is_empty() {
                missing.remove(&Uid::of(&object.uid));
            }
            wake.extend(self.put(kind, object, &Ownership::of(object)));
        }
        for uid in missing {
            if self.nodes.get(&uid).is_some_and(|node| node.version() <= revision) {
                wake.extend(self.remove(&uid));
            }
        }
        // What was not seen by now may have gone while nobody watched: whoever refers to it looks for it again.
        let unseen = self.nodes.values().filter(|node| node.object.is_none());
        wake.extend(unseen.flat_map(|node| node.dependents.iter().cloned()));
        wake
    }

    /// How many lists there were: what was read before the last one may be older than it.
    pub(super) fn lists(&self) -> u64 {
        self.lists
    }

    /// An owner that the server was asked for is there, if nothing was listed since. Further references to it need not be looked at.
    pub(super) fn confirm(&mut self, kind: KindIndex, owner: &Arc<Object>, lists: u64) {
        if let Some(node) = self.nodes.get_mut(&Uid::of(&owner.uid))
            && node.object.is_none()
            && self.lists == lists
        {
            node.object = Some(Arc::clone(owner));
            node.kind = kind;
        }
    }

    /// An owner that the server was asked for is not there.
    pub(super) fn refute(&mut self, owner: Owner) -> Wake {
        let is_same = self.nodes.get(&owner.uid).is_some_and(|node| {
            let same = |object: &Arc<Object>| {
                (&object.namespace, &object.name) == (&owner.namespace, &owner.name)
            };
            node.kind == owner.kind && node.object.as_ref().is_some_and(same)
        });
        let wake = if is_same { self.remove(&owner.uid) } else { Wake::new() };
        self.absent.add(owner);
        wake
    }

    /// Whether an owner is known to be gone.
    pub(super) fn is_absent(&self, owner: &Owner) -> bool {
        self.absent.contains(owner)
    }

    /// An object that is held and was seen.
    pub(super) fn get(&self, uid: &Uid) -> Option<(KindIndex, Arc<Object>)> {
        let node = self.nodes.get(uid)?;
        Some((node.kind, Arc::clone(node.object.as_ref()?)))
    }

    /// Whether an object has dependents.
    pub(super) fn has_dependents(&self, uid: &Uid) -> bool {
        self.nodes.get(uid).is_some_and(|node| !node.dependents.is_empty())
    }

    /// Whether a dependent of an object waits for dependents itself.
    pub(super) fn has_waiting_dependents(&self, uid: &Uid) -> bool {
        let waits =
            |dependent| self.nodes.get(dependent).is_some_and(|node| node.awaits_dependents);
        self.nodes.get(uid).is_some_and(|node| node.dependents.iter().any(waits))
    }

    /// Whether a dependent of an object blocks its deletion. An object does not block itself.
    pub(super) fn is_blocked(&self, uid: &Uid) -> bool {
        let blocks = |dependent: &Uid| {
            dependent != uid && self.nodes.get(dependent).is_some_and(|node| node.blocks(uid))
        };
        self.nodes.get(uid).is_some_and(|node| node.dependents.iter().any(blocks))
    }

    /// Gives a node the owners that references name.
    fn link(&mut self, uid: &Uid, references: &[Reference], wake: &mut Wake) {
        let new = self.links(references);
        for link in &new {
            let owner = self.nodes.entry(link.owner.clone()).or_default();
            owner.add_dependent(uid);
        }
        let Some(node) = self.nodes.get_mut(uid) else { return };
        let old = std::mem::replace(&mut node.owners, new.clone());
        for link in &old {
            match link_to(&new, &link.owner) {
                None => self.unlink(uid, link, wake),
                Some(new) if link.blocks && !new.blocks => self.wake_unblocked(&link.owner, wake),
                Some(_) => {}
            }
        }
    }

    fn unlink(&mut self, uid: &Uid, link: &Link, wake: &mut Wake) {
        if let Some(owner) = self.nodes.get_mut(&link.owner) {
            owner.remove_dependent(uid);
            self.wake_unblocked(&link.owner, wake);
            self.drop_unneeded(&link.owner);
        }
    }

    fn wake_unblocked(&self, owner: &Uid, wake: &mut Wake) {
        let awaits = self.nodes.get(owner).is_some_and(|node| node.awaits_dependents);
        if awaits && !self.is_blocked(owner) {
            wake.push(owner.clone());
        }
    }

    fn drop_unneeded(&mut self, uid: &Uid) {
        if self.nodes.get(uid).is_some_and(|node| !node.is_needed()) {
            self.nodes.remove(uid);
        }
    }

    /// Whether a reference is to an owner that was seen just so and that does not wait for its dependents to go.
    fn is_solid(&self, namespace: &str, dependent: &Uid, reference: &Reference) -> bool {
        let uid = Uid::of(&reference.uid);
        let Some(node) = self.nodes.get(&uid).filter(|_| uid != *dependent) else { return false };
        let Some(object) = &node.object else { return false };
        let Some(kind) = self.kinds.get(usize::from(node.kind)) else { return false };
        let is_in_reach = !kind.is_namespaced || *object.namespace == *namespace;
        reference.is_to(kind)
            && *object.name == *reference.name
            && is_in_reach
            && !node.awaits_dependents
    }

    /// The links of references, one for each owner. An owner of a kind that nobody knows neither comes nor goes.
    fn links(&self, references: &[Reference]) -> Box<[Link]> {
        let is_known = |reference: &&Reference| self.kinds.iter().any(|kind| reference.is_to(kind));
        let mut blocks: HashMap<Uid, bool> = HashMap::with_capacity(references.len());
        for reference in references.iter().filter(is_known) {
            *blocks.entry(Uid::of(&reference.uid)).or_default() |= reference.block_owner_deletion;
        }
        let mut links: Box<[Link]> =
            blocks.into_iter().map(|(owner, blocks)| Link { owner, blocks }).collect();
        links.sort_unstable_by(|one, other| one.owner.cmp(&other.owner));
        links
    }
}

/// The link to an owner.
fn link_to<'a>(links: &'a [Link], owner: &Uid) -> Option<&'a Link> {
    links.binary_search_by(|link| link.owner.cmp(owner)).ok().map(|at| &links[at])
}
