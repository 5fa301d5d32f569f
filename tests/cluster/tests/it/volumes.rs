//! Volumes (S46, without claims).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use podo_cluster_tests::api::MERGE;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, container, idle, once, pod, restarts, shell, waiting};
use podo_cluster_tests::{Cluster, PATIENCE, until};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::{Value, json};

use crate::on_cluster;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

fn mounting(mut made: Value, volume: Value, mounts: Value) -> Value {
    made["spec"]["volumes"] = json!([also(json!({"name": "v"}), volume)]);
    made["spec"]["containers"][0]["volumeMounts"] = mounts;
    made
}

fn at(path: &str) -> Value {
    json!([{"name": "v", "mountPath": path}])
}

/// Waits until a command in a container prints a text.
#[track_caller]
fn until_printed(it: &Cluster, pod: &str, script: &str, text: &str) {
    until(&format!("{script} prints {text}"), PATIENCE, || {
        let now = it.exec(pod, "main", script);
        if now == text { Ok(()) } else { Err(now) }
    });
}

#[test]
fn s46_empty_dir_on_disk_and_in_memory_outlives_a_container_and_not_the_pod() {
    on_cluster(|it| {
        let crash = shell(
            "main",
            "[ -e /v/seen ] && { cat /v/seen; stat -c %a /v; exec sleep 3600; }; echo kept > /v/seen; exit 1",
        );
        let made =
            mounting(pod("dir", json!({"containers": [crash]})), json!({"emptyDir": {}}), at("/v"));
        it.create_pod(&made);
        let seen = it.until("dir", "runs again", |pod| {
            restarts(pod, "main") == 1 && container(pod, "main")["ready"] == true
        });
        assert_eq!(it.log_with("dir", "main", "777\n"), "kept\n777\n");
        let uid = seen["metadata"]["uid"].as_str().unwrap().to_owned();
        let folder = it.data_dir().join("kubelet/pods").join(uid);
        assert!(folder.exists(), "{}", folder.display());
        it.delete_pod("dir");
        until("the Pod's folder is gone", PATIENCE, || {
            if folder.exists() { Err("it is there".into()) } else { Ok(()) }
        });
        let memory = json!({"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}});
        let made = mounting(
            once(
                "memory",
                "grep ' /v ' /proc/mounts; dd if=/dev/zero of=/v/x bs=1M count=2 2>&1; true",
            ),
            memory,
            at("/v"),
        );
        let log = it.output(&made);
        assert!(log.contains("tmpfs") && log.contains("No space left"), "{log}");
    });
}

#[test]
fn s46_host_path_with_its_types() {
    on_cluster(|it| {
        let own = it.folder.join("host");
        let path = |name: &str| own.join(name).to_string_lossy().into_owned();
        let of = |name: &str, kind: &str| json!({"hostPath": {"path": path(name), "type": kind}});
        let log = it.output(&mounting(
            once("made", "echo x > /v/file; echo done"),
            of("dir", "DirectoryOrCreate"),
            at("/v"),
        ));
        assert_eq!(
            (log.as_str(), fs::read_to_string(own.join("dir/file")).unwrap().as_str()),
            ("done\n", "x\n")
        );
        let made = mounting(once("file", "cat /v"), of("dir/file", "File"), at("/v"));
        assert_eq!(it.output(&made), "x\n");
        it.create_pod(&mounting(once("missing", "true"), of("none", "Directory"), at("/v")));
        let event = it.event("missing", "FailedMount");
        let text = event["message"].as_str().unwrap();
        assert!(
            text.contains("hostPath type check failed") && text.contains("is not a directory"),
            "{text}"
        );
        assert_eq!(
            waiting(&it.api.get(&format!("{PODS}/missing")).ok(), "main"),
            "ContainerCreating"
        );
    });
}

/// A file of each type in a folder: `dir`, `file`, `socket`, `char`, `block`. The socket goes with what is returned.
fn one_of_each(folder: &Path) -> UnixListener {
    fs::create_dir_all(folder.join("dir")).unwrap();
    fs::write(folder.join("file"), "kept").unwrap();
    for (name, kind) in [("char", FileType::CharacterDevice), ("block", FileType::BlockDevice)] {
        let device = makedev(1, 3);
        mknodat(CWD, folder.join(name), kind, Mode::from_raw_mode(0o600), device).unwrap();
    }
    UnixListener::bind(folder.join("socket")).unwrap()
}

#[test]
fn s46_host_path_of_files_sockets_and_devices() {
    on_cluster(|it| {
        let own = it.folder.join("host");
        let _socket = one_of_each(&own);
        let of = |name: &str, kind: &str| {
            let path = own.join(name).to_string_lossy().into_owned();
            json!({"hostPath": {"path": path, "type": kind}})
        };
        let right = [
            ("new", "FileOrCreate"),
            ("file", "FileOrCreate"),
            ("socket", "Socket"),
            ("char", "CharDevice"),
            ("block", "BlockDevice"),
        ];
        let volumes = right.map(|(name, kind)| also(json!({"name": name}), of(name, kind)));
        let mounts =
            right.map(|(name, _)| json!({"name": name, "mountPath": format!("/h/{name}")}));
        let mut made = once("right", "cd /h; stat -c '%n %F' *; cat file; echo x > new");
        made["spec"]["volumes"] = json!(volumes);
        made["spec"]["containers"][0]["volumeMounts"] = json!(mounts);
        assert_eq!(
            it.output(&made),
            "block block special file\nchar character special file\nfile regular file\nnew regular empty file\nsocket socket\nkept\n"
        );
        let new = own.join("new");
        assert_eq!(fs::read_to_string(&new).unwrap(), "x\n");
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o644);
        let wrong = [
            ("dir", "FileOrCreate", "a file"),
            ("file", "DirectoryOrCreate", "a directory"),
            ("file", "Socket", "a socket file"),
            ("block", "CharDevice", "a character device"),
            ("char", "BlockDevice", "a block device"),
            ("none", "Socket", "a socket file"),
        ];
        for (index, (name, kind, _)) in wrong.into_iter().enumerate() {
            let made = pod(&format!("wrong-{index}"), json!({"containers": [idle("main")]}));
            it.create_pod(&mounting(made, of(name, kind), at("/v")));
        }
        for (index, (name, _, what)) in wrong.into_iter().enumerate() {
            let event = it.event(&format!("wrong-{index}"), "FailedMount");
            let path = own.join(name);
            let path = path.display();
            let text = format!(
                "MountVolume.SetUp failed for volume \"v\" : hostPath type check failed: {path} is not {what}"
            );
            assert_eq!(event["message"], text);
        }
    });
}

#[test]
fn s46_config_maps_and_secrets_as_files_with_modes_items_and_updates() {
    on_cluster(|it| {
        it.create(MAPS, &json!({"metadata": {"name": "map"}, "data": {"a": "one", "b": "two"}, "binaryData": {"c": "AP8="}}));
        it.create(
            SECRETS,
            &json!({"metadata": {"name": "hidden"}, "stringData": {"key": "s3cret"}}),
        );
        let volumes = json!([
            {"name": "all", "configMap": {"name": "map", "defaultMode": 0o640}},
            {"name": "some", "configMap": {"name": "map", "items": [{"key": "b", "path": "deep/er", "mode": 0o400}]}},
            {"name": "secret", "secret": {"secretName": "hidden", "defaultMode": 0o400}},
            {"name": "optional", "configMap": {"name": "none", "optional": true}}]);
        let mount = |name: &str| json!({"name": name, "mountPath": format!("/{name}")});
        let sub = json!({"name": "all", "mountPath": "/sub", "subPath": "a"});
        let mounts = json!([mount("all"), mount("some"), mount("secret"), mount("optional"), sub]);
        let main = also(idle("main"), json!({"volumeMounts": mounts}));
        it.ready(&pod("files", json!({"containers": [main], "volumes": volumes})));
        assert_eq!(
            it.exec("files", "main", "cat /all/a /all/b /some/deep/er /secret/key /sub"),
            "onetwotwos3cretone"
        );
        assert_eq!(it.exec("files", "main", "od -An -tx1 /all/c"), " 00 ff\n");
        assert_eq!(
            it.exec("files", "main", "stat -L -c %a /all/a /some/deep/er /secret/key"),
            "640\n400\n400\n"
        );
        assert_eq!(it.exec("files", "main", "ls /optional"), "");
        assert!(it.exec("files", "main", "(echo x > /all/a) 2>&1 || true").contains("Read-only"));
        assert!(it.exec("files", "main", "grep ' /secret ' /proc/mounts").contains("tmpfs"));
        it.api
            .patch(
                &format!("{MAPS}/map"),
                MERGE,
                &json!({"data": {"a": "new", "d": "added", "b": null}}),
            )
            .ok();
        until_printed(it, "files", "cat /all/a; ls /all", "newa\nc\nd\n");
        let changed = json!({"stringData": {"key": "n3w", "more": "added"}});
        it.api.patch(&format!("{SECRETS}/hidden"), MERGE, &changed).ok();
        until_printed(it, "files", "cat /secret/key; ls /secret", "n3wkey\nmore\n");
        assert_eq!(it.exec("files", "main", "cat /sub"), "one", "a subPath does not follow");
    });
}

#[test]
fn s46_an_update_of_a_volume_is_seen_whole_or_not_at_all() {
    on_cluster(|it| {
        it.create(
            MAPS,
            &json!({"metadata": {"name": "pair"}, "data": {"left": "0", "right": "0"}}),
        );
        // Both files are read through one directory: they must always be of one version.
        // The old version may be gone by the time that it is read: only two files that are both there can be torn.
        let script = "while :; do cd /v/..data 2>/dev/null || continue; l=$(cat left 2>/dev/null) && r=$(cat right 2>/dev/null) || continue
            [ \"$l\" = \"$r\" ] || echo torn $l $r; [ \"$l\" = 5 ] && break; done; echo seen";
        let made =
            mounting(once("atomic", script), json!({"configMap": {"name": "pair"}}), at("/v"));
        it.create_pod(&made);
        it.until("atomic", "runs", |pod| container(pod, "main")["state"]["running"].is_object());
        for version in 1..=5 {
            let data = json!({"data": {"left": version.to_string(), "right": version.to_string()}});
            it.api.patch(&format!("{MAPS}/pair"), MERGE, &data).ok();
        }
        it.until("atomic", "has ended", podo_cluster_tests::pods::has_ended);
        assert_eq!(it.log("atomic", "main"), "seen\n");
    });
}

#[test]
fn s46_downward_api_and_projected_volumes() {
    on_cluster(|it| {
        it.create(MAPS, &json!({"metadata": {"name": "part"}, "data": {"p": "map"}}));
        let data = json!({"key": "s3cret", "other": "not wanted"});
        it.create(SECRETS, &json!({"metadata": {"name": "hidden"}, "stringData": data}));
        let items = json!([{"key": "key", "path": "deep/secret", "mode": 0o400}]);
        let fields = json!([
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
            {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}}]);
        let sources = json!([
            {"configMap": {"name": "part"}}, {"downwardAPI": {"items": fields}},
            {"secret": {"name": "hidden", "items": items}}, {"secret": {"name": "none", "optional": true}},
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 600, "audience": "other"}}]);
        let mut made = pod(
            "down",
            json!({"containers": [also(idle("main"), json!({"resources": {"limits": {"cpu": "300m"}}}))]}),
        );
        made["metadata"]["labels"] = json!({"a": "1", "b": "2"});
        it.ready(&mounting(made, json!({"projected": {"sources": sources}}), at("/v")));
        assert_eq!(it.exec("down", "main", "cat /v/p /v/name /v/cpu"), "mapdown300");
        assert_eq!(it.exec("down", "main", "cat /v/labels"), "a=\"1\"\nb=\"2\"");
        assert_eq!(it.exec("down", "main", "tr . '\\n' < /v/token | wc -l"), "2\n");
        let secret = "cat /v/deep/secret; stat -L -c ' %a' /v/deep/secret; ls /v";
        let names = "cpu\ndeep\nlabels\nname\np\ntoken\n";
        assert_eq!(it.exec("down", "main", secret), format!("s3cret 400\n{names}"));
        let changed = json!({"stringData": {"key": "n3w"}});
        it.api.patch(&format!("{SECRETS}/hidden"), MERGE, &changed).ok();
        until_printed(it, "down", "cat /v/deep/secret", "n3w");
        it.kubectl(&["label", "pod", "down", "b-", "c=3"]).ok();
        until_printed(it, "down", "cat /v/labels", "a=\"1\"\nc=\"3\"");
    });
}

