//! Layers on disk: each unpacked once into an own directory, ready to be a lower directory of overlayfs.
//!
//! Owns `<root>/layers`: `<number>/fs` with the files and `<number>/layer.json` saying what it is.
//! Numbers are short so that a hundred and more of them fit the one page of mount options.
//!
//! What always holds
//! - A directory with a number is complete and its diff id was verified; all else is swept at open.
//! - Nothing is written outside the directory being unpacked, whatever the archive says.
//!
//! Not here: which layers are needed ([`crate::gc`]), mounting them (the runtime does).

pub mod archive;
mod compression;
mod entry_path;
mod pax;
mod sparse;
mod tree;
mod unpack;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use self::compression::{Decoder, decoder};
pub use self::unpack::{Unpacked, unpack};
use crate::content::{StoreError, create_private_dir, sync_dir};
use crate::digest::Digest;
use crate::limits::Limits;

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The archive is malformed.
    #[error("layer archive is malformed")]
    Archive(#[source] archive::ArchiveError),
    /// A path of the archive leads out of the layer.
    #[error("layer entry {path:?} leads outside the layer")]
    Escape {
        /// The path as in the archive.
        path: String,
    },
    /// A path is longer or deeper than allowed.
    #[error("layer entry {path:?} is longer or deeper than allowed")]
    PathBounds {
        /// The beginning of the path.
        path: String,
    },
    /// A hard link to something that the layer does not have.
    #[error("layer entry {path:?} is a hard link to {target:?}, which the layer does not have")]
    LinkTarget {
        /// The link.
        path: String,
        /// What it names.
        target: String,
    },
    /// A path runs through something that is no directory, or through a circle of links.
    #[error("layer entry {path:?} lies below something that is not a directory")]
    NotDirectory {
        /// The path as in the archive.
        path: String,
    },
    /// A whiteout that names nothing that can be hidden.
    #[error("layer entry {path:?} is not a valid whiteout")]
    Whiteout {
        /// The path as in the archive.
        path: String,
    },
    /// The root directory is something else.
    #[error("layer replaces its root directory by something else")]
    Root,
    /// More bytes or entries than allowed.
    #[error("layer is larger than {max} {unit} once unpacked")]
    TooLarge {
        /// The bound.
        max: u64,
        /// Of what: `bytes` or `entries`.
        unit: &'static str,
    },
    /// The content is not what the image's configuration promised.
    #[error("wrong diff id calculated on extraction: {got}, expected {expected}")]
    DiffId {
        /// Digest of what was unpacked.
        got: Digest,
        /// Digest in the configuration.
        expected: Digest,
    },
    /// A layer that it was to lie on is not there.
    #[error("layer {chain}, on which another is to lie, is not there")]
    Parent {
        /// The missing layer's identity.
        chain: Digest,
    },
    /// The caller gave up.
    #[error("unpacking was cancelled")]
    Cancelled,
    /// The file system refused.
    #[error("{action} {path:?}")]
    Io {
        /// What was done.
        action: &'static str,
        /// The path within the layer.
        path: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The compressed stream could not be read.
    #[error("layer stream is corrupt")]
    Stream(#[source] io::Error),
    /// The store around the layer failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A complete layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Identity of the layer on top of those below it.
    pub chain: Digest,
    /// Digest of the uncompressed archive.
    pub diff: Digest,
    /// Bytes of file content that it holds.
    pub bytes: u64,
    /// Files, directories and links that it holds.
    pub inodes: u64,
    /// Short name of its directory.
    #[serde(skip)]
    pub number: u64,
}

#[derive(Default)]
struct State {
    by_chain: HashMap<Digest, Layer>,
    last_number: u64,
}

/// All layers of a node.
pub struct LayerStore {
    root: PathBuf,
    state: Mutex<State>,
}

const HALF_PREFIX: &str = "half-";
const GONE_PREFIX: &str = "gone-";

impl LayerStore {
    /// Opens `<root>` and sweeps what an earlier process left unfinished.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        create_private_dir(root)?;
        let mut state = State::default();
        let entries = fs::read_dir(root).map_err(StoreError::io("list", root))?;
        for entry in entries {
            let path = entry.map_err(StoreError::io("list", root))?.path();
            match read_layer(&path) {
                Some(layer) => {
                    state.last_number = state.last_number.max(layer.number);
                    state.by_chain.insert(layer.chain.clone(), layer);
                }
                None => fs::remove_dir_all(&path).map_err(StoreError::io("remove", &path))?,
            }
        }
        Ok(Self { root: root.to_path_buf(), state: Mutex::new(state) })
    }

    /// The layer with this identity, if it is complete.
    pub fn get(&self, chain: &Digest) -> Option<Layer> {
        self.state.lock().by_chain.get(chain).cloned()
    }

    /// All complete layers.
    pub fn list(&self) -> Vec<Layer> {
        self.state.lock().by_chain.values().cloned().collect()
    }

    /// The directory that holds all layers; mounts may be made relative to it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A layer's directory of files.
    pub fn files(&self, layer: &Layer) -> PathBuf {
        self.root.join(layer.number.to_string()).join("fs")
    }

    /// Unpacks a layer on top of `parents` (identities, bottom first) unless it is there.
    ///
    /// `source` is the archive, compressed or not. Blocks; `cancel` ends it early.
    pub fn unpack(
        &self,
        identity: (&Digest, &Digest),
        parents: &[Digest],
        source: impl Read,
        limits: &Limits,
        cancel: &AtomicBool,
    ) -> Result<Layer, LayerError> {
        let (chain, diff) = identity;
        if let Some(present) = self.get(chain) {
            return Ok(present);
        }
        let number = self.take_number();
        let half = self.root.join(format!("{HALF_PREFIX}{number}"));
        let parents = parents.iter().rev().map(|parent| {
            let layer = self.get(parent);
            let layer = layer.ok_or_else(|| LayerError::Parent { chain: parent.clone() })?;
            Ok(self.files(&layer))
        });
        let parents: Vec<PathBuf> = parents.collect::<Result<_, LayerError>>()?;
        let unpacked = create_private_dir(&half)
            .map_err(LayerError::Store)
            .and_then(|()| unpack(source, diff, &half.join("fs"), &parents, limits, cancel));
        let layer = match unpacked {
            Ok(done) => Layer {
                chain: chain.clone(),
                diff: diff.clone(),
                bytes: done.bytes,
                inodes: done.inodes,
                number,
            },
            Err(error) => {
                remove_tree(&half);
                return Err(error);
            }
        };
        if let Err(error) = self.publish(&half, &layer) {
            remove_tree(&half);
            return Err(error.into());
        }
        Ok(layer)
    }

    fn take_number(&self) -> u64 {
        let mut state = self.state.lock();
        state.last_number += 1;
        state.last_number
    }

    fn publish(&self, half: &Path, layer: &Layer) -> Result<(), StoreError> {
        let about = half.join("layer.json");
        let text = serde_json::to_vec(layer).map_err(|source| StoreError::Encode { source })?;
        fs::write(&about, text).map_err(StoreError::io("write", &about))?;
        let whole = self.root.join(layer.number.to_string());
        fs::rename(half, &whole).map_err(StoreError::io("rename", &whole))?;
        sync_dir(&self.root)?;
        self.state.lock().by_chain.insert(layer.chain.clone(), layer.clone());
        Ok(())
    }

    /// Deletes a layer. The caller knows that nothing uses it.
    pub fn remove(&self, chain: &Digest) -> Result<(), StoreError> {
        let Some(layer) = self.state.lock().by_chain.remove(chain) else { return Ok(()) };
        let whole = self.root.join(layer.number.to_string());
        let gone = self.root.join(format!("{GONE_PREFIX}{}", layer.number));
        fs::rename(&whole, &gone).map_err(StoreError::io("rename", &whole))?;
        fs::remove_dir_all(&gone).map_err(StoreError::io("remove", &gone))
    }

    /// Makes everything unpacked so far durable. One call before an image is recorded replaces a
    /// flush per file: layers that no image names are swept at open.
    pub fn sync(&self) -> Result<(), StoreError> {
        let dir = fs::File::open(&self.root).map_err(StoreError::io("open", &self.root))?;
        rustix::fs::syncfs(&dir).map_err(|errno| StoreError::io("sync", &self.root)(errno.into()))
    }
}

fn read_layer(path: &Path) -> Option<Layer> {
    let number: u64 = path.file_name()?.to_str()?.parse().ok()?;
    let text = fs::read(path.join("layer.json")).ok()?;
    let layer: Layer = serde_json::from_slice(&text).ok()?;
    Some(Layer { number, ..layer })
}

/// Removes what is unfinished; what stays for any reason is swept at the next open.
fn remove_tree(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "half-unpacked layer stays until the next start");
    }
}

/// A path of an archive for messages: never longer than a line.
pub(crate) fn printable(path: &[u8]) -> String {
    const PRINTED_BYTES_MAX: usize = 200;
    String::from_utf8_lossy(path.get(..PRINTED_BYTES_MAX).unwrap_or(path)).into_owned()
}

#[cfg(test)]
mod tests;
