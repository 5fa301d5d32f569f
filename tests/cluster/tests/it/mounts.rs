//! What of its volumes a container sees, and what containers of a Pod share beside them (S02, S46).

use std::time::Duration;

use podo_cluster_tests::api::MERGE;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, container, idle, once, pod, waiting};
use podo_cluster_tests::{Options, PATIENCE, until, with_cluster};
use serde_json::{Value, json};

use crate::on_cluster;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn own_name() -> Value {
    json!([{"name": "OWN", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "PART", "value": "logs"}, {"name": "EMPTY", "value": ""}])
}

#[test]
fn s46_a_sub_path_is_made_from_variables() {
    on_cluster(|it| {
        let with = |expression: &str, name: &str| {
            let mounts = json!([{"name": "v", "mountPath": "/own", "subPathExpr": expression},
                {"name": "v", "mountPath": "/all"}]);
            let main = also(idle("main"), json!({"env": own_name(), "volumeMounts": mounts}));
            let spec = json!({"containers": [main], "volumes": [{"name": "v", "emptyDir": {}}]});
            pod(name, spec)
        };
        it.ready(&with("$(OWN)/$(PART)-$$(PART)", "expanded"));
        it.exec("expanded", "main", "echo kept > /own/file");
        let found = it.exec(
            "expanded",
            "main",
            "cd /all; find . -type f | while read f; do echo $f; cat $f; done",
        );
        assert_eq!(found, "./expanded/logs-$(PART)/file\nkept\n");
        // One that is empty would show the whole volume.
        it.create_pod(&with("$(OWN)/$(NONE)$(EMPTY)", "unknown"));
        let seen = it.until("unknown", "is refused", |pod| {
            waiting(pod, "main") == "CreateContainerConfigError"
        });
        let message = &container(&seen, "main")["state"]["waiting"]["message"];
        assert_eq!(message, "missing value for EMPTY, NONE");
        // What a variable brings in stays in the volume.
        let mut climbing = with("$(UP)/etc", "climbing");
        climbing["spec"]["containers"][0]["env"] =
            json!([{"name": "UP", "value": "../../../../../.."}]);
        it.create_pod(&climbing);
        it.until("climbing", "is refused", |pod| {
            waiting(pod, "main") == "CreateContainerConfigError"
        });
    });
}

#[test]
fn s31_a_path_of_last_words_that_is_not_absolute_counts_from_the_root() {
    on_cluster(|it| {
        let mut made = once("relative", "echo bye > /words; exit 1");
        made["spec"]["containers"][0]["terminationMessagePath"] = json!("words");
        let ended = it.ended(&made);
        assert_eq!(container(&ended, "main")["state"]["terminated"]["message"], "bye\n");
    });
}

/// A registry that takes connections and never answers holds one container up; the others of the Pod are kept current.
#[test]
fn s46_a_changed_config_map_is_seen_while_another_containers_image_is_pulled() {
    const PORT: u16 = 5999;
    /// Far less than a pull waits for an answer.
    const SOON: Duration = Duration::from_secs(8);
    let mirror = format!("--registry-mirror=silent.example=http://127.0.0.1:{PORT}");
    let options = Options { args: vec![mirror], ..Options::default() };
    with_cluster(options, |it| {
        let silent = std::net::TcpListener::bind(("127.0.0.1", PORT)).unwrap();
        it.create(MAPS, &json!({"metadata": {"name": "map"}, "data": {"key": "old"}}));
        let main = also(idle("main"), json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}));
        let held_up = also(idle("held-up"), json!({"image": "silent.example/image:1"}));
        let spec = json!({"containers": [main, held_up], "volumes": [{"name": "v", "configMap": {"name": "map"}}]});
        it.create_pod(&pod("half", spec));
        it.until("half", "runs in part", |pod| {
            container(pod, "main")["state"]["running"].is_object()
        });
        let (_connection, _) = silent.accept().unwrap();
        let began = std::time::Instant::now();
        it.api.patch(&format!("{MAPS}/map"), MERGE, &json!({"data": {"key": "new"}})).ok();
        until("the new text is there", PATIENCE, || {
            match it.exec("half", "main", "cat /v/key").as_str() {
                "new" => Ok(()),
                other => Err(other.to_owned()),
            }
        });
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        let seen = it.api.get(&format!("{PODS}/half")).ok();
        assert_eq!(waiting(&seen, "held-up"), "ContainerCreating", "the pull goes on");
        let began = std::time::Instant::now();
        it.delete_pod("half");
        assert!(began.elapsed() < SOON, "it is not waited for: {:?}", began.elapsed());
    });
}

/// Makes a message queue with the host's own program.
const MAKE: &str = "$(ls /h/lib*/ld-linux*.so* /h/lib/*/ld-linux*.so* 2>/dev/null | head -n 1) --library-path /h/lib/$(uname -m)-linux-gnu /h/bin/ipcmk -Q";

/// How many message queues there are.
const COUNT: &str = "tail -n +2 /proc/sysvipc/msg | wc -l";

#[test]
fn s02_containers_of_a_pod_share_system_v_ipc_with_each_other_and_with_nobody_else() {
    if podo_cluster_tests::program("ipcmk").is_none() {
        podo_cluster_tests::skip("System V IPC", "ipcmk is not installed");
        return;
    }
    on_cluster(|it| {
        let two = |name: &str| {
            let mounts =
                json!({"volumeMounts": [{"name": "h", "mountPath": "/h", "readOnly": true}]});
            let spec = json!({"containers": [also(idle("main"), mounts.clone()), also(idle("side"), mounts)],
                "volumes": [{"name": "h", "hostPath": {"path": "/usr"}}]});
            pod(name, spec)
        };
        it.ready(&two("first"));
        it.ready(&two("second"));
        let all = [("first", "main"), ("first", "side"), ("second", "main"), ("second", "side")];
        let count = || all.map(|(pod, container)| it.exec(pod, container, COUNT).trim().to_owned());
        assert_eq!(count(), ["0", "0", "0", "0"]);
        let made = it.exec("first", "side", MAKE);
        assert!(made.starts_with("Message queue id"), "{made}");
        assert_eq!(count(), ["1", "1", "0", "0"]);
        it.exec("second", "main", MAKE);
        it.exec("second", "side", MAKE);
        assert_eq!(count(), ["1", "1", "2", "2"]);
        it.exec("first", "main", "echo mine > /dev/shm/file");
        assert_eq!(it.exec("first", "side", "cat /dev/shm/file"), "mine\n");
        assert_eq!(it.exec("second", "main", "ls /dev/shm"), "");
    });
}
