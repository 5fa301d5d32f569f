//! Answering a registry's challenge: Basic, and the token flow of Docker and OAuth2.
//!
//! What always holds: a secret is sent only to the registry or to the realm it names, and never in
//! plain text if the registry itself was reached by TLS.

use bytes::Bytes;
use http::header;
use serde::Deserialize;

use super::challenge::{Challenge, parse};
use super::error::{RegistryError, RequestError};
use super::http_client::{Call, HttpClient};
use super::url::encode;
use crate::credentials::Credential;

/// Answers of token services are a few kilobytes.
const TOKEN_BYTES_MAX: u64 = 1 << 20;
const CLIENT_ID: &str = "podo";

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// Finds the `Authorization` header that answers the challenges of `response_headers`.
pub(super) async fn answer(
    http: &HttpClient,
    registry: &http::Uri,
    response_headers: &http::HeaderMap,
    repository: &str,
    credential: Option<&Credential>,
) -> Result<String, RegistryError> {
    let values = response_headers.get_all(header::WWW_AUTHENTICATE).iter();
    let challenges: Vec<Challenge> =
        values.filter_map(|value| value.to_str().ok()).flat_map(parse).collect();
    let find = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
    if let Some(token) = credential.and_then(|credential| credential.registry_token.as_ref()) {
        return Ok(format!("Bearer {token}"));
    }
    if let Some(bearer) = find("bearer") {
        return fetch_token(http, registry, bearer, repository, credential).await;
    }
    match (find("basic"), credential) {
        (Some(_), Some(credential)) => Ok(credential.basic_header()),
        (Some(_), None) => Err(RegistryError::Challenge { reason: "no basic auth credentials" }),
        (None, _) => Err(RegistryError::Challenge { reason: "no supported authentication scheme" }),
    }
}

async fn fetch_token(
    http: &HttpClient,
    registry: &http::Uri,
    challenge: &Challenge,
    repository: &str,
    credential: Option<&Credential>,
) -> Result<String, RegistryError> {
    let reason = "bearer challenge has no realm";
    let realm = challenge.parameter("realm").ok_or(RegistryError::Challenge { reason })?;
    let realm: http::Uri = realm
        .parse()
        .ok()
        .filter(|uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https")))
        .ok_or(RegistryError::Challenge { reason: "realm is not an http URL" })?;
    let is_downgrade = registry.scheme_str() == Some("https") && realm.scheme_str() == Some("http");
    if is_downgrade && credential.is_some() {
        return Err(RegistryError::Challenge {
            reason: "realm would receive credentials in plain text",
        });
    }
    let service = challenge.parameter("service").unwrap_or_default();
    let scope = challenge
        .parameter("scope")
        .map_or_else(|| format!("repository:{repository}:pull"), str::to_owned);
    let refresh = credential.and_then(|credential| credential.identity_token.as_deref());
    let call = match refresh {
        Some(refresh) => refresh_call(realm, service, &scope, refresh),
        None => get_call(&realm, service, &scope, credential)?,
    };
    let kind = if credential.is_some() { "oauth" } else { "anonymous" };
    let wrap = |source| RegistryError::Token { kind, source: Box::new(source) };
    let token = request_token(http, &call).await.map_err(wrap)?;
    Ok(format!("Bearer {token}"))
}

fn get_call(
    realm: &http::Uri,
    service: &str,
    scope: &str,
    credential: Option<&Credential>,
) -> Result<Call, RegistryError> {
    let mut query: Vec<String> = Vec::new();
    if !service.is_empty() {
        query.push(format!("service={}", encode(service)));
    }
    query.extend(scope.split(' ').map(|scope| format!("scope={}", encode(scope))));
    if let Some(credential) = credential {
        query.push(format!("account={}", encode(&credential.username)));
    }
    let joint = if realm.query().is_some() { '&' } else { '?' };
    let url = format!("{realm}{joint}{}", query.join("&"));
    let uri =
        url.parse().map_err(|_| RegistryError::Challenge { reason: "realm is not an http URL" })?;
    let authorization = credential.map(Credential::basic_header);
    Ok(Call { authorization, ..Call::get(uri) })
}

/// Exchanges a refresh token (RFC 6749, section 6).
fn refresh_call(realm: http::Uri, service: &str, scope: &str, refresh: &str) -> Call {
    let form = format!(
        "grant_type=refresh_token&service={}&client_id={CLIENT_ID}&scope={}&refresh_token={}",
        encode(service),
        encode(scope),
        encode(refresh),
    );
    let headers = vec![(header::CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())];
    Call { method: http::Method::POST, headers, body: Bytes::from(form), ..Call::get(realm) }
}

async fn request_token(http: &HttpClient, call: &Call) -> Result<String, RegistryError> {
    let response = http.send(call).await?;
    if !response.status().is_success() {
        return Err(http.status_error(call, response).await);
    }
    let body = http.read(call, response, TOKEN_BYTES_MAX).await?;
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|source| RegistryError::Malformed { url: call.printable_url(), source })?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    let is_header_safe = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_header_safe {
        return Ok(token);
    }
    Err(call.failed(RequestError::Http("authorization server did not include a token".into())))
}
