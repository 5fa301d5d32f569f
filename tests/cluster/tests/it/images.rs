//! Pulling: policies, names, credentials, archives (S24, S32).

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, container, idle, is_ready, once, pod, waiting};
use podo_cluster_tests::registry::{PASSWORD, USER};
use podo_cluster_tests::{Cluster, Options, images, with_cluster};
use podo_image::Digest;
use podo_image::build::{Compression, ImageBuilder, LayerBuilder};
use podo_image::manifest::Platform;
use serde_json::{Value, json};

use crate::image_failures::Store;
use crate::on_cluster;

fn messages(it: &Cluster, pod: &str, reason: &str) -> Vec<String> {
    let path = format!(
        "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D{pod},reason%3D{reason}"
    );
    let list = it.api.get(&path).ok();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
}

fn with(name: &str, image: &str, policy: &str) -> Value {
    pod(
        name,
        json!({"containers": [also(idle("main"), json!({"image": image, "imagePullPolicy": policy}))]}),
    )
}

#[test]
fn s24_the_default_policy_follows_the_tag() {
    on_cluster(|it| {
        for (image, policy) in [
            ("busybox", "Always"),
            ("busybox:latest", "Always"),
            ("busybox:1.35", "IfNotPresent"),
            (
                "busybox@sha256:0000000000000000000000000000000000000000000000000000000000000000",
                "IfNotPresent",
            ),
        ] {
            let made = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": image}]}});
            let made = it.api.post(&format!("{PODS}?dryRun=All"), &made).ok();
            assert_eq!(made["spec"]["containers"][0]["imagePullPolicy"], policy, "{image}");
        }
    });
}

#[test]
fn s24_always_asks_the_registry_and_if_not_present_and_never_do_not() {
    on_cluster(|it| {
        it.ready(&with("first", "busybox:1.35", "IfNotPresent"));
        let pulled = messages(it, "first", "Pulled");
        assert!(
            pulled[0].starts_with("Successfully pulled image \"busybox:1.35\" in "),
            "{pulled:?}"
        );
        it.ready(&with("second", "busybox:1.35", "IfNotPresent"));
        let present = messages(it, "second", "Pulled");
        assert_eq!(
            present,
            [
                "Container image \"busybox:1.35\" already present on machine and can be accessed by the pod"
            ]
        );
        it.registry.as_mut().unwrap().stop();
        it.ready(&with("third", "busybox:1.35", "IfNotPresent"));
        it.ready(&with("fourth", "busybox:1.35", "Never"));
        it.create_pod(&with("fifth", "busybox:1.35", "Always"));
        it.until("fifth", "cannot pull", |pod| waiting(pod, "main") == "ImagePullBackOff");
    });
}

#[test]
fn s24_a_tag_that_has_moved_is_followed_by_always_alone() {
    let store = Store::new();
    let edition = |number: &str| {
        let script = format!("#!/bin/sh\necho edition {number}\n");
        let script = LayerBuilder::new().file("start.sh", 0o755, script.as_bytes()).unwrap();
        let base = images::busybox_layer().unwrap();
        let layers = ImageBuilder::new()
            .layer(base, Compression::Gzip)
            .layer(script.finish().unwrap(), Compression::Gzip);
        layers.config(images::config(&["/start.sh"], &[])).build().unwrap()
    };
    with_cluster(store.options(), |it| {
        let printed = |name: &str, policy: &str| {
            let container = json!({"name": "main", "image": "moved", "imagePullPolicy": policy});
            it.output(&pod(name, json!({"restartPolicy": "Never", "containers": [container]})))
        };
        let registry = it.registry.as_ref().unwrap();
        images::push(registry, &edition("1"), "library/moved", "latest");
        assert_eq!(printed("first", "IfNotPresent"), "edition 1\n");
        images::push(registry, &edition("2"), "library/moved", "latest");
        assert_eq!(printed("second", "IfNotPresent"), "edition 1\n");
        assert_eq!(printed("third", "Always"), "edition 2\n");
        assert_eq!(printed("fourth", "Never"), "edition 2\n");
    });
}

#[test]
fn s32_short_names_are_of_docker_io_library_and_digests_are_kept() {
    on_cluster(|it| {
        let first = it.ready(&with("short", "busybox", "Always"));
        let id = container(&first, "main")["imageID"].as_str().unwrap().to_owned();
        for (name, image) in [("long", "docker.io/library/busybox:1.35"), ("digest", id.as_str())] {
            let seen = it.ready(&with(name, image, "IfNotPresent"));
            assert_eq!(container(&seen, "main")["imageID"], id.as_str(), "{image}");
        }
        let listed = it.podo(&["image", "ls"]).ok();
        assert!(listed.contains("docker.io/library/busybox"), "{listed}");
        let user = it.output(&pod(
            "user",
            json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "user:1"}]}),
        ));
        assert!(user.starts_with("uid=1000(web) gid=1000(web)"), "{user}");
    });
}

