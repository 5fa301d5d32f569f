//! The door to images: pull, list, remove, import, export, root file systems, disk usage.
//!
//! Owns the order of steps and what is kept: a pull leases everything it works with, verifies, unpacks
//! and records the image as its last act, so that a kill at any moment leaves an image whole or absent.
//!
//! Only [`ImageService::pull`] waits for the network. All else is synchronous file work, to be called
//! from a blocking thread by asynchronous callers. The caller holds the lock of the data directory.

mod error;
mod pull;
mod running;

use std::collections::{BTreeSet, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use tokio::sync::Semaphore;

pub use self::error::{OpenError, PullCause, PullError, PullErrorKind};
pub(crate) use self::pull::unpack_blob;
pub use self::pull::{Progress, ProgressSink};
pub use self::running::{PullSum, PullTally, RunningPull};
use crate::archive::{self, ArchiveImageError};
use crate::builtin::Builtin;
use crate::config::RunConfig;
use crate::content::{ContentStore, StoreError};
use crate::digest::{Algorithm, Digest, chain_ids};
use crate::gc::{Candidate, Disk, Plan, Policy, plan};
use crate::layer::{LayerError, LayerStore};
use crate::limits::Limits;
use crate::manifest::{Platform, media_type};
use crate::metadata::{Metadata, Record};
use crate::reference::Reference;
use crate::registry::{RegistryClient, RegistryConfig};
use crate::single_flight::SingleFlight;
use crate::snapshot::{InUse, Rootfs, SnapshotError, Snapshots};

/// How a node keeps images.
#[derive(Clone, Debug)]
pub struct ImageServiceConfig {
    /// Directory that is ours alone, e.g. `<data>/image`.
    pub root: PathBuf,
    /// How registries are reached.
    pub registry: RegistryConfig,
    /// Bounds on what images may ask for.
    pub limits: Limits,
    /// What images must run on.
    pub platform: Platform,
    /// Layers that come at once over all pulls; containerd and Docker take three.
    pub parallel_layers_max: usize,
}

impl ImageServiceConfig {
    /// Defaults for a directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            registry: RegistryConfig::default(),
            limits: Limits::default(),
            platform: Platform::host(),
            parallel_layers_max: 3,
        }
    }
}

/// An image as CRI describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Digest of its configuration.
    pub id: Digest,
    /// `registry/repository:tag`, sorted.
    pub repo_tags: Vec<String>,
    /// `registry/repository@digest`, sorted.
    pub repo_digests: Vec<String>,
    /// Size as transferred, in bytes.
    pub size_bytes: u64,
    /// The user's number, if the image gives one or none at all (root).
    pub uid: Option<u32>,
    /// The user's name, if the image gives one.
    pub username: String,
    /// How to run it.
    pub config: RunConfig,
    /// Never collected.
    pub is_pinned: bool,
    /// When it was first recorded.
    pub created_at: SystemTime,
    /// When a container or pull last asked for it.
    pub used_at: SystemTime,
}

/// What images take on their file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsUsage {
    /// The store's directory.
    pub path: PathBuf,
    /// Bytes of blobs and unpacked layers.
    pub used_bytes: u64,
    /// Their inodes.
    pub used_inodes: u64,
    /// The whole file system.
    pub disk: Disk,
}

/// What a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs.
    pub blob_count: usize,
    /// Unpacked layers.
    pub layer_count: usize,
    /// Bytes of both.
    pub freed_bytes: u64,
}

pub(crate) struct Inner {
    pub(crate) config: ImageServiceConfig,
    pub(crate) content: ContentStore,
    pub(crate) layers: LayerStore,
    metadata: Metadata,
    snapshots: Snapshots,
    registry: RegistryClient,
    flights: SingleFlight,
    running: running::Running,
    downloads: Semaphore,
}

/// All images of a node. Cheap to clone.
#[derive(Clone)]
pub struct ImageService {
    pub(crate) inner: Arc<Inner>,
}

