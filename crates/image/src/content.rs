//! The content store: blobs by digest, and nothing in it that was not verified.
//!
//! Owns `<root>/blobs/<algorithm>/<hex>` and `<root>/ingest`, where content is written until its
//! digest and size are known to be right.
//!
//! What always holds
//! - A blob has the content its name says: it is flushed and renamed into place after verification.
//! - A blob that is leased or referenced is not swept.
//!
//! Not here: which blobs are needed ([`crate::gc`]), layers unpacked ([`crate::layer`]).

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::digest::{Algorithm, Digest, Hasher};

/// Why the store cannot keep or give something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{action} {path:?}")]
    Io {
        /// What was done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Content differs from its name. The text is containerd's.
    #[error("unexpected commit digest {got}, expected {expected}: failed precondition")]
    Digest {
        /// Digest of what came.
        got: Digest,
        /// Digest that was promised.
        expected: Digest,
    },
    /// Content has another length than promised. The text is containerd's.
    #[error("{expected} failed size validation: {got} != {size}: failed precondition")]
    Size {
        /// The blob.
        expected: Digest,
        /// Bytes that came.
        got: u64,
        /// Bytes promised.
        size: u64,
    },
    /// There is no such blob.
    #[error("content {digest}: not found")]
    NotFound {
        /// The blob.
        digest: Digest,
    },
    /// The blob is larger than the caller can take.
    #[error("content {digest} has {bytes} bytes, more than {max}")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size.
        bytes: u64,
        /// The caller's bound.
        max: u64,
    },
    /// A record could not be written as JSON.
    #[error("record cannot be encoded")]
    Encode {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A record on disk is damaged.
    #[error("record {path:?} is damaged")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the content itself is at fault, not the disk.
    pub fn is_integrity(&self) -> bool {
        matches!(self, Self::Digest { .. } | Self::Size { .. })
    }
}

/// Makes a directory (and those above it) that only its owner may enter.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), StoreError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(StoreError::io("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(StoreError::io("protect", path))
}

/// Makes renames in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    let dir = File::open(path).map_err(StoreError::io("open", path))?;
    dir.sync_all().map_err(StoreError::io("sync", path))
}

type LeaseCounts = Arc<Mutex<HashMap<Digest, usize>>>;

/// Keeps blobs and layers from being swept while a pull works with them.
pub struct Lease {
    counts: LeaseCounts,
    held: Vec<Digest>,
}

impl Lease {
    /// Adds more to hold. To be called before asking whether it is there.
    pub fn hold(&mut self, digests: impl IntoIterator<Item = Digest>) {
        let mut counts = self.counts.lock();
        for digest in digests {
            *counts.entry(digest.clone()).or_default() += 1;
            self.held.push(digest);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        for digest in &self.held {
            if let Some(count) = counts.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(digest);
                }
            }
        }
    }
}

/// All blobs of a node.
pub struct ContentStore {
    root: PathBuf,
    next_ingest: AtomicU64,
    leases: LeaseCounts,
}

