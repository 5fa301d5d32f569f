//! Who asks: the user of a request, found by what the request shows.
//!
//! In the order of Kubernetes v1.36: the certificate of the connection, then the bearer token (static, bootstrap or service
//! account), then nobody. The first that is known decides; a token that nobody knows is refused and never makes its bearer
//! anonymous. Whoever may impersonate then becomes whom it asks to be ([`impersonation`]).
//!
//! Holds always
//! - A user who has shown who it is belongs to `system:authenticated`, any other to `system:unauthenticated`.
//! - No token gets into a log, an error or a debug print.
//!
//! Not here: what a user may do ([`crate::authz`]), how service account tokens are made and checked ([`crate::token`]).

mod bootstrap_token;
mod certificate;
mod impersonation;
mod peer;
mod static_tokens;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use podo_api::Status;

use crate::api::Api;
use crate::authz::request_info::RequestInfo;
use crate::user::User;

pub(crate) use bootstrap_token::authenticate as authenticate_bootstrap_token;
pub(crate) use certificate::end_of_certificate;
pub use certificate::user_of_certificate;
pub use peer::Peer;
pub use static_tokens::StaticTokens;

/// What is done with a request that shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anonymous {
    /// It is `system:anonymous` (Kubernetes v1.36 `--anonymous-auth=true`).
    #[default]
    Allowed,
    /// It is refused.
    Refused,
}

/// Finds out who sends requests.
#[derive(Debug)]
pub struct Authenticator {
    anonymous: Option<Arc<User>>,
}

impl Default for Authenticator {
    fn default() -> Self {
        Self::new(Anonymous::default())
    }
}

impl Authenticator {
    /// An authenticator; the tokens that it knows are those of [`Api::tokens`](crate::token::TokenIssuer).
    pub fn new(anonymous: Anonymous) -> Self {
        let anonymous = (anonymous == Anonymous::Allowed).then(|| Arc::new(User::anonymous()));
        Self { anonymous }
    }

    /// The user of a request: who sends it, or whom it acts as.
    pub fn authenticate(&self, api: &Api, parts: &Parts, peer: &Peer) -> Result<Arc<User>, Status> {
        let user = self.identify(api, parts, peer)?;
        let Some(wanted) = impersonation::Wanted::of(&parts.headers)? else { return Ok(user) };
        let info = RequestInfo::of(parts);
        let allows = |attributes: &crate::authz::Attributes<'_>| {
            api.authorize(attributes).map_err(|denial| denial.status())
        };
        impersonation::impersonate(&user, wanted, &info, &allows).map(Arc::new)
    }

    fn identify(&self, api: &Api, parts: &Parts, peer: &Peer) -> Result<Arc<User>, Status> {
        // Upstream checks the certificate with every request: a connection does not outlive what it was opened with.
        if peer.valid_until.is_some_and(|end| end < api.clock.now()) {
            return Err(Status::unauthorized());
        }
        match &peer.user {
            // A certificate that says it is somebody, but not whom.
            Some(user) if user.name.is_empty() => return Err(Status::unauthorized()),
            Some(user) => return Ok(Arc::clone(user)),
            None => {}
        }
        if let Some(token) = bearer(&parts.headers) {
            return api.tokens.authenticate(api, &token, &[]).map(|known| known.user).map_err(
                |error| {
                    tracing::debug!(%error, "token refused");
                    Status::unauthorized()
                },
            );
        }
        self.anonymous.clone().ok_or_else(Status::unauthorized)
    }
}

/// What precedes a token among the protocols that a WebSocket offers: browsers cannot set other headers.
const WEBSOCKET_TOKEN: &str = "base64url.bearer.authorization.k8s.io.";

/// The token of a request. Any other scheme is none of our business, as for upstream.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| {
        let (scheme, rest) = header.trim().split_once(' ')?;
        let token = rest.split(' ').next().unwrap_or("");
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
    });
    token.or_else(|| websocket_bearer(headers))
}

/// The token that a WebSocket offers as a protocol; it counts only beside a real one.
fn websocket_bearer(headers: &HeaderMap) -> Option<String> {
    use base64::Engine as _;
    let protocols = headers.get_all(http::header::SEC_WEBSOCKET_PROTOCOL).iter();
    let protocols =
        protocols.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let (mut token, mut has_other) = (None, false);
    for protocol in protocols.map(str::trim) {
        match protocol.strip_prefix(WEBSOCKET_TOKEN) {
            Some(encoded) => {
                let decoded =
                    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded).ok()?;
                token = String::from_utf8(decoded).ok().filter(|token| !token.is_empty());
            }
            None => has_other = true,
        }
    }
    token.filter(|_| has_other)
}

/// Whether a WebSocket protocol carries a token, which nobody behind the API server may see.
pub(crate) fn is_websocket_token(protocol: &str) -> bool {
    protocol.trim().starts_with(WEBSOCKET_TOKEN)
}