#[test]
fn s46_a_volume_of_the_downward_api_alone() {
    on_cluster(|it| {
        let field =
            |path: &str, field: &str| json!({"path": path, "fieldRef": {"fieldPath": field}});
        let resource = |path: &str, resource: &str| {
            json!({"path": path, "mode": 0o440,
            "resourceFieldRef": {"containerName": "main", "resource": resource, "divisor": "1Mi"}})
        };
        let items = json!([
            field("space", "metadata.namespace"),
            field("uid", "metadata.uid"),
            field("notes", "metadata.annotations"),
            field("one", "metadata.labels['app']"),
            resource("deep/limit", "limits.memory"),
            resource("deep/request", "requests.memory")
        ]);
        let resources =
            json!({"limits": {"memory": "64Mi", "cpu": "1"}, "requests": {"memory": "32Mi"}});
        let main = also(idle("main"), json!({"resources": resources}));
        let mut made = pod("told", json!({"containers": [main]}));
        made["metadata"]["labels"] = json!({"app": "web"});
        made["metadata"]["annotations"] = json!({"say": "a \"word\""});
        let volume = json!({"downwardAPI": {"items": items, "defaultMode": 0o600}});
        let seen = it.ready(&mounting(made, volume, at("/v")));
        let uid = seen["metadata"]["uid"].as_str().unwrap();
        let print =
            "for f in space uid notes one deep/limit deep/request; do cat /v/$f; echo; done";
        assert_eq!(
            it.exec("told", "main", print),
            format!("default\n{uid}\nsay=\"a \\\"word\\\"\"\nweb\n64\n32\n")
        );
        let modes = "stat -L -c %a /v/space /v/deep/limit; (echo x > /v/space) 2>&1; true";
        let modes = it.exec("told", "main", modes);
        assert!(modes.starts_with("600\n440\n") && modes.contains("Read-only"), "{modes}");
        it.kubectl(&["annotate", "pod", "told", "--overwrite", "say=more"]).ok();
        until_printed(it, "told", "cat /v/notes", "say=\"more\"");
    });
}

