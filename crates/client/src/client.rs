//! [`Client`]: the verbs of the API for typed kinds, on top of any [`Transport`].
//!
//! Objects come back as `Arc<Object>`; who needs the typed view decodes it (`Object::to`).

use std::sync::Arc;

use podo_api::k8s_openapi::Resource;
use podo_api::{Object, Reason, Status, Value};
use serde::Serialize;

use crate::transport::{
    ObjectList, PatchKind, Payload, Reply, Request, Transport, Verb, WatchStream,
};

/// A client with the identity of its transport.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Which objects of a kind a list or watch is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Only in this namespace; in all if empty.
    pub namespace: String,
    /// Only with these labels; see label selectors.
    pub labels: String,
    /// Only with these fields; see field selectors.
    pub fields: String,
}

impl Query {
    /// All objects of a namespace.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..Self::default() }
    }

    /// All objects that a field selector wants.
    pub fn fields(fields: impl Into<String>) -> Self {
        Self { fields: fields.into(), ..Self::default() }
    }
}

/// How an object is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deletion {
    /// The grace period; the object's own if `None`.
    pub grace_seconds: Option<i64>,
    /// Only the object of this UID.
    pub uid: Option<String>,
    /// Only the object at this version.
    pub resource_version: Option<String>,
    /// `Background`, `Foreground` or `Orphan`; the kind's default if `None`.
    pub propagation: Option<&'static str>,
}

impl Client {
    /// A client over a transport.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// Reads an object.
    pub async fn get<K: Resource>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Object>, Status> {
        self.object(request::<K>(Verb::Get, namespace, name)).await
    }

    /// Reads an object; `None` if there is none. Every other failure stays one.
    pub async fn find<K: Resource>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Object>>, Status> {
        match self.get::<K>(namespace, name).await {
            Ok(object) => Ok(Some(object)),
            Err(status) if status.is_not_found() => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Lists objects.
    pub async fn list<K: Resource>(&self, query: &Query) -> Result<ObjectList, Status> {
        self.list_of(list_request::<K>(query)).await
    }

    /// Sends a list request.
    pub async fn list_of(&self, request: Request) -> Result<ObjectList, Status> {
        match self.transport.send(request).await? {
            Reply::List(list) => Ok(list),
            Reply::Object(_) | Reply::Status(_) => Err(unexpected("a list")),
        }
    }

    /// Watches objects from a revision on.
    pub async fn watch<K: Resource>(
        &self,
        query: &Query,
        after: u64,
    ) -> Result<WatchStream, Status> {
        self.watch_of(list_request::<K>(query), after).await
    }

    /// Watches what a list request finds from a revision on.
    pub async fn watch_of(&self, mut request: Request, after: u64) -> Result<WatchStream, Status> {
        request.options.push(("resourceVersion", after.to_string()));
        request.options.push(("allowWatchBookmarks", "true".to_owned()));
        self.transport.watch(request).await
    }

    /// Makes an object.
    pub async fn create<K: Resource>(
        &self,
        namespace: &str,
        object: &impl Serialize,
    ) -> Result<Arc<Object>, Status> {
        let payload = payload(object)?;
        self.object(Request { payload, ..request::<K>(Verb::Create, namespace, "") }).await
    }

    /// Replaces an object or, where `subresource` names one, a part of it.
    pub async fn update<K: Resource>(
        &self,
        namespace: &str,
        name: &str,
        subresource: &'static str,
        object: &impl Serialize,
    ) -> Result<Arc<Object>, Status> {
        let payload = payload(object)?;
        self.object(Request { subresource, payload, ..request::<K>(Verb::Update, namespace, name) })
            .await
    }

    /// Changes an object or, where `subresource` names one, a part of it.
    pub async fn patch<K: Resource>(
        &self,
        namespace: &str,
        name: &str,
        subresource: &'static str,
        kind: PatchKind,
        patch: Value,
    ) -> Result<Arc<Object>, Status> {
        let payload = Payload::Patch(kind, patch);
        self.object(Request { subresource, payload, ..request::<K>(Verb::Patch, namespace, name) })
            .await
    }

    /// Posts to a subresource, such as `binding` or `token`. The answer is an object or a bare success.
    pub async fn post<K: Resource>(
        &self,
        namespace: &str,
        name: &str,
        subresource: &'static str,
        object: &impl Serialize,
    ) -> Result<Reply, Status> {
        let payload = payload(object)?;
        self.transport
            .send(Request { subresource, payload, ..request::<K>(Verb::Create, namespace, name) })
            .await
    }

    /// Deletes an object. Success says that it is gone or will be.
    pub async fn delete<K: Resource>(
        &self,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
    ) -> Result<(), Status> {
        self.delete_of(request::<K>(Verb::Delete, namespace, name), deletion).await
    }

    /// Sends a request that deletes an object.
    pub async fn delete_of(&self, request: Request, deletion: &Deletion) -> Result<(), Status> {
        let mut options = serde_json::json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let Some(seconds) = deletion.grace_seconds {
            options["gracePeriodSeconds"] = seconds.into();
        }
        if let Some(policy) = deletion.propagation {
            options["propagationPolicy"] = policy.into();
        }
        if let Some(uid) = &deletion.uid {
            options["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(version) = &deletion.resource_version {
            options["preconditions"]["resourceVersion"] = version.as_str().into();
        }
        let payload = Payload::Object(options);
        self.transport.send(Request { payload, ..request }).await.map(|_| ())
    }

    /// Sends a request whose kind is not known to the compiler, such as one found by discovery.
    pub async fn send(&self, request: Request) -> Result<Reply, Status> {
        self.transport.send(request).await
    }

    /// Sends a request that is answered with an object.
    pub async fn object(&self, request: Request) -> Result<Arc<Object>, Status> {
        match self.transport.send(request).await? {
            Reply::Object(object) => Ok(object),
            Reply::List(_) | Reply::Status(_) => Err(unexpected("an object")),
        }
    }
}

fn request<K: Resource>(verb: Verb, namespace: &str, name: &str) -> Request {
    Request {
        verb,
        group: K::GROUP,
        version: K::VERSION,
        plural: K::URL_PATH_SEGMENT,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: "",
        options: Vec::new(),
        payload: Payload::None,
    }
}

/// The request that lists what a query finds.
pub(crate) fn list_request<K: Resource>(query: &Query) -> Request {
    let mut request = request::<K>(Verb::List, &query.namespace, "");
    if !query.labels.is_empty() {
        request.options.push(("labelSelector", query.labels.clone()));
    }
    if !query.fields.is_empty() {
        request.options.push(("fieldSelector", query.fields.clone()));
    }
    request
}

fn payload(object: &impl Serialize) -> Result<Payload, Status> {
    serde_json::to_value(object).map(Payload::Object).map_err(Status::internal)
}

fn unexpected(wanted: &str) -> Status {
    Status::failure(Reason::InternalError, format!("the server did not answer with {wanted}"))
}
