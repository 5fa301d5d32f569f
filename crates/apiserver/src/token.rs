//! Service account tokens: made, checked, and published for others to check.
//!
//! Tokens are JWTs signed with RS256, as upstream's are. [`TokenIssuer`] holds the key; the objects that a token names are
//! looked up each time that it is shown, so a token dies with its service account, its Pod, Secret or node.
//!
//! Reads     service accounts, Pods, Secrets and nodes.
//! Holds always
//! - A token is believed only if this key signed it, its time has come and has not passed, one of its audiences is wanted,
//!   and everything that it names is still there with the same UID.
//! - Neither a token nor the key gets into a log or a debug print.
//!
//! Not here: who may ask for a token, and for which Pod ([`crate::reviews`], [`crate::admission`]).

pub(crate) mod claims;
mod documents;
pub(crate) mod jwt;
pub(crate) mod key;
pub(crate) mod validate;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use podo_api::Status;
use podo_api::field::quoted;
use podo_base::Timestamp;

use crate::api::Api;
use crate::authn::{StaticTokens, authenticate_bootstrap_token};
use crate::user::{User, service_account_user_name};
use claims::{Claims, Kubernetes};
use jwt::Verifier;
use key::KeySlot;

pub(crate) use claims::Reference;
pub(crate) use key::TokenKeyError;
pub(crate) use validate::TokenError;

/// The `iss` of tokens in Secrets.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// How long a token of a Pod lives that asked for an hour and seven seconds, the mark of those that admission mounts: a year, so
/// that workloads that never read it anew go on; it is stale after the hour (Kubernetes v1.36
/// `--service-account-extend-token-expiration`).
const EXTENDED_SECONDS: i64 = 365 * 24 * 60 * 60;

/// The mark.
const MOUNTED_SECONDS: i64 = 3607;

/// What the issuer is made with.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenConfig {
    /// Where the key is kept; made if it is not there.
    pub dir: PathBuf,
    /// The `iss` of tokens, which is also the audience of those that name none.
    pub issuer: String,
    /// Where clients find the keys: `https://HOST:PORT/openid/v1/jwks`.
    pub jwks_uri: String,
    /// Tokens that the operator gave.
    pub static_tokens: StaticTokens,
}

/// Makes and checks tokens.
pub(crate) struct TokenIssuer {
    issuer: String,
    audiences: Vec<String>,
    jwks_uri: String,
    static_tokens: StaticTokens,
    key: KeySlot,
    verifier: Verifier,
}

/// What a token is bound to: it dies with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Its service account only.
    Account,
    /// A Pod, with the node that runs it and, if that is known, its UID.
    Pod {
        /// The Pod.
        pod: Reference,
        /// The node.
        node: Option<Reference>,
    },
    /// A Secret.
    Secret(Reference),
    /// A node.
    Node(Reference),
}

/// A token that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenSpec {
    /// The namespace of the service account.
    pub namespace: String,
    /// The service account.
    pub account: Reference,
    /// What the token is bound to.
    pub bound: Bound,
    /// Whom the token is for.
    pub audiences: Vec<String>,
    /// How long it is asked to live.
    pub seconds: i64,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authenticated {
    /// The user.
    pub user: Arc<User>,
    /// Those of the wanted audiences that the token is for.
    pub audiences: Vec<String>,
}

impl TokenIssuer {
    /// An issuer with the key of the directory. If there is none it is made on a thread of its own, in some 0.2 s; only who needs
    /// it before that waits.
    pub(crate) fn load_or_generate(config: TokenConfig) -> Result<Self, TokenKeyError> {
        let key = KeySlot::load_or_generate(&config.dir)?;
        Ok(Self {
            audiences: vec![config.issuer.clone()],
            issuer: config.issuer,
            jwks_uri: config.jwks_uri,
            static_tokens: config.static_tokens,
            key,
            verifier: Verifier::default(),
        })
    }

    /// The audiences of tokens that are asked for without any, and of requests to this server.
    pub(crate) fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Makes a token.
    pub(crate) async fn issue(&self, spec: &TokenSpec, now: Timestamp) -> Result<String, Status> {
        let key = self.key.wait().await?;
        Ok(key.sign(&self.claims(spec, now)))
    }