#[test]
fn s46_config_and_secrets_as_environment() {
    on_cluster(|it| {
        it.create(MAPS, &json!({"metadata": {"name": "env"}, "data": {"A": "1", "B": "2"}}));
        it.create(SECRETS, &json!({"metadata": {"name": "env"}, "stringData": {"S": "3"}}));
        let from = json!([{"configMapRef": {"name": "env"}}, {"prefix": "X_", "secretRef": {"name": "env"}},
            {"configMapRef": {"name": "none", "optional": true}}]);
        let one = json!([{"name": "B", "value": "own"},
            {"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "env", "key": "S"}}}]);
        let mut made = once("env", "echo $A $B $X_S $ONE");
        made["spec"]["containers"][0] =
            also(made["spec"]["containers"][0].clone(), json!({"envFrom": from, "env": one}));
        assert_eq!(it.output(&made), "1 own 3 3\n");
    });
}

#[test]
fn s46_a_group_owns_the_volumes_that_want_it() {
    on_cluster(|it| {
        let mut made = mounting(
            once("group", "id -G; stat -c '%g %a' /v; touch /v/x && stat -c %g /v/x"),
            json!({"emptyDir": {}}),
            at("/v"),
        );
        made["spec"]["securityContext"] = json!({"fsGroup": 2345, "runAsUser": 1000, "runAsGroup": 1000, "supplementalGroups": [99]});
        let log = it.output(&made);
        let lines: Vec<&str> = log.lines().collect();
        assert!(lines[0].contains("2345") && lines[0].contains("99"), "{log}");
        assert_eq!((lines[1], lines[2]), ("2345 2777", "2345"), "{log}");
    });
}

#[test]
fn s46_a_missing_volume_holds_the_pod_and_says_why() {
    on_cluster(|it| {
        let made = mounting(
            pod("held", json!({"containers": [idle("main")]})),
            json!({"secret": {"secretName": "later"}}),
            at("/v"),
        );
        it.create_pod(&made);
        let items = json!([{"key": "none", "path": "x"}]);
        let keyed = json!({"secret": {"secretName": "keyed", "items": items}});
        it.create(SECRETS, &json!({"metadata": {"name": "keyed"}, "stringData": {"k": "v"}}));
        it.create_pod(&mounting(
            pod("without-key", json!({"containers": [idle("main")]})),
            keyed,
            at("/v"),
        ));
        assert_eq!(
            it.event("without-key", "FailedMount")["message"],
            "MountVolume.SetUp failed for volume \"v\" : references non-existent secret key: none"
        );
        let event = it.event("held", "FailedMount");
        let text = event["message"].as_str().unwrap();
        assert!(
            text.starts_with(
                "MountVolume.SetUp failed for volume \"v\" : secret \"later\" not found"
            ),
            "{text}"
        );
        it.create(SECRETS, &json!({"metadata": {"name": "later"}, "stringData": {"k": "v"}}));
        it.until("held", "is ready", podo_cluster_tests::pods::is_ready);
    });
}
