//! Writing images as an OCI layout that Docker reads too.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};

use serde_json::json;

use super::ArchiveImageError;
use crate::digest::Digest;
use crate::layer::printable;
use crate::manifest::{self, ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Document};
use crate::metadata::Record;
use crate::service::ImageService;
use crate::tar_writer::{Meta, Writer};

/// Writes the images called `names`, each blob once.
pub(crate) fn export(
    service: &ImageService,
    names: &[String],
    sink: impl Write,
) -> Result<(), ArchiveImageError> {
    let mut lease = service.inner.content.lease();
    let mut images = Vec::new();
    for name in names {
        let found = service.record_of(name);
        let (record, tags) =
            found.ok_or_else(|| ArchiveImageError::NotFound { name: name.clone() })?;
        lease.hold(record.blobs.iter().cloned());
        images.push((record, tags));
    }
    let mut writer = Writer::new(BufWriter::new(sink));
    let mut written = BTreeSet::new();
    let (mut index, mut docker) = (Vec::new(), Vec::new());
    for (record, tags) in &images {
        let parts = parts(service, record)?;
        for digest in &parts {
            if written.insert(digest.clone()) {
                write_blob(service, digest, &mut writer)?;
            }
        }
        index.extend(index_entries(service, record, tags));
        docker.push(docker_entry(record, tags, &parts));
    }
    let documents = [
        ("oci-layout", json!({ "imageLayoutVersion": "1.0.0" })),
        ("index.json", json!({ "schemaVersion": 2, "manifests": index })),
        ("manifest.json", json!(docker)),
    ];
    for (path, document) in documents {
        let text = document.to_string();
        writer.append_bytes(path, text.as_bytes()).map_err(ArchiveImageError::Write)?;
    }
    writer.finish().map(drop).map_err(ArchiveImageError::Write)
}

/// Manifest, configuration and layers (bottom first) of an image.
fn parts(service: &ImageService, record: &Record) -> Result<Vec<Digest>, ArchiveImageError> {
    let limits = &service.inner.config.limits;
    let bytes = service.inner.content.read(&record.manifest, limits.manifest_bytes)?;
    let Document::Manifest(manifest) = manifest::parse(&bytes, &record.manifest_type, limits)?
    else {
        let file = printable(record.manifest.hex().as_bytes());
        return Err(ArchiveImageError::MissingFile { file });
    };
    let mut parts = vec![record.manifest.clone(), manifest.config.digest];
    parts.extend(manifest.layers.into_iter().map(|layer| layer.digest));
    Ok(parts)
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn write_blob<W: Write>(
    service: &ImageService,
    digest: &Digest,
    writer: &mut Writer<W>,
) -> Result<(), ArchiveImageError> {
    let file = service.inner.content.open_blob(digest)?;
    let size = file.metadata().map_err(ArchiveImageError::Write)?.len();
    let meta = Meta::file(0o644);
    writer.append(&blob_path(digest), &meta, size, file).map_err(ArchiveImageError::Write)
}

/// One entry per name; one without a name for an image that has none.
fn index_entries(
    service: &ImageService,
    record: &Record,
    tags: &[String],
) -> Vec<serde_json::Value> {
    let size = service.inner.content.size(&record.manifest).unwrap_or_default();
    let media_type = if record.manifest_type.is_empty() {
        manifest::media_type::OCI_MANIFEST
    } else {
        &record.manifest_type
    };
    let entry = |annotations: serde_json::Value| {
        json!({
            "mediaType": media_type, "digest": record.manifest, "size": size, "annotations": annotations,
        })
    };
    if tags.is_empty() {
        return vec![entry(json!({}))];
    }
    let named = tags.iter().map(|tag| {
        let short = tag.rsplit_once(':').map_or("", |(_, short)| short);
        entry(json!({ ANNOTATION_IMAGE_NAME: tag, ANNOTATION_REF_NAME: short }))
    });
    named.collect()
}

fn docker_entry(record: &Record, tags: &[String], parts: &[Digest]) -> serde_json::Value {
    let layers: Vec<String> = parts.iter().skip(2).map(blob_path).collect();
    json!({ "Config": blob_path(&record.id), "RepoTags": tags, "Layers": layers })
}
