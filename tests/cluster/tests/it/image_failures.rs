//! Images that are broken, hostile or not there: the right reason and event each, tried again with back-off, nothing half-unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, container, idle, is_ready, pod, waiting};
use podo_cluster_tests::{
    Api, Cluster, Options, Ran, images, registry::Registry, registry::Settings, skip, with_cluster,
};
use podo_image::build::{BuiltImage, Compression, ImageBuilder, LayerBuilder};
use serde_json::{Value, json};

use crate::instances::{Server, SmallDisk};

/// A registry's folder of the test's own, in which it may spoil what it likes.
pub(crate) struct Store(PathBuf);

impl Store {
    pub(crate) fn new() -> Self {
        let folder = podo_cluster_tests::cluster::folder();
        copy(&images::storage(), &folder);
        Self(folder)
    }

    /// Puts images in, and spoils them as told.
    pub(crate) fn add(&self, pushed: &[(&str, BuiltImage)], spoil: impl FnOnce(&Registry) + Send) {
        podo_cluster_tests::Host::new().run(|| {
            let settings =
                Settings { storage: &self.0, folder: &self.0, port: 5000, is_private: false };
            let registry = Registry::start(&settings);
            for (name, image) in pushed {
                images::push(&registry, image, &format!("library/{name}"), "1");
            }
            spoil(&registry);
        });
    }

    pub(crate) fn options(&self) -> Options {
        Options { storage: Some(self.0.clone()), ..Options::default() }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // A folder that stays is only untidy.
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn image(layers: Vec<Vec<u8>>) -> BuiltImage {
    let base = ImageBuilder::new().layer(images::busybox_layer().unwrap(), Compression::Gzip);
    let all = layers.into_iter().fold(base, |image, layer| image.layer(layer, Compression::Gzip));
    all.config(images::config(&[], &["sh"])).build().unwrap()
}

fn layer(content: &str) -> Vec<u8> {
    LayerBuilder::new().file("content", 0o644, content.as_bytes()).unwrap().finish().unwrap()
}

pub(crate) fn with(name: &str, image: &str) -> Value {
    pod(name, json!({"containers": [also(idle("main"), json!({"image": image}))]}))
}

/// The Pod fails to pull with a message that contains a text, an event says so, and it is tried again with back-off.
#[track_caller]
fn fails(it: &Cluster, name: &str, image: &str, text: &str) {
    let since = it.version();
    it.create_pod(&with(name, image));
    let seen =
        it.since(&since, name, "fails to pull", |pod| waiting(pod, "main") == "ErrImagePull");
    let message =
        container(&seen, "main")["state"]["waiting"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains(text), "{message}");
    let event = it.event(name, "Failed");
    assert_eq!(event["type"], "Warning");
    let seen = it.until(name, "backs off", |pod| waiting(pod, "main") == "ImagePullBackOff");
    let message = container(&seen, "main")["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("Back-off pulling image \"{image}\"")), "{message}");
    it.event(name, "BackOff");
}

/// Nothing of what failed lies in the node's image store.
fn assert_nothing_half_done(data_dir: &Path) {
    let store = data_dir.join("runtime/image");
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names(&store.join("ingest")), Vec::<String>::new(), "unfinished content");
    let layers = names(&store.join("layers"));
    let half: Vec<&String> = layers.iter().filter(|name| name.parse::<u64>().is_err()).collect();
    assert!(half.is_empty(), "half-unpacked layers: {half:?}");
}

pub(crate) fn is_fit(what: &str) -> bool {
    match podo_cluster_tests::cluster::unfit(&Options::default()) {
        None => true,
        Some(why) => {
            skip(what, why);
            false
        }
    }
}

