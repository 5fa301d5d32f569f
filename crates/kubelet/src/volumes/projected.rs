//! `projected`: tokens, config maps, secrets and the downward API in one folder.

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::atomic::{File, Payload};
use super::config_map::{DEFAULT_MODE, bits};
use super::tokens::{Token, TokenKey};
use super::{VolumeError, VolumeInput, config_map, downward_api, fs_group, fs_user, secret};
use crate::pod::PodView;

/// How long a token is to last where nothing is said, in seconds.
const EXPIRATION_DEFAULT: i64 = 3600;

/// The tokens that a volume asks for, in the order of its sources.
pub(super) fn wanted_tokens(volume: &k8s::Volume, pod: &PodView) -> Vec<TokenKey> {
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let tokens = sources.filter_map(|source| source.service_account_token.as_ref());
    tokens
        .map(|token| TokenKey {
            namespace: pod.namespace().to_owned(),
            service_account: pod.spec.service_account_name.clone().unwrap_or_default(),
            audience: token.audience.clone().unwrap_or_default(),
            expiration_seconds: token.expiration_seconds.unwrap_or(EXPIRATION_DEFAULT),
            pod_name: pod.name().to_owned(),
            pod_uid: pod.uid().to_owned(),
        })
        .collect()
}

/// The files of a volume; `tokens` are those of [`wanted_tokens`].
pub(super) fn payload(
    source: &k8s::ProjectedVolumeSource,
    input: &VolumeInput,
    tokens: &[Token],
) -> Result<Payload, VolumeError> {
    let VolumeInput { pod, fetched, node } = input;
    let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    let mut payload = Payload::new();
    let mut tokens = tokens.iter();
    for projection in source.sources.iter().flatten() {
        if let Some(from) = &projection.config_map {
            let items = from.items.as_deref();
            payload.extend(config_map::project(&from.name, items, from.optional, mode, fetched)?);
        } else if let Some(from) = &projection.secret {
            let items = from.items.as_deref();
            payload.extend(secret::project(&from.name, items, from.optional, mode, fetched)?);
        } else if let Some(from) = &projection.downward_api {
            let items = from.items.as_deref().unwrap_or_default();
            payload.extend(downward_api::project(items, mode, pod, node)?);
        } else if let Some(from) = &projection.service_account_token {
            if let Some(token) = tokens.next() {
                payload.insert(from.path.clone(), token_file(token, mode, pod));
            }
        } else if projection.cluster_trust_bundle.is_some() {
            return Err(VolumeError::UnsupportedProjection("clusterTrustBundle"));
        } else if projection.pod_certificate.is_some() {
            return Err(VolumeError::UnsupportedProjection("podCertificate"));
        }
    }
    Ok(payload)
}

/// A token is for its reader alone where that reader is known (KEP-2451).
fn token_file(token: &Token, mode: i32, pod: &PodView) -> File {
    let user = fs_user(pod);
    let mode = if user.is_some() || fs_group(pod).is_some() { 0o600 } else { bits(mode) };
    File { bytes: token.text.clone().into_bytes(), mode, user }
}
