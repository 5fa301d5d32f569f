//! ListImages, ImageStatus, RemoveImage, ImageFsInfo.

use std::sync::Arc;

use podo_image::{Image, Reference};

use super::{Node, faults, now_ns};
use crate::{Code, CriError, Reason, v1};

/// An image as CRI shows it.
fn shown(image: &Image) -> v1::Image {
    v1::Image {
        id: image.id.to_string(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        size: image.size_bytes,
        uid: image.uid.map(|uid| v1::Int64Value { value: uid.into() }),
        username: image.username.clone(),
        spec: Some(v1::ImageSpec { image: image.id.to_string(), ..v1::ImageSpec::default() }),
        pinned: image.is_pinned,
    }
}

/// A name that is no image's, as Kubernetes shows it.
pub(super) fn parse(name: &str) -> Result<Reference, CriError> {
    Reference::parse(name).map_err(|error| {
        CriError::new(Code::InvalidArgument, podo_base::Chain(&error).to_string())
            .with_reason(Reason::InvalidImageName)
    })
}

impl Node {
    pub(super) fn list_images(&self, request: v1::ListImagesRequest) -> v1::ListImagesResponse {
        let name = request.filter.and_then(|filter| filter.image).map(|spec| spec.image);
        let images = match name.filter(|name| !name.is_empty()) {
            Some(name) => self.images.status(&name).into_iter().collect(),
            None => self.images.list(),
        };
        v1::ListImagesResponse { images: images.iter().map(shown).collect() }
    }

    pub(super) fn image_status(
        &self,
        request: v1::ImageStatusRequest,
    ) -> Result<v1::ImageStatusResponse, CriError> {
        let name = request.image.unwrap_or_default().image;
        let image = self.images.status(&name);
        if image.is_none() {
            parse(&name)?;
        }
        let image = image.as_ref().map(shown);
        Ok(v1::ImageStatusResponse { image, ..v1::ImageStatusResponse::default() })
    }

    pub(super) async fn remove_image(
        self: &Arc<Self>,
        request: v1::RemoveImageRequest,
    ) -> Result<v1::RemoveImageResponse, CriError> {
        let name = request.image.unwrap_or_default().image;
        let node = Arc::clone(self);
        let remove = move || {
            node.images.remove(&name).map_err(|error| faults::of_snapshot(&error))?;
            Ok(v1::RemoveImageResponse {})
        };
        self.gate.run(remove).await
    }

    pub(super) async fn image_fs_info(
        self: &Arc<Self>,
    ) -> Result<v1::ImageFsInfoResponse, CriError> {
        let node = Arc::clone(self);
        let look = move || {
            let usage = node.images.fs_usage().map_err(|error| CriError::internal(&error))?;
            let containers = node.table.containers();
            let sizes = containers.iter().filter_map(|one| node.images.rootfs_usage(one.id()).ok());
            let (bytes, inodes) = sizes.fold((0_u64, 0_u64), |sum, size| {
                (sum.0.saturating_add(size.0), sum.1.saturating_add(size.1))
            });
            let mountpoint = usage.path.to_string_lossy().into_owned();
            let of = |bytes, inodes| v1::FilesystemUsage {
                timestamp: now_ns(),
                fs_id: Some(v1::FilesystemIdentifier { mountpoint: mountpoint.clone() }),
                used_bytes: Some(v1::UInt64Value { value: bytes }),
                inodes_used: Some(v1::UInt64Value { value: inodes }),
            };
            Ok(v1::ImageFsInfoResponse {
                image_filesystems: vec![of(usage.used_bytes, usage.used_inodes)],
                container_filesystems: vec![of(bytes, inodes)],
            })
        };
        self.gate.run(look).await
    }
}
