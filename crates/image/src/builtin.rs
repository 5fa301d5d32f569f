//! The image that is always there: the program itself, serving `hello`.
//!
//! Owns the making of `podo.local/hello:VERSION`: one layer with an empty `/podo`, over which the
//! executable is bound read-only. Nothing is copied and no network is asked. Its digests depend on
//! the version and the platform alone.

use std::io;
use std::path::PathBuf;

use crate::config::{ImageConfig, RootFs, RunConfig};
use crate::digest::Digest;
use crate::manifest::{Platform, media_type};
use crate::snapshot::Bind;
use crate::tar_writer::{Meta, Writer};

/// The registry of built-in images, which is never asked.
pub const BUILTIN_REGISTRY: &str = "podo.local";
/// Where the executable appears in a container.
const TARGET: &str = "/podo";

/// The program as an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// The version that is the image's tag.
    pub version: String,
    /// The executable on the host, static.
    pub executable: PathBuf,
}

/// The parts of the image, ready for the store.
pub(crate) struct Parts {
    pub(crate) layer: Vec<u8>,
    pub(crate) diff: Digest,
    pub(crate) config: Vec<u8>,
    pub(crate) run: RunConfig,
    pub(crate) manifest: Vec<u8>,
    pub(crate) binds: Vec<Bind>,
}

impl Builtin {
    /// The image's full name.
    pub fn name(&self) -> String {
        format!("{BUILTIN_REGISTRY}/hello:{}", self.version)
    }

    /// What the image is called where nobody asks for a version.
    pub(crate) fn latest() -> String {
        format!("{BUILTIN_REGISTRY}/hello:latest")
    }

    pub(crate) fn parts(&self) -> Result<Parts, serde_json::Error> {
        let layer = layer().map_err(serde_json::Error::io)?;
        let diff = Digest::sha256(&layer);
        let run = RunConfig {
            entrypoint: vec![TARGET.into(), "hello".into()],
            env: vec!["PATH=/".into()],
            labels: [("org.opencontainers.image.version".to_owned(), self.version.clone())].into(),
            ..RunConfig::default()
        };
        let image = ImageConfig {
            created: "1970-01-01T00:00:00Z".into(),
            platform: Platform::host(),
            config: run.clone(),
            rootfs: RootFs { kind: "layers".into(), diff_ids: vec![diff.clone()] },
        };
        let config = serde_json::to_vec(&image)?;
        let manifest = serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": {
                "mediaType": media_type::OCI_CONFIG,
                "digest": Digest::sha256(&config),
                "size": config.len(),
            },
            "layers": [{ "mediaType": media_type::OCI_LAYER, "digest": diff, "size": layer.len() }],
        }))?;
        let binds = vec![Bind { source: self.executable.clone(), target: TARGET.into() }];
        Ok(Parts { layer, diff, config, run, manifest, binds })
    }
}

fn layer() -> io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    writer.append("podo", &Meta::file(0o755), 0, io::empty())?;
    writer.finish()
}
