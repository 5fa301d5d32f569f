//! [`Context`]: what all parts of the node agent share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::Clock;
use podo_client::Client;
use podo_client::informer::Cache;

use crate::admission::NodeOffer;
use crate::config::KubeletConfig;
use crate::container::dns::{ClusterDns, Resolver, resolver};
use crate::container::downward::NodeFacts;
use crate::container::services;
use crate::container::user_namespace::{IdRange, UserNamespaces};
use crate::events::{Recorder, Subject};
use crate::images::Images;
use crate::pod::PodView;
use crate::pods::Registry;
use crate::runtime::Runtime;
use crate::sources::Sources;
use crate::volumes::Volumes;

/// Between questions to an API server that does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long a container waits for the first list of Services.
const SERVICES_TIMEOUT: Duration = Duration::from_secs(10);

/// What happened that an event should have told and did not. A count above zero is a fault of ours or of the runtime's.
#[derive(Debug, Default)]
pub struct Repairs {
    /// Pods of the runtime that no Pod of the server stands for.
    pub orphans: AtomicU64,
    /// Pods whose containers changed without an event.
    pub missed_events: AtomicU64,
    /// Times that the runtime's events had to be subscribed to anew.
    pub lost_streams: AtomicU64,
}

impl Repairs {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What all parts share.
pub(crate) struct Context {
    pub(crate) config: KubeletConfig,
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtime: Runtime,
    pub(crate) images: Images,
    pub(crate) volumes: Volumes,
    pub(crate) user_namespaces: UserNamespaces,
    pub(crate) sources: Sources,
    pub(crate) recorder: Recorder,
    pub(crate) registry: Arc<Registry>,
    /// The Pods of this node.
    pub(crate) pods: Arc<Cache>,
    /// All Services.
    pub(crate) services: Arc<Cache>,
    /// This node.
    pub(crate) node: Arc<Cache>,
    pub(crate) facts: Arc<NodeFacts>,
    /// The labels that the node registered with.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) repairs: Repairs,
    /// The host's resolver configuration, read once: who changes it starts the node agent anew, as upstream asks.
    pub(crate) host_resolver: Resolver,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("node", &self.config.node_name).finish_non_exhaustive()
    }
}

impl Context {
    /// The variables by which a Pod's containers find Services. Waits for the first list of them.
    pub(crate) async fn service_variables(
        &self,
        pod: &PodView,
    ) -> Result<Vec<(String, String)>, &'static str> {
        if tokio::time::timeout(SERVICES_TIMEOUT, self.services.synced()).await.is_err() {
            return Err("services have not yet been read at least once, cannot construct envvars");
        }
        let links = pod.spec.enable_service_links.unwrap_or(true);
        let mut objects = Vec::new();
        if links {
            objects = self.services.in_namespace(pod.namespace());
        }
        if pod.namespace() != "default" || !links {
            objects.extend(self.services.get("default", "kubernetes"));
        }
        let services: Vec<k8s::Service> =
            objects.iter().filter_map(|object| object.to().ok()).collect();
        Ok(services::variables(&services, pod.namespace(), links))
    }

    /// A Pod's range of user ids, if it has a user namespace.
    pub(crate) fn id_range(&self, pod: &PodView) -> std::io::Result<Option<IdRange>> {
        pod.has_user_namespace().then(|| self.user_namespaces.of(pod.uid())).transpose()
    }

    /// A Pod's resolver configuration.
    pub(crate) fn resolver(&self, pod: &PodView) -> Resolver {
        let servers: Vec<String> =
            self.config.cluster_dns.iter().map(ToString::to_string).collect();
        let cluster = ClusterDns {
            servers: &servers,
            domain: &self.config.cluster_domain,
            host: &self.host_resolver,
        };
        let (resolver, told) = resolver(pod, cluster);
        for message in told {
            self.recorder.warning(Subject::pod(pod), "DNSConfigForming", message);
        }
        resolver
    }

    /// What the node offers to Pods, as far as is known here.
    pub(crate) fn offer(&self) -> NodeOffer {
        let node = self.node.get("", &self.config.node_name);
        self.offer_of(node.and_then(|node| node.to().ok()))
    }

    /// What the node offers to Pods, asked of the API server: what is known here may be older than what a Pod was placed by
    /// (Kubernetes v1.36 `predicateAdmitHandler`). Waits until it answers; who stops the worker ends the wait.
    pub(crate) async fn newest_offer(&self) -> NodeOffer {
        loop {
            match self.client.find::<k8s::Node>("", &self.config.node_name).await {
                Ok(node) => return self.offer_of(node.and_then(|node| node.to().ok())),
                Err(error) => {
                    tracing::debug!(%error, "the node is not known yet; it is asked for again");
                }
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn offer_of(&self, node: Option<k8s::Node>) -> NodeOffer {
        let labels = node.as_ref().and_then(|node| node.metadata.labels.clone());
        let taints = node.and_then(|node| node.spec).and_then(|spec| spec.taints);
        NodeOffer {
            name: self.config.node_name.clone(),
            labels: labels.unwrap_or_else(|| self.labels.clone()),
            taints: taints.unwrap_or_default(),
            allocatable: self.facts.allocatable.clone(),
            unsafe_sysctls: self.config.allowed_unsafe_sysctls.clone(),
        }
    }

    /// Where the node's seccomp profiles are.
    pub(crate) fn seccomp_root(&self) -> std::path::PathBuf {
        self.config.root_dir.join("seccomp")
    }
}
