//! Images that attack the node: links where it looks for something or puts something, volumes that lead out.

use std::fs;
use std::path::{Path, PathBuf};

use podo_cluster_tests::pods::{
    also, container, has_ended, idle, is_ready, once, pod, shell, waiting,
};
use podo_cluster_tests::{Cluster, images, with_cluster};
use podo_image::RunConfig;
use podo_image::build::{BuiltImage, Compression, ImageBuilder, LayerBuilder};
use serde_json::{Value, json};

use crate::image_failures::{Store, is_fit, with};
use crate::on_cluster;

/// A folder of the host's with one file, which no container must see and in which none must make anything.
struct Treasure {
    folder: PathBuf,
    mark: String,
}

impl Treasure {
    fn new() -> Self {
        let folder = podo_cluster_tests::cluster::folder().join("treasure");
        fs::create_dir_all(&folder).unwrap();
        let mark = format!("podotest-mark-{}", std::process::id());
        fs::write(folder.join(&mark), "gold").unwrap();
        Self { folder, mark }
    }

    fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    /// As a path that climbs to the root first.
    fn climbing(&self) -> String {
        format!("/{}{}", "../".repeat(16), self.path().trim_start_matches('/'))
    }

    #[track_caller]
    fn assert_untouched(&self, what: &str) {
        let names: Vec<String> = fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, std::slice::from_ref(&self.mark), "{what}");
        assert_eq!(fs::read_to_string(self.folder.join(&self.mark)).unwrap(), "gold", "{what}");
    }
}

impl Drop for Treasure {
    fn drop(&mut self) {
        // A folder that stays is only untidy.
        let _left = self.folder.parent().map(fs::remove_dir_all);
    }
}

fn image(top: LayerBuilder, volumes: &[&str]) -> BuiltImage {
    let config = RunConfig {
        volumes: volumes.iter().map(|path| (*path).to_owned()).collect(),
        ..images::config(&[], &["sh"])
    };
    ImageBuilder::new()
        .layer(images::busybox_layer().unwrap(), Compression::Gzip)
        .layer(top.finish().unwrap(), Compression::Gzip)
        .config(config)
        .build()
        .unwrap()
}

/// The Pod runs or could not be made.
#[track_caller]
fn outcome(it: &Cluster, name: &str) -> Value {
    it.until(name, "runs or is refused", |pod| {
        is_ready(pod)
            || has_ended(pod)
            || matches!(
                waiting(pod, "main").as_str(),
                "CreateContainerError" | "RunContainerError" | "CrashLoopBackOff"
            )
    })
}

/// CVE-2022-23648: what an image has at the place of its volume is copied from the image, not from the host.
#[test]
fn a_volume_of_an_image_does_not_show_the_host() {
    if !is_fit("images with hostile volumes") {
        return;
    }
    let treasure = Treasure::new();
    let builder = LayerBuilder::new;
    let climbing = treasure.climbing();
    let pushed = [
        ("absolute", image(builder().symlink("data", treasure.path()).unwrap(), &["/data"])),
        ("up", image(builder().symlink("data", &climbing[1..]).unwrap(), &["/data"])),
        (
            "below",
            image(builder().symlink("data", "/").unwrap(), &[&format!("/data{}", treasure.path())]),
        ),
        ("dots", image(builder(), &[&climbing])),
        ("proc", image(builder(), &[&format!("/proc/1/root{}", treasure.path())])),
    ];
    let store = Store::new();
    store.add(&pushed, |_| {});
    with_cluster(store.options(), |it| {
        let mut running = 0;
        for (name, _) in &pushed {
            it.create_pod(&with(name, &format!("{name}:1")));
            if is_ready(&outcome(it, name)) {
                running += 1;
                let script = format!(
                    "find / -path /proc -prune -o -name {} -print; touch /data/own /data{path}/own {path}/own 2>/dev/null; true",
                    treasure.mark,
                    path = treasure.path(),
                );
                assert_eq!(it.exec(name, "main", &script), "", "{name}");
            }
            treasure.assert_untouched(name);
        }
        assert!(running >= 3, "those that only have links in the way run: {running}");
    });
}

