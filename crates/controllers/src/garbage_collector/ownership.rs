//! What the metadata of an object says about owners and deletion.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use memchr::memmem;
use podo_api::Object;
use serde::Deserialize;

use crate::StoredKind;

/// The finalizer of an object whose dependents are to be gone before it.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// The finalizer of an object whose dependents are to stay.
pub(super) const ORPHAN: &str = "orphan";

/// A reference to an owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Reference {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// Whether the owner's deletion in the foreground waits for this object.
    pub(super) block_owner_deletion: bool,
}

impl Reference {
    /// Whether the reference is to an object of a kind.
    pub(super) fn is_to(&self, kind: &StoredKind) -> bool {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", &self.api_version));
        (group, version, self.kind.as_str()) == (kind.group, kind.version, kind.kind)
    }
}

/// What the metadata of an object says about owners and deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ownership {
    #[serde(rename = "ownerReferences")]
    pub(super) references: Vec<Reference>,
    deletion_timestamp: Option<String>,
    pub(super) finalizers: Vec<String>,
}

impl Ownership {
    /// What an object says. Most have neither owners nor end: that is seen in their bytes, without reading them.
    pub(super) fn of(object: &Object) -> Self {
        let json = object.json();
        let is_silent = [&b"\"ownerReferences\":["[..], b"\"deletionTimestamp\":\""]
            .iter()
            .all(|field| memmem::find(json, field).is_none());
        if is_silent { Self::default() } else { Self::read(object) }
    }

    /// What an object says, with its finalizers even if it is not being deleted.
    pub(super) fn read(object: &Object) -> Self {
        // Objects are canonical JSON. One that was not would have no owners, which deletes nothing.
        serde_json::from_slice(object.metadata_json()).unwrap_or_default()
    }

    /// Whether somebody asked for the object's deletion.
    pub(super) fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// Whether the object is being deleted and waits for its dependents to be gone.
    pub(super) fn awaits_dependents(&self) -> bool {
        self.is_deleting() && self.has_finalizer(FOREGROUND)
    }

    /// Whether the object is being deleted and its dependents are to stay.
    pub(super) fn orphans_dependents(&self) -> bool {
        self.is_deleting() && self.has_finalizer(ORPHAN)
    }

    pub(super) fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == name)
    }

    /// A number that changes when a reference does.
    pub(super) fn fingerprint(&self) -> u64 {
        if self.references.is_empty() {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        self.references.hash(&mut hasher);
        hasher.finish()
    }
}
