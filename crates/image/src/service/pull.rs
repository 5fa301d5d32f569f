//! Pulling: resolve, fetch what is missing in parallel, unpack in order, record.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};

use super::{ImageService, PullCause, PullError};
use crate::builtin::BUILTIN_REGISTRY;
use crate::config::ImageConfig;
use crate::content::{Lease, StoreError};
use crate::credentials::Credential;
use crate::digest::{Digest, chain_ids};
use crate::layer::LayerError;
use crate::manifest::{self, Descriptor, Document, Manifest, ManifestError};
use crate::metadata::Record;
use crate::reference::Reference;
use crate::registry::{RegistryError, Session};

/// An index may point at an index; more than this is a game.
const INDEX_DEPTH_MAX: usize = 3;
/// Pieces of a layer between network and disk: a piece is at most 16 to 64 KiB.
const PIECES_MAX: usize = 32;

/// What a pull is doing, for bars and for noticing a stall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The name means this manifest or index.
    Resolved(Digest),
    /// The image has these layers of these sizes in bytes, bottom first.
    Layers(Vec<(Digest, u64)>),
    /// So much of a layer is here.
    Downloading {
        /// The layer as transferred.
        layer: Digest,
        /// Bytes here.
        done_bytes: u64,
        /// Bytes in all.
        total_bytes: u64,
    },
    /// A layer is here and verified.
    Downloaded(Digest),
    /// A layer is being unpacked.
    Unpacking(Digest),
    /// A layer is unpacked.
    Unpacked(Digest),
}

/// Receives progress; called often, so it must not block.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// Tells a blocking thread that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs file work where it may block.
async fn blocking<T, F>(work: F) -> Result<T, PullCause>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, PullCause> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| PullCause::Worker)?
}

fn copy_error(digest: &Digest) -> impl FnOnce(RegistryError) -> PullCause {
    let digest = digest.clone();
    move |source| PullCause::Copy { digest, source: Box::new(source) }
}

/// The documents of an image, verified and kept.
struct Found {
    descriptor: Descriptor,
    manifest: Manifest,
    config: ImageConfig,
    /// Documents and layers.
    blobs: BTreeSet<Digest>,
}

struct Puller<'a> {
    service: &'a ImageService,
    reference: &'a Reference,
    progress: &'a ProgressSink,
}

impl ImageService {
    /// Pulls an image and returns its id. `credentials` are tried in order; none means anonymous.
    ///
    /// Dropping the future cancels: connections close, unfinished files go, finished blobs stay for
    /// the next try. Pulls of the same content at the same time share the work.
    pub async fn pull(
        &self,
        reference: &Reference,
        credentials: &[Credential],
        progress: &ProgressSink,
    ) -> Result<Digest, PullError> {
        let place = self.inner.running.begin(reference.canonical());
        let progress = place.listening(progress);
        let puller = Puller { service: self, reference, progress: &progress };
        let pulled = puller.run(credentials).await;
        pulled.map_err(|cause| PullError { image: reference.canonical(), cause })
    }
}

