//! Root file systems of containers: which directories the runtime stacks, and the writable one.
//!
//! Owns `<root>/containers/<id>`: `upper` and `work` for overlayfs, and `rootfs.json` naming the
//! layers in use, which keeps them from being collected. Mounting is the runtime's work.
//!
//! What always holds: a container's directory is complete or swept at open; its id is no path.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::content::{StoreError, create_private_dir, sync_dir};
use crate::digest::Digest;
use crate::layer::LayerStore;

/// A host file bound read-only over a file of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: PathBuf,
}

/// What the runtime mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rootfs {
    /// The directory that [`Rootfs::lower_relative`] is relative to.
    pub layers_root: PathBuf,
    /// Read-only directories, newest first; never empty.
    pub lower: Vec<PathBuf>,
    /// The writable directory.
    pub upper: PathBuf,
    /// Scratch directory of overlayfs, beside `upper`.
    pub work: PathBuf,
    /// Read-only binds to make after mounting.
    pub binds: Vec<Bind>,
}

impl Rootfs {
    /// The lower directories relative to [`Rootfs::layers_root`]: a few bytes each, so that as many
    /// as overlayfs takes fit the single page of mount options.
    pub fn lower_relative(&self) -> Vec<&Path> {
        let root = &self.layers_root;
        self.lower.iter().map(|path| path.strip_prefix(root).unwrap_or(path)).collect()
    }
}

/// Why a root file system cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The id would not be one plain directory name.
    #[error("container id {id:?} is not valid")]
    Id {
        /// The id.
        id: String,
    },
    /// There is one for this container already.
    #[error("root file system of container {id:?} exists already")]
    Exists {
        /// The id.
        id: String,
    },
    /// There is no such image.
    #[error("image {image:?} is not found")]
    NoImage {
        /// Name or id.
        image: String,
    },
    /// A layer of the image is missing from the store.
    #[error("layer {chain} of the image is not unpacked")]
    NoLayer {
        /// The layer's identity.
        chain: Digest,
    },
    /// The file system refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What `rootfs.json` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InUse {
    pub(crate) image: Digest,
    pub(crate) layers: Vec<Digest>,
    pub(crate) binds: Vec<Bind>,
}

/// All containers' writable directories.
pub(crate) struct Snapshots {
    root: PathBuf,
}

const HALF_PREFIX: &str = ".half-";
const GONE_PREFIX: &str = ".gone-";

impl Snapshots {
    /// Opens `<root>` and sweeps what is unfinished.
    pub(crate) fn open(root: &Path) -> Result<Self, StoreError> {
        create_private_dir(root)?;
        for entry in fs::read_dir(root).map_err(StoreError::io("list", root))? {
            let path = entry.map_err(StoreError::io("list", root))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(HALF_PREFIX) || name.starts_with(GONE_PREFIX) {
                fs::remove_dir_all(&path).map_err(StoreError::io("sweep", &path))?;
            }
        }
        Ok(Self { root: root.to_path_buf() })
    }

    fn dir(&self, id: &str) -> Result<PathBuf, SnapshotError> {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_valid =
            (1..=128).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(is_plain);
        if is_valid { Ok(self.root.join(id)) } else { Err(SnapshotError::Id { id: id.to_owned() }) }
    }

    /// Makes the writable directories of a container; complete or not at all.
    pub(crate) fn prepare(
        &self,
        id: &str,
        in_use: &InUse,
        layers: &LayerStore,
    ) -> Result<Rootfs, SnapshotError> {
        let whole = self.dir(id)?;
        if whole.exists() {
            return Err(SnapshotError::Exists { id: id.to_owned() });
        }
        let rootfs = self.describe(id, in_use, layers)?;
        let half = self.root.join(format!("{HALF_PREFIX}{id}"));
        if half.exists() {
            fs::remove_dir_all(&half).map_err(StoreError::io("sweep", &half))?;
        }
        for name in ["upper", "work"] {
            create_private_dir(&half.join(name))?;
        }
        if let Some(top) = rootfs.lower.first() {
            copy_root_attributes(top, &half.join("upper"))?;
        }
        let about = half.join("rootfs.json");
        let text = serde_json::to_vec(in_use).map_err(|source| StoreError::Encode { source })?;
        fs::write(&about, text).map_err(StoreError::io("write", &about))?;
        fs::rename(&half, &whole).map_err(StoreError::io("rename", &whole))?;
        sync_dir(&self.root)?;
        Ok(rootfs)
    }

