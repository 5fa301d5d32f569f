//! [`FakeServer`]: an API server in memory, as far as a node agent needs one: objects, watches, patches, graceful deletion.
//!
//! No defaults, no validation, no authorization: what a test puts in is what the node agent gets.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use podo_api::patch::{merge, strategic};
use podo_api::selector::field::Selector as FieldSelector;
use podo_api::{Object, Reason, Status, Value, meta, schema, tree};
use podo_base::Timestamp;
use podo_client::Client;
use podo_client::transport::{
    ObjectList, PatchKind, Payload, Reply, Request, Transport, Verb, WatchItem, WatchStream,
};
use serde_json::json;
use tokio::sync::{broadcast, watch};

type Key = (String, String, String);

/// An API server in memory.
pub struct FakeServer {
    state: Mutex<State>,
    events: broadcast::Sender<(String, u64, WatchItem)>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    revision: u64,
    objects: BTreeMap<Key, Value>,
    /// Writes as `verb resource[/subresource] name`.
    writes: Vec<String>,
    failures: BTreeMap<&'static str, u32>,
}

impl std::fmt::Debug for FakeServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeServer").finish_non_exhaustive()
    }
}

fn type_name(plural: &str) -> &'static str {
    match plural {
        "pods" => "core/v1.Pod",
        "nodes" => "core/v1.Node",
        "configmaps" => "core/v1.ConfigMap",
        "secrets" => "core/v1.Secret",
        "services" => "core/v1.Service",
        "serviceaccounts" => "core/v1.ServiceAccount",
        "events" => "core/v1.Event",
        "leases" => "coordination/v1.Lease",
        "tokens" => "authentication/v1.TokenRequest",
        other => unreachable!("the API server in memory has no {other:?}"),
    }
}

fn ty(plural: &str) -> schema::TypeRef<'static> {
    let name = type_name(plural);
    schema::builtin().get(name).unwrap_or_else(|| unreachable!("the schema has {name:?}"))
}

fn object(plural: &str, value: &Value) -> Arc<Object> {
    Arc::new(Object::new(value, ty(plural), Box::default()))
}

impl FakeServer {
    /// An empty server and a client of it.
    pub fn new() -> (Arc<Self>, Client) {
        let (events, _none) = broadcast::channel(4096);
        let server =
            Arc::new(Self { state: Mutex::default(), events, changed: watch::Sender::new(0) });
        let client = Client::new(Arc::clone(&server) as Arc<dyn Transport>);
        (server, client)
    }

    /// Puts an object in, new or changed. Its UID is its name where it has none.
    pub fn put(&self, plural: &str, mut value: Value) {
        let name = meta::name(&value).to_owned();
        if meta::uid(&value).is_empty() {
            meta::set(&mut value, "uid", format!("uid-{name}"));
        }
        let key = (plural.to_owned(), meta::namespace(&value).to_owned(), name);
        let is_new = !self.state.lock().objects.contains_key(&key);
        self.store(key, value, is_new);
    }

    /// Changes an object before who watches it hears of it.
    pub fn change_untold(&self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let key = (plural.to_owned(), String::new(), name.to_owned());
        if let Some(value) = self.state.lock().objects.get_mut(&key) {
            change(value);
        }
    }

