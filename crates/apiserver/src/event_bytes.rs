//! An event of the store as bytes: each encoding of it that its watchers share.

use bytes::Bytes;

use crate::encoding::Encoding;
use crate::http::Form;

/// Forms of one event that are kept: JSON and protobuf, whole and metadata, of two views and a change of type.
const CACHED_MAX: usize = 8;

/// What happened to an object, as a watcher sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It is there, or it begins to be selected.
    Added,
    /// It changed.
    Modified,
    /// It is gone, or it is not selected any longer.
    Deleted,
}

impl EventKind {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// How an event was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EncodedAs {
    pub(crate) kind: EventKind,
    pub(crate) api_version: (&'static str, &'static str),
    pub(crate) encoding: Encoding,
    pub(crate) form: Form,
}

/// The encodings of one event of the store that its watchers share.
#[derive(Debug, Default)]
pub struct EventBytes(Vec<(EncodedAs, Bytes)>);

impl EventBytes {
    pub(crate) fn get(&self, wanted: EncodedAs) -> Option<Bytes> {
        self.0.iter().find(|(known, _)| *known == wanted).map(|(_, bytes)| bytes.clone())
    }

    pub(crate) fn keep(&mut self, encoded: EncodedAs, bytes: Bytes) {
        if self.0.len() < CACHED_MAX {
            self.0.push((encoded, bytes));
        }
    }
}
