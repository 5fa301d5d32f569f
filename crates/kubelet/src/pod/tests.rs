use super::*;
use serde_json::json;

fn view(spec: serde_json::Value) -> PodView {
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec});
    PodView::new(serde_json::from_value(pod).expect("a Pod"))
}

#[test]
fn who_is_restarted_follows_rule_then_own_policy_then_the_pods() {
    let check = |policy: &str, container: serde_json::Value, role: Role, code: i32| {
        let pod = view(json!({"restartPolicy": policy, "containers": [container]}));
        pod.restarts(role, &pod.spec.containers[0], code)
    };
    let plain = || json!({"name": "c"});
    assert!(check("Always", plain(), Role::Main, 0));
    assert!(!check("OnFailure", plain(), Role::Main, 0));
    assert!(check("OnFailure", plain(), Role::Main, 1));
    assert!(!check("Never", plain(), Role::Main, 1));
    assert!(!check("Always", plain(), Role::Init, 0));
    assert!(check("Always", plain(), Role::Init, 1));
    assert!(!check("Always", plain(), Role::Ephemeral, 1));
    assert!(check("Never", plain(), Role::Sidecar, 0));
    let ruled = json!({"name": "c", "restartPolicy": "Never", "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]});
    assert!(check("Never", ruled.clone(), Role::Main, 42));
    assert!(!check("Always", ruled, Role::Main, 1));
}

#[test]
fn the_service_class_follows_requests_and_limits() {
    let check = |resources: serde_json::Value| {
        view(json!({"containers": [{"name": "c", "resources": resources}]})).qos_class().as_str()
    };
    assert_eq!(check(json!({})), "BestEffort");
    assert_eq!(check(json!({"requests": {"cpu": "1"}})), "Burstable");
    assert_eq!(check(json!({"limits": {"cpu": "1"}})), "Burstable");
    assert_eq!(check(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
    assert_eq!(
        check(
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}})
        ),
        "Burstable"
    );
}

#[test]
fn a_pod_asks_for_the_greater_of_its_start_and_its_run() {
    let cpu = |text: &str| json!({"requests": {"cpu": text}});
    let pod = view(json!({
        "initContainers": [
            {"name": "i", "resources": cpu("900m")},
            {"name": "s", "restartPolicy": "Always", "resources": cpu("100m")},
            {"name": "j", "resources": cpu("300m")}],
        "containers": [{"name": "c", "resources": cpu("200m")}, {"name": "d", "resources": cpu("250m")}],
        "overhead": {"cpu": "50m"}
    }));
    assert_eq!(pod_request(&pod.spec, "cpu").milli_value(), 950);
}