    /// An object; null if there is none.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Value {
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        self.state.lock().objects.get(&key).cloned().unwrap_or_default()
    }

    /// All objects of a resource.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        let state = self.state.lock();
        let all = state.objects.iter().filter(|((of, _, _), _)| of == plural);
        all.map(|(_, value)| value.clone()).collect()
    }

    /// Asks for a Pod's deletion, as a user does.
    pub fn delete_pod(&self, namespace: &str, name: &str, grace_seconds: i64) {
        let key = ("pods".to_owned(), namespace.to_owned(), name.to_owned());
        let mut value = self.get("pods", namespace, name);
        meta::set(&mut value, "deletionTimestamp", Timestamp::default().to_rfc3339());
        meta::set(&mut value, "deletionGracePeriodSeconds", grace_seconds);
        self.store(key, value, false);
    }

    /// Takes an object out at once.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) {
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        self.drop_object(&key);
    }

    /// Lets writes of this form fail so many times with a conflict.
    pub fn fail(&self, write: &'static str, times: u32) {
        self.state.lock().failures.insert(write, times);
    }

    /// The writes so far, as `verb resource[/subresource] name`; heartbeats and events are not among them.
    pub fn writes(&self) -> Vec<String> {
        self.state.lock().writes.clone()
    }

    /// Waits until an object is as wanted, and returns it.
    pub async fn wait(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut changed = self.changed.subscribe();
        // The sender lives as long as `self`.
        let _never_closed = changed.wait_for(|_| is_so(&self.get(plural, namespace, name))).await;
        self.get(plural, namespace, name)
    }

    fn store(&self, key: Key, mut value: Value, is_new: bool) -> Value {
        let plural = key.0.clone();
        let (revision, value) = {
            let mut state = self.state.lock();
            state.revision += 1;
            meta::set(&mut value, "resourceVersion", state.revision.to_string());
            state.objects.insert(key, value.clone());
            (state.revision, value)
        };
        let object = object(&plural, &value);
        let item = if is_new { WatchItem::Added(object) } else { WatchItem::Modified(object) };
        self.tell(plural, revision, item);
        value
    }

    fn drop_object(&self, key: &Key) {
        let (revision, value) = {
            let mut state = self.state.lock();
            let Some(mut value) = state.objects.remove(key) else { return };
            state.revision += 1;
            meta::set(&mut value, "resourceVersion", state.revision.to_string());
            (state.revision, value)
        };
        self.tell(key.0.clone(), revision, WatchItem::Deleted(object(&key.0, &value)));
    }

    fn tell(&self, plural: String, revision: u64, item: WatchItem) {
        // Nobody has to listen.
        let _nobody = self.events.send((plural, revision, item));
        self.changed.send_modify(|count| *count += 1);
    }

    fn answer(&self, request: Request) -> Result<Reply, Status> {
        let Request { verb, plural, namespace, name, subresource, payload, .. } = request;
        let key = (plural.to_owned(), namespace.clone(), name.clone());
        self.note(verb, plural, subresource, &name)?;
        let missing = || Status::failure(Reason::NotFound, format!("{plural} {name:?} not found"));
        let found = || {
            let value = self.get(plural, &namespace, &name);
            if value.is_null() { Err(missing()) } else { Ok(value) }
        };
        let reply = |value: &Value| Ok(Reply::Object(object(plural, value)));
        match (verb, payload) {
            (Verb::Get, _) => reply(&found()?),
            (Verb::List, _) => Ok(Reply::List(self.list(&request_query(&request.options), &key))),
            (Verb::Create, Payload::Object(_)) if subresource == "token" => {
                let state = self.state.lock();
                let made = state.writes.iter().filter(|write| write.contains("/token ")).count();
                // Each lasts an hour after the one before.
                let token = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
                    "spec": {"audiences": []}, "status": {"token": format!("token-{made}"),
                        "expirationTimestamp": format!("2026-01-01T{made:02}:00:00Z")}});
                Ok(Reply::Object(object("tokens", &token)))
            }
            (Verb::Create, Payload::Object(mut value)) => {
                let name = meta::name(&value).to_owned();
                if !self.get(plural, &namespace, &name).is_null() {
                    return Err(Status::failure(Reason::AlreadyExists, "it exists"));
                }
                meta::set(&mut value, "uid", format!("uid-{name}"));
                reply(&self.store((key.0, key.1, name), value, true))
            }
            (Verb::Update, Payload::Object(value)) => reply(&self.store(key, value, false)),
            (Verb::Patch, Payload::Patch(kind, patch)) => {
                let old = found()?;
                reply(&self.store(key, apply(plural, old, kind, patch)?, false))
            }
            (Verb::Delete, Payload::Object(options)) => {
                let uid = tree::str_at(&options, &["preconditions", "uid"]);
                if !uid.is_empty() && uid != meta::uid(&found()?) {
                    return Err(Status::failure(Reason::Conflict, "the UID is another"));
                }
                self.drop_object(&key);
                Ok(Reply::Status(Status::success(200, None)))
            }
            (verb, payload) => unreachable!("nobody sends {verb:?} with {payload:?}"),
        }
    }

    fn note(&self, verb: Verb, plural: &str, subresource: &str, name: &str) -> Result<(), Status> {
        let is_read = matches!(verb, Verb::Get | Verb::List);
        if is_read || matches!(plural, "leases" | "events" | "nodes") {
            return Ok(());
        }
        let separator = if subresource.is_empty() { "" } else { "/" };
        let write = format!("{verb:?} {plural}{separator}{subresource} {name}").to_lowercase();
        let mut state = self.state.lock();
        let fails = match state.failures.get_mut(write.as_str()) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        };
        state.writes.push(write);
        if fails { Err(Status::failure(Reason::Conflict, "somebody was faster")) } else { Ok(()) }
    }

    fn list(&self, selector: &FieldSelector, key: &Key) -> ObjectList {
        let state = self.state.lock();
        let of_kind = state.objects.iter().filter(|((plural, namespace, _), value)| {
            *plural == key.0
                && (key.1.is_empty() || *namespace == key.1)
                && selects(selector, value)
        });
        ObjectList {
            items: of_kind.map(|(_, value)| object(&key.0, value)).collect(),
            // A list is never of revision 0, which means that nothing was listed.
            revision: state.revision.max(1),
            continue_token: String::new(),
        }
    }
}

