use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::{Value, json};

use super::*;
use crate::testing::{FakeServer, NoMounts, TokioClock};

struct Place {
    dir: tempfile::TempDir,
    volumes: Volumes,
    mounts: Arc<NoMounts>,
    server: Arc<FakeServer>,
}

fn place() -> Place {
    let dir = tempfile::tempdir().expect("a folder");
    let (server, client) = FakeServer::new();
    let mounts = Arc::new(NoMounts::default());
    let mounter: Arc<dyn Mounter> = mounts.clone();
    let tokens = Tokens::new(client, Arc::new(TokioClock::new()));
    let volumes = Volumes::new(dir.path().to_owned(), mounter, tokens);
    Place { dir, volumes, mounts, server }
}

fn pod(volumes: Value) -> Arc<PodView> {
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}},
        "spec": {"serviceAccountName": "robot", "containers": [{"name": "c"}], "volumes": volumes}});
    Arc::new(PodView::new(serde_json::from_value(pod).expect("a Pod")))
}

fn config_map(data: Value) -> Fetched {
    let map = serde_json::from_value(json!({"data": data})).expect("a map");
    Fetched { config_maps: [("m".to_owned(), Ok(Some(map)))].into(), ..Fetched::default() }
}

impl Place {
    async fn set_up(&self, volumes: Value, fetched: Fetched) -> SetUp {
        let input = VolumeInput {
            pod: pod(volumes),
            fetched: Arc::new(fetched),
            node: Arc::new(NodeFacts::default()),
        };
        self.volumes.set_up(input).await
    }

