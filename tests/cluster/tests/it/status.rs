//! Conditions and phases of a Pod over its life, as a watch sees them (S21, S22's first states).

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{also, condition, container, idle, once, pod, shell, waiting};
use serde_json::{Value, json};

use crate::on_cluster;

fn statuses(pod: &Value) -> String {
    let kinds =
        ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"];
    let mark = |kind: &&str| match condition(pod, kind)["status"].as_str() {
        Some("True") => '+',
        Some("False") => '-',
        _ => '?',
    };
    kinds.iter().map(mark).collect()
}

#[test]
fn s21_s22_conditions_become_true_in_their_order_and_nothing_goes_back() {
    on_cluster(|it| {
        let mut watch =
            it.api.watch(&format!("{PODS}?watch=true&fieldSelector=metadata.name%3Dlife"));
        let init = shell("init", "sleep 1");
        it.create_pod(&pod(
            "life",
            json!({"initContainers": [init], "containers": [idle("main")]}),
        ));
        let mut seen: Vec<String> = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        loop {
            let event = watch.next_event().unwrap();
            let object = &event["object"];
            let now = statuses(object);
            if seen.last() != Some(&now) {
                seen.push(now.clone());
            }
            let reason = waiting(object, "main");
            if !reason.is_empty() && reasons.last() != Some(&reason) {
                reasons.push(reason);
            }
            if now == "+++++" {
                break;
            }
        }
        assert_eq!(seen.first().map(String::as_str), Some("?????"), "{seen:?}");
        let at = |kind: usize, mark: char| {
            seen.iter().position(|now| now.chars().nth(kind) == Some(mark))
        };
        assert!(
            at(0, '+') <= at(1, '+') && at(1, '+') <= at(2, '+') && at(2, '+') <= at(4, '+'),
            "{seen:?}"
        );
        for pair in seen.windows(2) {
            for (before, after) in pair[0].chars().zip(pair[1].chars()) {
                assert!(before != '+' || after == '+', "{seen:?}");
            }
        }
        assert!(reasons.contains(&"PodInitializing".to_owned()), "{reasons:?}");
    });
}

#[test]
fn s21_conditions_of_a_pod_that_is_not_ready_say_why() {
    on_cluster(|it| {
        it.create_pod(&pod(
            "broken",
            json!({"containers": [shell("bad", "exit 1"), idle("good")]}),
        ));
        let seen = it.until("broken", "is half ready", |pod| {
            waiting(pod, "bad") == "CrashLoopBackOff" && container(pod, "good")["ready"] == true
        });
        let ready = condition(&seen, "Ready");
        assert_eq!(
            (&ready["status"], &ready["reason"]),
            (&json!("False"), &json!("ContainersNotReady"))
        );
        assert_eq!(ready["message"], "containers with unready status: [bad]");
        assert_eq!(condition(&seen, "ContainersReady")["reason"], "ContainersNotReady");
        assert_eq!(seen["status"]["phase"], "Running");
    });
}

#[test]
fn s21_conditions_of_pods_that_have_ended() {
    on_cluster(|it| {
        let done = it.ended(&once("done", "true"));
        assert_eq!(done["status"]["phase"], "Succeeded");
        for kind in ["Initialized", "Ready", "ContainersReady"] {
            assert_eq!(condition(&done, kind)["reason"], "PodCompleted", "{kind} {done:#}");
        }
        assert_eq!(condition(&done, "Ready")["status"], "False");
        let failed = it.ended(&once("failed", "exit 7"));
        assert_eq!(failed["status"]["phase"], "Failed");
        assert_eq!(condition(&failed, "Ready")["reason"], "PodFailed");
        let ended = &container(&failed, "main")["state"]["terminated"];
        assert_eq!((&ended["exitCode"], &ended["reason"]), (&json!(7), &json!("Error")));
    });
}

#[test]
fn s20_s21_an_init_container_that_fails_under_never_fails_the_pod() {
    on_cluster(|it| {
        let spec = json!({"restartPolicy": "Never", "initContainers": [shell("init", "exit 2")], "containers": [idle("main")]});
        let failed = it.ended(&pod("init-fails", spec));
        assert_eq!(failed["status"]["phase"], "Failed");
        let initialized = condition(&failed, "Initialized");
        assert_eq!(initialized["reason"], "ContainersNotInitialized", "{failed:#}");
        assert_eq!(initialized["message"], "containers with incomplete status: [init]");
        assert_eq!(waiting(&failed, "main"), "PodInitializing");
    });
}

#[test]
fn s21_readiness_gates_hold_ready_back_until_their_condition_is_true() {
    on_cluster(|it| {
        let spec = json!({"readinessGates": [{"conditionType": "example.com/go"}], "containers": [idle("main")]});
        it.create_pod(&pod("gated", spec));
        let held = it.until("gated", "has ready containers", |pod| {
            condition(pod, "ContainersReady")["status"] == "True"
        });
        assert_eq!(condition(&held, "Ready")["reason"], "ReadinessGatesNotReady", "{held:#}");
        let patch =
            json!({"status": {"conditions": [{"type": "example.com/go", "status": "True"}]}});
        it.api
            .patch(&format!("{PODS}/gated/status"), podo_cluster_tests::api::STRATEGIC, &patch)
            .ok();
        it.until("gated", "is ready", podo_cluster_tests::pods::is_ready);
    });
}

#[test]
fn s14_started_and_resources_are_in_the_status() {
    on_cluster(|it| {
        let main =
            also(idle("main"), json!({"resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}}));
        let seen = it.ready(&pod("limited", json!({"containers": [main]})));
        assert_eq!(seen["status"]["qosClass"], "Guaranteed");
        let status = container(&seen, "main");
        assert_eq!(
            status["resources"]["limits"],
            json!({"cpu": "500m", "memory": "64Mi"}),
            "{status:#}"
        );
        assert_eq!(
            status["allocatedResources"],
            json!({"cpu": "500m", "memory": "64Mi"}),
            "{status:#}"
        );
    });
}