fn pull_secret(name: &str, server: &str, password: &str) -> Value {
    let config = json!({"auths": {server: {"username": USER, "password": password}}});
    json!({
        "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config.to_string()}})
}

#[test]
fn s32_a_registry_with_credentials() {
    with_cluster(Options { is_private: true, ..Options::default() }, |it| {
        let secrets = "/api/v1/namespaces/default/secrets";
        let host = it.registry.as_ref().unwrap().host();
        it.create(secrets, &pull_secret("right", &host, PASSWORD));
        it.create(secrets, &pull_secret("wrong", &host, "guess"));
        let image = format!("{host}/library/busybox:latest");
        let with_secret = |name: &str, secret: Option<&str>| {
            let mut made = with(name, &image, "Always");
            if let Some(secret) = secret {
                made["spec"]["imagePullSecrets"] = json!([{"name": secret}]);
            }
            made
        };
        it.ready(&with_secret("allowed", Some("right")));
        for (name, secret) in [("anonymous", None), ("refused", Some("wrong"))] {
            let since = it.version();
            it.create_pod(&with_secret(name, secret));
            let seen =
                it.since(&since, name, "cannot pull", |pod| waiting(pod, "main") == "ErrImagePull");
            let message = container(&seen, "main")["state"]["waiting"]["message"].as_str().unwrap();
            assert!(
                message.contains("401") || message.to_lowercase().contains("auth"),
                "{message}"
            );
        }
        // The account's secrets are the Pod's.
        let account = json!({"imagePullSecrets": [{"name": "right"}]});
        let path = "/api/v1/namespaces/default/serviceaccounts/default";
        it.api.patch(path, podo_cluster_tests::api::MERGE, &account).ok();
        it.ready(&with_secret("by-account", None));
        // An image that is there is not for whoever lacks the credentials.
        let mut made = with_secret("present-anonymous", None);
        made["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
        made["spec"]["imagePullSecrets"] = json!([{"name": "wrong"}]);
        it.create_pod(&made);
        it.until("present-anonymous", "is refused", |pod| waiting(pod, "main").contains("Pull"));
    });
}

#[test]
fn s32_images_are_pulled_exported_removed_and_imported_by_hand() {
    on_cluster(|it| {
        let mirror = format!("--registry-mirror=docker.io={}", it.registry.as_ref().unwrap().url());
        it.podo(&["image", &mirror, "pull", "busybox:1.35"]).ok();
        let archive = it.folder.join("busybox.tar");
        let path = archive.to_string_lossy();
        it.podo(&["image", "export", "busybox:1.35", "--output", &path]).ok();
        it.podo(&["image", "rm", "busybox:1.35"]).ok();
        assert!(!it.podo(&["image", "ls"]).ok().contains("busybox"));
        it.registry.as_mut().unwrap().stop();
        it.podo(&["image", "import", &path]).ok();
        let mut made = once("offline", "echo from the archive");
        made["spec"]["containers"][0]["image"] = json!("busybox:1.35");
        made["spec"]["containers"][0]["imagePullPolicy"] = json!("Never");
        assert_eq!(it.output(&made), "from the archive\n");
    });
}

/// What `docker save` wrote before it knew the layout of OCI: a layer that another image has as well is a link.
fn docker_archive() -> std::io::Result<Vec<u8>> {
    let base = images::busybox_layer()?;
    let script = b"#!/bin/sh\necho \"$@ by the image of docker\"\n";
    let top = LayerBuilder::new().file("say.sh", 0o755, script)?.finish()?;
    let config = json!({"os": "linux", "architecture": Platform::host().architecture,
        "config": {"Entrypoint": ["/say.sh", "said"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&base), Digest::sha256(&top)]}});
    let config = config.to_string();
    let name = format!("{}.json", Digest::sha256(config.as_bytes()).hex());
    let entry = |tag: &str, base: &str| json!({"Config": name, "RepoTags": [tag], "Layers": [base, "top/layer.tar"]});
    let manifest =
        json!([entry("saved:1", "base/layer.tar"), entry("saved:again", "other/layer.tar")]);
    LayerBuilder::new()
        .directory("base/", 0o755)?
        .file("base/VERSION", 0o644, b"1.0")?
        .file("base/layer.tar", 0o644, &base)?
        .symlink("other/layer.tar", "../base/layer.tar")?
        .file("top/layer.tar", 0o644, &top)?
        .file(&name, 0o644, config.as_bytes())?
        .file("manifest.json", 0o644, manifest.to_string().as_bytes())?
        .file("repositories", 0o644, b"{}")?
        .finish()
}

#[test]
fn s32_an_archive_of_docker_save_is_imported_and_runs() {
    on_cluster(|it| {
        let archive = it.folder.join("saved.tar");
        std::fs::write(&archive, docker_archive().unwrap()).unwrap();
        it.podo(&["image", "import", &archive.to_string_lossy()]).ok();
        for tag in ["saved:1", "docker.io/library/saved:again"] {
            let name = tag.rsplit(':').next().unwrap();
            let main = json!({"name": "main", "image": tag, "imagePullPolicy": "Never"});
            let made = pod(name, json!({"restartPolicy": "Never", "containers": [main]}));
            assert_eq!(it.output(&made), "said by the image of docker\n", "{tag}");
        }
    });
}

#[test]
fn s32_many_pods_that_want_one_image_pull_it_once() {
    on_cluster(|it| {
        let names: Vec<String> = (0..8).map(|index| format!("crowd-{index}")).collect();
        for name in &names {
            it.create_pod(&with(name, "busybox:1.35", "IfNotPresent"));
        }
        for name in &names {
            it.until(name, "is ready", is_ready);
        }
        let log = std::fs::read_to_string(it.folder.join("registry-5000.log")).unwrap();
        let manifests = log.lines().filter(|line| {
            line.contains("response completed")
                && line.contains("GET")
                && line.contains("/manifests/1.35")
        });
        assert!(
            manifests.count() <= 2,
            "one pull, and at most one more that came before its end: {log}"
        );
    });
}