impl ImageService {
    /// Opens the store, sweeping whatever an earlier process left unfinished.
    pub fn open(config: ImageServiceConfig) -> Result<Self, OpenError> {
        let root = config.root.clone();
        let content = ContentStore::open(&root)?;
        let metadata = Metadata::open(&root)?;
        let layers = LayerStore::open(&root.join("layers"))?;
        let snapshots = Snapshots::open(&root.join("containers"))?;
        let registry = RegistryClient::new(config.registry.clone(), config.limits.clone())?;
        let downloads = Semaphore::new(config.parallel_layers_max.max(1));
        let flights = SingleFlight::default();
        let inner = Inner {
            config,
            content,
            layers,
            metadata,
            snapshots,
            registry,
            flights,
            running: running::Running::default(),
            downloads,
        };
        let service = Self { inner: Arc::new(inner) };
        service.sweep_layers()?; // What no image names may not have reached the disk whole.
        Ok(service)
    }

    /// One image by id (with or without `sha256:`, also shortened) or by any of its names.
    pub fn status(&self, name: &str) -> Option<Image> {
        let id = self.find(name)?;
        let (record, tags) = self.inner.metadata.get(&id)?;
        Some(image_of(record, tags))
    }

    fn find(&self, name: &str) -> Option<Digest> {
        const SHORT_ID_MIN: usize = 7;
        let metadata = &self.inner.metadata;
        if let Ok(id) = name.parse::<Digest>() {
            return metadata.get(&id).map(|_| id);
        }
        let by_name = Reference::parse(name).ok().and_then(|reference| match reference.digest() {
            Some(digest) => metadata.by_repo_digest(&reference.repo_digest(digest)),
            None => metadata.by_tag(&reference.canonical()),
        });
        let is_hex =
            name.len() >= SHORT_ID_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        by_name.or_else(|| is_hex.then(|| metadata.by_id_prefix(name)).flatten())
    }

    /// All images, by id.
    pub fn list(&self) -> Vec<Image> {
        self.inner
            .metadata
            .list()
            .into_iter()
            .map(|(record, tags)| image_of(record, tags))
            .collect()
    }

    /// The pulls that run now, in the order in which they began.
    pub fn running_pulls(&self) -> Vec<RunningPull> {
        self.inner.running.list()
    }

    /// Removes an image with all its names, and everything only it needed. Layers of running
    /// containers stay until these are gone. `None` if there is no such image.
    pub fn remove(&self, name: &str) -> Result<Option<Digest>, SnapshotError> {
        let Some(id) = self.find(name) else { return Ok(None) };
        self.inner.metadata.remove(&id)?;
        self.sweep()?;
        Ok(Some(id))
    }

    /// Ids of the containers that have a root file system of an image.
    pub fn users_of(&self, image: &Digest) -> Result<Vec<String>, SnapshotError> {
        self.inner.snapshots.users_of(image)
    }

    /// Takes one name away; the image stays. `false` if there is no such name.
    pub fn untag(&self, name: &Reference) -> Result<bool, StoreError> {
        self.inner.metadata.untag(&name.canonical())
    }

    /// Gives an image one more name. `false` if there is no such image.
    pub fn tag(&self, name: &str, new_name: &Reference) -> Result<bool, StoreError> {
        match (self.find(name), new_name.repo_tag()) {
            (Some(id), Some(tag)) => self.inner.metadata.tag(&id, &tag),
            _ => Ok(false),
        }
    }

    /// Keeps an image from being collected, or allows it again.
    pub fn set_pinned(&self, name: &str, is_pinned: bool) -> Result<bool, StoreError> {
        match self.find(name) {
            Some(id) => self.inner.metadata.set_pinned(&id, is_pinned),
            None => Ok(false),
        }
    }

    /// Reads images from an OCI or Docker archive, compressed or not. Returns their ids.
    pub fn import(&self, source: impl Read) -> Result<Vec<Digest>, ArchiveImageError> {
        archive::import(self, source)
    }

    /// Writes images as one archive that Docker, containerd and we read.
    pub fn export(&self, names: &[String], sink: impl Write) -> Result<(), ArchiveImageError> {
        archive::export(self, names, sink)
    }

