//! Volumes (S46, without claims).

use std::fs;

use podo_cluster_tests::api::MERGE;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, container, idle, once, pod, restarts, shell, waiting};
use podo_cluster_tests::{Cluster, PATIENCE, until};
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
        until("the log is there", PATIENCE, || {
            let log = it.log("dir", "main");
            if log == "kept\n777\n" { Ok(()) } else { Err(log) }
        });
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
        let fields = json!([
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
            {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}}]);
        let sources = json!([
            {"configMap": {"name": "part"}}, {"downwardAPI": {"items": fields}},
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
        it.kubectl(&["label", "pod", "down", "b-", "c=3"]).ok();
        until_printed(it, "down", "cat /v/labels", "a=\"1\"\nc=\"3\"");
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
