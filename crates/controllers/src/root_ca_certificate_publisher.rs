//! Root CA publisher: every namespace has a ConfigMap `kube-root-ca.crt` with the certificate by which Pods know the API server.
//!
//! Reads     Namespaces and the ConfigMaps of that name.
//! Writes    those ConfigMaps (create, update).
//! Wakes on  a new namespace, a change to such a ConfigMap.

use std::sync::Arc;

use podo_api::k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use podo_api::{Status, Value, meta, tree};
use podo_base::Tasks;
use podo_client::informer::{self, Cache, Key};
use podo_client::queue::Queue;
use podo_client::runner::{self, Next};
use podo_client::{Client, Query};
use serde_json::json;

use crate::Context;
use crate::serviceaccount::tolerate;

const NAME: &str = "kube-root-ca.crt";

/// What the ConfigMap tells people who find it.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal \
     service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
);

struct Publisher {
    client: Client,
    ca_pem: Arc<str>,
    namespaces: Arc<Cache>,
    published: Arc<Cache>,
}

pub(super) fn start(context: &Context, tasks: &mut Tasks) {
    let client = (context.client)("root-ca-cert-publisher");
    let queue = Arc::new(Queue::new(runner::RETRY));
    let publisher = Arc::new(Publisher {
        client: client.clone(),
        ca_pem: Arc::clone(&context.ca_pem),
        namespaces: Cache::new(),
        published: Cache::new(),
    });
    let stop = tasks.stop_signal();
    let wake = Arc::clone(&queue);
    let handler: informer::Handler =
        Box::new(move |change| wake.add((Arc::from(""), Arc::from(&*change.object().name))));
    let cache = Arc::clone(&publisher.namespaces);
    let follow = informer::run::<Namespace>(
        context.manager.clone(),
        Query::default(),
        cache,
        handler,
        stop.clone(),
    );
    tasks.spawn("root-ca namespaces", follow);
    let wake = Arc::clone(&queue);
    let handler: informer::Handler =
        Box::new(move |change| wake.add((Arc::from(""), Arc::from(&*change.object().namespace))));
    let cache = Arc::clone(&publisher.published);
    let query = Query::fields(format!("metadata.name={NAME}"));
    let follow =
        informer::run::<ConfigMap>(context.manager.clone(), query, cache, handler, stop.clone());
    tasks.spawn("root-ca configmaps", follow);
    let reconcile = move |key: Key| {
        let publisher = Arc::clone(&publisher);
        async move { publisher.reconcile(&key.1).await }
    };
    let run = runner::run(
        "root-ca-certificate-publisher-controller",
        queue,
        Arc::default(),
        reconcile,
        stop,
    );
    tasks.spawn("root-ca", run);
}

impl Publisher {
    async fn reconcile(&self, namespace: &str) -> Result<Next, Status> {
        self.published.synced().await;
        let Some(found) = self.namespaces.get("", namespace) else { return Ok(Next::OnChange) };
        let value = found.view();
        if meta::is_deleting(&value) || tree::str_at(&value, &["status", "phase"]) == "Terminating"
        {
            return Ok(Next::OnChange);
        }
        let wanted = self.config_map();
        let result = match self.published.get(namespace, NAME) {
            None => self.client.create::<ConfigMap>(namespace, &wanted).await,
            Some(present) => {
                let mut value = present.value();
                if value.get("data") == wanted.get("data") {
                    return Ok(Next::OnChange);
                }
                tree::copy(&mut value, &wanted, "data");
                self.client.update::<ConfigMap>(namespace, NAME, "", &value).await
            }
        };
        result.map_or_else(tolerate, |_| Ok(Next::OnChange))
    }

    fn config_map(&self) -> Value {
        json!({
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": NAME, "annotations": {DESCRIPTION.0: DESCRIPTION.1}},
            "data": {"ca.crt": &*self.ca_pem},
        })
    }
}
