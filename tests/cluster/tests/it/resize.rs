//! Pods that get more or less of their node while they run (S28's limits; KEP-1287).

use podo_cluster_tests::api::STRATEGIC;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, condition, container, idle, pod, shell};
use podo_cluster_tests::{Cluster, PATIENCE, until};
use serde_json::{Value, json};

use crate::life::limits_of;
use crate::on_cluster;

fn asks(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}})
}

fn resize(it: &Cluster, name: &str, resources: &Value) {
    let patch = json!({"spec": {"containers": [{"name": "main", "resources": resources}]}});
    it.api.patch(&format!("{PODS}/{name}/resize"), STRATEGIC, &patch).ok();
}

fn has_resized(pod: &Value, resources: &Value) -> bool {
    let status = container(pod, "main");
    let is_over =
        |type_: &str| condition(pod, type_).is_null() || condition(pod, type_)["status"] != "True";
    status["resources"] == *resources
        && status["allocatedResources"] == resources["requests"]
        && status["state"].get("running").is_some()
        && is_over("PodResizePending")
        && is_over("PodResizeInProgress")
}

/// What the kernel holds a container to: bytes of memory, and microseconds of CPU in 100,000.
#[track_caller]
fn assert_limits(it: &Cluster, pod: &Value, memory: i64, cpu: i64) {
    let limits = limits_of(it, pod);
    assert!(limits.contains(&memory.to_string()), "{memory}: {limits:?}");
    let texts = [cpu.to_string(), format!("{cpu} 100000")];
    assert!(limits.iter().any(|limit| texts.contains(limit)), "{cpu}: {limits:?}");
}

#[test]
fn s28_a_running_pod_is_given_more_and_less_without_a_restart() {
    on_cluster(|it| {
        let main = also(idle("main"), json!({"resources": asks("200m", "48Mi")}));
        let first = it.ready(&pod("resized", json!({"containers": [main]})));
        assert_limits(it, &first, 48 << 20, 20_000);
        for (cpu, memory, bytes, quota) in
            [("400m", "96Mi", 96 << 20, 40_000), ("100m", "32Mi", 32 << 20, 10_000)]
        {
            let wanted = asks(cpu, memory);
            resize(it, "resized", &wanted);
            let seen = it.until("resized", "is resized", |pod| has_resized(pod, &wanted));
            assert_limits(it, &seen, bytes, quota);
            assert_eq!(container(&seen, "main")["restartCount"], 0);
            let id = &container(&seen, "main")["containerID"];
            assert_eq!(*id, container(&first, "main")["containerID"]);
        }
        it.event("resized", "ResizeStarted");
        it.event("resized", "ResizeCompleted");
    });
}

#[test]
fn s28_a_limit_that_is_raised_to_none_is_lifted() {
    on_cluster(|it| {
        let resources =
            json!({"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "100m"}});
        let main = also(idle("main"), json!({"resources": resources}));
        let first = it.ready(&pod("lifted", json!({"containers": [main]})));
        let has_quota = |pod: &Value| {
            let limits = limits_of(it, pod);
            limits.iter().any(|limit| limit == "10000" || limit == "10000 100000")
        };
        assert!(has_quota(&first));
        let wanted = json!({"requests": {"cpu": "0", "memory": "32Mi"}, "limits": {"cpu": "0"}});
        resize(it, "lifted", &wanted);
        it.event("lifted", "ResizeCompleted");
        assert!(!has_quota(&first), "{:?}", limits_of(it, &first));
    });
}

#[test]
fn s28_a_container_whose_policy_says_so_is_restarted_for_a_resize() {
    on_cluster(|it| {
        let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
        let resources = json!({"resources": asks("100m", "32Mi"), "resizePolicy": policy});
        it.ready(&pod("restarted", json!({"containers": [also(idle("main"), resources)]})));
        let wanted = asks("200m", "64Mi");
        resize(it, "restarted", &wanted);
        let seen = it.until("restarted", "is resized", |pod| has_resized(pod, &wanted));
        assert_eq!(container(&seen, "main")["restartCount"], 1);
        assert_limits(it, &seen, 64 << 20, 20_000);
    });
}

#[test]
fn s28_what_the_node_cannot_give_is_told_and_changes_nothing() {
    on_cluster(|it| {
        let main = also(idle("main"), json!({"resources": asks("100m", "32Mi")}));
        it.ready(&pod("greedy", json!({"containers": [main]})));
        resize(it, "greedy", &asks("1000", "32Mi"));
        let is_told = |pod: &Value| condition(pod, "PodResizePending")["reason"] == "Infeasible";
        let seen = it.until("greedy", "is told", is_told);
        let message = condition(&seen, "PodResizePending")["message"].as_str().unwrap().to_owned();
        assert!(
            message.starts_with("Node didn't have enough capacity: cpu, requested: 1000000, "),
            "{message}"
        );
        assert_eq!(container(&seen, "main")["resources"], asks("100m", "32Mi"));
        assert_limits(it, &seen, 32 << 20, 10_000);
        it.event("greedy", "ResizeInfeasible");
        resize(it, "greedy", &asks("100m", "32Mi"));
        it.until("greedy", "wants what it has", |pod| condition(pod, "PodResizePending").is_null());
    });
}

#[test]
fn s28_memory_that_is_in_use_is_not_taken_away() {
    on_cluster(|it| {
        let script = "head -c 31457280 /dev/zero > /dev/shm/held; echo held; sleep 1000";
        let main = also(shell("main", script), json!({"resources": asks("100m", "64Mi")}));
        it.ready(&pod("holder", json!({"containers": [main]})));
        until("the memory is in use", PATIENCE, || match it.log("holder", "main").as_str() {
            "held\n" => Ok(()),
            other => Err(other.to_owned()),
        });
        resize(it, "holder", &asks("100m", "16Mi"));
        let is_told = |pod: &Value| condition(pod, "PodResizeInProgress")["reason"] == "Error";
        let seen = it.until("holder", "is told", is_told);
        let message =
            condition(&seen, "PodResizeInProgress")["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("cannot decrease memory limits: ["), "{message}");
        assert_eq!(container(&seen, "main")["resources"], asks("100m", "64Mi"));
        assert_limits(it, &seen, 64 << 20, 10_000);
        let wanted = asks("100m", "48Mi");
        resize(it, "holder", &wanted);
        let seen = it.until("holder", "is resized", |pod| has_resized(pod, &wanted));
        assert_eq!(container(&seen, "main")["restartCount"], 0);
        assert_limits(it, &seen, 48 << 20, 10_000);
    });
}

#[test]
fn s28_a_pod_as_a_whole_is_given_more() {
    on_cluster(|it| {
        let spec = |all: &Value| json!({"resources": all, "containers": [idle("main")]});
        it.ready(&pod("whole", spec(&asks("100m", "32Mi"))));
        let wanted = asks("200m", "64Mi");
        it.api
            .patch(
                &format!("{PODS}/whole/resize"),
                STRATEGIC,
                &json!({"spec": {"resources": wanted}}),
            )
            .ok();
        let seen = it.until("whole", "is resized", |pod| {
            pod["status"]["resources"] == wanted && condition(pod, "PodResizeInProgress").is_null()
        });
        assert_eq!(seen["status"]["allocatedResources"], wanted["requests"]);
        assert_eq!(container(&seen, "main")["restartCount"], 0);
        assert_limits(it, &seen, 64 << 20, 20_000);
    });
}