    fn claims(&self, spec: &TokenSpec, now: Timestamp) -> Claims {
        let now = now.as_seconds();
        let is_mounted = matches!(spec.bound, Bound::Pod { .. })
            && spec.seconds == MOUNTED_SECONDS
            && spec.audiences.iter().all(|audience| self.audiences.contains(audience));
        let seconds = if is_mounted { EXTENDED_SECONDS } else { spec.seconds };
        let (pod, node, secret) = match spec.bound.clone() {
            Bound::Account => (None, None, None),
            Bound::Pod { pod, node } => (Some(pod), node, None),
            Bound::Secret(secret) => (None, None, Some(secret)),
            Bound::Node(node) => (None, Some(node), None),
        };
        Claims {
            aud: spec.audiences.clone(),
            exp: Some(now.saturating_add(seconds)),
            iat: Some(now),
            iss: self.issuer.clone(),
            jti: podo_base::uid(),
            nbf: Some(now),
            sub: service_account_user_name(&spec.namespace, &spec.account.name),
            kubernetes: Some(Kubernetes {
                namespace: spec.namespace.clone(),
                node,
                pod,
                secret,
                serviceaccount: spec.account.clone(),
                warnafter: is_mounted.then_some(now + MOUNTED_SECONDS),
            }),
            ..Claims::default()
        }
    }

    /// Makes the token of a Secret of type `kubernetes.io/service-account-token`: it lives as long as the Secret holds it.
    pub(crate) async fn issue_legacy(
        &self,
        namespace: &str,
        account: &Reference,
        secret: &str,
    ) -> Result<String, Status> {
        let key = self.key.wait().await?;
        Ok(key.sign(&Claims {
            iss: LEGACY_ISSUER.to_owned(),
            sub: service_account_user_name(namespace, &account.name),
            legacy_namespace: namespace.to_owned(),
            legacy_secret: secret.to_owned(),
            legacy_account: account.name.clone(),
            legacy_account_uid: account.uid.clone(),
            ..Claims::default()
        }))
    }

    /// Whose token it is, if it is good for one of the audiences; for this server's own if none are named.
    pub(crate) fn authenticate(
        &self,
        api: &Api,
        token: &str,
        audiences: &[String],
    ) -> Result<Authenticated, TokenError> {
        let wanted = if audiences.is_empty() { &self.audiences } else { audiences };
        let for_server = |user| self.for_server(user, wanted);
        if let Some(user) = self.static_tokens.user(token) {
            return for_server(user);
        }
        let now = api.clock.now();
        if let Some(claims) = jwt::peek(token).filter(|claims| self.is_own(claims)) {
            let key = self.key.ready().ok_or(TokenError::NoKey)?;
            let claims = self.verifier.verify(&key, token, claims)?;
            return validate::validate(&api.store, &claims, token, now, wanted, &self.audiences);
        }
        match authenticate_bootstrap_token(&api.store, token, now) {
            Some(user) => for_server(Arc::new(user)),
            None => Err(TokenError::Unknown),
        }
    }

    fn is_own(&self, claims: &Claims) -> bool {
        claims.iss == self.issuer || claims.iss == LEGACY_ISSUER
    }

    /// A token that names no audience is for this server.
    fn for_server(&self, user: Arc<User>, wanted: &[String]) -> Result<Authenticated, TokenError> {
        let audiences = common(wanted, &self.audiences);
        if audiences.is_empty() {
            Err(TokenError::Unknown)
        } else {
            Ok(Authenticated { user, audiences })
        }
    }

    /// The documents by which others check tokens (KEP-1393).
    pub(crate) fn serve(&self, path: &str) -> Result<crate::http::Response, Status> {
        let Some(key) = self.key.ready() else {
            return Err(Status::unavailable("the key of service account tokens is being made"));
        };
        Ok(match path {
            "/openid/v1/jwks" => documents::keys(&key),
            _ => documents::configuration(&self.issuer, &self.jwks_uri),
        })
    }
}

/// What is in both lists, in the order of the first.
fn common(wanted: &[String], has: &[String]) -> Vec<String> {
    wanted.iter().filter(|audience| has.contains(audience)).cloned().collect()
}

/// A list in the words of an error.
fn shown(list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(" "))
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