#[test]
fn s22_spoiled_layers_fail_with_a_reason_and_are_tried_again_until_they_are_good() {
    if !is_fit("spoiled layers") {
        return;
    }
    let (flipped, truncated, good) =
        (image(vec![layer("flipped")]), image(vec![layer("truncated")]), layer("good"));
    let last = |image: &BuiltImage| {
        // The smallest blob that is no configuration: the top layer.
        let mut blobs: Vec<_> =
            image.blobs.iter().filter(|(digest, _)| **digest != image.id).collect();
        blobs.sort_by_key(|(_, bytes)| bytes.len());
        blobs[0].0.clone()
    };
    let (flipped_layer, truncated_layer) = (last(&flipped), last(&truncated));
    let length = truncated.blobs[&truncated_layer].len();
    let too_short = format!("failed size validation: {} != {length}", length / 2);
    let store = Store::new();
    let pushed = [("flipped", flipped), ("truncated", truncated), ("good", image(vec![good]))];
    store.add(&pushed, |registry| {
        let path = registry.blob(&flipped_layer);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(path, bytes).unwrap();
        let path = registry.blob(&truncated_layer);
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    with_cluster(store.options(), |it| {
        fails(it, "flipped", "flipped:1", &format!("expected {flipped_layer}"));
        fails(it, "truncated", "truncated:1", &too_short);
        it.ready(&with("good", "good:1"));
        assert_nothing_half_done(&it.data_dir());
        // The registry is mended: the Pod goes on by itself.
        let (_, mended) = &pushed[0];
        fs::write(
            it.registry.as_ref().unwrap().blob(&flipped_layer),
            &mended.blobs[&flipped_layer],
        )
        .unwrap();
        it.until("flipped", "is ready", is_ready);
    });
}

#[test]
fn s22_layers_that_reach_out_of_their_folder_change_nothing_on_the_host() {
    if !is_fit("hostile layers") {
        return;
    }
    let mark = format!("podotest-escape-{}", std::process::id());
    let builder = LayerBuilder::new;
    let up = "../".repeat(12);
    let dots =
        builder().file(&format!("{up}var/tmp/{mark}-dots"), 0o644, b"x").unwrap().finish().unwrap();
    let absolute = builder()
        .file(&format!("/var/tmp/{mark}-absolute"), 0o644, b"x")
        .unwrap()
        .finish()
        .unwrap();
    let through_link = builder()
        .symlink("away", "/var/tmp")
        .unwrap()
        .file(&format!("away/{mark}-link"), 0o644, b"x")
        .unwrap()
        .finish()
        .unwrap();
    let hard = builder().hard_link("shadow", &format!("{up}etc/shadow")).unwrap().finish().unwrap();
    let device = builder().device("dev/sda-own", 0o666, (254, 0)).unwrap().finish().unwrap();
    let names = ["dots", "absolute", "link", "hard", "device"];
    let layers = [dots, absolute, through_link, hard, device];
    let pushed: Vec<(&str, BuiltImage)> =
        names.into_iter().zip(layers).map(|(name, layer)| (name, image(vec![layer]))).collect();
    let store = Store::new();
    store.add(&pushed, |_| {});
    with_cluster(store.options(), |it| {
        for name in names {
            it.create_pod(&with(name, &format!("{name}:1")));
            // Some of these are legal once the path is read below the root of the image; then they run and reach nothing.
            let seen = it.until(name, "is refused or runs", |pod| {
                is_ready(pod)
                    || matches!(waiting(pod, "main").as_str(), "ErrImagePull" | "ImagePullBackOff")
            });
            if is_ready(&seen) {
                let read = it.exec(
                    name,
                    "main",
                    "cat /shadow 2>/dev/null; cat /dev/sda-own 2>&1 | head -c 64; true",
                );
                assert!(!read.contains("root:"), "{name}: {read}");
            }
        }
        for name in names {
            assert!(
                !Path::new("/var/tmp").join(format!("{mark}-{name}")).exists(),
                "{name} reached the host"
            );
        }
        assert_nothing_half_done(&it.data_dir());
    });
}

#[test]
fn s22_a_missing_tag_and_a_dead_registry() {
    with_cluster(Options::default(), |it| {
        fails(it, "missing", "busybox:none", "busybox:none");
        it.registry.as_mut().unwrap().stop();
        fails(it, "dead", "busybox:1.35", "busybox:1.35");
        assert_nothing_half_done(&it.data_dir());
    });
}

/// A layer of so many bytes that nothing compresses.
pub(crate) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    let noise: Vec<u8> = std::iter::repeat_with(next).take(bytes).collect();
    LayerBuilder::new().file("noise", 0o644, &noise).unwrap().finish().unwrap()
}

#[test]
fn a_pull_that_finds_no_room_is_told_and_leaves_nothing_half_unpacked() {
    if !is_fit("pulls on a full disk") {
        return;
    }
    let store = Store::new();
    let pushed = [
        // One does not fit as it comes, the other not once it is unpacked.
        ("large", image(vec![noise(48 << 20, 1)])),
        ("larger-inside", image(vec![noise(24 << 20, 2)])),
    ];
    store.add(&pushed, |_| {});
    let disk = SmallDisk::new("40m");
    let data = disk.path();
    podo_cluster_tests::Host::new().run(|| {
        let _registry = Registry::start(&Settings {
            storage: &store.0,
            folder: &store.0,
            port: 5000,
            is_private: false,
        });
        let podo = |args: &[&str]| {
            let mut command = Command::new(podo_cluster_tests::binary::podo());
            let (name, rest) = args.split_first().unwrap();
            command.arg(name).arg("--data-dir").arg(data).args(rest);
            command
        };
        let mut up = Server::start(&mut podo(&[
            "up",
            "--node-ip=192.0.2.1",
            "--registry-mirror=docker.io=http://127.0.0.1:5000",
        ]));
        up.until_ready();
        let api = Api::of(&data.join("kubeconfig.yaml"));
        let accounts = "/api/v1/namespaces/default/serviceaccounts";
        api.wait(accounts, "default", "is there", |account| !account.is_null());
        for (name, _) in &pushed {
            let image = format!("{name}:1");
            let ran = Ran::from(podo(&["image", "pull", &image]).output().unwrap());
            assert_eq!(ran.code, 69, "{ran:?}");
            assert!(
                ran.err.starts_with("error: ") && ran.err.contains("No space left on device"),
                "{ran:?}"
            );
            api.post(PODS, &with(name, &image)).ok();
            let seen = api.wait(PODS, name, "cannot pull", |pod| {
                matches!(waiting(pod, "main").as_str(), "ErrImagePull" | "ImagePullBackOff")
            });
            let waits = &container(&seen, "main")["state"]["waiting"];
            assert!(
                waits["message"].as_str().unwrap().contains("No space left on device"),
                "{waits}"
            );
            let selector = format!("fieldSelector=involvedObject.name%3D{name},reason%3DFailed");
            let events = "/api/v1/namespaces/default/events";
            let event = api.wait_any(events, &selector, "is told", |_| true);
            assert!(
                event["message"].as_str().unwrap().contains("No space left on device"),
                "{event}"
            );
            assert_nothing_half_done(data);
        }
        // What fits is pulled and runs.
        api.post(PODS, &with("small", "busybox:1.35")).ok();
        api.wait(PODS, "small", "is ready", is_ready);
        Ran::from(podo(&["down", "--purge"]).output().unwrap()).ok();
        up.stop();
    });
}
