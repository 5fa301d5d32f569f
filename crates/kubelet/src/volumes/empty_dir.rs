//! `emptyDir`: a folder that lives as long as its Pod, on disk or in memory.

use std::path::Path;

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::mounter::{self, Mounter};
use super::{VolumeError, fs_group, ownership};
use crate::pod::{self, PodView};

/// Makes the folder, open to everybody (and to the Pod's group for good).
pub(super) fn set_up(
    mounter: &dyn Mounter,
    path: &Path,
    source: &k8s::EmptyDirVolumeSource,
    pod: &PodView,
) -> Result<(), VolumeError> {
    let medium = source.medium.as_deref().unwrap_or_default();
    match medium {
        "" | "Memory" => {}
        _ => return Err(VolumeError::Unsupported("emptyDir with huge pages")),
    }
    let is_new = !path.exists();
    std::fs::create_dir_all(path).map_err(VolumeError::io("make", path))?;
    if medium == "Memory" && !mounter::is_mount_root(path) {
        let size = size_bytes(source, pod);
        mounter.tmpfs(path, size).map_err(VolumeError::io("mount a tmpfs on", path))?;
    }
    if is_new {
        ownership::set_mode(path, 0o777).map_err(VolumeError::io("set the mode of", path))?;
    }
    if let Some(group) = fs_group(pod)
        && !ownership::is_open_to_group(path, group)
    {
        let opened = ownership::open_to_group(path, group, false);
        opened.map_err(VolumeError::io("give to the group", path))?;
    }
    Ok(())
}

/// How large a file system in memory may get: the least of its limit and of what the Pod may use.
fn size_bytes(source: &k8s::EmptyDirVolumeSource, pod: &PodView) -> Option<u64> {
    let own = source.size_limit.as_ref().map(pod::quantity).filter(|limit| !limit.is_zero());
    let of_pod = pod::pod_limit(&pod.spec, "memory").filter(|limit| !limit.is_zero());
    let least = own.into_iter().chain(of_pod).map(|limit| limit.value()).min()?;
    u64::try_from(least).ok()
}
