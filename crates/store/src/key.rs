//! Names of things in the store: revisions, keys, and how long a key may be.
//!
//! Holds always: two keys of one bucket are ordered as the bytes of their `rest` are.

use std::fmt;
use std::sync::Arc;

/// Longest name of a bucket in bytes: a resource (63) and its API group (253), and room for a marker.
pub const BUCKET_BYTES_MAX: usize = 512;

/// Longest rest of a key in bytes. A namespace has at most 63 and a name 253; a few kinds (RBAC roles) take any path segment.
pub const REST_BYTES_MAX: usize = 4096;

/// A point in the store's one sequence of transactions; 0 is the empty store before the first.
///
/// Every transaction that changes something takes the next one, whatever buckets it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of the transaction after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a value lives: a bucket (a resource such as `pods` or `deployments.apps`) and the rest (`namespace/name` or `name`).
///
/// Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    bucket: Arc<str>,
    rest: Arc<str>,
}

impl Key {
    /// A key; lengths are checked when it is written.
    pub fn new(bucket: impl Into<Arc<str>>, rest: impl Into<Arc<str>>) -> Self {
        Self { bucket: bucket.into(), rest: rest.into() }
    }

    /// The bucket, such as `pods`.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What tells the key apart within its bucket, such as `default/web`.
    pub fn rest(&self) -> &str {
        &self.rest
    }

    /// The rest, shared.
    pub(crate) fn rest_shared(&self) -> &Arc<str> {
        &self.rest
    }

    /// The same key sharing the one copy of its bucket's name, so that a million keys do not carry a million copies.
    pub(crate) fn interned(self, bucket: &Arc<str>) -> Self {
        debug_assert_eq!(self.bucket, *bucket, "a key is interned in its own bucket");
        Self { bucket: Arc::clone(bucket), rest: self.rest }
    }

    /// Whether the key may be written.
    pub(crate) fn is_valid(&self) -> bool {
        !self.bucket.is_empty()
            && !self.rest.is_empty()
            && self.bucket.len() <= BUCKET_BYTES_MAX
            && self.rest.len() <= REST_BYTES_MAX
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.rest)
    }
}
