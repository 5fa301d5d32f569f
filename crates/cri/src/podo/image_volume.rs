//! Image volumes: the files of an image as a read-only mount (KEP-4639).
//!
//! Each is a mount of its own below the run directory, bound into the container, with a lease on the image's layers in the
//! image store under the same name; both go with the container, and what a crash left goes at the next opening.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use podo_runtime::{Mount, MountKind, MountSource, Propagation, ReadOnly};

use super::{Node, faults, overlay, records};
use crate::{Code, CriError, Reason, v1};

/// Name of a container's image volume: of its mount and its lease.
fn name(container: &str, index: u32) -> String {
    format!("{container}-volume-{index}")
}

fn failed(image: &str, why: impl std::fmt::Display) -> CriError {
    let text = format!("failed to mount image volume of {image:?}: {why}");
    CriError::new(Code::Internal, text).with_reason(Reason::ImageVolumeMount)
}

impl Node {
    /// Directory of the mounts of all image volumes.
    pub(super) fn image_volumes_dir(&self) -> PathBuf {
        self.config.run_dir.join("volumes")
    }

    /// An empty directory.
    pub(super) fn empty_dir(&self) -> PathBuf {
        self.config.data_dir.join("cri").join("empty")
    }

    /// Makes a container's image volume of this number.
    pub(super) fn mount_image_volume(
        &self,
        container: &str,
        index: u32,
        mount: &v1::Mount,
    ) -> Result<Mount, CriError> {
        let image = mount.image.clone().unwrap_or_default().image;
        if !mount.host_path.is_empty() || !mount.container_path.starts_with('/') {
            let text = "an image volume has an absolute path inside and none on the host";
            return Err(CriError::invalid(text));
        }
        let name = name(container, index);
        let rootfs = self.images.prepare_rootfs(&image, &name);
        let rootfs = rootfs.map_err(|error| failed(&image, podo_base::Chain(&error)))?;
        let tree = overlay::read_only(&rootfs.lower, &self.empty_dir());
        let tree = tree.map_err(|error| failed(&image, error))?;
        let sub_path = mount.image_sub_path.trim_start_matches('/');
        if !sub_path.is_empty() {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let found = rustix::fs::openat2(&tree, sub_path, flags, Mode::empty(), resolve);
            found.map_err(|error| failed(&image, format!("sub path {sub_path:?}: {error}")))?;
        }
        let at = self.image_volumes_dir().join(&name);
        let placed = fs::create_dir(&at).and_then(|()| overlay::attach(&tree, &at));
        placed.map_err(|error| failed(&image, error))?;
        Ok(Mount {
            destination: mount.container_path.clone(),
            kind: MountKind::Bind {
                source: source(&at, sub_path),
                propagation: Propagation::Private,
                idmap: false,
            },
            read_only: ReadOnly::Top,
        })
    }

    /// Takes a container's image volumes away.
    pub(super) fn remove_image_volumes(&self, container: &str, count: u32) -> Result<(), CriError> {
        (0..count).try_for_each(|index| self.remove_image_volume(&name(container, index)))
    }

    /// Takes one image volume away by its name; none is fine.
    pub(super) fn remove_image_volume(&self, name: &str) -> Result<(), CriError> {
        let at = self.image_volumes_dir().join(name);
        let removed = overlay::detach(&at).and_then(|()| records::remove_dir(&at));
        removed.map_err(|error| faults::of_file("remove", &at, &error))?;
        self.images.remove_rootfs(name).map_err(|error| faults::of_snapshot(&error))
    }
}

fn source(at: &Path, sub_path: &str) -> MountSource {
    if sub_path.is_empty() {
        MountSource::Path(at.to_owned())
    } else {
        MountSource::Beneath { root: at.to_owned(), path: sub_path.into() }
    }
}

/// The container that a volume's name belongs to.
pub(super) fn container_of(name: &str) -> &str {
    name.split_once("-volume-").map_or(name, |(container, _)| container)
}
