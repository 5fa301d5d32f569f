//! The documents' own manifests reach the states that they must (S19).

use podo_cluster_tests::binary::workspace;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{condition, container, is_ready, restarts, waiting};
use podo_cluster_tests::{Cluster, images, skip};
use serde_json::Value;

use crate::on_cluster;
use crate::pods::{http_answer, ip};
use crate::reasons::until_shown;

fn apply(it: &Cluster, example: &str) {
    let file = workspace().join("examples").join(example);
    let out = it.kubectl(&["apply", "-f", &file.to_string_lossy()]).ok();
    assert!(out.starts_with("pod/") && out.ends_with(" created\n"), "{out}");
}

/// Deletes without the thirty seconds that these programs may take.
fn remove(it: &Cluster, pod: &str) {
    it.api.delete(&format!("{PODS}/{pod}?gracePeriodSeconds=1")).ok();
    it.until(pod, "is gone", Value::is_null);
}

#[test]
fn s19_document_000_the_manual_pod_answers_with_its_name() {
    on_cluster(|it| {
        apply(it, "000/kubia-manual.yaml");
        let seen = it.until("kubia-manual", "is ready", is_ready);
        assert!(http_answer(ip(&seen), 8080).contains("You've hit kubia-manual"));
        assert_eq!(
            it.kubectl(&["logs", "kubia-manual", "-c", "kubia"]).ok(),
            "Kubia server starting...\n"
        );
        remove(it, "kubia-manual");
    });
}

#[test]
fn s19_document_001_the_second_container_backs_off_once_its_echo_has_ended() {
    if !images::has_nginx() {
        return skip("s19 of document 001", "nginx is not installed");
    }
    on_cluster(|it| {
        apply(it, "001/my-pod.yaml");
        apply(it, "001/multi-container-pod.yaml");
        let seen = it.until("my-pod", "is ready", is_ready);
        assert!(http_answer(ip(&seen), 80).contains("Welcome to nginx!"));
        until_shown(it, "multi-container-pod", "CrashLoopBackOff");
        let line = it.kubectl(&["get", "pod", "multi-container-pod", "--no-headers"]).ok();
        assert!(line.split_whitespace().nth(1) == Some("1/2"), "{line}");
        assert_eq!(
            it.kubectl(&["logs", "multi-container-pod", "-c", "sidecar"]).ok(),
            "Hello from the sidecar\n"
        );
        let seen = it.until("multi-container-pod", "backs off", |pod| restarts(pod, "sidecar") > 0);
        assert_eq!(container(&seen, "sidecar")["lastState"]["terminated"]["reason"], "Completed");
        remove(it, "my-pod");
        remove(it, "multi-container-pod");
    });
}

#[test]
fn s19_document_002_a_message_is_expanded_and_a_node_is_chosen_by_label() {
    on_cluster(|it| {
        apply(it, "002/env.yaml");
        apply(it, "002/node-selector.yaml");
        it.until("kube-example", "is ready", is_ready);
        let message =
            it.exec("kube-example", "kube-example", "echo $MESSAGE; echo $CONFIG_DIRECTORY");
        assert_eq!(message, "This application is running on production\n/config\n");
        let held = it.until("kube-example-gpu", "is not scheduled", |pod| {
            !condition(pod, "PodScheduled").is_null()
        });
        assert_eq!(condition(&held, "PodScheduled")["reason"], "Unschedulable");
        it.kubectl(&["label", "node", podo_cluster_tests::cluster::NODE, "gpu=true"]).ok();
        it.until("kube-example-gpu", "is ready", is_ready);
        remove(it, "kube-example");
        remove(it, "kube-example-gpu");
    });
}

#[test]
fn s19_document_002_one_volume_in_two_containers() {
    if !images::has_nginx() {
        return skip("s19 of document 002", "nginx is not installed");
    }
    on_cluster(|it| {
        // The document's own path is on the real machine; the test's is its own.
        let file = workspace().join("examples/002/volumes.yaml");
        let own = it.folder.join("mysql");
        std::fs::create_dir_all(&own).unwrap();
        let text = std::fs::read_to_string(file)
            .unwrap()
            .replace("path: /data/mysql", &format!("path: {}", own.display()));
        it.run(&it.own(), &["apply", "-f", "-"], &text).ok();
        let seen = it.until("kube-example-volumes", "runs nginx", |pod| {
            container(pod, "web-server")["ready"] == true
        });
        it.exec(
            "kube-example-volumes",
            "kube-example",
            "echo from-the-other > /var/html/index.html; echo kept > /data/mysql/table",
        );
        assert_eq!(std::fs::read_to_string(own.join("table")).unwrap(), "kept\n");
        assert!(http_answer(ip(&seen), 80).ends_with("from-the-other\n"));
        remove(it, "kube-example-volumes");
    });
}

#[test]
fn s19_document_003_two_init_containers_then_the_app() {
    on_cluster(|it| {
        apply(it, "003/simple-pod.yaml");
        apply(it, "003/init-containers.yaml");
        it.until("kubernetes-simple-pod-init", "initializes", |pod| {
            waiting(pod, "kubernetes-simple-pod") == "PodInitializing"
        });
        until_shown(it, "kubernetes-simple-pod-init", "Running");
        for (container, printed) in [
            ("init-myservice", "helloworld01\n"),
            ("init-mydb", "helloworld02\n"),
            ("kubernetes-simple-pod", "The app is running!\n"),
        ] {
            assert_eq!(it.log("kubernetes-simple-pod-init", container), printed);
        }
        let seen = it.until("kubernetes-simple-pod", "is ready", is_ready);
        assert!(http_answer(ip(&seen), 8080).contains("You've hit kubernetes-simple-pod"));
        remove(it, "kubernetes-simple-pod");
        remove(it, "kubernetes-simple-pod-init");
    });
}

#[test]
fn s19_document_004_the_manual_pod_as_it_was_meant() {
    on_cluster(|it| {
        apply(it, "004/kubia-manual.yaml");
        let seen = it.until("kubia-manual", "is ready", is_ready);
        assert!(http_answer(ip(&seen), 8080).contains("You've hit kubia-manual"));
        remove(it, "kubia-manual");
    });
}
