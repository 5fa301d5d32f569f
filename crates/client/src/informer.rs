//! Informers: a local, always current copy of the objects of a query, and the word that something in it changed.
//!
//! Reads     through a watcher.
//! Holds always
//! - The copy shows the state at one revision; it never goes back.
//! - Every change is told to the handler after the copy shows it, also what changed while the watch was broken.
//!
//! Handlers are told keys and objects but should act on the copy: level-triggered.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use podo_api::Object;
use podo_api::k8s_openapi::Resource;
use podo_base::Stop;
use tokio::sync::watch;

use crate::client::{Client, Query, list_request};
use crate::watcher;

/// Namespace and name.
pub type Key = (Arc<str>, Arc<str>);

/// The key of an object.
pub fn key_of(object: &Object) -> Key {
    (Arc::from(&*object.namespace), Arc::from(&*object.name))
}

/// One change of the copy.
#[derive(Debug, Clone)]
pub struct Change {
    /// The object before; `None` if it is new.
    pub old: Option<Arc<Object>>,
    /// The object now; `None` if it is gone.
    pub new: Option<Arc<Object>>,
}

impl Change {
    /// The object now, or as it last was.
    pub fn object(&self) -> &Arc<Object> {
        match (&self.new, &self.old) {
            (Some(object), _) | (None, Some(object)) => object,
            (None, None) => unreachable!("a change is of an object"),
        }
    }
}

/// A local copy of the objects of a query.
#[derive(Debug)]
pub struct Cache {
    objects: RwLock<BTreeMap<Key, Arc<Object>>>,
    /// The revision that the copy shows; 0 before the first list.
    revision: watch::Sender<u64>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { objects: RwLock::default(), revision: watch::Sender::new(0) }
    }
}

impl Cache {
    /// An empty copy that shows nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// An object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let key = (Arc::from(namespace), Arc::from(name));
        self.objects.read().get(&key).cloned()
    }

    /// All objects.
    pub fn list(&self) -> Vec<Arc<Object>> {
        self.objects.read().values().cloned().collect()
    }

    /// All objects of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<Object>> {
        let start: Key = (Arc::from(namespace), Arc::from(""));
        let objects = self.objects.read();
        objects
            .range(start..)
            .take_while(|(key, _)| &*key.0 == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.read().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.read().is_empty()
    }

    /// Whether the copy shows anything yet.
    pub fn is_synced(&self) -> bool {
        *self.revision.borrow() > 0
    }

    /// Waits until the copy shows a revision, such as that of an own write. Bounded by the caller's [`Stop`].
    pub async fn reached(&self, revision: u64) {
        let mut receiver = self.revision.subscribe();
        // The sender lives as long as `self`.
        let _never_closed = receiver.wait_for(|shown| *shown >= revision).await;
    }

    /// Waits until the copy shows the first list.
    pub async fn synced(&self) {
        self.reached(1).await;
    }

    fn show(&self, revision: u64) {
        self.revision.send_if_modified(|shown| {
            let is_newer = revision > *shown;
            *shown = revision.max(*shown);
            is_newer
        });
    }

    fn put(&self, object: Arc<Object>) -> Change {
        let old = self.objects.write().insert(key_of(&object), Arc::clone(&object));
        Change { old, new: Some(object) }
    }

    fn remove(&self, object: &Arc<Object>) -> Change {
        let old = self.objects.write().remove(&key_of(object));
        Change { old: old.or_else(|| Some(Arc::clone(object))), new: None }
    }

    /// Replaces the whole copy and returns what changed.
    fn replace(&self, items: Vec<Arc<Object>>) -> Vec<Change> {
        let mut fresh: BTreeMap<Key, Arc<Object>> =
            items.into_iter().map(|object| (key_of(&object), object)).collect();
        let mut objects = self.objects.write();
        std::mem::swap(&mut *objects, &mut fresh);
        let mut before = fresh;
        let mut changes = Vec::new();
        for (key, object) in objects.iter() {
            let old = before.remove(key);
            if old.as_ref().is_none_or(|old| old.resource_version != object.resource_version) {
                changes.push(Change { old, new: Some(Arc::clone(object)) });
            }
        }
        changes.extend(before.into_values().map(|old| Change { old: Some(old), new: None }));
        changes
    }
}

/// What is told of every change.
pub type Handler = Box<dyn Fn(&Change) + Send + Sync>;

/// A copy and who is told of its changes.
struct Copy {
    cache: Arc<Cache>,
    handler: Handler,
}

impl watcher::Sink for Copy {
    fn listed(&self, objects: Vec<Arc<Object>>, revision: u64) {
        for change in self.cache.replace(objects) {
            (self.handler)(&change);
        }
        self.cache.show(revision);
    }

    fn put(&self, object: Arc<Object>) {
        let revision = object.resource_version;
        let change = self.cache.put(object);
        self.cache.show(revision);
        (self.handler)(&change);
    }

    fn removed(&self, object: Arc<Object>) {
        let change = self.cache.remove(&object);
        self.cache.show(object.resource_version);
        (self.handler)(&change);
    }

    fn reached(&self, revision: u64) {
        self.cache.show(revision);
    }
}

/// Keeps `cache` current until `stop`.
pub async fn run<K: Resource>(
    client: Client,
    query: Query,
    cache: Arc<Cache>,
    handler: Handler,
    stop: Stop,
) {
    let request = list_request::<K>(&query);
    watcher::run(client, request, Copy { cache, handler }, stop).await;
}
