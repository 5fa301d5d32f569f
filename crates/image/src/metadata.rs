//! What images there are and what they are called: one small file, replaced as a whole.
//!
//! Owns `<root>/images.json`. Written at every change of an image or name; times of use are kept in
//! memory and written along with the next change, since losing one costs nothing.
//!
//! What always holds: a name points at an image that is recorded; the file is the old or the new one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::content::{StoreError, write_atomic};
use crate::digest::Digest;
use crate::snapshot::Bind;

/// One image, identified by the digest of its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Digest of the configuration.
    pub(crate) id: Digest,
    /// The manifest that it was unpacked from.
    pub(crate) manifest: Digest,
    /// Media type of that manifest.
    pub(crate) manifest_type: String,
    /// Every blob that belongs to it, the index that it was found in included.
    pub(crate) blobs: BTreeSet<Digest>,
    /// Identities of its layers, bottom first.
    pub(crate) layers: Vec<Digest>,
    /// Names with a digest that mean this image.
    pub(crate) repo_digests: BTreeSet<String>,
    /// Size as transferred, in bytes.
    pub(crate) size_bytes: u64,
    /// How to run it.
    pub(crate) config: RunConfig,
    /// Never to be collected.
    pub(crate) is_pinned: bool,
    /// Host files that take the place of empty files of the image.
    #[serde(default)]
    pub(crate) binds: Vec<Bind>,
    /// When it was first recorded.
    pub(crate) created_at: SystemTime,
    /// When a container or a pull last asked for it.
    pub(crate) used_at: SystemTime,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Tables {
    images: BTreeMap<Digest, Record>,
    /// `name:tag` to image.
    names: BTreeMap<String, Digest>,
}

/// All records of a node.
pub(crate) struct Metadata {
    path: PathBuf,
    tables: Mutex<Tables>,
}

impl Metadata {
    /// Reads the file, or starts empty.
    pub(crate) fn open(root: &Path) -> Result<Self, StoreError> {
        let path = root.join("images.json");
        let tables = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| StoreError::Damaged { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Tables::default(),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        Ok(Self { path, tables: Mutex::new(tables) })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> Result<T, StoreError> {
        let mut tables = self.tables.lock();
        let mut next = tables.clone();
        let answer = change(&mut next);
        let text = serde_json::to_vec(&next).map_err(|source| StoreError::Encode { source })?;
        write_atomic(&self.path, &text)?;
        *tables = next;
        Ok(answer)
    }

    /// Records an image and its names. A tag that meant another image means this one from now on;
    /// the other keeps its names with digests.
    pub(crate) fn record(&self, mut record: Record, tags: &[String]) -> Result<(), StoreError> {
        self.change(|tables| {
            if let Some(known) = tables.images.get(&record.id) {
                record.repo_digests.extend(known.repo_digests.iter().cloned());
                record.blobs.extend(known.blobs.iter().cloned());
                record.is_pinned |= known.is_pinned;
                record.created_at = known.created_at;
            }
            for tag in tags {
                tables.names.insert(tag.clone(), record.id.clone());
            }
            tables.images.insert(record.id.clone(), record);
        })
    }

    /// Gives an image one more name.
    pub(crate) fn tag(&self, id: &Digest, tag: &str) -> Result<bool, StoreError> {
        self.change(|tables| {
            let is_known = tables.images.contains_key(id);
            if is_known {
                tables.names.insert(tag.to_owned(), id.clone());
            }
            is_known
        })
    }

    /// Takes one name away; the image stays.
    pub(crate) fn untag(&self, tag: &str) -> Result<bool, StoreError> {
        self.change(|tables| tables.names.remove(tag).is_some())
    }

    /// Forgets an image with all its names.
    pub(crate) fn remove(&self, id: &Digest) -> Result<Option<Record>, StoreError> {
        self.change(|tables| {
            tables.names.retain(|_, of| of != id);
            tables.images.remove(id)
        })
    }

    /// Pins or unpins an image.
    pub(crate) fn set_pinned(&self, id: &Digest, is_pinned: bool) -> Result<bool, StoreError> {
        self.change(|tables| match tables.images.get_mut(id) {
            Some(record) => {
                record.is_pinned = is_pinned;
                true
            }
            None => false,
        })
    }

    /// Notes that an image is used; written with the next change.
    pub(crate) fn touch(&self, id: &Digest, now: SystemTime) {
        if let Some(record) = self.tables.lock().images.get_mut(id) {
            record.used_at = now;
        }
    }

    /// One image with its tags.
    pub(crate) fn get(&self, id: &Digest) -> Option<(Record, Vec<String>)> {
        let tables = self.tables.lock();
        let record = tables.images.get(id)?.clone();
        let tags = tables.tags_of(id);
        Some((record, tags))
    }

    /// The image that `name:tag` means.
    pub(crate) fn by_tag(&self, tag: &str) -> Option<Digest> {
        self.tables.lock().names.get(tag).cloned()
    }

    /// The image that `name@digest` means.
    pub(crate) fn by_repo_digest(&self, repo_digest: &str) -> Option<Digest> {
        let tables = self.tables.lock();
        let mut images = tables.images.values();
        images
            .find(|record| record.repo_digests.contains(repo_digest))
            .map(|record| record.id.clone())
    }

    /// The one image whose id begins with `hex`.
    pub(crate) fn by_id_prefix(&self, hex: &str) -> Option<Digest> {
        let tables = self.tables.lock();
        let mut found = tables.images.keys().filter(|id| id.hex().starts_with(hex));
        let only = found.next()?.clone();
        found.next().is_none().then_some(only)
    }

    /// All images with their tags, by id.
    pub(crate) fn list(&self) -> Vec<(Record, Vec<String>)> {
        let tables = self.tables.lock();
        tables.images.values().map(|record| (record.clone(), tables.tags_of(&record.id))).collect()
    }
}

impl Tables {
    fn tags_of(&self, id: &Digest) -> Vec<String> {
        let tags = self.names.iter().filter(|(_, of)| *of == id);
        tags.map(|(name, _)| name.clone()).collect()
    }
}
