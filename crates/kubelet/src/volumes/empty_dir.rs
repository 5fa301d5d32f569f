//! `emptyDir`: a folder that lives as long as its Pod, on disk or in memory.

use std::path::Path;

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::mounter::{self, Mounter};
use super::{VolumeError, fs_group, ownership};
use crate::container::downward::NodeFacts;
use crate::pod::{self, PodView};

/// Makes the folder, open to everybody (and to the Pod's group for good). One that is there is the containers': it stays as they
/// made it.
pub(super) fn set_up(
    mounter: &dyn Mounter,
    path: &Path,
    source: &k8s::EmptyDirVolumeSource,
    pod: &PodView,
    node: &NodeFacts,
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
        let size = size_bytes(source, pod, node);
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

/// How large a file system in memory may get: the least of its limit, of what the Pod may use and of what all Pods may use
/// (Kubernetes v1.36 `calculateEmptyDirMemorySize`).
fn size_bytes(source: &k8s::EmptyDirVolumeSource, pod: &PodView, node: &NodeFacts) -> Option<u64> {
    let own = source.size_limit.as_ref().map(pod::quantity);
    let of_pod = pod::pod_limit(&pod.spec, "memory");
    let of_node = node.allocatable.get("memory").cloned();
    let bounds = own.into_iter().chain(of_pod).chain(of_node);
    let least = bounds.map(|bound| bound.value()).filter(|bound| *bound > 0).min()?;
    u64::try_from(least).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn memory_is_bounded_by_the_volume_the_pod_and_the_node() {
        let size = |own: Value, limits: Value, node: &NodeFacts| {
            let spec = json!({"containers": [{"name": "c", "resources": {"limits": limits}}]});
            let pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("a Pod");
            let source = serde_json::from_value(own).expect("a source");
            size_bytes(&source, &PodView::new(pod), node).map(|bytes| bytes >> 20)
        };
        let memory = ("memory".to_owned(), "1Gi".parse().expect("a quantity"));
        let node = NodeFacts { allocatable: [memory].into(), ..NodeFacts::default() };
        let limited = || json!({"sizeLimit": "64Mi"});
        assert_eq!(size(json!({}), json!({}), &node), Some(1024));
        assert_eq!(size(json!({}), json!({"memory": "128Mi"}), &node), Some(128));
        assert_eq!(size(json!({}), json!({"memory": "2Gi"}), &node), Some(1024));
        assert_eq!(size(limited(), json!({"memory": "128Mi"}), &node), Some(64));
        assert_eq!(size(json!({"sizeLimit": "0"}), json!({}), &node), Some(1024));
        assert_eq!(size(json!({}), json!({}), &NodeFacts::default()), None);
    }
}
