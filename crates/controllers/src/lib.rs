//! The controllers: each keeps one promise of the cluster, level-triggered, through the API like any client.
//!
//! [`CONTROLLERS`] lists them under kube-controller-manager's names. Each has a file and acts as a service account of its own in
//! `kube-system`, limited by the bootstrap roles.

mod clusterrole_aggregation;
mod garbage_collector;
mod namespace;
mod node_lifecycle;
mod pod_garbage;
mod root_ca_certificate_publisher;
mod selection;
mod serviceaccount;
mod serviceaccount_token;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use podo_api::Status;
use podo_base::{Clock, Tasks};
use podo_client::Client;
use podo_client::transport::{Payload, Request, Verb};

pub use selection::{SelectionError, select};

/// Signs a token for a subject.
pub type SignToken =
    Arc<dyn Fn(TokenSubject) -> BoxFuture<'static, Result<String, Status>> + Send + Sync>;

/// What a controller stands on.
pub struct Context {
    /// Gives the client of a controller, by the name of its service account.
    pub client: Box<dyn Fn(&str) -> Client + Send + Sync>,
    /// The client of the controller manager itself: informers list and watch with it, for controllers' own roles let them write
    /// what is theirs, not read everything.
    pub manager: Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The certificate of the cluster's authority, PEM.
    pub ca_pem: Arc<str>,
    /// Every kind that is stored under its own name, for emptying namespaces and for collecting garbage.
    pub stored: Vec<StoredKind>,
    /// Signs the token of a `kubernetes.io/service-account-token` Secret.
    pub sign_token: SignToken,
}

/// A kind whose objects are stored, as requests and references name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredKind {
    /// The group; empty for core.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The plural name.
    pub plural: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
}

impl StoredKind {
    /// A request without options and body about objects of the kind.
    fn request(&self, verb: Verb, namespace: &str, name: &str) -> Request {
        Request {
            verb,
            group: self.group,
            version: self.version,
            plural: self.plural,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: "",
            options: Vec::new(),
            payload: Payload::None,
        }
    }
}

/// Whose token a Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSubject {
    /// The namespace of account and Secret.
    pub namespace: String,
    /// The account.
    pub account: String,
    /// Its UID.
    pub account_uid: String,
    /// The Secret.
    pub secret: String,
}

/// A controller.
pub struct Controller {
    /// The name that `--controllers` knows it by.
    pub name: &'static str,
    /// Starts its tasks.
    pub start: fn(&Context, &mut Tasks),
}

/// All controllers that exist.
pub static CONTROLLERS: &[Controller] = &[
    Controller { name: "serviceaccount-controller", start: serviceaccount::start },
    Controller { name: "serviceaccount-token-controller", start: serviceaccount_token::start },
    Controller {
        name: "root-ca-certificate-publisher-controller",
        start: root_ca_certificate_publisher::start,
    },
    Controller { name: "namespace-controller", start: namespace::start },
    Controller { name: "node-lifecycle-controller", start: node_lifecycle::start },
    Controller { name: "pod-garbage-collector-controller", start: pod_garbage::start },
    Controller { name: "garbage-collector-controller", start: garbage_collector::start },
    Controller {
        name: "clusterrole-aggregation-controller",
        start: clusterrole_aggregation::start,
    },
];

/// Starts the chosen controllers.
pub fn start(context: &Context, chosen: &[&'static Controller], tasks: &mut Tasks) {
    for controller in chosen {
        (controller.start)(context, tasks);
        tracing::debug!(controller = controller.name, "started");
    }
}
