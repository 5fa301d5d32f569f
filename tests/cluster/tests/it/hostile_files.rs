//! Files that the node writes or reads for a container: links in their way, and how much a container can put into them.

use std::fs;
use std::path::{Path, PathBuf};

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{
    also, container, idle, is_ready, once, pod, restarts, shell, waiting,
};
use podo_cluster_tests::{Cluster, PATIENCE, until};
use serde_json::{Value, json};

use crate::hostile::resident_kib;
use crate::on_cluster;

/// A log entry that no container of the cluster has written.
const SECRET: &str = "2026-01-01T00:00:00.000000000Z stdout F stolen-secret\n";

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Runs a script in a Pod that has the node's folder of logs at `/logs`: by design mighty, yet where it puts links they must not
/// be followed by the node.
fn plant(it: &Cluster, script: &str) {
    let mut made = once("planter", script);
    made["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "l", "mountPath": "/logs"}]);
    made["spec"]["volumes"] =
        json!([{"name": "l", "hostPath": {"path": it.data_dir().join("log/pods")}}]);
    assert_eq!(it.output(&made), "planted\n");
}

/// A Pod that ends with an error and its log as its last words whenever it is told to.
fn victim(it: &Cluster) -> String {
    let script = "echo mine; trap 'exit 7' TERM; while :; do sleep 3600 & wait; done";
    let main =
        also(shell("main", script), json!({"terminationMessagePolicy": "FallbackToLogsOnError"}));
    let seen = it.ready(&pod("victim", json!({"containers": [main]})));
    until("the victim has spoken", PATIENCE, || match it.log("victim", "main").as_str() {
        "mine\n" => Ok(()),
        other => Err(other.to_owned()),
    });
    format!("default_victim_{}", seen["metadata"]["uid"].as_str().unwrap())
}

fn end_victim(it: &Cluster) {
    // The command may end with the container that it ends.
    let _ended = it.kubectl(&["exec", "victim", "--", "kill", "-TERM", "1"]);
}

/// CVE-2026-53489: neither `logs` nor the termination message nor the next container's log goes through a link that took the place
/// of the Pod's, or of the container's, folder.
#[test]
fn a_log_folder_that_became_a_link_is_neither_read_nor_written() {
    for depth in ["pod", "container"] {
        on_cluster(|it| {
            let away = it.folder.join("away");
            fs::create_dir_all(away.join("main")).unwrap();
            for name in ["0.log", "1.log"] {
                fs::write(away.join("main").join(name), SECRET).unwrap();
            }
            let folder = victim(it);
            let away_path = away.display();
            let script = match depth {
                "pod" => format!(
                    "cd /logs && mv {folder} moved && ln -s {away_path} {folder} && echo planted"
                ),
                _ => format!(
                    "cd /logs/{folder} && mv main moved && ln -s {away_path}/main main && echo planted"
                ),
            };
            plant(it, &script);
            let through = it.data_dir().join("log/pods").join(&folder).join("main/0.log");
            assert_eq!(fs::read_to_string(&through).unwrap(), SECRET, "the link leads there");
            for query in ["", "?tailLines=1", "?previous=true"] {
                let read = it.api.get(&format!("{PODS}/victim/log{query}"));
                assert!(!read.text().contains("stolen"), "{depth} {query}: {}", read.text());
            }
            end_victim(it);
            let seen = it.until("victim", "cannot be made again", |pod| {
                waiting(pod, "main") == "CreateContainerError"
            });
            let ended = &container(&seen, "main")["lastState"]["terminated"];
            assert_eq!(ended["exitCode"], 7, "{ended}");
            assert!(!ended.to_string().contains("stolen"), "{ended}");
            assert_eq!(names(&away.join("main")), ["0.log", "1.log"]);
            it.delete_pod("victim");
            assert_eq!(
                names(&away.join("main")),
                ["0.log", "1.log"],
                "{depth}: not removed through it"
            );
            assert_eq!(fs::read_to_string(away.join("main/1.log")).unwrap(), SECRET);
        });
    }
}

/// CVE-2026-53489: a file of the log folder that became a link, whichever of a container's files it is.
#[test]
fn a_log_file_that_became_a_link_is_neither_read_nor_written() {
    on_cluster(|it| {
        let folder = victim(it);
        let away = it.folder.join("away.log");
        fs::write(&away, SECRET).unwrap();
        let script = format!(
            "cd /logs/{folder}/main && mv 0.log 0.log.1 && ln -s {away} 0.log && ln -s {away} 1.log && ln -s {away} 0.log.20200101-000000 && echo planted",
            away = away.display()
        );
        plant(it, &script);
        for query in ["", "?follow=true", "?tailLines=1"] {
            let read = it.api.get(&format!("{PODS}/victim/log{query}"));
            assert!(read.status >= 400 && !read.text().contains("stolen"), "{}", read.text());
        }
        end_victim(it);
        let seen = it.until("victim", "cannot be made again", |pod| {
            waiting(pod, "main") == "CreateContainerError"
        });
        let ended = &container(&seen, "main")["lastState"]["terminated"];
        assert!(!ended.to_string().contains("stolen"), "{ended}");
        assert_eq!(fs::read_to_string(&away).unwrap(), SECRET);
    });
}

/// How much a container puts into each of the node's files.
const FLOOD_BYTES: u64 = 96 << 20;

fn large_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // What is there now may be gone in a moment.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            found.extend(large_files(&entry.path()));
        } else if metadata.len() >= FLOOD_BYTES {
            found.push(entry.path());
        }
    }
    found
}

/// CVE-2020-8557: what a container puts into the files that it shares with the node is never read whole, is written anew where the node
/// writes the file, and takes no room once the Pod is gone.
#[test]
fn a_flood_of_the_nodes_own_files_costs_the_server_no_memory_and_goes_with_the_pod() {
    on_cluster(|it| {
        let flood = format!(
            "[ -e /v/again ] && exec sleep 3600; touch /v/again
            for f in /etc/hosts /etc/resolv.conf /etc/hostname /dev/termination-log; do yes flood | head -c {FLOOD_BYTES} > $f; done; exit 3"
        );
        let main = also(
            shell("main", &flood),
            json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
        );
        let spec = json!({"containers": [main, idle("other")], "volumes": [{"name": "v", "emptyDir": {}}]});
        let before = resident_kib(it.pid());
        it.create_pod(&pod("flood", spec));
        let seen =
            it.until("flood", "runs again", |pod| restarts(pod, "main") == 1 && is_ready(pod));
        let message =
            container(&seen, "main")["lastState"]["terminated"]["message"].as_str().unwrap();
        assert_eq!(message.len(), 4096);
        let grown = resident_kib(it.pid()).saturating_sub(before);
        assert!(grown < FLOOD_BYTES / 2 / 1024, "the server grew by {grown} KiB");
        for name in ["main", "other"] {
            let hosts = it.exec("flood", name, "cat /etc/hosts");
            assert!(
                hosts.starts_with("# Kubernetes-managed hosts file.") && hosts.len() < 4096,
                "{hosts}"
            );
        }
        let told: Value = it.api.get(&format!("{PODS}/flood")).ok();
        assert!(told.to_string().len() < 64 << 10, "the flood is not told");
        assert!(!large_files(&it.data_dir()).is_empty(), "it was written");
        it.delete_pod("flood");
        until("the room is free again", PATIENCE, || {
            let left = large_files(&it.data_dir());
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    });
}
