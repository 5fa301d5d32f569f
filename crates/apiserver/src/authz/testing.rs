//! An API in memory, for tests of what looks beyond one object.

use std::sync::Arc;

use podo_api::{Status, Value, meta};
use podo_base::SystemClock;
use podo_registry::{Definition, Verb};
use podo_store::{Config, Expect, Memory, Txn};
use serde_json::json;

use super::{Attributes, Authorizer, MASTERS};
use crate::api::{Api, Settings};
use crate::authn::StaticTokens;
use crate::call::{Body, Call, Outcome, Target, Warnings};
use crate::options::Options;
use crate::storage::{self, Store};
use crate::token::{TokenConfig, TokenIssuer};
use crate::user::User;

pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
pub(crate) const RBAC: &str = "rbac.authorization.k8s.io";

/// An API with an empty store.
pub(crate) struct World {
    pub(crate) api: Api,
    /// Holds the key for as long as the API lives.
    _dir: tempfile::TempDir,
}

pub(crate) fn world() -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let tokens = TokenConfig {
        dir: dir.path().to_owned(),
        issuer: ISSUER.to_owned(),
        jwks_uri: format!("{ISSUER}/openid/v1/jwks"),
        static_tokens: StaticTokens::new().with("secret", "admin", &["system:masters"]),
    };
    let api = Api {
        store: Store::open(Memory, Config::new(Arc::new(|| 0))).expect("a store"),
        clock: Arc::new(SystemClock),
        authorizer: Authorizer::default(),
        allocators: crate::service::Allocators::default(),
        tokens: TokenIssuer::load_or_generate(tokens).expect("a key"),
        settings: Settings {
            service_cidr: ([10, 43, 0, 0].into(), 16),
            node_ports: (30_000, 32_767),
            issuer: ISSUER.to_owned(),
            ca_pem: "authority".to_owned(),
        },
    };
    World { api, _dir: dir }
}

pub(crate) fn kind(group: &str, plural: &str) -> &'static Definition {
    podo_registry::find(group, "v1", plural).unwrap_or_else(|| panic!("{plural} are not served"))
}

/// A user.
pub(crate) fn user(name: &str, groups: &[&str]) -> User {
    User::authenticated(name, groups)
}

/// Somebody who may do everything.
pub(crate) fn admin() -> User {
    user("admin", &[MASTERS])
}

/// An API with the namespace `default`.
pub(crate) fn with_namespace() -> World {
    let world = world();
    world.put("", "namespaces", &json!({"metadata": {"name": "default"}}));
    world
}

/// The user of a node.
pub(crate) fn node(name: &str) -> User {
    user(&format!("system:node:{name}"), &["system:nodes"])
}

/// A target of a kind.
pub(crate) fn target(group: &str, resource: &str, namespace: &str, name: &str) -> Target {
    let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let definition = kind(group, plural);
    Target {
        definition,
        namespace: namespace.into(),
        name: name.into(),
        subresource: definition.subresource(subresource),
    }
}

impl World {
    /// Puts an object where it belongs, whatever is there.
    pub(crate) fn put(&self, group: &str, plural: &str, value: &Value) {
        let definition = kind(group, plural);
        let key = storage::key(definition, meta::namespace(value), meta::name(value));
        let txn = Txn::put(key, Expect::Any, storage::draft(definition, value));
        self.api.store.commit_blocking(txn).expect("committed");
    }

    pub(crate) fn remove(&self, group: &str, plural: &str, namespace: &str, name: &str) {
        let key = storage::key(kind(group, plural), namespace, name);
        self.api.store.commit_blocking(Txn::delete(key, Expect::Exists)).expect("committed");
    }

    /// Asks whether a user may do something.
    pub(crate) fn may(&self, attributes: &Attributes<'_>) -> Result<(), String> {
        self.api.authorize(attributes).map_err(|denial| denial.status().message)
    }

    pub(crate) fn call(user: &User, verb: Verb, target: Target, body: Value) -> Call {
        Call {
            user: Arc::new(user.clone()),
            verb,
            target,
            options: Options::default(),
            body: Body::Tree(body),
            agent: "test".into(),
            warnings: Warnings::default(),
        }
    }

    /// Creates something and gives what comes back.
    pub(crate) async fn create(
        &self,
        user: &User,
        target: Target,
        body: Value,
    ) -> Result<Value, Status> {
        match self.api.execute(Self::call(user, Verb::Create, target, body)).await? {
            Outcome::Tree { value, .. } => Ok(value),
            Outcome::Object { object, .. } => Ok(object.value()),
            other => panic!("{other:?}"),
        }
    }
}