    /// Makes the writable directories of a container and says what to mount.
    pub fn prepare_rootfs(&self, image: &str, container: &str) -> Result<Rootfs, SnapshotError> {
        let missing = || SnapshotError::NoImage { image: image.to_owned() };
        // The lease closes the gap in which the image could be removed under us.
        let mut lease = self.inner.content.lease();
        let id = self.find(image).ok_or_else(missing)?;
        let (record, _) = self.inner.metadata.get(&id).ok_or_else(missing)?;
        lease.hold(record.layers.iter().cloned());
        self.inner.metadata.touch(&id, SystemTime::now());
        let in_use = InUse { image: id, layers: record.layers, binds: record.binds };
        self.inner.snapshots.prepare(container, &in_use, &self.inner.layers)
    }

    /// What [`ImageService::prepare_rootfs`] made for a container earlier.
    pub fn rootfs(&self, container: &str) -> Result<Option<Rootfs>, SnapshotError> {
        self.inner.snapshots.get(container, &self.inner.layers)
    }

    /// Deletes a container's writable directories, which must not be mounted any more.
    pub fn remove_rootfs(&self, container: &str) -> Result<(), SnapshotError> {
        self.inner.snapshots.remove(container)
    }

    /// Ids of the containers that have directories here.
    pub fn rootfs_list(&self) -> Result<Vec<String>, StoreError> {
        self.inner.snapshots.list()
    }

    /// Bytes and inodes that a container wrote.
    pub fn rootfs_usage(&self, container: &str) -> Result<(u64, u64), SnapshotError> {
        self.inner.snapshots.usage(container)
    }

    /// What images take on their file system.
    pub fn fs_usage(&self) -> Result<FsUsage, StoreError> {
        let root = &self.inner.config.root;
        let stat = rustix::fs::statvfs(root)
            .map_err(|errno| StoreError::io("look at file system of", root)(errno.into()))?;
        let blobs = self.inner.content.list()?;
        let layers = self.inner.layers.list();
        let blob_bytes: u64 = blobs.iter().map(|(_, bytes)| bytes).sum();
        let layer_bytes: u64 = layers.iter().map(|layer| layer.bytes).sum();
        let layer_inodes: u64 = layers.iter().map(|layer| layer.inodes).sum();
        Ok(FsUsage {
            path: root.clone(),
            used_bytes: blob_bytes + layer_bytes,
            used_inodes: blobs.len() as u64 + layer_inodes,
            disk: Disk {
                capacity_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
                available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            },
        })
    }

    /// Removes unused images by `policy`. `in_use` are images that the caller knows to be needed,
    /// beside those that containers have root file systems of.
    pub fn collect(
        &self,
        policy: &Policy,
        in_use: &HashSet<Digest>,
    ) -> Result<Plan, SnapshotError> {
        let usage = self.fs_usage()?;
        let (mounted, _) = self.inner.snapshots.all_in_use()?;
        let candidates: Vec<Candidate> = self
            .list()
            .into_iter()
            .map(|image| Candidate {
                is_in_use: in_use.contains(&image.id) || mounted.contains(&image.id),
                id: image.id,
                size_bytes: image.size_bytes,
                used_at: image.used_at,
                created_at: image.created_at,
                is_pinned: image.is_pinned,
            })
            .collect();
        let plan = plan(policy, usage.disk, &candidates, SystemTime::now());
        for id in &plan.remove {
            self.inner.metadata.remove(id)?;
        }
        self.sweep()?;
        Ok(plan)
    }

    /// Deletes blobs and layers that no image, container or running pull needs.
    pub fn sweep(&self) -> Result<Swept, SnapshotError> {
        let inner = &self.inner;
        inner.content.with_leases(|leased| {
            let records = inner.metadata.list();
            let named: HashSet<&Digest> =
                records.iter().flat_map(|(record, _)| record.blobs.iter()).collect();
            let mut swept = Swept::default();
            for (digest, bytes) in inner.content.list()? {
                if !named.contains(&digest) && !leased.contains(&digest) {
                    inner.content.remove(&digest)?;
                    swept.blob_count += 1;
                    swept.freed_bytes += bytes;
                }
            }
            self.sweep_unused_layers(leased, &records, &mut swept)?;
            Ok(swept)
        })
    }

