//! Service account controller: every namespace that is not going away has a ServiceAccount `default`.
//!
//! Reads     Namespaces and the ServiceAccounts named `default`.
//! Writes    ServiceAccounts (create).
//! Wakes on  a new namespace, a deleted ServiceAccount.

use std::sync::Arc;

use podo_api::k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use podo_api::{Status, meta, tree};
use podo_base::Tasks;
use podo_client::informer::{self, Cache, Key};
use podo_client::queue::Queue;
use podo_client::runner::{self, Next};
use podo_client::{Client, Query};
use serde_json::json;

use crate::Context;

/// The account that every namespace has.
const NAME: &str = "default";

pub(super) fn start(context: &Context, tasks: &mut Tasks) {
    let client = (context.client)("service-account-controller");
    let (namespaces, accounts) = (Cache::new(), Cache::new());
    let queue = Arc::new(Queue::new(runner::RETRY));
    let on_namespace = Arc::clone(&queue);
    let handler: informer::Handler = Box::new(move |change| {
        if change.new.is_some() {
            on_namespace.add((Arc::from(""), Arc::from(&*change.object().name)));
        }
    });
    let stop = tasks.stop_signal();
    let follow = informer::run::<Namespace>(
        context.manager.clone(),
        Query::default(),
        Arc::clone(&namespaces),
        handler,
        stop.clone(),
    );
    tasks.spawn("serviceaccount namespaces", follow);
    let on_account = Arc::clone(&queue);
    let handler: informer::Handler = Box::new(move |change| {
        if change.new.is_none() {
            on_account.add((Arc::from(""), Arc::from(&*change.object().namespace)));
        }
    });
    let query = Query::fields(format!("metadata.name={NAME}"));
    let follow = informer::run::<ServiceAccount>(
        context.manager.clone(),
        query,
        Arc::clone(&accounts),
        handler,
        stop.clone(),
    );
    tasks.spawn("serviceaccount accounts", follow);
    let reconcile = move |key: Key| {
        reconcile(key, client.clone(), Arc::clone(&namespaces), Arc::clone(&accounts))
    };
    tasks.spawn(
        "serviceaccount",
        runner::run("serviceaccount-controller", queue, Arc::default(), reconcile, stop),
    );
}

async fn reconcile(
    key: Key,
    client: Client,
    namespaces: Arc<Cache>,
    accounts: Arc<Cache>,
) -> Result<Next, Status> {
    let Some(namespace) = namespaces.get("", &key.1) else { return Ok(Next::OnChange) };
    let value = namespace.view();
    let is_going =
        meta::is_deleting(&value) || tree::str_at(&value, &["status", "phase"]) == "Terminating";
    if is_going || accounts.get(&namespace.name, NAME).is_some() {
        return Ok(Next::OnChange);
    }
    let account = json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": NAME}});
    match client.create::<ServiceAccount>(&namespace.name, &account).await {
        Ok(_) => Ok(Next::OnChange),
        Err(status) => tolerate(status),
    }
}

/// That it exists already is what was wanted; that its namespace is going away settles it too.
pub(crate) fn tolerate(status: Status) -> Result<Next, Status> {
    let is_terminating = status.details.as_ref().is_some_and(|details| {
        details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
    });
    if status.is_already_exists() || status.is_not_found() || is_terminating {
        Ok(Next::OnChange)
    } else {
        Err(status)
    }
}
