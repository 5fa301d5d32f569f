//! Where Pods go, and labels (S21's Unschedulable, S28's requests, S42, S48's host network, S49).

use podo_cluster_tests::Cluster;
use podo_cluster_tests::cluster::{NODE, PODS};
use podo_cluster_tests::pods::{also, condition, has_ended, idle, is_ready, once, pod, shell};
use serde_json::{Value, json};

use crate::on_cluster;

/// A Node that nobody runs, as large as told.
fn fake_node(it: &Cluster, name: &str, labels: &Value, cpu: &str) {
    it.create("/api/v1/nodes", &json!({"metadata": {"name": name, "labels": labels}}));
    let size = json!({"cpu": cpu, "memory": "4Gi", "pods": "10"});
    let status = json!({"status": {"capacity": size, "allocatable": size,
        "conditions": [{"type": "Ready", "status": "True"}]}});
    it.api
        .patch(&format!("/api/v1/nodes/{name}/status"), podo_cluster_tests::api::STRATEGIC, &status)
        .ok();
    let untaint = json!({"spec": {"taints": null}});
    it.api.patch(&format!("/api/v1/nodes/{name}"), podo_cluster_tests::api::MERGE, &untaint).ok();
}

/// Waits until the scheduler has said something about a Pod: the node, or why there is none.
#[track_caller]
fn placed(it: &Cluster, name: &str) -> String {
    let seen = it.until(name, "is looked at", |pod| !condition(pod, "PodScheduled").is_null());
    match seen["spec"]["nodeName"].as_str() {
        Some(node) => node.to_owned(),
        None => condition(&seen, "PodScheduled")["message"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn s42_a_pod_goes_to_the_node_with_its_labels() {
    on_cluster(|it| {
        fake_node(it, "fake-gpu", &json!({"gpu": "true"}), "2");
        fake_node(it, "fake-plain", &json!({"disk": "ssd"}), "2");
        let wants = |name: &str, selector: Value| {
            pod(name, json!({"nodeSelector": selector, "containers": [idle("main")]}))
        };
        it.create_pod(&wants("gpu", json!({"gpu": "true"})));
        it.create_pod(&wants("ssd", json!({"disk": "ssd"})));
        it.create_pod(&wants("here", json!({"kubernetes.io/hostname": NODE})));
        it.create_pod(&wants("nowhere", json!({"gpu": "true", "disk": "ssd"})));
        assert_eq!(placed(it, "gpu"), "fake-gpu");
        assert_eq!(placed(it, "ssd"), "fake-plain");
        assert_eq!(placed(it, "here"), NODE);
        it.until("here", "is ready", is_ready);
        let message = placed(it, "nowhere");
        assert_eq!(
            message,
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        );
        let event = it.event("nowhere", "FailedScheduling");
        assert_eq!(event["message"], message.as_str());
        for name in ["gpu", "ssd"] {
            // Nobody runs these nodes: their Pods only go when they are told to at once.
            it.api.delete(&format!("{PODS}/{name}?gracePeriodSeconds=0")).ok();
        }
    });
}

#[test]
fn s28_s21_the_scheduler_places_by_requests() {
    on_cluster(|it| {
        fake_node(it, "fake-small", &json!({"size": "small"}), "1");
        let wants = |name: &str, cpu: &str| {
            let main = also(idle("main"), json!({"resources": {"requests": {"cpu": cpu}}}));
            pod(name, json!({"nodeSelector": {"size": "small"}, "containers": [main]}))
        };
        it.create_pod(&wants("fits", "600m"));
        assert_eq!(placed(it, "fits"), "fake-small");
        it.create_pod(&wants("does-not", "600m"));
        let message = placed(it, "does-not");
        assert!(
            message.starts_with("0/2 nodes are available: ")
                && message.contains("1 Insufficient cpu"),
            "{message}"
        );
        let seen = it.api.get(&format!("{PODS}/does-not")).ok();
        assert_eq!(condition(&seen, "PodScheduled")["reason"], "Unschedulable");
        assert_eq!(seen["status"]["phase"], "Pending");
        it.api.delete(&format!("{PODS}/fits?gracePeriodSeconds=0")).ok();
        it.until("does-not", "is placed", |pod| pod["spec"]["nodeName"] == "fake-small");
        it.api.delete(&format!("{PODS}/does-not?gracePeriodSeconds=0")).ok();
    });
}

/// What a Pod held is the node's again by the time that others hear that it is over.
#[test]
fn s28_s48_who_waits_for_a_place_gets_it_from_a_pod_that_ends() {
    on_cluster(|it| {
        let node = it.api.get(&format!("/api/v1/nodes/{NODE}")).ok();
        let cpu = node["status"]["allocatable"]["cpu"].as_str().unwrap().parse::<u64>().unwrap();
        let most = json!({"resources": {"requests": {"cpu": format!("{}m", cpu * 600)}}});
        let port = json!({"ports": [{"containerPort": 80, "hostPort": 8087}]});
        for (kind, claim) in [("cpu", most), ("port", port)] {
            for round in 0..3 {
                let name = |which: &str| format!("{which}-{kind}-{round}");
                let with = |which: &str, script: &str| {
                    let main = also(shell("main", script), claim.clone());
                    pod(&name(which), json!({"restartPolicy": "Never", "containers": [main]}))
                };
                it.ready(&with("deleted", "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"));
                it.create_pod(&with("ended", "sleep 1"));
                assert!(placed(it, &name("ended")).starts_with("0/1 nodes are available"));
                it.api.delete(&format!("{PODS}/{}", name("deleted"))).ok();
                it.until(&name("ended"), "has a place", |pod| pod["spec"]["nodeName"].is_string());
                it.create_pod(&with("last", "exec sleep 3600"));
                let end = it.until(&name("ended"), "has ended", has_ended);
                assert_eq!(end["status"]["phase"], "Succeeded", "{:#}", end["status"]);
                let last = it.until(&name("last"), "has an end or is ready", |pod| {
                    has_ended(pod) || is_ready(pod)
                });
                assert!(is_ready(&last), "{:#}", last["status"]);
                it.delete_pod(&name("last"));
            }
        }
    });
}

#[test]
fn s21_taints_keep_pods_away_that_do_not_tolerate_them() {
    on_cluster(|it| {
        let taint =
            json!({"spec": {"taints": [{"key": "only", "value": "x", "effect": "NoSchedule"}]}});
        it.api.patch(&format!("/api/v1/nodes/{NODE}"), podo_cluster_tests::api::MERGE, &taint).ok();
        it.create_pod(&pod("plain", json!({"containers": [idle("main")]})));
        let message = placed(it, "plain");
        assert!(
            message.starts_with("0/1 nodes are available: 1 node(s) had untolerated taint"),
            "{message}"
        );
        let tolerations =
            json!([{"key": "only", "operator": "Equal", "value": "x", "effect": "NoSchedule"}]);
        it.ready(&pod(
            "tolerant",
            json!({"tolerations": tolerations, "containers": [idle("main")]}),
        ));
        it.api
            .patch(
                &format!("/api/v1/nodes/{NODE}"),
                podo_cluster_tests::api::MERGE,
                &json!({"spec": {"taints": null}}),
            )
            .ok();
        it.until("plain", "is ready", is_ready);
    });
}

#[test]
fn s48_a_pod_on_the_hosts_network() {
    on_cluster(|it| {
        let own = it.output(&once("own", "ip -4 -o addr"));
        let mut made = once("host", "ip -4 -o addr; hostname");
        made["spec"]["hostNetwork"] = json!(true);
        let host = it.output(&made);
        assert!(host.contains("192.0.2.1/24") && !own.contains("192.0.2.1/24"), "{host}\n{own}");
        assert_ne!(host.lines().last(), Some("host"), "it has the host's name as well");
        let seen = it.api.get(&format!("{PODS}/host")).ok();
        assert_eq!(
            (&seen["status"]["podIP"], &seen["status"]["hostIP"]),
            (&json!("192.0.2.1"), &json!("192.0.2.1"))
        );
    });
}

#[test]
fn s48_each_pod_has_the_service_account_that_it_names() {
    on_cluster(|it| {
        it.create(
            "/api/v1/namespaces/default/serviceaccounts",
            &json!({"metadata": {"name": "robot"}}),
        );
        let mut made = once(
            "robot",
            "cut -d. -f2 /var/run/secrets/kubernetes.io/serviceaccount/token | tr _- /+ | base64 -d 2>/dev/null; true",
        );
        made["spec"]["serviceAccountName"] = json!("robot");
        let claims = it.output(&made);
        assert!(claims.contains("\"sub\":\"system:serviceaccount:default:robot\""), "{claims}");
        assert!(claims.contains("\"pod\":{\"name\":\"robot\""), "{claims}");
        made["metadata"]["name"] = json!("nobody");
        made["spec"]["serviceAccountName"] = json!("nobody");
        let (code, _, message) = it.api.post(PODS, &made).failure();
        assert_eq!(code, 403);
        assert_eq!(
            message,
            "pods \"nobody\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found"
        );
    });
}

#[test]
fn s49_labels_select() {
    on_cluster(|it| {
        for (name, labels) in [
            ("a", json!({"app": "web", "tier": "front"})),
            ("b", json!({"app": "web", "tier": "back"})),
            ("c", json!({"app": "db"})),
        ] {
            let mut made = pod(name, json!({"containers": [shell("main", "exec sleep 3600")]}));
            made["metadata"]["labels"] = labels;
            it.create_pod(&made);
        }
        let names = |selector: &str| -> Vec<String> {
            let list = it.api.get(&format!("{PODS}?labelSelector={selector}")).ok();
            let items = list["items"].as_array().unwrap().clone();
            items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("app%3Dweb"), ["a", "b"]);
        assert_eq!(names("app%3Dweb,tier!%3Dfront"), ["b"]);
        assert_eq!(names("tier"), ["a", "b"]);
        assert_eq!(names("!tier"), ["c"]);
        assert_eq!(names("app%20in%20(db,%20other)"), ["c"]);
        let mut watch = it
            .api
            .watch(&format!("{PODS}?watch=true&labelSelector=tier%3Dfront&resourceVersion=0"));
        assert_eq!(watch.next_event().unwrap()["object"]["metadata"]["name"], "a");
        let change = |tier: &str| json!({"metadata": {"labels": {"tier": tier}}});
        it.api.patch(&format!("{PODS}/b"), podo_cluster_tests::api::MERGE, &change("front")).ok();
        it.api.patch(&format!("{PODS}/a"), podo_cluster_tests::api::MERGE, &change("back")).ok();
        let mut next = |kind: &str, name: &str| loop {
            let event = watch.next_event().unwrap();
            if event["type"] != "MODIFIED" {
                assert_eq!(
                    (&event["type"], &event["object"]["metadata"]["name"]),
                    (&json!(kind), &json!(name))
                );
                break;
            }
        };
        next("ADDED", "b");
        next("DELETED", "a");
    });
}