/// CVE-2021-30465, CVE-2024-45310: where an image has a link in the way of a mount, nothing is made or mounted on the host.
#[test]
fn a_mount_through_a_link_of_an_image_stays_in_the_container() {
    if !is_fit("images with links in the way of mounts") {
        return;
    }
    let treasure = Treasure::new();
    let links = LayerBuilder::new().symlink("away", treasure.path()).unwrap();
    let links = links.symlink("up", &treasure.climbing()[1..]).unwrap();
    let pushed = [("links", image(links, &[]))];
    let store = Store::new();
    store.add(&pushed, |_| {});
    with_cluster(store.options(), |it| {
        let mounts: Vec<Value> = ["/away/deep/volume", "/up/deep/volume", "/away/file"]
            .iter()
            .map(|path| json!({"name": "v", "mountPath": path}))
            .collect();
        let script = "echo -n last > /away/words; echo x > /away/deep/volume/x; exit 3";
        let main = also(
            shell("main", script),
            json!({"image": "links:1", "volumeMounts": mounts, "terminationMessagePath": "/away/words"}),
        );
        let spec = json!({"restartPolicy": "Never", "containers": [main],
            "volumes": [{"name": "v", "emptyDir": {}}]});
        let ended = it.ended(&pod("links", spec));
        let state = &container(&ended, "main")["state"]["terminated"];
        assert_eq!((&state["exitCode"], &state["message"]), (&json!(3), &json!("last")), "{state}");
        treasure.assert_untouched("mounts");
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!table.contains(treasure.path()), "{table}");
    });
}

/// CVE-2019-19921, CVE-2023-27561: what is written to `/proc` and `/sys` while a container is made reaches the kernel's, or
/// there is no container.
#[test]
fn an_image_cannot_put_something_else_in_place_of_the_kernels_file_systems() {
    if !is_fit("images with false kernel file systems") {
        return;
    }
    let names = ["proc", "sys", "dev"];
    let of = |name: &str| image(LayerBuilder::new().symlink(name, "/vol/fake").unwrap(), &[]);
    let pushed: Vec<(&str, BuiltImage)> = names.into_iter().map(|name| (name, of(name))).collect();
    let store = Store::new();
    store.add(&pushed, |_| {});
    with_cluster(store.options(), |it| {
        let mount = json!({"volumeMounts": [{"name": "v", "mountPath": "/vol"}]});
        for name in names {
            // The neighbour makes what the links lead to: files of the names that a runtime writes to.
            let plant = "for d in fake/self/attr fake/1/attr fake/self/task/1/attr fake/thread-self/attr fake/sys/kernel fake/sys/net; do mkdir -p /vol/$d; done
                touch /vol/fake/self/attr/exec /vol/fake/self/attr/current /vol/fake/thread-self/attr/exec /vol/fake/sys/kernel/domainname";
            let main = also(
                shell("main", "echo ran; ls /vol/fake"),
                also(json!({"image": format!("{name}:1")}), mount.clone()),
            );
            let shared = it.folder.join(format!("shared-{name}"));
            fs::create_dir(&shared).unwrap();
            let spec = json!({"restartPolicy": "Never", "initContainers": [also(shell("plant", plant), mount.clone())],
                "containers": [main], "volumes": [{"name": "v", "hostPath": {"path": shared}}]});
            let ended = it.ended(&pod(name, spec));
            let state = &container(&ended, "main")["state"]["terminated"];
            assert_eq!(state["reason"], "StartError", "{name}: {state}");
            let message = state["message"].as_str().unwrap();
            assert!(message.contains(&format!("mount /{name}")), "{name}: {message}");
            let written = files_with_content(&shared);
            assert!(written.is_empty(), "{name}: {written:?}");
        }
    });
}

/// Files that are not empty.
fn files_with_content(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_with_content(&entry.path()));
        } else if entry.metadata().unwrap().len() > 0 {
            found.push(entry.path());
        }
    }
    found
}

/// CVE-2019-16884, CVE-2025-52881: a volume over a part of `/proc` would take its masks and its settings away.
#[test]
fn a_volume_is_not_mounted_over_the_kernels_files() {
    on_cluster(|it| {
        for (name, path) in [
            ("proc", "/proc"),
            ("sys", "/proc/sys"),
            ("attr", "/proc/self/attr"),
            ("masked", "/proc/kcore"),
            ("dots", "/tmp/../proc/sys"),
        ] {
            let mut made = once(name, "echo ran");
            made["spec"]["containers"][0]["volumeMounts"] =
                json!([{"name": "v", "mountPath": path}]);
            made["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
            it.create_pod(&made);
            let seen = outcome(it, name);
            let status = container(&seen, "main");
            let state = status["state"].to_string();
            assert_ne!(seen["status"]["phase"], "Succeeded", "{name}: {state}");
            let is_told =
                ["StartError", "CreateContainerError"].iter().any(|word| state.contains(word));
            assert!(is_told, "{name}: {state}");
        }
        it.ready(&pod("neighbour", json!({"containers": [idle("main")]})));
    });
}
