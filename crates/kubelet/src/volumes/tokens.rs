//! Tokens of service accounts: requested for one Pod, kept until four fifths of their life are over, then renewed.
//!
//! Source of the rule: Kubernetes v1.36 `pkg/kubelet/token`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use podo_api::Status;
use podo_api::k8s_openapi::api::authentication::v1 as authentication;
use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_base::{Clock, Timestamp};
use podo_client::Client;
use podo_client::transport::Reply;

/// A token is renewed at this age at the latest.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// After a token could not be renewed, the next attempt.
const RETRY: Duration = Duration::from_secs(30);

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey {
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    /// Empty for the API server's own.
    pub(crate) audience: String,
    pub(crate) expiration_seconds: i64,
    pub(crate) pod_name: String,
    pub(crate) pod_uid: String,
}

/// A token.
#[derive(Clone)]
pub(crate) struct Token {
    /// The text.
    pub(crate) text: String,
    /// When it has to be renewed.
    pub(crate) refresh_at: Timestamp,
    /// When it is worth nothing any more.
    expires_at: Timestamp,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("refresh_at", &self.refresh_at).finish_non_exhaustive()
    }
}

/// Gets tokens and keeps them.
pub(crate) struct Tokens {
    client: Client,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<TokenKey, Token>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens from this client's server.
    pub(crate) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock, known: Mutex::default() }
    }

    /// The tokens of these keys, in their order.
    pub(crate) async fn get_all(&self, keys: Vec<TokenKey>) -> Result<Vec<Token>, Status> {
        let mut tokens = Vec::with_capacity(keys.len());
        for key in keys {
            tokens.push(self.get(key).await?);
        }
        Ok(tokens)
    }

    async fn get(&self, key: TokenKey) -> Result<Token, Status> {
        let now = self.clock.now();
        let known = self.known.lock().get(&key).cloned();
        if let Some(token) = known.as_ref().filter(|token| now < token.refresh_at) {
            return Ok(token.clone());
        }
        let token = match (self.request(&key).await, known) {
            (Ok(token), _) => token,
            // The old one is good for a while yet.
            (Err(status), Some(old)) if now < old.expires_at => {
                tracing::warn!(namespace = key.namespace, pod = key.pod_name, error = %status, "token not renewed");
                Token { refresh_at: now.plus(RETRY), ..old }
            }
            (Err(status), _) => return Err(status),
        };
        self.known.lock().insert(key, token.clone());
        Ok(token)
    }

    /// Forgets a Pod's tokens.
    pub(crate) fn forget(&self, pod_uid: &str) {
        self.known.lock().retain(|key, _| key.pod_uid != pod_uid);
    }

    async fn request(&self, key: &TokenKey) -> Result<Token, Status> {
        let audiences =
            if key.audience.is_empty() { Vec::new() } else { vec![key.audience.clone()] };
        let request = authentication::TokenRequest {
            spec: Some(authentication::TokenRequestSpec {
                audiences: Some(audiences),
                expiration_seconds: Some(key.expiration_seconds),
                bound_object_ref: Some(authentication::BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(key.pod_name.clone()),
                    uid: Some(key.pod_uid.clone()),
                }),
            }),
            ..authentication::TokenRequest::default()
        };
        let (namespace, name) = (&key.namespace, &key.service_account);
        let reply =
            self.client.post::<k8s::ServiceAccount>(namespace, name, "token", &request).await?;
        let Reply::Object(object) = reply else {
            return Err(Status::internal("the server did not answer with a token"));
        };
        let answer: authentication::TokenRequest = object.to().map_err(Status::internal)?;
        let status = answer.status.unwrap_or_default();
        let missing = || Status::internal("the token is missing");
        let expiration = status.expiration_timestamp.ok_or_else(missing)?;
        let expires_at = Timestamp::from_seconds(expiration.0.as_second());
        let life = expires_at.since(self.clock.now());
        Ok(Token {
            text: status.token.ok_or_else(missing)?,
            refresh_at: self.clock.now().plus((life * 4 / 5).min(AGE_MAX)),
            expires_at,
        })
    }
}
