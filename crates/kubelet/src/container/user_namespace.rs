//! User namespaces of Pods (`hostUsers: false`, KEP-127): which range of the host's ids a Pod's own ids stand for.
//!
//! Holds always: a range belongs to one Pod at a time, from before its first sandbox until its folder is gone; it is on disk in
//! the Pod's folder (as `userns`, in the form of Kubernetes v1.36) before it is used.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use podo_cri::v1;
use serde::{Deserialize, Serialize};

/// Ids of one Pod: 0 to 65535 inside.
pub(crate) const LENGTH: u32 = 65_536;
/// The first range is the host's own.
const INDEX_MIN: u32 = 1;
/// As many ranges as 32 bits have.
const INDEX_MAX: u32 = u32::MAX / LENGTH;
/// The file in a Pod's folder.
const FILE: &str = "userns";

/// The range of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdRange {
    /// What 0 inside is on the host.
    pub(crate) host_id: u32,
}

impl IdRange {
    /// The range in CRI's words, the same for users and groups.
    pub(crate) fn mappings(self) -> Vec<v1::IdMapping> {
        vec![v1::IdMapping { host_id: self.host_id, container_id: 0, length: LENGTH }]
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Saved {
    uid_mappings: Vec<SavedMapping>,
    gid_mappings: Vec<SavedMapping>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedMapping {
    host_id: u32,
    container_id: u32,
    length: u32,
}

/// The ranges of all Pods.
#[derive(Debug)]
pub(crate) struct UserNamespaces {
    pods_dir: PathBuf,
    held: Mutex<BTreeMap<u32, String>>,
}

impl UserNamespaces {
    /// Reads which Pods below the folder have ranges.
    pub(crate) fn open(pods_dir: &Path) -> io::Result<Self> {
        let mut held = BTreeMap::new();
        let entries = match fs::read_dir(pods_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            entries => Some(entries?),
        };
        for entry in entries.into_iter().flatten() {
            let entry = entry?;
            if let (Ok(uid), Some(range)) = (entry.file_name().into_string(), read(&entry.path())?)
            {
                held.insert(range.host_id / LENGTH, uid);
            }
        }
        Ok(Self { pods_dir: pods_dir.to_owned(), held: Mutex::new(held) })
    }

    /// The range of a Pod: the one that it has, or a free one. The Pod's folder is there.
    pub(crate) fn of(&self, uid: &str) -> io::Result<IdRange> {
        let mut held = self.held.lock();
        if let Some((index, _)) = held.iter().find(|(_, holder)| *holder == uid) {
            return Ok(IdRange { host_id: index * LENGTH });
        }
        let index = (INDEX_MIN..=INDEX_MAX)
            .find(|index| !held.contains_key(index))
            .ok_or_else(|| io::Error::other("no range of user ids is free"))?;
        let range = IdRange { host_id: index * LENGTH };
        write(&self.pods_dir.join(uid), range)?;
        held.insert(index, uid.to_owned());
        Ok(range)
    }

    /// Gives the range of a Pod back, whose folder is gone.
    pub(crate) fn release(&self, uid: &str) {
        self.held.lock().retain(|_, holder| holder != uid);
    }
}

fn read(pod_dir: &Path) -> io::Result<Option<IdRange>> {
    let bytes = match fs::read(pod_dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let saved: Saved = serde_json::from_slice(&bytes)?;
    Ok(saved.uid_mappings.first().map(|mapping| IdRange { host_id: mapping.host_id }))
}

fn write(pod_dir: &Path, range: IdRange) -> io::Result<()> {
    let mapping = SavedMapping { host_id: range.host_id, container_id: 0, length: LENGTH };
    let saved = Saved { uid_mappings: vec![mapping.clone()], gid_mappings: vec![mapping] };
    let unfinished = pod_dir.join(format!("{FILE}.tmp"));
    fs::write(&unfinished, serde_json::to_vec(&saved)?)?;
    fs::rename(unfinished, pod_dir.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pod_has_a_range_of_its_own_and_keeps_it() {
        let dir = tempfile::tempdir().expect("a folder");
        for uid in ["a", "b", "c"] {
            fs::create_dir(dir.path().join(uid)).expect("made");
        }
        let all = UserNamespaces::open(dir.path()).expect("opened");
        let host_id = |all: &UserNamespaces, uid: &str| all.of(uid).expect("a range").host_id;
        assert_eq!((host_id(&all, "a"), host_id(&all, "b")), (65_536, 131_072));
        let all = UserNamespaces::open(dir.path()).expect("opened again");
        assert_eq!((host_id(&all, "b"), host_id(&all, "a")), (131_072, 65_536));
        all.release("a");
        assert_eq!(host_id(&all, "c"), 65_536);
    }
}