impl Puller<'_> {
    async fn run(&self, credentials: &[Credential]) -> Result<Digest, PullCause> {
        let canonical = self.reference.canonical();
        if self.reference.registry() == BUILTIN_REGISTRY {
            let id = self.service.find(&canonical);
            return id.ok_or(PullCause::NoBuiltin { reference: canonical });
        }
        let inner = &self.service.inner;
        let resolved =
            inner.registry.resolve(self.reference, credentials).await.map_err(|source| {
                PullCause::Resolve { reference: canonical, source: Box::new(source) }
            })?;
        let top = resolved.descriptor;
        (self.progress)(Progress::Resolved(top.digest.clone()));

        let mut lease = inner.content.lease();
        let session = resolved.session;
        let found = self.documents(&session, &top, resolved.body, &mut lease).await?;
        let chains = chain_ids(&found.config.rootfs.diff_ids);
        lease.hold(chains.iter().cloned());
        let sizes = found.manifest.layers.iter().map(|layer| (layer.digest.clone(), layer.size));
        (self.progress)(Progress::Layers(sizes.collect()));
        self.layers(&session, &found, &chains).await?;
        self.commit(found, &top, chains, lease).await
    }

    /// Follows indexes down to the manifest for this platform, and reads its configuration.
    async fn documents(
        &self,
        session: &Session,
        top: &Descriptor,
        body: Option<Bytes>,
        lease: &mut Lease,
    ) -> Result<Found, PullCause> {
        let inner = &self.service.inner;
        let (limits, platform) = (&inner.config.limits, &inner.config.platform);
        let mut blobs = BTreeSet::new();
        let mut descriptor = top.clone();
        let mut body = body;
        for _ in 0..INDEX_DEPTH_MAX {
            lease.hold([descriptor.digest.clone()]);
            blobs.insert(descriptor.digest.clone());
            let bytes = self.manifest(session, &mut descriptor, body.take()).await?;
            let manifest = match manifest::parse(&bytes, &descriptor.media_type, limits)? {
                Document::Index(entries) => {
                    descriptor = manifest::select(&entries, platform, &descriptor.digest)?.clone();
                    continue;
                }
                Document::Manifest(manifest) => manifest,
            };
            let parts =
                manifest.layers.iter().chain([&manifest.config]).map(|part| part.digest.clone());
            blobs.extend(parts.clone());
            lease.hold(parts);
            let config = self.config(session, &manifest.config).await?;
            config.check_layers(manifest.layers.len())?;
            if !platform.accepts(&config.platform) {
                let (digest, platform) = (descriptor.digest, platform.to_string());
                return Err(ManifestError::NoPlatform { digest, platform }.into());
            }
            return Ok(Found { descriptor, manifest, config, blobs });
        }
        let (digest, platform) = (top.digest.clone(), platform.to_string());
        Err(ManifestError::NoPlatform { digest, platform }.into())
    }

    async fn manifest(
        &self,
        session: &Session,
        descriptor: &mut Descriptor,
        body: Option<Bytes>,
    ) -> Result<Bytes, PullCause> {
        let digest = descriptor.digest.clone();
        let max = self.service.inner.config.limits.manifest_bytes;
        if let Some(kept) = self.kept(&digest, max).await {
            return Ok(kept);
        }
        let bytes = if let Some(body) = body {
            body
        } else {
            let (bytes, content_type) =
                session.manifest(descriptor).await.map_err(copy_error(&digest))?;
            if descriptor.media_type.is_empty() {
                descriptor.media_type = content_type;
            }
            bytes
        };
        self.keep(&digest, bytes).await
    }

    async fn config(
        &self,
        session: &Session,
        descriptor: &Descriptor,
    ) -> Result<ImageConfig, PullCause> {
        let digest = &descriptor.digest;
        let kept = self.kept(digest, self.service.inner.config.limits.config_bytes).await;
        let bytes = if let Some(kept) = kept {
            kept
        } else {
            let bytes = session.small_blob(descriptor).await.map_err(copy_error(digest))?;
            self.keep(digest, bytes).await?
        };
        Ok(ImageConfig::parse(&bytes)?)
    }

    /// A document that is in the store already. One that is damaged counts as missing.
    async fn kept(&self, digest: &Digest, max: u64) -> Option<Bytes> {
        let (service, digest) = (self.service.clone(), digest.clone());
        let read = blocking(move || Ok(service.inner.content.read(&digest, max)?)).await;
        read.ok().map(Bytes::from)
    }

    async fn keep(&self, digest: &Digest, bytes: Bytes) -> Result<Bytes, PullCause> {
        let (service, algorithm, copy) = (self.service.clone(), digest.algorithm(), bytes.clone());
        blocking(move || {
            let mut ingest = service.inner.content.ingest(algorithm)?;
            ingest.write(&copy)?;
            Ok(ingest.commit(None)?)
        })
        .await?;
        Ok(bytes)
    }

    /// Downloads in parallel and unpacks from the bottom up as layers come in.
    async fn layers(
        &self,
        session: &Session,
        found: &Found,
        chains: &[Digest],
    ) -> Result<(), PullCause> {
        let layers = &found.manifest.layers;
        let (arrived, arrivals): (Vec<_>, Vec<_>) =
            layers.iter().map(|_| oneshot::channel::<()>()).unzip();
        let mut downloads: Vec<BoxFuture<'_, Result<(), PullCause>>> = Vec::new();
        for (layer, arrived) in layers.iter().zip(arrived) {
            downloads.push(Box::pin(async move {
                self.download(session, layer).await?;
                // Nobody listens any more if unpacking failed; that error is the one to tell.
                let _ = arrived.send(());
                Ok(())
            }));
        }
        let at_once = self.service.inner.config.parallel_layers_max.max(1);
        let download_all = stream::iter(downloads).buffer_unordered(at_once).try_collect::<()>();
        let unpack_all = async {
            for (index, arrival) in arrivals.into_iter().enumerate() {
                arrival.await.map_err(|_| PullCause::Worker)?;
                self.unpack(found, chains, index).await?;
            }
            Ok(())
        };
        tokio::try_join!(download_all, unpack_all).map(|((), ())| ())
    }

    async fn download(&self, session: &Session, layer: &Descriptor) -> Result<(), PullCause> {
        let inner = &self.service.inner;
        let digest = &layer.digest;
        let _claim = inner.flights.claim(digest).await;
        if inner.content.size(digest) != Some(layer.size) {
            let _permit = inner.downloads.acquire().await.map_err(|_| PullCause::Worker)?;
            self.transfer(session, layer).await?;
        }
        (self.progress)(Progress::Downloaded(digest.clone()));
        Ok(())
    }

    async fn transfer(&self, session: &Session, layer: &Descriptor) -> Result<(), PullCause> {
        let (pieces, mut received) = mpsc::channel::<Bytes>(PIECES_MAX);
        let (service, digest, size) = (self.service.clone(), layer.digest.clone(), layer.size);
        let write = blocking(move || {
            let mut ingest = service.inner.content.ingest(digest.algorithm())?;
            while let Some(piece) = received.blocking_recv() {
                ingest.write(&piece)?;
            }
            // Too little came if the transfer was given up: then the size tells, and the file goes.
            Ok(ingest.commit(Some((&digest, size)))?)
        });
        let tell = |done_bytes: u64| {
            let layer_digest = layer.digest.clone();
            (self.progress)(Progress::Downloading {
                layer: layer_digest,
                done_bytes,
                total_bytes: size,
            });
        };
        let send = async {
            let sent = session.blob(layer, &pieces, &tell).await;
            drop(pieces);
            sent
        };
        let (sent, written) = tokio::join!(send, write);
        match (sent, written) {
            (Ok(()), Ok(_)) => Ok(()),
            (Ok(()) | Err(RegistryError::ReceiverGone), Err(PullCause::Store(source))) => {
                Err(copy_error(&layer.digest)(source.into()))
            }
            (Ok(()), Err(error)) => Err(error),
            (Err(source), _) => Err(copy_error(&layer.digest)(source)),
        }
    }

    async fn unpack(
        &self,
        found: &Found,
        chains: &[Digest],
        index: usize,
    ) -> Result<(), PullCause> {
        let part = (
            chains.get(index),
            found.config.rootfs.diff_ids.get(index),
            found.manifest.layers.get(index),
        );
        let (Some(chain), Some(diff), Some(layer)) = part else { return Ok(()) };
        let claim = self.service.inner.flights.claim(chain).await;
        if self.service.inner.layers.get(chain).is_none() {
            (self.progress)(Progress::Unpacking(layer.digest.clone()));
            let flag = Arc::new(AtomicBool::new(false));
            let _cancel = CancelOnDrop(Arc::clone(&flag));
            let below = chains.get(..index).unwrap_or_default().to_vec();
            let (chain, diff, blob) = (chain.clone(), diff.clone(), layer.digest.clone());
            let service = self.service.clone();
            blocking(move || {
                let _claim = claim; // Held until the directory is whole or gone, even if nobody waits.
                unpack_blob(&service, (&chain, &diff), &below, &blob, &flag)
            })
            .await?;
        }
        (self.progress)(Progress::Unpacked(layer.digest.clone()));
        Ok(())
    }

    async fn commit(
        &self,
        found: Found,
        top: &Descriptor,
        layers: Vec<Digest>,
        lease: Lease,
    ) -> Result<Digest, PullCause> {
        let now = SystemTime::now();
        let record = Record {
            id: found.manifest.config.digest.clone(),
            repo_digests: BTreeSet::from([self.reference.repo_digest(&top.digest)]),
            manifest: found.descriptor.digest,
            manifest_type: found.descriptor.media_type,
            blobs: found.blobs,
            layers,
            size_bytes: found.manifest.content_bytes(),
            config: found.config.config,
            is_pinned: false,
            binds: Vec::new(),
            created_at: now,
            used_at: now,
        };
        let tags: Vec<String> = self.reference.repo_tag().into_iter().collect();
        let service = self.service.clone();
        blocking(move || {
            let _lease = lease; // Until the record holds everything.
            Ok(service.commit(record, &tags)?)
        })
        .await
    }
}

/// Unpacks a layer from its blob. A blob that turns out to be bad is forgotten, so that the next
/// pull fetches it anew: the disk may have damaged it.
pub(crate) fn unpack_blob(
    service: &ImageService,
    identity: (&Digest, &Digest),
    below: &[Digest],
    blob: &Digest,
    cancel: &AtomicBool,
) -> Result<(), PullCause> {
    let inner = &service.inner;
    let file = inner.content.open_blob(blob)?;
    let unpacked = inner.layers.unpack(identity, below, file, &inner.config.limits, cancel);
    let Err(source) = unpacked else { return Ok(()) };
    let is_bad = matches!(
        source,
        LayerError::Archive(_) | LayerError::Stream(_) | LayerError::DiffId { .. }
    );
    if is_bad {
        inner.content.remove(blob).map_err(|error: StoreError| PullCause::Store(error))?;
    }
    Err(PullCause::Unpack { diff: identity.1.clone(), source: Box::new(source) })
}
