//! Archives out of one store and into another, and those that others make.

use std::collections::BTreeMap;

use podo_image::Digest;
use podo_image::build::BuiltImage;

use crate::fake_registry::FakeRegistry;
use crate::support::{Node, small_image};

fn archive(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content.as_slice()).expect("append");
    }
    builder.into_inner().expect("finish")
}

#[tokio::test]
async fn an_exported_image_is_the_same_after_import_elsewhere() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    let node = Node::new(Some(&registry.url()));
    let id = node.pull("x:1").await.expect("pull");
    let mut bytes = Vec::new();
    node.images.export(&["x:1".into()], &mut bytes).expect("export");

    let other = Node::new(None);
    assert_eq!(other.images.import(bytes.as_slice()).expect("import"), vec![id]);
    let (here, there) =
        (node.images.status("x:1").expect("here"), other.images.status("x:1").expect("there"));
    assert_eq!(
        (here.id, here.repo_tags, here.repo_digests, here.size_bytes, here.config),
        (there.id, there.repo_tags, there.repo_digests, there.size_bytes, there.config)
    );
    let compressed = zstd::encode_all(bytes.as_slice(), 1).expect("compress");
    assert!(Node::new(None).images.import(compressed.as_slice()).is_ok());
}

#[test]
fn what_docker_save_wrote_before_it_knew_oci_is_read() {
    let layer = podo_image::build::LayerBuilder::new()
        .file("a", 0o644, b"1")
        .and_then(podo_image::build::LayerBuilder::finish)
        .expect("layer");
    let config = serde_json::json!({ "os": "linux", "architecture": podo_image::manifest::Platform::host().architecture,
        "config": { "Cmd": ["/a"] }, "rootfs": { "type": "layers", "diff_ids": [Digest::sha256(&layer)] } });
    let files = BTreeMap::from([
        (
            "manifest.json".to_owned(),
            br#"[{"Config":"c.json","RepoTags":["app:1"],"Layers":["l/layer.tar"]}]"#.to_vec(),
        ),
        ("c.json".to_owned(), config.to_string().into_bytes()),
        ("l/layer.tar".to_owned(), layer),
        ("l/VERSION".to_owned(), b"1.0".to_vec()),
    ]);
    let node = Node::new(None);
    node.images.import(archive(&files).as_slice()).expect("import");
    assert_eq!(node.images.status("app:1").expect("known").config.cmd, ["/a"]);
    let rootfs = node.images.prepare_rootfs("app:1", "c").expect("prepare");
    assert!(rootfs.lower[0].join("a").exists());
}

fn layout(image: &BuiltImage) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = image
        .blobs
        .iter()
        .map(|(digest, bytes)| (format!("blobs/sha256/{}", digest.hex()), bytes.to_vec()))
        .collect();
    files.insert(format!("blobs/sha256/{}", image.digest.hex()), image.manifest.to_vec());
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [{ "digest": image.digest, "size": image.manifest.len(),
        "annotations": { "org.opencontainers.image.ref.name": "reg.test/app:2" } }] });
    files.insert("index.json".into(), index.to_string().into_bytes());
    files
}

#[test]
fn damaged_archives_are_refused_and_leave_nothing() {
    let image = small_image();
    let whole = layout(&image);
    let node = Node::new(None);
    let mut wrong = whole.clone();
    for (path, content) in &mut wrong {
        if path.starts_with("blobs/") && content.first() != Some(&b'{') {
            content[30] ^= 1;
        }
    }
    let mut missing = whole.clone();
    missing.retain(|path, _| !path.ends_with(image.id.hex()));
    let nothing = BTreeMap::from([("x".to_owned(), Vec::new())]);
    for (files, word) in
        [(wrong, "unexpected commit digest"), (missing, "not found"), (nothing, "no image")]
    {
        let error = node.images.import(archive(&files).as_slice()).expect_err(word);
        assert!(error.to_string().contains(word), "{error}");
        node.images.sweep().expect("sweep"); // Else the next archive would find parts of this one.
    }
    let cut = archive(&whole);
    assert!(node.images.import(&cut[..cut.len() / 2]).is_err());
    assert!(node.images.list().is_empty());
    node.assert_nothing_half_done();
    node.images.sweep().expect("sweep");
    assert_eq!(node.images.fs_usage().expect("usage").used_bytes, 0);

    node.images.import(archive(&whole).as_slice()).expect("the whole one");
    assert!(node.images.status("reg.test/app:2").is_some());
}