impl ContentStore {
    /// Opens `<root>` and sweeps what an earlier process left unfinished. The caller holds the lock
    /// that makes this process the only one.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let ingest = root.join("ingest");
        if ingest.exists() {
            fs::remove_dir_all(&ingest).map_err(StoreError::io("sweep", &ingest))?;
        }
        create_private_dir(&ingest)?;
        for algorithm in Algorithm::ALL {
            create_private_dir(&root.join("blobs").join(algorithm.name()))?;
        }
        let leases = LeaseCounts::default();
        Ok(Self { root: root.to_path_buf(), next_ingest: AtomicU64::new(0), leases })
    }

    /// Starts a lease that holds nothing yet.
    pub fn lease(&self) -> Lease {
        Lease { counts: Arc::clone(&self.leases), held: Vec::new() }
    }

    /// Where a blob lies or would lie.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// A blob's size in bytes, if it is there.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.path(digest)).ok().map(|metadata| metadata.len())
    }

    /// Opens a blob for reading.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, StoreError> {
        let path = self.path(digest);
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { digest: digest.clone() },
            _ => StoreError::io("open", &path)(error),
        })
    }

    /// Reads a blob of at most `max` bytes and verifies it again: disks rot.
    pub fn read(&self, digest: &Digest, max: u64) -> Result<Vec<u8>, StoreError> {
        let file = self.open_blob(digest)?;
        let path = self.path(digest);
        let bytes = file.metadata().map_err(StoreError::io("look at", &path))?.len();
        if bytes > max {
            return Err(StoreError::TooLarge { digest: digest.clone(), bytes, max });
        }
        let mut content = Vec::new();
        file.take(max).read_to_end(&mut content).map_err(StoreError::io("read", &path))?;
        let got = Digest::of(digest.algorithm(), &content);
        if got != *digest {
            return Err(StoreError::Digest { got, expected: digest.clone() });
        }
        Ok(content)
    }

    /// Keeps small content under its SHA-256.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        self.put_as(Algorithm::Sha256, bytes)
    }

    /// Keeps small content under the digest of `algorithm`.
    pub fn put_as(&self, algorithm: Algorithm, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(algorithm, bytes);
        if self.size(&digest) != Some(bytes.len() as u64) {
            let mut ingest = self.ingest(algorithm)?;
            ingest.write(bytes)?;
            ingest.commit(None)?;
        }
        Ok(digest)
    }

    /// Starts writing content whose digest will be of `algorithm`.
    pub fn ingest(&self, algorithm: Algorithm) -> Result<Ingest, StoreError> {
        let number = self.next_ingest.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("ingest").join(number.to_string());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("make", &path))?;
        let hasher = Hasher::new(algorithm);
        let blobs = self.root.join("blobs").join(algorithm.name());
        Ok(Ingest { file, path, blobs, hasher: Some(hasher), byte_count: 0 })
    }

    /// Copies a stream of at most `max` bytes into the store under its SHA-256.
    pub fn ingest_stream(
        &self,
        mut source: impl Read,
        max: u64,
    ) -> Result<(Digest, u64), StoreError> {
        let mut ingest = self.ingest(Algorithm::Sha256)?;
        let path = ingest.path.clone();
        let mut buffer = vec![0_u8; 128 << 10];
        loop {
            let count = source.read(&mut buffer).map_err(StoreError::io("fill", &path))?;
            let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else { break };
            ingest.write(chunk)?;
            if ingest.byte_count > max {
                let error = io::Error::from(io::ErrorKind::FileTooLarge);
                return Err(StoreError::io("fill", &path)(error));
            }
        }
        let bytes = ingest.byte_count;
        Ok((ingest.commit(None)?, bytes))
    }

    /// All blobs with their sizes in bytes.
    pub fn list(&self) -> Result<Vec<(Digest, u64)>, StoreError> {
        let mut blobs = Vec::new();
        for algorithm in Algorithm::ALL {
            let dir = self.root.join("blobs").join(algorithm.name());
            for entry in fs::read_dir(&dir).map_err(StoreError::io("list", &dir))? {
                let entry = entry.map_err(StoreError::io("list", &dir))?;
                let name = format!("{}:{}", algorithm.name(), entry.file_name().to_string_lossy());
                if let (Ok(digest), Ok(metadata)) = (name.parse(), entry.metadata()) {
                    blobs.push((digest, metadata.len()));
                }
            }
        }
        Ok(blobs)
    }

    /// Runs `sweep` while no lease can begin or end, telling it what is leased. Whoever wants
    /// content either leased it before (and it is in the set) or asks for it afterwards.
    pub fn with_leases<T>(&self, sweep: impl FnOnce(&HashSet<Digest>) -> T) -> T {
        let counts = self.leases.lock();
        sweep(&counts.keys().cloned().collect())
    }

    /// Deletes a blob. The caller knows that nothing uses it.
    pub fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Content being written; gone if dropped before [`Ingest::commit`].
pub struct Ingest {
    file: File,
    path: PathBuf,
    blobs: PathBuf,
    hasher: Option<Hasher>,
    byte_count: u64,
}

impl Ingest {
    /// Adds the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.byte_count += bytes.len() as u64;
        Ok(())
    }

    /// Bytes written so far.
    pub fn byte_count(&self) -> u64 {
        self.byte_count
    }

    /// Verifies digest and size if they are known, and makes the blob visible and durable.
    pub fn commit(mut self, expected: Option<(&Digest, u64)>) -> Result<Digest, StoreError> {
        let hasher = self.hasher.take().unwrap_or_else(|| Hasher::new(Algorithm::Sha256));
        let got = hasher.finish();
        if let Some((digest, size)) = expected {
            if self.byte_count != size {
                let (expected, got) = (digest.clone(), self.byte_count);
                return Err(StoreError::Size { expected, got, size });
            }
            if got != *digest {
                return Err(StoreError::Digest { got, expected: digest.clone() });
            }
        }
        self.file.sync_all().map_err(StoreError::io("sync", &self.path))?;
        let blob = self.blobs.join(got.hex());
        fs::rename(&self.path, &blob).map_err(StoreError::io("rename", &blob))?;
        sync_dir(&self.blobs)?;
        Ok(got)
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        // Renamed if committed; then there is nothing to remove.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "unfinished content stays until the next start");
        }
    }
}

/// Replaces a small file so that a reader sees the old or the new content, also after a crash.
pub(crate) fn write_atomic(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let half = path.with_extension("half");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&half)
        .map_err(StoreError::io("make", &half))?;
    file.write_all(content).map_err(StoreError::io("write", &half))?;
    file.sync_all().map_err(StoreError::io("sync", &half))?;
    fs::rename(&half, path).map_err(StoreError::io("rename", path))?;
    sync_dir(path.parent().unwrap_or(Path::new("/")))
}

#[cfg(test)]
mod tests;