fn apply(plural: &str, old: Value, kind: PatchKind, mut patch: Value) -> Result<Value, Status> {
    Ok(match kind {
        PatchKind::Merge => merge::apply(old, patch),
        PatchKind::Strategic => {
            strategic::apply(old, &mut patch, ty(plural)).map_err(Status::internal)?
        }
        PatchKind::Json => unreachable!("nobody sends JSON patches"),
    })
}

fn request_query(options: &[(&'static str, String)]) -> FieldSelector {
    let text = options.iter().find(|(key, _)| *key == "fieldSelector");
    let text = text.map_or("", |(_, text)| text.as_str());
    FieldSelector::parse(text).unwrap_or_else(|error| unreachable!("{error}"))
}

fn selects(selector: &FieldSelector, value: &Value) -> bool {
    selector.matches(|field| {
        let path: Vec<&str> = field.split('.').collect();
        tree::str_at(value, &path)
    })
}

impl Transport for FakeServer {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        Box::pin(std::future::ready(self.answer(request)))
    }

    fn watch(&self, request: Request) -> BoxFuture<'_, Result<WatchStream, Status>> {
        let selector = request_query(&request.options);
        let after = request.options.iter().find(|(key, _)| *key == "resourceVersion");
        let after: u64 = after.and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
        let (plural, namespace) = (request.plural, request.namespace);
        // Subscribed and read under one lock: nothing falls between.
        let (receiver, missed) = {
            let state = self.state.lock();
            let missed: Vec<WatchItem> = state
                .objects
                .iter()
                .filter(|((of, _, _), value)| {
                    of == plural && meta::resource_version(value).unwrap_or(0) > after
                })
                .map(|(_, value)| WatchItem::Modified(object(plural, value)))
                .collect();
            (self.events.subscribe(), missed)
        };
        let live = stream::unfold(receiver, |mut receiver| async move {
            let event = receiver.recv().await.ok()?;
            Some((event, receiver))
        });
        let live = live
            .filter_map(move |(of, _, item)| std::future::ready((of == plural).then_some(item)));
        let all = stream::iter(missed).chain(live).filter(move |item| {
            let is_wanted = match item {
                WatchItem::Added(object)
                | WatchItem::Modified(object)
                | WatchItem::Deleted(object) => {
                    (namespace.is_empty() || *object.namespace == *namespace)
                        && selects(&selector, &object.value())
                }
                WatchItem::Bookmark(_) | WatchItem::Error(_) => true,
            };
            std::future::ready(is_wanted)
        });
        Box::pin(std::future::ready(Ok(all.boxed())))
    }
}
