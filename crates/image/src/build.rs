//! Test kit: makes images from files and pushes them to a registry.
//!
//! Only with the feature `testkit`. Everything is dated to the epoch, so that the same files give the
//! same digests.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use bytes::Bytes;
use http::{Method, header};
use serde_json::json;

use crate::config::{ImageConfig, RootFs, RunConfig};
use crate::credentials::Credential;
use crate::digest::Digest;
use crate::manifest::{Platform, media_type};
use crate::registry::push::{self, PushError};
use crate::tar_writer::{Meta, Writer};

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// Makes one layer. Paths are written as given, also bad ones.
pub struct LayerBuilder {
    writer: Writer<Vec<u8>>,
}

impl Default for LayerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerBuilder {
    /// An empty layer.
    pub fn new() -> Self {
        Self { writer: Writer::new(Vec::new()) }
    }

    fn entry(mut self, path: &str, meta: &Meta, content: &[u8]) -> io::Result<Self> {
        self.writer.append(path, meta, content.len() as u64, content)?;
        Ok(self)
    }

    /// A file owned by root.
    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> io::Result<Self> {
        self.entry(path, &Meta::file(mode), content)
    }

    /// A file with the content of one of this machine.
    pub fn host_file(self, path: &str, mode: u32, from: &Path) -> io::Result<Self> {
        let content = std::fs::read(from)?;
        self.file(path, mode, &content)
    }

    /// A file of another owner.
    pub fn owned_file(
        self,
        path: &str,
        mode: u32,
        owner: (u32, u32),
        content: &[u8],
    ) -> io::Result<Self> {
        self.entry(path, &Meta { uid: owner.0, gid: owner.1, ..Meta::file(mode) }, content)
    }

    /// A directory.
    pub fn directory(self, path: &str, mode: u32) -> io::Result<Self> {
        self.entry(path, &Meta::directory(mode), &[])
    }

    /// A symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> io::Result<Self> {
        self.entry(path, &Meta { flag: b'2', link: target.into(), ..Meta::file(0o777) }, &[])
    }

    /// A hard link.
    pub fn hard_link(self, path: &str, target: &str) -> io::Result<Self> {
        self.entry(path, &Meta { flag: b'1', link: target.into(), ..Meta::file(0o644) }, &[])
    }

    /// A character device.
    pub fn device(self, path: &str, mode: u32, device: (u32, u32)) -> io::Result<Self> {
        self.entry(path, &Meta { flag: b'3', device, ..Meta::file(mode) }, &[])
    }

    /// Hides what lower layers have at `directory/name`.
    pub fn whiteout(self, directory: &str, name: &str) -> io::Result<Self> {
        self.file(&format!("{directory}/.wh.{name}"), 0o644, &[])
    }

    /// The uncompressed archive.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.writer.finish()
    }
}

/// Makes an image.
pub struct ImageBuilder {
    layers: Vec<(Vec<u8>, Compression)>,
    run: RunConfig,
    platform: Platform,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// An image for this machine without layers.
    pub fn new() -> Self {
        Self { layers: Vec::new(), run: RunConfig::default(), platform: Platform::host() }
    }

    /// Puts a layer on top.
    #[must_use]
    pub fn layer(mut self, archive: Vec<u8>, compression: Compression) -> Self {
        self.layers.push((archive, compression));
        self
    }

    /// Says how to run it.
    #[must_use]
    pub fn config(mut self, run: RunConfig) -> Self {
        self.run = run;
        self
    }

    /// Says what it runs on.
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Makes configuration and manifest.
    pub fn build(self) -> io::Result<BuiltImage> {
        let mut blobs = BTreeMap::new();
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (archive, compression) in self.layers {
            diff_ids.push(Digest::sha256(&archive));
            let (bytes, media_type) = compress(archive, compression)?;
            let digest = Digest::sha256(&bytes);
            layers.push(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }));
            blobs.insert(digest, Bytes::from(bytes));
        }
        let image = ImageConfig {
            created: "1970-01-01T00:00:00Z".into(),
            platform: self.platform,
            config: self.run,
            rootfs: RootFs { kind: "layers".into(), diff_ids },
        };
        let config = serde_json::to_vec(&image)?;
        let id = Digest::sha256(&config);
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": { "mediaType": media_type::OCI_CONFIG, "digest": id, "size": config.len() },
            "layers": layers,
        }))?;
        blobs.insert(id.clone(), config.into());
        let digest = Digest::sha256(&manifest);
        Ok(BuiltImage { id, digest, manifest: manifest.into(), blobs })
    }
}

fn compress(archive: Vec<u8>, compression: Compression) -> io::Result<(Vec<u8>, &'static str)> {
    Ok(match compression {
        Compression::None => (archive, media_type::OCI_LAYER),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&archive)?;
            (encoder.finish()?, media_type::OCI_LAYER_GZIP)
        }
        Compression::Zstd => (zstd::encode_all(archive.as_slice(), 1)?, media_type::OCI_LAYER_ZSTD),
    })
}

/// An image ready to be served or pushed.
#[derive(Clone, Debug)]
pub struct BuiltImage {
    /// Digest of the configuration: the image's id.
    pub id: Digest,
    /// Digest of the manifest.
    pub digest: Digest,
    /// The manifest, of type [`media_type::OCI_MANIFEST`].
    pub manifest: Bytes,
    /// Configuration and layers.
    pub blobs: BTreeMap<Digest, Bytes>,
}

impl BuiltImage {
    /// Pushes to `base` (`http://127.0.0.1:5000`) as `repository:tag`.
    pub async fn push(
        &self,
        base: &str,
        repository: &str,
        tag: &str,
        credential: Option<&Credential>,
    ) -> Result<(), PushError> {
        let pusher = push::Pusher::new(base, repository, credential)?;
        for (digest, bytes) in &self.blobs {
            let location = pusher.start_upload().await?;
            let joint = if location.query().is_some() { '&' } else { '?' };
            let url = format!("{location}{joint}digest={digest}");
            let headers = vec![(header::CONTENT_TYPE, "application/octet-stream".to_owned())];
            pusher.send(Method::PUT, &url, headers, bytes.clone()).await?;
        }
        let headers = vec![(header::CONTENT_TYPE, media_type::OCI_MANIFEST.to_owned())];
        let url = format!("{base}/v2/{repository}/manifests/{tag}");
        pusher.send(Method::PUT, &url, headers, self.manifest.clone()).await?;
        Ok(())
    }
}
