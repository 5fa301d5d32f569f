//! Reading images from an archive, in one pass over the stream.
//!
//! Large files go straight into the content store, where they are known by their digests; what the
//! archive calls them is remembered. Blobs of an OCI layout must have the digest their name says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::json;

use super::ArchiveImageError;
use crate::config::ImageConfig;
use crate::content::Lease;
use crate::digest::{Algorithm, Digest, chain_ids};
use crate::layer::archive::{Entry, Kind, Reader};
use crate::layer::{Decoder, decoder};
use crate::manifest::{
    self, ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, Document, Manifest, media_type,
};
use crate::metadata::Record;
use crate::reference::Reference;
use crate::service::{ImageService, unpack_blob};

/// Bytes of names that an archive may make us remember.
const NAME_BYTES_MAX: u64 = 16 << 20;

/// An entry of Docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default, deserialize_with = "manifest::or_default")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "manifest::or_default")]
    layers: Vec<String>,
}

/// What one pass over the archive found.
#[derive(Default)]
struct Files {
    /// Digest and size by path.
    blobs: BTreeMap<String, (Digest, u64)>,
    /// Link targets by path: `docker save` writes a repeated layer as a link.
    links: BTreeMap<String, String>,
    index: Option<Vec<u8>>,
    docker: Option<Vec<u8>>,
}

/// An image of the archive before it is unpacked.
struct Pending {
    descriptor: Descriptor,
    manifest: Manifest,
    names: Vec<String>,
    /// Manifest and the index it came from.
    documents: BTreeSet<Digest>,
}

struct Importer<'a> {
    service: &'a ImageService,
    lease: Lease,
    files: Files,
}

/// Imports all images of an archive that are for this platform.
pub(crate) fn import(
    service: &ImageService,
    source: impl Read,
) -> Result<Vec<Digest>, ArchiveImageError> {
    let lease = service.inner.content.lease();
    let mut importer = Importer { service, lease, files: Files::default() };
    importer.scan(decoder(source).map_err(ArchiveImageError::Stream)?)?;
    let pending = match (importer.files.index.take(), importer.files.docker.take()) {
        (Some(index), docker) => importer.read_layout(&index, docker.as_deref())?,
        (None, Some(docker)) => importer.read_docker(&docker)?,
        (None, None) => return Err(ArchiveImageError::NoImage),
    };
    pending.into_iter().map(|image| importer.install(image)).collect()
}

fn parse_json<'a, T: Deserialize<'a>>(file: &str, bytes: &'a [u8]) -> Result<T, ArchiveImageError> {
    serde_json::from_slice(bytes)
        .map_err(|source| ArchiveImageError::Json { file: file.to_owned(), source })
}

