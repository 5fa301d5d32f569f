//! `emptyDir`: a folder that lives as long as its Pod, on disk or in memory.

use std::path::Path;

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::mounter::{self, Mounter};
use super::{VolumeError, fs_group, ownership};
use crate::pod::{self, PodView};

/// Makes the folder, open to everybody (and to the Pod's group for good). One that is there is the containers': it stays as they
/// made it.
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
    if medium == "Memory" {
        if mounter::is_mount_root(path) {
            return Ok(());
        }
        std::fs::create_dir_all(path).map_err(VolumeError::io("make", path))?;
        let size = size_bytes(source, pod);
        mounter.tmpfs(path, size).map_err(VolumeError::io("mount a tmpfs on", path))?;
        return open(path, pod);
    }
    if path.exists() {
        return Ok(());
    }
    // It gets its name last: after a crash it is either not there or as it should be.
    let unfinished = path.with_extension("new~");
    std::fs::create_dir_all(&unfinished).map_err(VolumeError::io("make", path))?;
    open(&unfinished, pod)?;
    std::fs::rename(&unfinished, path).map_err(VolumeError::io("make", path))
}

/// Opens an empty folder to those who may use it.
fn open(path: &Path, pod: &PodView) -> Result<(), VolumeError> {
    ownership::set_mode(path, 0o777).map_err(VolumeError::io("set the mode of", path))?;
    let Some(group) = fs_group(pod) else { return Ok(()) };
    let opened = ownership::open_to_group(path, group, false);
    opened.map_err(VolumeError::io("give to the group", path))
}

/// How large a file system in memory may get: the least of its limit and of what the Pod may use.
fn size_bytes(source: &k8s::EmptyDirVolumeSource, pod: &PodView) -> Option<u64> {
    let own = source.size_limit.as_ref().map(pod::quantity).filter(|limit| !limit.is_zero());
    let of_pod = pod::pod_limit(&pod.spec, "memory").filter(|limit| !limit.is_zero());
    let least = own.into_iter().chain(of_pod).map(|limit| limit.value()).min()?;
    u64::try_from(least).ok()
}