    fn describe(
        &self,
        id: &str,
        in_use: &InUse,
        layers: &LayerStore,
    ) -> Result<Rootfs, SnapshotError> {
        let whole = self.dir(id)?;
        let find = |chain: &Digest| -> Result<PathBuf, SnapshotError> {
            let layer =
                layers.get(chain).ok_or_else(|| SnapshotError::NoLayer { chain: chain.clone() })?;
            Ok(layers.files(&layer))
        };
        let lower = in_use.layers.iter().rev().map(find).collect::<Result<Vec<_>, _>>()?;
        Ok(Rootfs {
            layers_root: layers.root().to_path_buf(),
            lower,
            upper: whole.join("upper"),
            work: whole.join("work"),
            binds: in_use.binds.clone(),
        })
    }

    /// What was prepared for a container, after a restart for example.
    pub(crate) fn get(
        &self,
        id: &str,
        layers: &LayerStore,
    ) -> Result<Option<Rootfs>, SnapshotError> {
        match self.in_use(id)? {
            Some(in_use) => self.describe(id, &in_use, layers).map(Some),
            None => Ok(None),
        }
    }

    fn in_use(&self, id: &str) -> Result<Option<InUse>, SnapshotError> {
        let path = self.dir(id)?.join("rootfs.json");
        match fs::read(&path) {
            Ok(text) => {
                let parsed = serde_json::from_slice(&text);
                Ok(Some(parsed.map_err(|source| StoreError::Damaged { path, source })?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &path)(error).into()),
        }
    }

    /// Deletes a container's writable directories. No error if there are none.
    pub(crate) fn remove(&self, id: &str) -> Result<(), SnapshotError> {
        let whole = self.dir(id)?;
        let gone = self.root.join(format!("{GONE_PREFIX}{id}"));
        match fs::rename(&whole, &gone) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::io("rename", &whole)(error).into()),
        }
        fs::remove_dir_all(&gone).map_err(StoreError::io("remove", &gone)).map_err(Into::into)
    }

    /// Ids of all containers that have directories here.
    pub(crate) fn list(&self) -> Result<Vec<String>, StoreError> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(StoreError::io("list", &self.root))? {
            let entry = entry.map_err(StoreError::io("list", &self.root))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                ids.push(name);
            }
        }
        Ok(ids)
    }

    /// Ids of the containers that use an image.
    pub(crate) fn users_of(&self, image: &Digest) -> Result<Vec<String>, SnapshotError> {
        let mut users = Vec::new();
        for id in self.list()? {
            if self.in_use(&id)?.is_some_and(|in_use| in_use.image == *image) {
                users.push(id);
            }
        }
        Ok(users)
    }

    /// Images and layers that containers use.
    pub(crate) fn all_in_use(&self) -> Result<(HashSet<Digest>, HashSet<Digest>), SnapshotError> {
        let (mut images, mut layers) = (HashSet::new(), HashSet::new());
        for id in self.list()? {
            if let Some(in_use) = self.in_use(&id)? {
                images.insert(in_use.image);
                layers.extend(in_use.layers);
            }
        }
        Ok((images, layers))
    }

    /// Bytes and inodes that a container wrote.
    pub(crate) fn usage(&self, id: &str) -> Result<(u64, u64), SnapshotError> {
        let upper = self.dir(id)?.join("upper");
        Ok(tree_usage(&upper)?)
    }
}

/// The root directory of an overlay has owner and mode of the upper directory.
fn copy_root_attributes(from: &Path, to: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(from).map_err(StoreError::io("look at", from))?;
    let owner = (Some(metadata.uid()), Some(metadata.gid()));
    std::os::unix::fs::lchown(to, owner.0, owner.1).map_err(StoreError::io("set owner of", to))?;
    fs::set_permissions(to, metadata.permissions()).map_err(StoreError::io("set mode of", to))
}

/// Disk space and inodes of a tree that others may be changing: what vanishes meanwhile is not counted.
fn tree_usage(root: &Path) -> Result<(u64, u64), StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut bytes, mut inodes) = (0_u64, 0_u64);
    let mut pending = vec![root.to_path_buf()];
    while let Some(dir) = pending.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(StoreError::io("list", &dir)(error)),
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            bytes += metadata.blocks() * 512;
            inodes += 1;
            if metadata.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok((bytes, inodes))
}
