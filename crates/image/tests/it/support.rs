//! What the tests share: a store in a temporary directory, small images, and looks into the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podo_image::build::{BuiltImage, Compression, ImageBuilder, LayerBuilder};
use podo_image::registry::{Fallback, Mirror, RegistryConfig, Timeouts};
use podo_image::{
    Credential, Digest, ImageService, ImageServiceConfig, ProgressSink, PullError, Reference,
    RunConfig,
};

pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) images: ImageService,
}

pub(crate) fn quick() -> RegistryConfig {
    RegistryConfig {
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            idle: Duration::from_millis(400),
            document: Duration::from_secs(2),
            retry: Duration::from_millis(5),
            attempts: 3,
        },
        hosts_file: "/nonexistent".into(),
        resolv_conf: "/nonexistent".into(),
        ..RegistryConfig::default()
    }
}

pub(crate) fn service_config(root: &Path, mirror: Option<&str>) -> ImageServiceConfig {
    let mut registry = quick();
    if let Some(url) = mirror {
        let mirror = Mirror::new("*", url).expect("mirror URL");
        registry.mirrors = vec![Mirror { fallback: Fallback::Never, ..mirror }];
    }
    ImageServiceConfig { registry, ..ImageServiceConfig::new(root.join("image")) }
}

impl Node {
    pub(crate) fn new(mirror: Option<&str>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("podotest-image-")
            .tempdir()
            .expect("temporary directory");
        let images = ImageService::open(service_config(dir.path(), mirror)).expect("open store");
        Self { dir, images }
    }

    pub(crate) async fn pull(&self, name: &str) -> Result<Digest, PullError> {
        self.pull_as(name, &[]).await
    }

    pub(crate) async fn pull_as(
        &self,
        name: &str,
        credentials: &[Credential],
    ) -> Result<Digest, PullError> {
        let reference = Reference::parse(name).expect("valid name");
        self.images.pull(&reference, credentials, &silent()).await
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Fails if anything unfinished or unnamed lies in the store.
    #[track_caller]
    pub(crate) fn assert_nothing_half_done(&self) {
        assert_nothing_half_done(&self.root());
    }
}

#[track_caller]
pub(crate) fn assert_nothing_half_done(root: &Path) {
    assert_eq!(names(&root.join("ingest")), Vec::<String>::new(), "unfinished content");
    let half: Vec<String> = names(&root.join("layers"))
        .into_iter()
        .filter(|name| name.parse::<u64>().is_err())
        .collect();
    assert_eq!(half, Vec::<String>::new(), "half-unpacked layers");
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

pub(crate) fn silent() -> ProgressSink {
    Arc::new(|_| {})
}

/// Two layers, the upper one compressed with zstd.
pub(crate) fn small_image() -> BuiltImage {
    let base = LayerBuilder::new()
        .directory("tmp", 0o1777)
        .and_then(|layer| layer.file("etc/motd", 0o644, b"hello\n"))
        .and_then(|layer| layer.file("bin/tool", 0o4755, &vec![7; 300_000]))
        .and_then(LayerBuilder::finish)
        .expect("base layer");
    let top = LayerBuilder::new()
        .file("tmp/note", 0o600, b"x")
        .and_then(|layer| layer.whiteout("etc", "motd"))
        .and_then(LayerBuilder::finish)
        .expect("top layer");
    let run = RunConfig {
        entrypoint: vec!["/bin/tool".into()],
        user: "101".into(),
        ..RunConfig::default()
    };
    ImageBuilder::new()
        .layer(base, Compression::Gzip)
        .layer(top, Compression::Zstd)
        .config(run)
        .build()
        .expect("image")
}

/// One uncompressed layer of `bytes` of noise in many files: slow enough to be interrupted.
pub(crate) fn large_image(files: u32, file_bytes: usize) -> BuiltImage {
    let mut layer = LayerBuilder::new();
    for number in 0..files {
        let content = vec![number.to_le_bytes()[0]; file_bytes];
        layer = layer.file(&format!("data/{number}"), 0o644, &content).expect("file");
    }
    ImageBuilder::new()
        .layer(layer.finish().expect("layer"), Compression::None)
        .build()
        .expect("image")
}
