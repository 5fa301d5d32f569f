//! The pull secrets of a Pod: credentials, and what tells one secret from another.

use podo_cri::Keyring;
use serde::{Deserialize, Serialize};

use super::pull_records::hash;
use crate::container::env::Fetched;
use crate::pod::PodView;
use crate::sources;

/// Which secret, at which state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretIdentity {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Of its credentials: two secrets with the same open the same.
    pub(crate) credential_hash: String,
}

/// A secret that holds credentials.
#[derive(Debug, Clone)]
pub(crate) struct PullSecret {
    pub(crate) identity: SecretIdentity,
    pub(crate) keyring: Keyring,
}

/// A Pod's pull secrets, and the names of those that are missing or make no sense.
pub(crate) fn pull_secrets(pod: &PodView, fetched: &Fetched) -> (Vec<PullSecret>, Vec<String>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in sources::pull_secrets(pod) {
        match pull_secret(name, fetched) {
            Some(secret) => found.push(secret),
            None => missing.push(name.to_owned()),
        }
    }
    (found, missing)
}

fn pull_secret(name: &str, fetched: &Fetched) -> Option<PullSecret> {
    let secret = fetched.secret(name).ok().flatten()?;
    let bytes = |key: &str| secret.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice());
    let mut keyring = Keyring::new();
    let text = if let Some(text) = bytes(".dockerconfigjson") {
        keyring.add_config_json(text).ok()?;
        text
    } else {
        let text = bytes(".dockercfg")?;
        keyring.add_dockercfg(text).ok()?;
        text
    };
    let identity = SecretIdentity {
        namespace: secret.metadata.namespace.clone().unwrap_or_default(),
        name: name.to_owned(),
        uid: secret.metadata.uid.clone().unwrap_or_default(),
        credential_hash: hash(text),
    };
    Some(PullSecret { identity, keyring })
}
