//! The in-process transport: a client's requests enter the server's pipeline without a socket, a copy or JSON in between.
//!
//! Holds always
//! - The identity is fixed where the transport is made; authorization, admission and validation are those of any request.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use podo_api::Status;
use podo_apiserver::{
    Api, Body, Call, EventKind, Options, Outcome, PatchKind, Target, User, Warnings,
    WatchItem as ServerItem,
};
use podo_client::transport::{
    self, ObjectList, Payload, Reply, Request, Transport, WatchItem, WatchStream,
};
use podo_registry::Verb;

/// A transport into the API server of this process.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    api: Arc<Api>,
    user: Arc<User>,
    agent: Box<str>,
}

impl Local {
    /// A transport whose requests are those of `user`; `agent` is who manages the fields that it sets.
    pub(crate) fn new(api: Arc<Api>, user: User, agent: &str) -> Arc<Self> {
        Arc::new(Self { api, user: Arc::new(user), agent: agent.into() })
    }

    fn call(&self, request: Request, verb: Verb) -> Result<Call, Status> {
        let definition = podo_registry::find(request.group, request.version, request.plural)
            .ok_or_else(Status::no_such_resource)?;
        let subresource = match request.subresource {
            "" => None,
            name => Some(definition.subresource(name).ok_or_else(Status::no_such_resource)?),
        };
        let pairs =
            request.options.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Call {
            user: Arc::clone(&self.user),
            verb,
            target: Target {
                definition,
                namespace: request.namespace.into(),
                name: request.name.into(),
                subresource,
            },
            options: Options::new(pairs),
            body: body(request.payload)?,
            agent: self.agent.clone(),
            warnings: Warnings::default(),
        })
    }
}

fn body(payload: Payload) -> Result<Body, Status> {
    Ok(match payload {
        Payload::None => Body::EMPTY,
        Payload::Object(value) => Body::Tree(value),
        Payload::Patch(kind, patch) => {
            let kind = match kind {
                transport::PatchKind::Json => PatchKind::Json,
                transport::PatchKind::Merge => PatchKind::Merge,
                transport::PatchKind::Strategic => PatchKind::Strategic,
            };
            Body::Patch(kind, serde_json::to_vec(&patch).map_err(Status::internal)?.into())
        }
    })
}

fn verb(verb: transport::Verb) -> Verb {
    match verb {
        transport::Verb::Get => Verb::Get,
        transport::Verb::List => Verb::List,
        transport::Verb::Create => Verb::Create,
        transport::Verb::Update => Verb::Update,
        transport::Verb::Patch => Verb::Patch,
        transport::Verb::Delete => Verb::Delete,
        transport::Verb::DeleteCollection => Verb::DeleteCollection,
    }
}

fn reply(outcome: Outcome) -> Result<Reply, Status> {
    Ok(match outcome {
        Outcome::Object { object, .. } => Reply::Object(object),
        Outcome::List(list) => Reply::List(ObjectList {
            items: list.items,
            revision: list.revision,
            continue_token: list.continue_token,
        }),
        Outcome::Tree { value, ty, .. } => {
            let ty =
                podo_api::schema::builtin().get(ty).ok_or_else(|| Status::internal("no schema"))?;
            Reply::Object(Arc::new(podo_api::Object::new(&value, ty, Box::default())))
        }
        Outcome::Status(status) => Reply::Status(status),
        Outcome::Watch(_) => return Err(Status::internal("a watch is not a reply")),
    })
}

impl Transport for Local {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        async move {
            let verb = verb(request.verb);
            let call = self.call(request, verb)?;
            reply(self.api.execute(call).await?)
        }
        .boxed()
    }

    fn watch(&self, request: Request) -> BoxFuture<'_, Result<WatchStream, Status>> {
        async move {
            let call = self.call(request, Verb::Watch)?;
            let Outcome::Watch(watch) = self.api.execute(call).await? else {
                return Err(Status::internal("the server did not answer with a watch"));
            };
            let items = stream::unfold(watch, |mut watch| async move {
                let item = watch.next().await?;
                Some((item, watch))
            });
            Ok(items.map(item).boxed())
        }
        .boxed()
    }
}

fn item(item: ServerItem) -> WatchItem {
    match item {
        ServerItem::Event(EventKind::Added, object, _) => WatchItem::Added(object),
        ServerItem::Event(EventKind::Modified, object, _) => WatchItem::Modified(object),
        ServerItem::Event(EventKind::Deleted, object, _) => WatchItem::Deleted(object),
        ServerItem::Bookmark(revision, _) => WatchItem::Bookmark(revision),
        ServerItem::Error(status) => WatchItem::Error(status),
    }
}
