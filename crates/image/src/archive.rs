//! Image archives: OCI layout and `docker save`, in and out, without a network.
//!
//! What comes from an archive is verified and bounded as what comes from a registry.

mod export;
mod import;

pub(crate) use self::export::export;
pub(crate) use self::import::import;

use crate::config::ConfigError;
use crate::content::StoreError;
use crate::layer::archive::ArchiveError;
use crate::manifest::ManifestError;
use crate::service::PullCause;

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveImageError {
    /// The archive is malformed.
    #[error("image archive is malformed")]
    Archive(#[source] ArchiveError),
    /// The archive's compression is broken.
    #[error("image archive cannot be read")]
    Stream(#[source] std::io::Error),
    /// The archive cannot be written.
    #[error("image archive cannot be written")]
    Write(#[source] std::io::Error),
    /// It holds neither an OCI index nor a Docker manifest.
    #[error("archive holds no image: it has neither \"index.json\" nor \"manifest.json\"")]
    NoImage,
    /// A document of it is no JSON of the expected form.
    #[error("{file:?} of the archive is malformed")]
    Json {
        /// Which file.
        file: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It names a file that it does not hold.
    #[error("archive lacks {file:?}")]
    MissingFile {
        /// Which file.
        file: String,
    },
    /// Its documents are too many or too large.
    #[error("documents of the archive exceed {max} bytes")]
    TooLarge {
        /// The bound.
        max: u64,
    },
    /// There is no such image to write.
    #[error("image {name:?} is not found")]
    NotFound {
        /// Name or id.
        name: String,
    },
    /// A manifest of no use.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A configuration of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store failed, or content is not what its name says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer could not be unpacked.
    #[error(transparent)]
    Unpack(#[from] PullCause),
}