    fn sweep_layers(&self) -> Result<(), SnapshotError> {
        let records = self.inner.metadata.list();
        self.sweep_unused_layers(&HashSet::new(), &records, &mut Swept::default())
    }

    fn sweep_unused_layers(
        &self,
        leased: &HashSet<Digest>,
        records: &[(Record, Vec<String>)],
        swept: &mut Swept,
    ) -> Result<(), SnapshotError> {
        let (_, mounted) = self.inner.snapshots.all_in_use()?;
        let named: HashSet<&Digest> =
            records.iter().flat_map(|(record, _)| record.layers.iter()).collect();
        for layer in self.inner.layers.list() {
            let chain = &layer.chain;
            if !named.contains(chain) && !mounted.contains(chain) && !leased.contains(chain) {
                self.inner.layers.remove(chain)?;
                swept.layer_count += 1;
                swept.freed_bytes += layer.bytes;
            }
        }
        Ok(())
    }

    /// Registers the built-in image. Safe to repeat; the last executable given is the one bound.
    pub fn register_builtin(&self, builtin: &Builtin) -> Result<Digest, LayerError> {
        let parts = builtin.parts().map_err(|source| StoreError::Encode { source })?;
        let content = &self.inner.content;
        let mut lease = content.lease();
        let manifest = Digest::sha256(&parts.manifest);
        let id = Digest::sha256(&parts.config);
        let blobs = BTreeSet::from([manifest.clone(), id.clone(), parts.diff.clone()]);
        lease.hold(blobs.iter().cloned());
        for bytes in [&parts.layer, &parts.config, &parts.manifest] {
            content.put_as(Algorithm::Sha256, bytes)?;
        }
        let layers = chain_ids(std::slice::from_ref(&parts.diff));
        let (limits, never) = (&self.inner.config.limits, AtomicBool::new(false));
        for chain in &layers {
            self.inner.layers.unpack(
                (chain, &parts.diff),
                &[],
                parts.layer.as_slice(),
                limits,
                &never,
            )?;
        }
        let now = SystemTime::now();
        let name = builtin.name();
        let repository = name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository);
        let record = Record {
            id: id.clone(),
            repo_digests: BTreeSet::from([format!("{repository}@{manifest}")]),
            manifest,
            manifest_type: media_type::OCI_MANIFEST.to_owned(),
            blobs,
            layers,
            size_bytes: (parts.layer.len() + parts.config.len()) as u64,
            config: parts.run,
            is_pinned: true,
            binds: parts.binds,
            created_at: now,
            used_at: now,
        };
        self.inner.layers.sync()?;
        self.inner.metadata.record(record, &[name, Builtin::latest()])?;
        Ok(id)
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.inner.config.root
    }

    pub(crate) fn record_of(&self, name: &str) -> Option<(Record, Vec<String>)> {
        self.inner.metadata.get(&self.find(name)?)
    }

    /// Records an image as the last act of a pull or import, once its layers are durable.
    pub(crate) fn commit(&self, record: Record, tags: &[String]) -> Result<Digest, StoreError> {
        let id = record.id.clone();
        self.inner.layers.sync()?;
        self.inner.metadata.record(record, tags)?;
        Ok(id)
    }
}

fn image_of(record: Record, repo_tags: Vec<String>) -> Image {
    let (uid, username) = record.config.user_identity();
    let username = username.to_owned();
    Image {
        id: record.id,
        repo_tags,
        repo_digests: record.repo_digests.into_iter().collect(),
        size_bytes: record.size_bytes,
        uid,
        username,
        config: record.config,
        is_pinned: record.is_pinned,
        created_at: record.created_at,
        used_at: record.used_at,
    }
}
