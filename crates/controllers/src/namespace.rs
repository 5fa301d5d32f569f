//! Namespace controller: empties a namespace that is being deleted, and lets it go when it is empty.
//!
//! Reads     Namespaces, and what is in those that go.
//! Writes    deletes everything in them, `namespaces/status`, `namespaces/finalize`.
//! Wakes on  a namespace with a deletion timestamp; later again while something is left.
//!
//! Holds always
//! - Pods go before everything else (Kubernetes v1.36 `OrderedNamespaceDeletion`), so that nothing they use vanishes under them.
//! - The namespace is finalized only after a pass that found nothing.

use std::sync::Arc;
use std::time::Duration;

use podo_api::k8s_openapi::api::core::v1::Namespace;
use podo_api::{Object, Status, Value, meta, tree};
use podo_base::{Clock, Tasks};
use podo_client::informer::{self, Cache, Key};
use podo_client::queue::Queue;
use podo_client::runner::{self, Next};
use podo_client::transport::{Payload, Request, Verb};
use podo_client::{Client, Query};
use serde_json::json;

use crate::{Context, StoredKind};

/// How soon a namespace is looked at again in which something is left. What is left ends by itself (graceful Pods) or when
/// somebody removes a finalizer; neither wakes this controller, which watches namespaces only.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The finalizer in `spec` that this controller removes.
const FINALIZER: &str = "kubernetes";

struct Emptier {
    client: Client,
    clock: Arc<dyn Clock>,
    namespaces: Arc<Cache>,
    resources: Vec<StoredKind>,
}

/// What is left in a namespace.
#[derive(Debug, Default, PartialEq, Eq)]
struct Remaining {
    /// `pods. has 1 resource instances`, for each resource.
    content: Vec<String>,
    /// `a.b/c in 2 resource instances`, for each finalizer.
    finalizers: Vec<(String, usize)>,
}

pub(super) fn start(context: &Context, tasks: &mut Tasks) {
    let client = (context.client)("namespace-controller");
    let queue = Arc::new(Queue::new(runner::RETRY));
    let namespaced = context.stored.iter().filter(|kind| kind.is_namespaced);
    let mut resources: Vec<StoredKind> = namespaced.copied().collect();
    // What runs goes first.
    resources.sort_by_key(|resource| usize::from(!is_pods(resource)));
    let emptier = Arc::new(Emptier {
        client: client.clone(),
        clock: Arc::clone(&context.clock),
        namespaces: Cache::new(),
        resources,
    });
    let stop = tasks.stop_signal();
    let wake = Arc::clone(&queue);
    let handler: informer::Handler = Box::new(move |change| {
        if change.new.as_ref().is_some_and(|namespace| meta::is_deleting(&namespace.view())) {
            wake.add((Arc::from(""), Arc::from(&*change.object().name)));
        }
    });
    let cache = Arc::clone(&emptier.namespaces);
    tasks.spawn(
        "namespace namespaces",
        informer::run::<Namespace>(
            context.manager.clone(),
            Query::default(),
            cache,
            handler,
            stop.clone(),
        ),
    );
    let reconcile = move |key: Key| {
        let emptier = Arc::clone(&emptier);
        async move { emptier.reconcile(&key.1).await }
    };
    tasks.spawn(
        "namespace",
        runner::run("namespace-controller", queue, Arc::default(), reconcile, stop),
    );
}

fn is_pods(resource: &StoredKind) -> bool {
    use podo_api::k8s_openapi::Resource as _;
    use podo_api::k8s_openapi::api::core::v1::Pod;
    resource.group == Pod::GROUP && resource.plural == Pod::URL_PATH_SEGMENT
}

impl Emptier {
    async fn reconcile(&self, name: &str) -> Result<Next, Status> {
        let Some(namespace) = self.namespaces.get("", name) else { return Ok(Next::OnChange) };
        let value = namespace.value();
        if !meta::is_deleting(&value) || !has_finalizer(&value) {
            return Ok(Next::OnChange);
        }
        let remaining = self.empty(name).await?;
        if !remaining.content.is_empty() {
            self.report(name, &value, &remaining).await?;
            return Ok(Next::After(LOOK_AGAIN));
        }
        self.finalize(name, &value).await?;
        Ok(Next::OnChange)
    }

    /// Deletes what is there and says what is left. Nothing but Pods is touched while there are Pods.
    async fn empty(&self, namespace: &str) -> Result<Remaining, Status> {
        let mut remaining = Remaining::default();
        for resource in &self.resources {
            let left = self.empty_resource(namespace, *resource).await?;
            remaining.add(*resource, &left);
            if is_pods(resource) && !left.is_empty() {
                break;
            }
        }
        Ok(remaining)
    }

