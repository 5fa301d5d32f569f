//! `configMap`: the keys of a config map as files.

use std::collections::BTreeMap;

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::VolumeError;
use super::atomic::{File, Payload};
use crate::container::env::{EnvError, Fetched};

/// Permissions of files where nothing is said.
pub(super) const DEFAULT_MODE: i32 = 0o644;

/// The files of a volume.
pub(super) fn payload(
    source: &k8s::ConfigMapVolumeSource,
    fetched: &Fetched,
) -> Result<Payload, VolumeError> {
    let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    project(&source.name, source.items.as_deref(), source.optional, mode, fetched)
}

/// The files of a config map, all or those that are listed.
pub(super) fn project(
    name: &str,
    items: Option<&[k8s::KeyToPath]>,
    optional: Option<bool>,
    default_mode: i32,
    fetched: &Fetched,
) -> Result<Payload, VolumeError> {
    let is_optional = optional == Some(true);
    let Some(found) = fetched.config_map(name).map_err(api_error)? else {
        return if is_optional {
            Ok(Payload::new())
        } else {
            Err(VolumeError::ConfigMap(name.to_owned()))
        };
    };
    let text = found.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
    let binary = found.binary_data.iter().flatten().map(|(key, value)| (key.as_str(), &*value.0));
    let data: BTreeMap<&str, &[u8]> = text.chain(binary).collect();
    select(&data, items, is_optional, default_mode, VolumeError::ConfigMapKey)
}

/// The files of all data, or of the keys that are listed.
pub(super) fn select(
    data: &BTreeMap<&str, &[u8]>,
    items: Option<&[k8s::KeyToPath]>,
    is_optional: bool,
    default_mode: i32,
    missing: impl Fn(String) -> VolumeError,
) -> Result<Payload, VolumeError> {
    let file =
        |bytes: &[u8], mode: i32| File { bytes: bytes.to_vec(), mode: bits(mode), user: None };
    let mut payload = Payload::new();
    match items {
        None | Some([]) => {
            for (key, bytes) in data {
                payload.insert((*key).to_owned(), file(bytes, default_mode));
            }
        }
        Some(items) => {
            for item in items {
                match data.get(item.key.as_str()) {
                    Some(bytes) => {
                        let mode = item.mode.unwrap_or(default_mode);
                        payload.insert(item.path.clone(), file(bytes, mode));
                    }
                    None if is_optional => {}
                    None => return Err(missing(item.key.clone())),
                }
            }
        }
    }
    Ok(payload)
}

/// Permission bits of a mode, which validation keeps between 0 and 0777.
pub(super) fn bits(mode: i32) -> u32 {
    u32::try_from(mode).unwrap_or(0) & 0o777
}

/// An object that could not be fetched.
pub(super) fn api_error(error: EnvError) -> VolumeError {
    match error {
        EnvError::ConfigMap(name) => VolumeError::ConfigMap(name),
        EnvError::Secret(name) => VolumeError::Secret(name),
        EnvError::Api(status) => VolumeError::Api(status),
        other => VolumeError::Api(podo_api::Status::internal(other)),
    }
}
