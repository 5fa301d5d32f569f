//! What others need to check tokens: OpenID Connect discovery and the JSON web key set (KEP-1393).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::key::SigningKey;
use crate::http::{Response, full};

/// Keys change rarely, and both documents are asked for by machines that check every token.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The public keys.
pub(super) fn keys(key: &SigningKey) -> Response {
    let (modulus, exponent) = key.components();
    let key = json!({
        "use": "sig", "kty": "RSA", "kid": key.id(), "alg": "RS256",
        "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent),
    });
    document(&json!({"keys": [key]}), HeaderValue::from_static("application/jwk-set+json"))
}

/// Where the keys are.
pub(super) fn configuration(issuer: &str, jwks_uri: &str) -> Response {
    let configuration = json!({
        "issuer": issuer,
        "jwks_uri": jwks_uri,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    document(&configuration, HeaderValue::from_static("application/json"))
}

fn document(value: &Value, content_type: HeaderValue) -> Response {
    let mut response = Response::new(full(value.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    response
}
