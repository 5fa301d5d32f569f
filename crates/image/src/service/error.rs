//! Why a pull failed, in words users know and in kinds a kubelet can act on.

use crate::config::ConfigError;
use crate::content::StoreError;
use crate::digest::Digest;
use crate::layer::LayerError;
use crate::manifest::ManifestError;
use crate::registry::{RegistryError, TlsConfigError};
use crate::snapshot::SnapshotError;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is left of containers cannot be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Certificates cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
}

/// A pull that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to pull and unpack image {image:?}")]
pub struct PullError {
    /// The image's normalised name.
    pub image: String,
    /// Why.
    #[source]
    pub cause: PullCause,
}

/// The step that failed, and why.
#[derive(Debug, thiserror::Error)]
pub enum PullCause {
    /// The name could not be resolved.
    #[error("failed to resolve reference {reference:?}")]
    Resolve {
        /// The name.
        reference: String,
        /// Why.
        #[source]
        source: Box<RegistryError>,
    },
    /// A part could not be fetched.
    #[error("failed to copy {digest}")]
    Copy {
        /// Which part.
        digest: Digest,
        /// Why.
        #[source]
        source: Box<RegistryError>,
    },
    /// The manifest is of no use.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The configuration is of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A layer could not be unpacked.
    #[error("failed to extract layer {diff}")]
    Unpack {
        /// Digest of the uncompressed layer.
        diff: Digest,
        /// Why.
        #[source]
        source: Box<LayerError>,
    },
    /// The node's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A built-in image of another version.
    #[error("{reference}: not found")]
    NoBuiltin {
        /// The name.
        reference: String,
    },
    /// A worker thread ended without an answer.
    #[error("a worker ended early")]
    Worker,
}

/// What can be done about a failed pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullErrorKind {
    /// The registry does not have the image, or not for this platform: check the name.
    NotFound,
    /// The registry wants other credentials.
    Unauthorized,
    /// The registry or the way to it is down: try again later.
    Unavailable,
    /// Content is not what its name says: the registry or something on the way is damaged or hostile.
    Integrity,
    /// The image is malformed, hostile or of a kind that is not supported.
    BadImage,
    /// The node itself failed, for example a full disk.
    Node,
}

impl PullError {
    /// What can be done about it.
    pub fn kind(&self) -> PullErrorKind {
        match &self.cause {
            PullCause::Resolve { source, .. } | PullCause::Copy { source, .. } => {
                registry_kind(source)
            }
            PullCause::Manifest(ManifestError::NoPlatform { .. }) | PullCause::NoBuiltin { .. } => {
                PullErrorKind::NotFound
            }
            PullCause::Manifest(_) | PullCause::Config(_) => PullErrorKind::BadImage,
            PullCause::Unpack { source, .. } => match source.as_ref() {
                LayerError::DiffId { .. } => PullErrorKind::Integrity,
                LayerError::Io { .. } | LayerError::Store(_) | LayerError::Cancelled => {
                    PullErrorKind::Node
                }
                _ => PullErrorKind::BadImage,
            },
            PullCause::Store(source) if source.is_integrity() => PullErrorKind::Integrity,
            PullCause::Store(_) | PullCause::Worker => PullErrorKind::Node,
        }
    }

    /// The error with all its causes, as one line in containerd's words.
    pub fn message(&self) -> String {
        crate::registry::chain(self)
    }
}

fn registry_kind(error: &RegistryError) -> PullErrorKind {
    match error {
        RegistryError::NotFound { .. } => PullErrorKind::NotFound,
        error if error.is_unauthorized() => PullErrorKind::Unauthorized,
        error if error.is_integrity() => PullErrorKind::Integrity,
        error if error.is_unavailable() => PullErrorKind::Unavailable,
        RegistryError::Store(_) => PullErrorKind::Node,
        RegistryError::Manifest(_) | RegistryError::TooLarge { .. } => PullErrorKind::BadImage,
        _ => PullErrorKind::Unavailable,
    }
}
