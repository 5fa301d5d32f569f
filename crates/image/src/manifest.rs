//! Image manifests: OCI index and manifest, Docker's manifest list and schema 2.
//!
//! Owns reading them within bounds and the choice of a platform. Pure.
//!
//! What always holds: a document that claims to be two things at once is refused (CVE-2021-41190:
//! what a scanner reads as a manifest must not be read as an index by us).
//!
//! Not here: fetching ([`crate::registry`]), the configuration blob ([`crate::config`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::limits::Limits;

/// Media types of the documents that we read, in the order in which we ask for them.
pub mod media_type {
    /// Docker schema 2 image manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// OCI layer, uncompressed.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// The `Accept` header of a manifest request.
    pub const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, \
        application/vnd.oci.image.manifest.v1+json, \
        application/vnd.oci.image.index.v1+json, */*";
}

/// Annotation with the full image name, as containerd and Docker write it into archives.
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// Annotation with the tag or name of the OCI specification.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON of a manifest's form.
    #[error("manifest is malformed")]
    Json(#[source] serde_json::Error),
    /// Both an index and a manifest, or not what its media type says.
    #[error("manifest is ambiguous: its fields do not fit media type {media_type:?}")]
    Ambiguous {
        /// The media type it claims.
        media_type: String,
    },
    /// Docker's signed schema 1.
    #[error(
        "schema 1 image manifests are no longer supported, rebuild the image as docker schema 2 or OCI"
    )]
    Schema1,
    /// A kind of document that is no image.
    #[error("unsupported manifest media type {media_type:?}")]
    MediaType {
        /// The media type it claims.
        media_type: String,
    },
    /// A layer of a kind that cannot be unpacked.
    #[error("unsupported layer media type {media_type:?}")]
    LayerMediaType {
        /// The media type it claims.
        media_type: String,
    },
    /// More layers than allowed.
    #[error("image has {count} layers, more than {max}")]
    TooManyLayers {
        /// Layers listed.
        count: usize,
        /// Layers allowed.
        max: usize,
    },
    /// More manifests in an index than allowed.
    #[error("index lists {count} manifests, more than {max}")]
    TooManyManifests {
        /// Manifests listed.
        count: usize,
        /// Manifests allowed.
        max: usize,
    },
    /// A blob larger than allowed.
    #[error("{digest} has {bytes} bytes, more than {max}")]
    BlobTooLarge {
        /// Which blob.
        digest: Digest,
        /// Its size as described.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// No variant of the image is for this machine.
    #[error("no match for platform {platform:?} in manifest {digest}: not found")]
    NoPlatform {
        /// The manifest asked.
        digest: Digest,
        /// The platform wanted, as `os/arch`.
        platform: String,
    },
}

/// An operating system and processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Go's name of the processor: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Go's name of the operating system.
    #[serde(default)]
    pub os: String,
    /// Variant of the processor, such as `v8`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// The platform of this machine.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            other => (other, ""),
        };
        Self { architecture: architecture.into(), os: "linux".into(), variant: variant.into() }
    }

    /// How well `offered` runs here: none, or lower is better.
    fn rank(&self, offered: &Self) -> Option<u8> {
        if offered.os != self.os || offered.architecture != self.architecture {
            return None;
        }
        let order: &[&str] = match self.architecture.as_str() {
            "arm64" => &["v8", ""],
            "arm" => &["v7", "", "v6", "v5"],
            _ => &["", "v1"],
        };
        let position = order.iter().position(|variant| *variant == offered.variant)?;
        u8::try_from(position).ok()
    }

    /// Whether an image for `offered` runs here. An image that says nothing is believed.
    pub fn accepts(&self, offered: &Self) -> bool {
        offered.architecture.is_empty() || offered.os.is_empty() || self.rank(offered).is_some()
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// A pointer to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default, rename = "mediaType")]
    pub media_type: String,
    /// Its content.
    pub digest: Digest,
    /// Its exact size in bytes.
    pub size: u64,
    /// For entries of an index: what it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free annotations.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// One platform's image: a configuration and layers, bottom first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The configuration blob; its digest is the image's id.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
}

impl Manifest {
    /// The image's size as it is transferred, in bytes.
    pub fn content_bytes(&self) -> u64 {
        self.layers.iter().fold(self.config.size, |sum, layer| sum.saturating_add(layer.size))
    }
}

/// Either kind of document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// Many platforms.
    Index(Vec<Descriptor>),
    /// One platform.
    Manifest(Manifest),
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, rename = "schemaVersion")]
    schema_version: u32,
    #[serde(default, rename = "mediaType")]
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// Reads a manifest or index. `content_type` is what the registry or descriptor called it, if known.
pub fn parse(bytes: &[u8], content_type: &str, limits: &Limits) -> Result<Document, ManifestError> {
    let raw: Raw = parse_object(bytes).map_err(ManifestError::Json)?;
    if raw.schema_version == 1 || raw.fs_layers.is_some() {
        return Err(ManifestError::Schema1);
    }
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let claimed = raw.media_type.as_deref().filter(|claimed| !claimed.is_empty());
    let outer = is_known(content_type).then_some(content_type);
    if let (Some(claimed), Some(outer)) = (claimed, outer)
        && claimed != outer
    {
        return Err(ManifestError::Ambiguous { media_type: outer.to_owned() });
    }
    let media_type = claimed.or(outer).unwrap_or_default().to_owned();
    match (raw.manifests, raw.config, raw.layers) {
        (Some(manifests), None, None) if !is_manifest(&media_type) => {
            require_known(&media_type)?;
            check_index(manifests, limits)
        }
        (None, Some(config), layers) if !is_index(&media_type) => {
            require_known(&media_type)?;
            check_manifest(config, layers.unwrap_or_default(), limits)
        }
        _ => Err(ManifestError::Ambiguous { media_type }),
    }
}

fn require_known(media_type: &str) -> Result<(), ManifestError> {
    if media_type.is_empty() || is_known(media_type) {
        return Ok(());
    }
    Err(ManifestError::MediaType { media_type: media_type.to_owned() })
}

fn is_index(media_type: &str) -> bool {
    matches!(media_type, media_type::OCI_INDEX | media_type::DOCKER_LIST)
}

fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST)
}

fn is_known(media_type: &str) -> bool {
    is_index(media_type) || is_manifest(media_type)
}

fn check_index(manifests: Vec<Descriptor>, limits: &Limits) -> Result<Document, ManifestError> {
    let (count, max) = (manifests.len(), limits.index_entries);
    if count > max {
        return Err(ManifestError::TooManyManifests { count, max });
    }
    Ok(Document::Index(manifests))
}

fn check_manifest(
    config: Descriptor,
    layers: Vec<Descriptor>,
    limits: &Limits,
) -> Result<Document, ManifestError> {
    let (count, max) = (layers.len(), limits.layers);
    if count > max {
        return Err(ManifestError::TooManyLayers { count, max });
    }
    check_size(&config, limits.config_bytes)?;
    for layer in &layers {
        check_size(layer, limits.layer_bytes)?;
        let media_type = &layer.media_type;
        let is_tar = media_type.contains("tar") && !media_type.ends_with("+encrypted");
        if !is_tar && !media_type.is_empty() {
            return Err(ManifestError::LayerMediaType { media_type: media_type.clone() });
        }
    }
    Ok(Document::Manifest(Manifest { config, layers }))
}

fn check_size(blob: &Descriptor, max: u64) -> Result<(), ManifestError> {
    if blob.size > max {
        return Err(ManifestError::BlobTooLarge {
            digest: blob.digest.clone(),
            bytes: blob.size,
            max,
        });
    }
    Ok(())
}

/// The entry of an index for `platform`: the best fit, else the only entry if it names no platform.
pub fn select<'a>(
    manifests: &'a [Descriptor],
    platform: &Platform,
    index: &Digest,
) -> Result<&'a Descriptor, ManifestError> {
    let ranked = manifests.iter().filter_map(|entry| {
        let rank = platform.rank(entry.platform.as_ref()?)?;
        Some((rank, entry))
    });
    if let Some((_, entry)) = ranked.min_by_key(|(rank, _)| *rank) {
        return Ok(entry);
    }
    match manifests {
        [only] if only.platform.is_none() => Ok(only),
        _ => {
            Err(ManifestError::NoPlatform { digest: index.clone(), platform: platform.to_string() })
        }
    }
}

/// Reads a JSON object. Without this an array would do as well: serde takes one for a structure.
pub(crate) fn parse_object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> serde_json::Result<T> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(serde::de::Error::custom("not a JSON object"));
    }
    serde_json::from_slice(bytes)
}

/// Go writes absent maps and lists as `null`.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
