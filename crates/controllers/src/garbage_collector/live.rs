//! What the garbage collector asks the server for, and what it makes it do.

use std::sync::Arc;

use memchr::memmem;
use podo_api::k8s_openapi::api::core::v1::Event;
use podo_api::{Object, Status, Value};
use podo_base::Clock;
use podo_client::transport::{PatchKind, Payload, Request, Verb};
use podo_client::{Client, Deletion};
use serde_json::json;

use super::graph::KindIndex;
use super::ownership::{Ownership, Reference};
use crate::StoredKind;

/// What the collector is called where it tells of something.
const COMPONENT: &str = "garbage-collector-controller";

/// The server.
pub(super) struct Live {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) kinds: Arc<[StoredKind]>,
}

/// An object and its kind.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) kind: StoredKind,
    pub(super) object: Arc<Object>,
}

impl Live {
    pub(super) fn kind(&self, index: KindIndex) -> Option<StoredKind> {
        self.kinds.get(usize::from(index)).copied()
    }

    /// The kind that a reference names.
    pub(super) fn kind_of(&self, reference: &Reference) -> Option<(KindIndex, StoredKind)> {
        let index = self.kinds.iter().position(|kind| reference.is_to(kind))?;
        Some((KindIndex::try_from(index).ok()?, self.kinds[index]))
    }

    /// An object by its name.
    pub(super) async fn find(
        &self,
        kind: StoredKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Object>>, Status> {
        match self.client.object(kind.request(Verb::Get, namespace, name)).await {
            Ok(object) => Ok(Some(object)),
            Err(status) if status.is_not_found() => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Whether the owner that a reference names is in another namespace than that of its dependent.
    pub(super) async fn is_elsewhere(
        &self,
        kind: StoredKind,
        uid: &str,
        own: &str,
    ) -> Result<bool, Status> {
        if !kind.is_namespaced {
            return Ok(false);
        }
        let list = self.client.list_of(kind.request(Verb::List, "", "")).await?;
        Ok(list.items.iter().any(|object| *object.uid == *uid && *object.namespace != *own))
    }

    /// Every object that refers to an owner where that may be referred to from: the graph may not have heard of all yet.
    pub(super) async fn dependents(
        &self,
        owner: &Found,
    ) -> Result<Vec<(Found, Ownership)>, Status> {
        let mut found = Vec::new();
        for kind in self.kinds.iter().filter(|kind| kind.is_namespaced || !owner.kind.is_namespaced)
        {
            let request = kind.request(Verb::List, &owner.object.namespace, "");
            for object in self.client.list_of(request).await?.items {
                if memmem::find(object.json(), owner.object.uid.as_bytes()).is_none() {
                    continue;
                }
                let ownership = Ownership::of(&object);
                let is_owner = |reference: &Reference| *reference.uid == *owner.object.uid;
                if *object.uid != *owner.object.uid && ownership.references.iter().any(is_owner) {
                    found.push((Found { kind: *kind, object }, ownership));
                }
            }
        }
        Ok(found)
    }

    /// Deletes an object if it is the one that was looked at and has not changed since.
    pub(super) async fn delete(
        &self,
        found: &Found,
        propagation: &'static str,
    ) -> Result<(), Status> {
        let Found { kind, object } = found;
        let deletion = Deletion {
            uid: Some(object.uid.to_string()),
            resource_version: Some(object.resource_version.to_string()),
            propagation: Some(propagation),
            grace_seconds: None,
        };
        let request = kind.request(Verb::Delete, &object.namespace, &object.name);
        self.client.delete_of(request, &deletion).await
    }

    /// Takes the references to owners away from an object.
    pub(super) async fn unlink(&self, found: &Found, owners: &[String]) -> Result<(), Status> {
        let gone: Vec<Value> =
            owners.iter().map(|uid| json!({"$patch": "delete", "uid": uid})).collect();
        self.patch_references(found, gone).await
    }

    /// Makes an object block none of its owners.
    pub(super) async fn unblock(&self, found: &Found, ownership: &Ownership) -> Result<(), Status> {
        let blocking = ownership.references.iter().filter(|owner| owner.block_owner_deletion);
        let changed: Vec<Value> =
            blocking.map(|owner| json!({"uid": owner.uid, "blockOwnerDeletion": false})).collect();
        self.patch_references(found, changed).await
    }

    /// The UID in the patch lets it touch no other object of that name.
    async fn patch_references(&self, found: &Found, changes: Vec<Value>) -> Result<(), Status> {
        let uid = &*found.object.uid;
        let patch = json!({"metadata": {"uid": uid, "ownerReferences": changes}});
        self.patch(found, PatchKind::Strategic, patch).await
    }

    /// Takes a finalizer away from an object that has not changed since it was looked at.
    pub(super) async fn remove_finalizer(
        &self,
        found: &Found,
        ownership: &Ownership,
        finalizer: &str,
    ) -> Result<(), Status> {
        let left: Vec<&String> =
            ownership.finalizers.iter().filter(|name| *name != finalizer).collect();
        let version = found.object.resource_version.to_string();
        let patch = json!({"metadata": {"resourceVersion": version, "finalizers": left}});
        self.patch(found, PatchKind::Merge, patch).await
    }

    async fn patch(&self, found: &Found, kind: PatchKind, patch: Value) -> Result<(), Status> {
        let Found { kind: of, object } = found;
        let request = Request {
            payload: Payload::Patch(kind, patch),
            ..of.request(Verb::Patch, &object.namespace, &object.name)
        };
        match self.client.object(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.is_not_found() => Ok(()),
            Err(status) => Err(status),
        }
    }

    /// Tells in an event that a reference is to an owner in another namespace.
    pub(super) async fn tell_invalid_namespace(&self, found: &Found, owner: &Reference) {
        let event = invalid_namespace(found, owner, &*self.clock);
        let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
        if let Err(status) = self.client.create::<Event>(namespace, &event).await {
            tracing::debug!(namespace, name = &*found.object.name, error = %status, "event not written");
        }
    }
}

fn invalid_namespace(found: &Found, owner: &Reference, clock: &dyn Clock) -> Value {
    let Found { kind, object } = found;
    let Reference { api_version, kind: owner_kind, name, uid, .. } = owner;
    let own = &*object.namespace;
    let message = format!(
        "ownerRef [{api_version}/{owner_kind}, namespace: {own}, name: {name}, uid: {uid}] does not exist in namespace {own:?}"
    );
    let group = if kind.group.is_empty() { "" } else { "/" };
    let now = clock.now();
    let at = now.to_rfc3339();
    json!({
        "kind": "Event", "apiVersion": "v1",
        "metadata": {
            "name": format!("{}.{:x}", object.name, now.as_micros()),
            "namespace": if own.is_empty() { "default" } else { own },
        },
        "involvedObject": {
            "kind": kind.kind, "apiVersion": format!("{}{group}{}", kind.group, kind.version),
            "namespace": own, "name": &*object.name, "uid": &*object.uid,
        },
        "type": "Warning", "reason": "OwnerRefInvalidNamespace", "message": message,
        "source": {"component": COMPONENT}, "reportingComponent": COMPONENT,
        "firstTimestamp": at, "lastTimestamp": at, "count": 1,
    })
}
