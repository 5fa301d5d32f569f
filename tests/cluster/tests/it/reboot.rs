//! The server ends, is killed, or the machine boots again: Pods go on, or are made again with their restart counts (DESIGN §1).

use std::fs;
use std::path::Path;
use std::time::Duration;

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, container, idle, is_ready, once, pod, restarts, shell};
use podo_cluster_tests::{Cluster, Host, Options, PATIENCE, leaks, until, with_cluster};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::on_cluster;

fn container_id(it: &Cluster, name: &str) -> Value {
    container(&it.api.get(&format!("{PODS}/{name}")).ok(), "main")["containerID"].clone()
}

/// How far a counter in the Pod is, once it is beyond `before`: the process goes on.
fn counted(it: &Cluster, before: u32) -> u32 {
    until(&format!("it counts beyond {before}"), PATIENCE, || {
        let now: u32 = it.exec("stays", "main", "cat /tmp/n || echo 0").trim().parse().unwrap();
        if now > before { Ok(now) } else { Err(now.to_string()) }
    })
}

#[test]
fn pods_outlive_the_server_and_are_found_again() {
    on_cluster(|it| {
        let script =
            "n=0; while :; do n=$((n+1)); echo $n > /tmp/m; mv /tmp/m /tmp/n; sleep 0.1; done";
        it.ready(&pod("stays", json!({"containers": [shell("main", script)]})));
        let before = container_id(it, "stays");
        let mut count = counted(it, 2);
        assert!(it.terminate().success());
        it.restart();
        let seen = it.until("stays", "is ready", is_ready);
        assert_eq!(
            (container(&seen, "main")["containerID"].clone(), restarts(&seen, "main")),
            (before.clone(), 0)
        );
        count = counted(it, count);
        it.kill();
        it.restart();
        it.until("stays", "is ready", is_ready);
        assert_eq!(container_id(it, "stays"), before);
        counted(it, count);
        it.delete_pod("stays");
    });
}

#[test]
fn what_ends_while_no_server_runs_is_seen_by_the_next_one() {
    on_cluster(|it| {
        let folder = it.folder.join("shared");
        fs::create_dir_all(&folder).unwrap();
        let script = "echo working; while [ ! -e /s/go ]; do sleep 0.05; done; echo done; exit 5";
        let mut made = once("ends", script);
        made["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "s", "mountPath": "/s"}]);
        made["spec"]["volumes"] = json!([{"name": "s", "hostPath": {"path": folder}}]);
        it.ready(&made);
        it.kill();
        fs::write(folder.join("go"), "").unwrap();
        until("the container has ended", Duration::from_secs(20), || {
            let left = leaks::processes(&[&it.instance()]);
            let busy =
                left.into_iter().filter(|pid| leaks::command_line(*pid).contains("/s/go")).count();
            if busy == 0 { Ok(()) } else { Err(format!("{busy} processes")) }
        });
        it.restart();
        let seen = it.until("ends", "has failed", |pod| pod["status"]["phase"] == "Failed");
        assert_eq!(container(&seen, "main")["state"]["terminated"]["exitCode"], 5);
        assert_eq!(it.log("ends", ""), "working\ndone\n");
    });
}

/// Ends every process of the instance and takes its run state, as a reboot does.
fn lose_power(it: &mut Cluster) {
    it.kill();
    let marks = [it.instance(), it.folder.to_string_lossy().into_owned()];
    let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
    let registry: Vec<u32> = leaks::processes(&marks)
        .into_iter()
        .filter(|pid| leaks::command_line(*pid).contains("docker-registry"))
        .collect();
    until("all processes have ended", Duration::from_secs(20), || {
        let mut left = leaks::processes(&marks);
        left.retain(|pid| !registry.contains(pid));
        for pid in &left {
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw).unwrap();
            // It may have ended in between.
            let _gone = kill_process(pid, Signal::KILL);
        }
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for line in mounts.lines().rev().filter(|line| marks.iter().any(|mark| line.contains(mark))) {
        let point = line.split(' ').nth(4).unwrap();
        // A mount below another one may have gone with it.
        let _gone = unmount(Path::new(point), UnmountFlags::DETACH);
    }
    fs::remove_dir_all(Path::new("/run/podo").join(it.instance())).unwrap();
    let mut cgroups = Vec::new();
    for root in leaks::cgroups(&it.instance()) {
        collect(&root, &mut cgroups);
    }
    for folder in cgroups {
        until("a cgroup is empty", Duration::from_secs(5), || {
            fs::remove_dir(&folder).map_err(|error| error.to_string())
        });
    }
}

/// A folder and those below it, the deepest first.
fn collect(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
    }
    found.push(folder.to_owned());
}

#[test]
fn after_a_reboot_pods_are_made_again_and_restart_counts_are_kept() {
    on_cluster(|it| {
        it.ready(&pod("again", json!({"containers": [idle("main")]})));
        let counted =
            shell("main", "[ -e /v/once ] || { touch /v/once; exit 1; }; exec sleep 3600");
        let counted = also(counted, json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}));
        let spec = json!({"containers": [counted], "volumes": [{"name": "v", "emptyDir": {}}]});
        it.ready(&pod("counted", spec));
        let patch = json!({"metadata": {"annotations": {"seen": "yes"}}});
        it.api.patch(&format!("{PODS}/again"), podo_cluster_tests::api::MERGE, &patch).ok();
        let done = it.ended(&once("done", "echo before"));
        let before = container_id(it, "again");
        lose_power(it);
        it.restart();
        let seen = it.until("again", "runs anew", |pod| {
            is_ready(pod) && container(pod, "main")["containerID"] != before
        });
        assert_eq!(restarts(&seen, "main"), 1, "{:#}", seen["status"]);
        assert_eq!(seen["metadata"]["annotations"]["seen"], "yes");
        let seen =
            it.until("counted", "runs anew", |pod| is_ready(pod) && restarts(pod, "main") > 1);
        assert_eq!(restarts(&seen, "main"), 2, "one before and one by the reboot");
        let after = it.api.get(&format!("{PODS}/done")).ok();
        assert_eq!(
            after["status"]["phase"], done["status"]["phase"],
            "what had ended does not run again"
        );
        assert_eq!(restarts(&after, "main"), 0);
        it.delete_pod("again");
    });
}

#[test]
fn an_ephemeral_cluster_takes_everything_with_it() {
    let args = vec!["--ephemeral".to_owned()];
    with_cluster(Options { args, ..Options::default() }, |it| {
        it.ready(&pod("short", json!({"containers": [idle("main")]})));
        assert!(it.terminate().success());
        until("nothing is left of its Pods", Duration::from_secs(5), || {
            let mut left = leaks::of(&it.instance(), &it.folder);
            left.retain(|what| !what.contains("docker-registry") && !what.starts_with("run state"));
            if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
        });
        it.restart();
    });
}

#[test]
fn a_host_of_its_own_is_left_as_it_was() {
    // The harness itself: a host that nothing ran on has just its two links and its routes.
    if rustix::process::geteuid().is_root() {
        let network = Host::new().network();
        assert_eq!(network.links, ["lo", "up0"]);
        assert!(network.tables.is_empty());
    }
}
