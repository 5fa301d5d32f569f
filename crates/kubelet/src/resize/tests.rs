use super::*;
use serde_json::{Value, json};

fn pod(resources: &Value, policy: &Value) -> Arc<PodView> {
    let value = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 2},
        "spec": {"containers": [{"name": "c", "resources": resources, "resizePolicy": policy}]}});
    Arc::new(PodView::new(serde_json::from_value(value).expect("a Pod")))
}

fn asks(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": "2", "memory": "1Gi"}})
}

fn restarts(policy: Value, new: &Value) -> bool {
    let old = pod(&asks("1", "64Mi"), &policy);
    let wanted = pod(new, &policy);
    let allocation = Allocation::of(&old).raised(&wanted, &old);
    allocation.needs_restart(&wanted, &wanted.spec.containers[0])
}

#[test]
fn amounts_that_are_written_otherwise_are_the_same() {
    let (one, other) = (asks("1", "64Mi"), asks("1000m", "65536Ki"));
    let allocation = Allocation::of(&pod(&one, &json!([])));
    assert!(allocation.is_all_of(&pod(&other, &json!([]))));
    assert!(!allocation.is_all_of(&pod(&asks("1001m", "64Mi"), &json!([]))));
}

#[test]
fn a_container_is_started_anew_for_what_its_policy_names() {
    let policy =
        |name: &str, policy: &str| json!([{"resourceName": name, "restartPolicy": policy}]);
    let (cpu, memory) = (asks("500m", "64Mi"), asks("1", "128Mi"));
    for (named, expected) in [("cpu", (true, false)), ("memory", (false, true))] {
        let found = |new: &Value| restarts(policy(named, "RestartContainer"), new);
        assert_eq!((found(&cpu), found(&memory)), expected, "{named}");
        assert!(!restarts(policy(named, "NotRequired"), &cpu));
    }
}

#[test]
fn a_resize_is_over_for_a_container_once_it_has_what_it_was_given() {
    let (old, wanted) = (pod(&asks("1", "64Mi"), &json!([])), pod(&asks("2", "64Mi"), &json!([])));
    let mut allocation = Allocation::of(&old).raised(&wanted, &old);
    allocation.note(&wanted, "c", Held::of(&old, &old.spec.containers[0]));
    assert!(allocation.before("c").is_some(), "it was made before");
    allocation.note(&wanted, "c", Held::of(&wanted, &wanted.spec.containers[0]));
    assert_eq!(allocation.before("c"), None);
    let progress = allocation.finish().expect("until all is done");
    assert_eq!((progress.generation, progress.widest.cpu_shares), (Some(2), 2048));
}

#[test]
fn the_cgroup_of_a_pod_stays_as_wide_as_any_of_two_resizes_needs_it() {
    let [old, large, small] = ["1", "2", "500m"].map(|cpu| pod(&asks(cpu, "64Mi"), &json!([])));
    let allocation = Allocation::of(&old).raised(&large, &old).raised(&small, &large);
    let progress = allocation.progress().expect("under way");
    assert_eq!(progress.widest.cpu_shares, 2048);
    let has = &allocation.before("c").expect("not yet").resources;
    assert_eq!(has.requests.as_ref().expect("given")["cpu"].0, "1");
}

#[test]
fn events_show_containers_generation_and_error_in_upstreams_order() {
    let text =
        event_text("error", &pod(&json!({"limits": {"cpu": "1"}}), &json!([])), Some(2), "e");
    assert_eq!(
        text,
        r#"Pod resize error: {"containers":[{"name":"c","resources":{"limits":{"cpu":"1"}}}],"generation":2,"error":"e"}"#
    );
}
