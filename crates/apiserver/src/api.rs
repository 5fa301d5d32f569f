//! [`Api`]: what every request shares.

use std::sync::Arc;

use podo_base::Clock;

use crate::authz::{Attributes, Authorizer, Denial};
use crate::call::{Call, Outcome};
use crate::service::Allocators;
use crate::storage::Store;
use crate::token::{Reference, TokenIssuer};
use crate::verbs;

/// The API: the store and everything that decides about it.
pub struct Api {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) authorizer: Authorizer,
    pub(crate) allocators: Allocators,
    pub(crate) tokens: TokenIssuer,
    pub(crate) settings: Settings,
}

/// What the operator chose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The range of cluster addresses, such as `10.43.0.0/16`.
    pub service_cidr: (std::net::Ipv4Addr, u8),
    /// The first and the last node port.
    pub node_ports: (u16, u16),
    /// The `iss` of service account tokens.
    pub issuer: String,
    /// The certificate of the authority that clients trust, PEM.
    pub ca_pem: String,
}

impl Api {
    /// Carries out a call: authorization, admission, validation, storage.
    pub async fn execute(&self, call: Call) -> Result<Outcome, podo_api::Status> {
        verbs::execute(self, call).await
    }

    /// Signs the token that a `kubernetes.io/service-account-token` Secret holds.
    pub async fn sign_legacy(
        &self,
        namespace: &str,
        account: &str,
        account_uid: &str,
        secret: &str,
    ) -> Result<String, podo_api::Status> {
        self.tokens.issue_legacy(namespace, &Reference::new(account, account_uid), secret).await
    }

    /// Whether a user may do something.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Result<(), Denial> {
        self.authorizer.authorize(&self.store, attributes)
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("settings", &self.settings).finish_non_exhaustive()
    }
}
