//! `secret`: the keys of a secret as files, in memory.

use std::collections::BTreeMap;

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::VolumeError;
use super::atomic::Payload;
use super::config_map::{DEFAULT_MODE, api_error, select};
use crate::container::env::Fetched;

/// The files of a volume.
pub(super) fn payload(
    source: &k8s::SecretVolumeSource,
    fetched: &Fetched,
) -> Result<Payload, VolumeError> {
    let name = source.secret_name.as_deref().unwrap_or_default();
    let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    project(name, source.items.as_deref(), source.optional, mode, fetched)
}

/// The files of a secret, all or those that are listed.
pub(super) fn project(
    name: &str,
    items: Option<&[k8s::KeyToPath]>,
    optional: Option<bool>,
    default_mode: i32,
    fetched: &Fetched,
) -> Result<Payload, VolumeError> {
    let is_optional = optional == Some(true);
    let Some(found) = fetched.secret(name).map_err(api_error)? else {
        return if is_optional {
            Ok(Payload::new())
        } else {
            Err(VolumeError::Secret(name.to_owned()))
        };
    };
    let data: BTreeMap<&str, &[u8]> =
        found.data.iter().flatten().map(|(key, value)| (key.as_str(), &*value.0)).collect();
    select(&data, items, is_optional, default_mode, VolumeError::SecretKey)
}