    async fn empty_resource(
        &self,
        namespace: &str,
        resource: StoredKind,
    ) -> Result<Vec<Arc<Object>>, Status> {
        let found = self.list(namespace, resource).await?;
        if found.is_empty() {
            return Ok(found);
        }
        let options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        let request = Request {
            payload: Payload::Object(options),
            ..resource.request(Verb::DeleteCollection, namespace, "")
        };
        self.client.send(request).await?;
        self.list(namespace, resource).await
    }

    async fn list(
        &self,
        namespace: &str,
        resource: StoredKind,
    ) -> Result<Vec<Arc<Object>>, Status> {
        let list = self.client.list_of(resource.request(Verb::List, namespace, "")).await?;
        Ok(list.items)
    }

    /// Tells in the namespace's conditions what keeps it.
    async fn report(
        &self,
        name: &str,
        namespace: &Value,
        remaining: &Remaining,
    ) -> Result<(), Status> {
        let mut new = namespace.clone();
        let conditions = conditions(namespace, remaining, &self.clock.now().to_rfc3339());
        let status = tree::as_map(&mut new).entry("status").or_insert(Value::Null);
        tree::set(status, "conditions", conditions);
        if new == *namespace {
            return Ok(());
        }
        match self.client.update::<Namespace>("", name, "status", &new).await {
            Ok(_) => Ok(()),
            // Somebody else changed it, which wakes us again, or it is gone, which settles it.
            Err(status) if status.is_conflict() || status.is_not_found() => Ok(()),
            Err(status) => Err(status),
        }
    }

    async fn finalize(&self, name: &str, namespace: &Value) -> Result<(), Status> {
        let mut new = namespace.clone();
        let finalizers: Vec<Value> = tree::items_at(namespace, &["spec", "finalizers"])
            .iter()
            .filter(|finalizer| finalizer.as_str() != Some(FINALIZER))
            .cloned()
            .collect();
        let spec = tree::as_map(&mut new).entry("spec").or_insert(Value::Null);
        tree::set(spec, "finalizers", finalizers);
        match self.client.update::<Namespace>("", name, "finalize", &new).await {
            Ok(_) => Ok(()),
            Err(status) if status.is_not_found() => Ok(()),
            Err(status) => Err(status),
        }
    }
}

fn has_finalizer(namespace: &Value) -> bool {
    tree::items_at(namespace, &["spec", "finalizers"])
        .iter()
        .any(|finalizer| finalizer.as_str() == Some(FINALIZER))
}

impl Remaining {
    fn add(&mut self, resource: StoredKind, left: &[Arc<Object>]) {
        if left.is_empty() {
            return;
        }
        self.content.push(format!(
            "{}.{} has {} resource instances",
            resource.plural,
            resource.group,
            left.len()
        ));
        for object in left {
            let value = object.view();
            for finalizer in meta::finalizers(&value) {
                match self.finalizers.iter_mut().find(|(known, _)| known == finalizer) {
                    Some((_, count)) => *count += 1,
                    None => self.finalizers.push((finalizer.to_owned(), 1)),
                }
            }
        }
    }
}

/// The conditions of a namespace that something is left in (Kubernetes v1.36 `pkg/controller/namespace/deletion`).
fn conditions(namespace: &Value, remaining: &Remaining, now: &str) -> Vec<Value> {
    let finalizers: Vec<String> = remaining
        .finalizers
        .iter()
        .map(|(name, count)| format!("{name} in {count} resource instances"))
        .collect();
    let has_finalizers = !finalizers.is_empty();
    let rows = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        (
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", remaining.content.join(", ")),
        ),
        (
            "NamespaceFinalizersRemaining",
            if has_finalizers { "True" } else { "False" },
            if has_finalizers { "SomeFinalizersRemain" } else { "ContentHasNoFinalizers" },
            if has_finalizers {
                format!(
                    "Some content in the namespace has finalizers remaining: {}",
                    finalizers.join(", ")
                )
            } else {
                "All content-preserving finalizers finished".to_owned()
            },
        ),
    ];
    let before = tree::items_at(namespace, &["status", "conditions"]);
    rows.into_iter()
        .map(|(kind, status, reason, message)| {
            let old = before.iter().find(|condition| tree::str_at(condition, &["type"]) == kind);
            let since = old
                .filter(|old| tree::str_at(old, &["status"]) == status)
                .map_or(now, |old| tree::str_at(old, &["lastTransitionTime"]));
            json!({"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message})
        })
        .collect()
}
