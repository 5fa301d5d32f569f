//! Kinds of volumes that this node cannot make, by name.

use podo_api::k8s_openapi::api::core::v1 as k8s;

use super::VolumeError;

/// Why a volume cannot be made.
pub(super) fn error(volume: &k8s::Volume) -> VolumeError {
    if volume.git_repo.is_some() {
        return VolumeError::GitRepo;
    }
    let kinds = [
        (volume.persistent_volume_claim.is_some(), "persistentVolumeClaim"),
        (volume.csi.is_some(), "csi"),
        (volume.ephemeral.is_some(), "ephemeral"),
        (volume.nfs.is_some(), "nfs"),
        (volume.iscsi.is_some(), "iscsi"),
        (volume.fc.is_some(), "fc"),
        (volume.rbd.is_some(), "rbd"),
        (volume.cephfs.is_some(), "cephfs"),
        (volume.glusterfs.is_some(), "glusterfs"),
        (volume.cinder.is_some(), "cinder"),
        (volume.flex_volume.is_some(), "flexVolume"),
        (volume.aws_elastic_block_store.is_some(), "awsElasticBlockStore"),
        (volume.gce_persistent_disk.is_some(), "gcePersistentDisk"),
        (volume.azure_disk.is_some(), "azureDisk"),
        (volume.azure_file.is_some(), "azureFile"),
        (volume.vsphere_volume.is_some(), "vsphereVolume"),
        (volume.portworx_volume.is_some(), "portworxVolume"),
    ];
    let kind = kinds.iter().find(|(is_it, _)| *is_it).map_or("such", |(_, name)| *name);
    VolumeError::Unsupported(kind)
}
