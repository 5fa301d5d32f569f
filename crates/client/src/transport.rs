//! [`Transport`]: how requests reach the API server. In the server's own process it is a call into the request pipeline, elsewhere
//! HTTPS; whoever uses a [`crate::Client`] cannot tell which.
//!
//! A transport has a fixed identity, chosen where it is made: no request can choose another.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use podo_api::{Object, Status, Value};

/// What is asked of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read the objects of a namespace or of the cluster.
    List,
    /// Make an object.
    Create,
    /// Replace an object.
    Update,
    /// Change an object.
    Patch,
    /// Remove an object.
    Delete,
    /// Remove the objects of a namespace.
    DeleteCollection,
}

/// The kind of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// Strategic merge patch.
    Strategic,
}

/// What a request brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Nothing.
    None,
    /// An object or options.
    Object(Value),
    /// A patch.
    Patch(PatchKind, Value),
}

/// A request to a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is asked.
    pub verb: Verb,
    /// The API group; empty for core.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The resource in the plural.
    pub plural: &'static str,
    /// The namespace; empty for cluster-scoped resources and for all namespaces.
    pub namespace: String,
    /// The name; empty for collections.
    pub name: String,
    /// The subresource; empty for the object itself.
    pub subresource: &'static str,
    /// The pairs of the query.
    pub options: Vec<(&'static str, String)>,
    /// The body.
    pub payload: Payload,
}

/// A list at one revision.
#[derive(Debug, Clone)]
pub struct ObjectList {
    /// The objects.
    pub items: Vec<Arc<Object>>,
    /// The revision that they were read at: a watch goes on from here.
    pub revision: u64,
    /// Where to go on; empty at the end.
    pub continue_token: String,
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// An object.
    Object(Arc<Object>),
    /// A list.
    List(ObjectList),
    /// A success without an object.
    Status(Status),
}

/// One thing that a watch says.
#[derive(Debug, Clone)]
pub enum WatchItem {
    /// An object is there, or began to be selected.
    Added(Arc<Object>),
    /// An object changed.
    Modified(Arc<Object>),
    /// An object is gone, or is not selected any longer.
    Deleted(Arc<Object>),
    /// Everything up to this revision was told.
    Bookmark(u64),
    /// The watch is over for this reason.
    Error(Status),
}

/// The events of a watch; it ends when the server ends it.
pub type WatchStream = BoxStream<'static, WatchItem>;

/// How requests reach the API server.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and waits for its answer.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>>;

    /// Opens a watch; `request` is that of a list.
    fn watch(&self, request: Request) -> BoxFuture<'_, Result<WatchStream, Status>>;
}
