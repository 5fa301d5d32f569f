//! Who a client is: by its certificate, or by a token that the API server reviews.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, header};
use podo_api::k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use podo_api::{Reason, Status};
use podo_client::Client;
use rustls_pki_types::CertificateDer;
use tokio::sync::OwnedSemaphorePermit;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct User {
    /// The name.
    pub(super) name: String,
    /// The UID; often empty.
    pub(super) uid: String,
    /// The groups.
    pub(super) groups: Vec<String>,
    /// What else its credential says.
    pub(super) extra: BTreeMap<String, Vec<String>>,
    /// Whether a certificate says so.
    pub(super) has_certificate: bool,
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Who its certificate says that it is.
    pub(super) user: Option<User>,
    /// Its place among the connections, kept by streams that outlive the requests.
    pub(super) slot: Arc<OwnedSemaphorePermit>,
}

/// The user of a verified certificate: the common name, and the organizations as groups. `None` if it names nobody.
pub(super) fn user_of_certificate(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        attribute.as_str().map(str::to_owned).unwrap_or_default()
    };
    let name =
        parsed.subject().iter_common_name().last().map(text).filter(|name| !name.is_empty())?;
    let groups = parsed.subject().iter_organization().map(text).collect();
    Some(User { name, groups, has_certificate: true, ..User::default() })
}

/// The user of a request: the peer's, or that of its bearer token.
///
/// Every token is reviewed anew: nothing is kept that could outlive it, and few requests bring one.
pub(super) async fn authenticate(
    client: &Client,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<User, Status> {
    if let Some(user) = &peer.user {
        return Ok(user.clone());
    }
    let token = bearer_token(headers).ok_or_else(unauthorized)?;
    let review = TokenReview {
        spec: TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() },
        ..TokenReview::default()
    };
    let answer = client.create::<TokenReview>("", &review).await.map_err(|status| {
        tracing::debug!(error = %status, "token not reviewed");
        unauthorized()
    })?;
    let review: TokenReview = answer.to().map_err(|_other_shape| unauthorized())?;
    let status = review.status.unwrap_or_default();
    match (status.authenticated, status.user) {
        (Some(true), Some(user)) => Ok(User {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
            has_certificate: false,
        }),
        _ => Err(unauthorized()),
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn unauthorized() -> Status {
    Status::failure(Reason::Unauthorized, "Unauthorized")
}