    async fn failure(&self, volume: Value, fetched: Fetched) -> String {
        let done = self.set_up(json!([volume]), fetched).await;
        done.failed.first().map_or(String::new(), |failed| failed.message.clone())
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.dir.path().join("pods/u/volumes").join(kind).join(name)
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn files_of_a_config_map_change_all_at_once_and_stale_ones_go() {
    let place = place();
    let volume = || json!([{"name": "v", "configMap": {"name": "m", "defaultMode": 0o600}}]);
    let done = place.set_up(volume(), config_map(json!({"a": "1", "b": "2"}))).await;
    assert_eq!(done, SetUp::default());
    let root = place.path("kubernetes.io~configmap", "v");
    assert_eq!((read(&root.join("a")), read(&root.join("b"))), ("1".to_owned(), "2".to_owned()));
    let mode = std::fs::metadata(root.join("a")).expect("there").mode() & 0o777;
    assert_eq!(mode, 0o600);
    let first = std::fs::read_link(root.join("..data")).expect("a link");
    assert_eq!(std::fs::read_link(root.join("a")).expect("a link"), Path::new("..data/a"));

    place.set_up(volume(), config_map(json!({"a": "1", "b": "2"}))).await;
    assert_eq!(std::fs::read_link(root.join("..data")).expect("a link"), first, "nothing changed");

    let open = std::fs::File::open(root.join("a")).expect("opened");
    place.set_up(volume(), config_map(json!({"a": "new"}))).await;
    assert_eq!(read(&root.join("a")), "new");
    assert!(!root.join("b").exists());
    assert!(!root.join(&first).exists());
    assert_eq!(std::io::read_to_string(open).expect("readable"), "1", "readers keep their version");
}

#[tokio::test]
async fn items_and_optional_references_are_kept_to() {
    let place = place();
    let items = json!({"name": "m", "items": [{"key": "a", "path": "deep/er/x", "mode": 0o400}]});
    let volumes = json!([{"name": "v", "configMap": items},
        {"name": "o", "configMap": {"name": "none", "optional": true}}]);
    let done = place.set_up(volumes, config_map(json!({"a": "1", "b": "2"}))).await;
    assert_eq!(done.failed, []);
    let root = place.path("kubernetes.io~configmap", "v");
    assert_eq!(read(&root.join("deep/er/x")), "1");
    assert!(!root.join("b").exists());
}

#[tokio::test]
async fn what_is_missing_is_told_as_upstream_does() {
    let place = place();
    let none = Fetched::default;
    let prefix = "MountVolume.SetUp failed for volume \"v\" :";
    let keyed = |key: &str| json!({"name": "v", "configMap": {"name": "m", "items": [{"key": key, "path": "x"}]}});
    let secret_key =
        json!({"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "x"}]}});
    let empty = serde_json::from_value(json!({})).expect("a secret");
    let secret = Fetched { secrets: [("s".to_owned(), Ok(Some(empty)))].into(), ..none() };
    for (volume, fetched, text) in [
        (json!({"name": "v", "configMap": {"name": "m"}}), none(), "configmap \"m\" not found"),
        (json!({"name": "v", "secret": {"secretName": "s"}}), none(), "secret \"s\" not found"),
        (keyed("k"), config_map(json!({})), "configmap references non-existent config key: k"),
        (secret_key, secret, "references non-existent secret key: k"),
        (
            json!({"name": "v", "gitRepo": {"repository": "x"}}),
            none(),
            "git-repo volume plugin has been disabled",
        ),
        (
            json!({"name": "v", "persistentVolumeClaim": {"claimName": "x"}}),
            none(),
            "no volume plugin matched: persistentVolumeClaim volumes are not supported by this node",
        ),
        (
            json!({"name": "v", "hostPath": {"path": "/dev/null", "type": "Directory"}}),
            none(),
            "hostPath type check failed: /dev/null is not a directory",
        ),
        (
            json!({"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}}),
            none(),
            "clusterTrustBundle projections are not supported by this node",
        ),
    ] {
        assert_eq!(place.failure(volume, fetched).await, format!("{prefix} {text}"));
    }
}

#[tokio::test]
async fn a_path_that_leaves_the_volume_is_refused() {
    let place = place();
    for path in ["../x", "/etc/x", "a/../../x", "..data/x"] {
        let volume =
            json!({"name": "v", "configMap": {"name": "m", "items": [{"key": "a", "path": path}]}});
        let text = place.failure(volume, config_map(json!({"a": "1"}))).await;
        assert!(text.contains("invalid path"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_projected_volume_holds_its_sources_and_asks_for_its_next_token_in_time() {
    let place = place();
    place.server.put("serviceaccounts", json!({"metadata": {"namespace": "n", "name": "robot"}}));
    let volumes = json!([{"name": "v", "projected": {"sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "m", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}}]);
    let done = place.set_up(volumes, config_map(json!({"ca.crt": "CA"}))).await;
    assert_eq!(done.failed, []);
    let root = place.path("kubernetes.io~projected", "v");
    assert_eq!(read(&root.join("token")), "token-1");
    assert_eq!(read(&root.join("ca.crt")), "CA");
    assert_eq!(read(&root.join("labels")), "app=\"web\"");
    // The server's token lasts an hour, of which four fifths are 2880 seconds.
    let refresh_at = done.refresh_at.expect("a time").as_seconds() - TokioClock::BEGIN_SECONDS;
    assert!((2870..=2880).contains(&refresh_at), "{refresh_at}");
    assert_eq!(place.mounts.mounted(), [("tmpfs", root)]);
}

/// What is in a volume, each with its mode (links with none); all of it is the group's.
fn owned(root: &Path, group: u32) -> String {
    let mut lines = Vec::new();
    let mut left = vec![(root.to_owned(), String::from("."))];
    while let Some((path, name)) = left.pop() {
        let metadata = std::fs::symlink_metadata(&path).expect("there");
        assert_eq!(metadata.gid(), group, "{name}");
        let mode = format!(" {:o}", metadata.mode() & 0o7777);
        lines.push(if metadata.is_symlink() { name } else { name + &mode });
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&path).expect("readable") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name").to_string_lossy();
                // A version has a new name each time.
                let is_version = name.starts_with("..") && name != "..data";
                let name = if is_version { "version".into() } else { name.into_owned() };
                left.push((path, name));
            }
        }
    }
    lines.sort();
    lines.join(", ")
}

#[tokio::test]
async fn volumes_belong_to_the_group_of_the_pod_from_their_root_on() {
    let place = place();
    place.server.put("serviceaccounts", json!({"metadata": {"namespace": "n", "name": "robot"}}));
    // Who is not root can give files to its own group alone.
    let is_root = rustix::process::geteuid().is_root();
    let group = if is_root { 2345 } else { rustix::process::getegid().as_raw() };
    let items = json!([{"key": "a", "path": "deep/a", "mode": 0o400}, {"key": "a", "path": "b"}]);
    let volumes = json!([
        {"name": "c", "configMap": {"name": "m", "items": items}},
        {"name": "e", "emptyDir": {}},
        {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        {"name": "d", "downwardAPI": {"defaultMode": 0o600,
            "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]);
    let mut pod = PodView::clone(&pod(volumes));
    let context = json!({"fsGroup": group});
    pod.spec.security_context = serde_json::from_value(context).expect("a context");
    let pod = Arc::new(pod);
    for text in ["1", "2"] {
        let input = VolumeInput {
            pod: Arc::clone(&pod),
            fetched: Arc::new(config_map(json!({"a": text}))),
            node: Arc::new(NodeFacts::default()),
        };
        assert_eq!(place.volumes.set_up(input).await.failed, []);
    }
    for (kind, name, expected) in [
        ("empty-dir", "e", ". 2777"),
        ("configmap", "c", ". 2777, ..data, a 440, b, b 644, deep, deep 2755, version 2755"),
        ("projected", "p", ". 2777, ..data, token, token 640, version 2755"),
        ("downward-api", "d", ". 2777, ..data, labels, labels 640, version 2755"),
    ] {
        let root = place.path(&format!("kubernetes.io~{kind}"), name);
        assert_eq!(owned(&root, group), expected, "{name}");
    }
}

#[tokio::test]
async fn an_empty_dir_is_open_to_all_and_goes_with_its_pod() {
    let place = place();
    let volumes =
        json!([{"name": "v", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]);
    let done = place.set_up(volumes, Fetched::default()).await;
    assert_eq!(done.failed, []);
    let root = place.path("kubernetes.io~empty-dir", "v");
    let mode = std::fs::metadata(&root).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o777);
    assert_eq!(place.mounts.mounted().len(), 1);
    std::fs::write(root.join("file"), "x").expect("written");
    std::os::unix::fs::symlink("/", root.join("link")).expect("a link");
    place.volumes.tear_down("u").await.expect("taken down");
    assert!(!root.exists());
    assert!(Path::new("/etc").exists(), "links are not followed");
    place.volumes.tear_down("u").await.expect("nothing there is fine");
}

fn sub_path(place: &Place, path: &str) -> Result<PathBuf, VolumeError> {
    let pod = pod(json!([{"name": "v", "emptyDir": {}}]));
    let mount = json!({"name": "v", "mountPath": "/v", "subPath": path, "readOnly": true});
    let mount = serde_json::from_value(mount).expect("a mount");
    place.volumes.host_path(&pod, "c", 0, &mount, path)
}

#[tokio::test]
async fn a_sub_path_is_found_or_made_below_its_volume_and_nowhere_else() {
    let place = place();
    place.set_up(json!([{"name": "v", "emptyDir": {}}]), Fetched::default()).await;
    let root = place.path("kubernetes.io~empty-dir", "v");
    let target = place.dir.path().join("pods/u/volume-subpaths/v/c/0");
    assert_eq!(sub_path(&place, "a/b").expect("made"), target);
    assert!(root.join("a/b").is_dir());
    assert_eq!(place.mounts.mounted(), [("bind", target)]);

    std::os::unix::fs::symlink("/etc", root.join("out")).expect("a link");
    std::os::unix::fs::symlink("../../../../..", root.join("up")).expect("a link");
    std::os::unix::fs::symlink("a", root.join("in")).expect("a link");
    for path in ["out", "out/passwd", "up", "../x", "up/etc"] {
        assert!(sub_path(&place, path).is_err(), "{path}");
    }
    assert!(sub_path(&place, "in/b").is_ok(), "a link that stays inside is one to follow");
}