impl Importer<'_> {
    fn scan<R: Read>(&mut self, stream: Decoder<R>) -> Result<(), ArchiveImageError> {
        let limits = &self.service.inner.config.limits;
        let mut reader = Reader::new(stream, limits);
        let mut name_bytes = 0;
        while let Some(entry) = reader.next_entry().map_err(ArchiveImageError::Archive)? {
            let path = plain_path(&entry.path);
            name_bytes += (path.len() + entry.link.len()) as u64;
            if name_bytes > NAME_BYTES_MAX {
                return Err(ArchiveImageError::TooLarge { max: NAME_BYTES_MAX });
            }
            match entry.kind {
                Kind::File => self.file(&mut reader, &entry, path)?,
                Kind::Symlink => {
                    let target = join(&path, &String::from_utf8_lossy(&entry.link));
                    self.files.links.insert(path, target);
                }
                Kind::HardLink => {
                    self.files.links.insert(path, plain_path(&entry.link));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        entry: &Entry,
        path: String,
    ) -> Result<(), ArchiveImageError> {
        let limits = &self.service.inner.config.limits;
        if matches!(path.as_str(), "index.json" | "manifest.json") {
            let max = limits.manifest_bytes;
            let bytes = reader.content_bytes(entry, max).map_err(ArchiveImageError::Archive)?;
            let bytes = bytes.ok_or(ArchiveImageError::TooLarge { max })?;
            let place =
                if path == "index.json" { &mut self.files.index } else { &mut self.files.docker };
            *place = Some(bytes);
            return Ok(());
        }
        if entry.size > limits.layer_bytes {
            return Err(ArchiveImageError::TooLarge { max: limits.layer_bytes });
        }
        let expected = blob_digest(&path);
        let algorithm = expected.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        self.lease.hold(expected.iter().cloned());
        let mut ingest = self.service.inner.content.ingest(algorithm)?;
        let mut failed = None;
        let copied = reader.content(entry, |offset, bytes| {
            let hole = usize::try_from(offset - ingest.byte_count()).unwrap_or(usize::MAX);
            let written = if hole == 0 { ingest.write(bytes) } else { Ok(()) };
            if hole > 0 {
                return Err(std::io::ErrorKind::InvalidData.into()); // Nobody packs images sparsely.
            }
            written.map_err(|error| {
                failed = Some(error);
                std::io::ErrorKind::Other.into()
            })
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        copied.map_err(ArchiveImageError::Archive)?;
        let digest = if let Some(digest) = &expected {
            ingest.commit(Some((digest, entry.size)))?
        } else {
            let digest = ingest.commit(None)?;
            self.lease.hold([digest.clone()]);
            digest
        };
        self.files.blobs.insert(path, (digest, entry.size));
        Ok(())
    }

    /// A file of the archive by its path, through at most one link.
    fn blob(&self, path: &str) -> Result<&(Digest, u64), ArchiveImageError> {
        let path = plain_path(path.as_bytes());
        let target = self.files.links.get(&path).unwrap_or(&path);
        let found = self.files.blobs.get(target);
        found.ok_or_else(|| ArchiveImageError::MissingFile { file: path.clone() })
    }

    fn read(&self, digest: &Digest, max: u64) -> Result<Vec<u8>, ArchiveImageError> {
        Ok(self.service.inner.content.read(digest, max)?)
    }

    fn read_layout(
        &self,
        index: &[u8],
        docker: Option<&[u8]>,
    ) -> Result<Vec<Pending>, ArchiveImageError> {
        let limits = &self.service.inner.config.limits;
        let Document::Index(entries) = manifest::parse(index, media_type::OCI_INDEX, limits)?
        else {
            return Err(ArchiveImageError::NoImage);
        };
        let docker: Vec<DockerImage> = match docker {
            Some(text) => parse_json("manifest.json", text)?,
            None => Vec::new(),
        };
        let mut images: Vec<Pending> = Vec::new();
        for entry in &entries {
            let Some((descriptor, manifest, documents)) = self.manifest_of(entry, entries.len())?
            else {
                continue;
            };
            let mut names: Vec<String> = name_of(entry).into_iter().collect();
            if names.is_empty() {
                let of_config = |image: &&DockerImage| {
                    self.blob(&image.config)
                        .is_ok_and(|(digest, _)| *digest == manifest.config.digest)
                };
                let tags = docker.iter().filter(of_config).flat_map(|image| image.repo_tags.iter());
                names.extend(tags.filter_map(|tag| full_name(tag)));
            }
            images.push(Pending { descriptor, manifest, names, documents });
        }
        if images.is_empty() { Err(ArchiveImageError::NoImage) } else { Ok(images) }
    }

    /// The manifest for this platform behind an entry of `index.json`; none if it is for another.
    fn manifest_of(
        &self,
        entry: &Descriptor,
        entry_count: usize,
    ) -> Result<Option<(Descriptor, Manifest, BTreeSet<Digest>)>, ArchiveImageError> {
        let config = &self.service.inner.config;
        let is_foreign =
            entry.platform.as_ref().is_some_and(|offered| !config.platform.accepts(offered));
        if is_foreign && entry_count > 1 {
            return Ok(None);
        }
        let mut descriptor = entry.clone();
        let mut documents = BTreeSet::new();
        for _ in 0..3 {
            let bytes = self.read(&descriptor.digest, config.limits.manifest_bytes)?;
            documents.insert(descriptor.digest.clone());
            match manifest::parse(&bytes, &descriptor.media_type, &config.limits)? {
                Document::Manifest(manifest) => return Ok(Some((descriptor, manifest, documents))),
                Document::Index(inner) => {
                    descriptor =
                        manifest::select(&inner, &config.platform, &descriptor.digest)?.clone();
                }
            }
        }
        Ok(None)
    }

    /// `docker save` of old has no manifests: they are made from what it has.
    fn read_docker(&mut self, text: &[u8]) -> Result<Vec<Pending>, ArchiveImageError> {
        let listed: Vec<DockerImage> = parse_json("manifest.json", text)?;
        let limits = self.service.inner.config.limits.clone();
        let mut images = Vec::new();
        for image in listed {
            let part = |(digest, size): &(Digest, u64), media_type: &str| json!({ "mediaType": media_type, "digest": digest, "size": size });
            let config = part(self.blob(&image.config)?, media_type::OCI_CONFIG);
            let layers = image
                .layers
                .iter()
                .map(|path| Ok(part(self.blob(path)?, media_type::OCI_LAYER)))
                .collect::<Result<Vec<_>, ArchiveImageError>>()?;
            let document = json!({
                "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers,
            });
            let bytes = document.to_string().into_bytes();
            let digest = Digest::sha256(&bytes);
            self.lease.hold([digest.clone()]);
            self.service.inner.content.put(&bytes)?;
            let Document::Manifest(manifest) =
                manifest::parse(&bytes, media_type::OCI_MANIFEST, &limits)?
            else {
                return Err(ArchiveImageError::NoImage);
            };
            let descriptor = Descriptor {
                media_type: media_type::OCI_MANIFEST.to_owned(),
                digest: digest.clone(),
                size: bytes.len() as u64,
                platform: None,
                annotations: BTreeMap::new(),
            };
            let names = image.repo_tags.iter().filter_map(|tag| full_name(tag)).collect();
            let documents = BTreeSet::from([digest]);
            images.push(Pending { descriptor, manifest, names, documents });
        }
        Ok(images)
    }

    fn install(&mut self, image: Pending) -> Result<Digest, ArchiveImageError> {
        let limits = &self.service.inner.config.limits;
        let manifest = &image.manifest;
        let bytes = self.read(&manifest.config.digest, limits.config_bytes)?;
        let config = ImageConfig::parse(&bytes)?;
        config.check_layers(manifest.layers.len())?;
        let platform = &self.service.inner.config.platform;
        if !platform.accepts(&config.platform) {
            let (digest, platform) = (image.descriptor.digest, platform.to_string());
            return Err(manifest::ManifestError::NoPlatform { digest, platform }.into());
        }
        let diffs = &config.rootfs.diff_ids;
        let chains = chain_ids(diffs);
        self.lease.hold(chains.iter().cloned());
        let never = AtomicBool::new(false);
        for (index, (layer, (chain, diff))) in
            manifest.layers.iter().zip(chains.iter().zip(diffs)).enumerate()
        {
            let below = chains.get(..index).unwrap_or_default();
            unpack_blob(self.service, (chain, diff), below, &layer.digest, &never)?;
        }
        let mut blobs = image.documents;
        blobs.extend(
            manifest.layers.iter().chain([&manifest.config]).map(|part| part.digest.clone()),
        );
        let digest = &image.descriptor.digest;
        let references = image.names.iter().filter_map(|name| Reference::parse(name).ok());
        let now = SystemTime::now();
        let record = Record {
            id: manifest.config.digest.clone(),
            repo_digests: references.map(|reference| reference.repo_digest(digest)).collect(),
            manifest: digest.clone(),
            manifest_type: image.descriptor.media_type.clone(),
            blobs,
            layers: chains,
            size_bytes: manifest.content_bytes(),
            config: config.config,
            is_pinned: false,
            binds: Vec::new(),
            created_at: now,
            used_at: now,
        };
        Ok(self.service.commit(record, &image.names)?)
    }
}

/// A path without `./`; what leads upwards is kept as it is and names nothing.
fn plain_path(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

/// A link's target relative to the directory of the link, within the archive.
fn join(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn blob_digest(path: &str) -> Option<Digest> {
    let (algorithm, hex) = path.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

fn name_of(entry: &Descriptor) -> Option<String> {
    let annotation = |key: &str| entry.annotations.get(key).map(String::as_str);
    annotation(ANNOTATION_IMAGE_NAME).and_then(full_name).or_else(|| {
        // A bare tag is no name.
        annotation(ANNOTATION_REF_NAME).filter(|name| name.contains(['/', ':'])).and_then(full_name)
    })
}

fn full_name(name: &str) -> Option<String> {
    Reference::parse(name).ok()?.repo_tag()
}
