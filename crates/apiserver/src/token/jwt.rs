//! JSON web tokens signed with RS256 (RFC 7515, RFC 7519).

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::claims::Claims;
use super::key::SigningKey;
use super::validate::TokenError;

/// The longest token that is looked at. Ours have about 1 KiB; a header line may have more than anybody needs.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Tokens whose signature was checked and is not checked again: one for each Pod of a node and more, some 2 MB when full.
const VERIFIED_MAX: usize = 4096;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Header {
    alg: String,
}

/// What a token claims, unchecked; `None` if it is no JWT.
pub(crate) fn peek(token: &str) -> Option<Claims> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let [_header, payload, _signature] = parts(token)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn parts(token: &str) -> Option<[&str; 3]> {
    let mut parts = token.split('.');
    let found = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(found)
}

/// Checks signatures.
#[derive(Default)]
pub(super) struct Verifier(Mutex<HashMap<[u8; 32], Arc<Claims>>>);

impl Verifier {
    /// The claims of a token that the key has signed; `claims` are those of this token.
    pub(super) fn verify(
        &self,
        key: &SigningKey,
        token: &str,
        claims: Claims,
    ) -> Result<Arc<Claims>, TokenError> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.0.lock().get(&digest) {
            return Ok(Arc::clone(known));
        }
        check_signature(key, token)?;
        let claims = Arc::new(claims);
        let mut verified = self.0.lock();
        if verified.len() >= VERIFIED_MAX {
            verified.clear();
        }
        verified.insert(digest, Arc::clone(&claims));
        Ok(claims)
    }
}

pub(crate) fn check_signature(key: &SigningKey, token: &str) -> Result<(), TokenError> {
    let [header, payload, signature] = parts(token).ok_or(TokenError::Unknown)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Signature);
    let header: Header =
        serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Signature)?;
    // The algorithm is ours to choose: a token that names another one was not signed here.
    if header.alg != "RS256" {
        return Err(TokenError::Signature);
    }
    let signed = &token[..token.len() - signature.len() - 1];
    debug_assert!(signed.ends_with(payload));
    if key.verify(signed.as_bytes(), &decode(signature)?) {
        Ok(())
    } else {
        Err(TokenError::Signature)
    }
}
