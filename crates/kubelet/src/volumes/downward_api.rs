//! `downwardAPI`: what a Pod says of itself as files.

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::VolumeError;
use super::atomic::{File, Payload};
use super::config_map::{DEFAULT_MODE, bits};
use crate::container::downward::{self, DownwardError, NodeFacts};
use crate::pod::PodView;

/// The files of a volume.
pub(super) fn payload(
    source: &k8s::DownwardAPIVolumeSource,
    pod: &PodView,
    node: &NodeFacts,
) -> Result<Payload, VolumeError> {
    let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
    project(source.items.as_deref().unwrap_or_default(), mode, pod, node)
}

/// The files that are listed.
pub(super) fn project(
    items: &[k8s::DownwardAPIVolumeFile],
    default_mode: i32,
    pod: &PodView,
    node: &NodeFacts,
) -> Result<Payload, VolumeError> {
    let mut payload = Payload::new();
    for item in items {
        let text = if let Some(field) = &item.field_ref {
            downward::field(&field.field_path, pod)?
        } else if let Some(selector) = &item.resource_field_ref {
            let name = selector.container_name.as_deref().unwrap_or_default();
            let (_, container) =
                pod.container(name).ok_or_else(|| DownwardError::Container(name.to_owned()))?;
            downward::resource(selector, pod, container, node)?
        } else {
            String::new()
        };
        let mode = bits(item.mode.unwrap_or(default_mode));
        payload.insert(item.path.clone(), File { bytes: text.into_bytes(), mode, user: None });
    }
    Ok(payload)
}
