use podo_api::Value;
use serde_json::json;

use super::*;

#[track_caller]
fn defaulted(spec: Value) -> Value {
    let mut value = json!({ "spec": spec });
    pod(&mut value);
    let mut again = value.clone();
    pod(&mut again);
    assert_eq!(again, value, "defaults are set once");
    value["spec"].take()
}

#[test]
fn the_old_name_of_the_service_account_is_an_alias() {
    let spec = defaulted(json!({"serviceAccount": "a"}));
    assert_eq!((&spec["serviceAccount"], &spec["serviceAccountName"]), (&json!("a"), &json!("a")));
    let spec = defaulted(json!({"serviceAccount": "a", "serviceAccountName": "b"}));
    assert_eq!((&spec["serviceAccount"], &spec["serviceAccountName"]), (&json!("b"), &json!("b")));
}

#[test]
fn a_negative_grace_period_becomes_one_second() {
    assert_eq!(
        defaulted(json!({"terminationGracePeriodSeconds": -5}))["terminationGracePeriodSeconds"],
        1
    );
}

#[test]
fn a_probe_gets_its_numbers_and_its_request_a_path() {
    let spec = defaulted(json!({"containers": [{"livenessProbe": {"httpGet": {"port": 80}}}]}));
    assert_eq!(
        spec["containers"][0]["livenessProbe"],
        json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
    );
}

#[test]
fn the_older_field_of_the_pod_address_wins() {
    for (status, expected) in [
        (json!({"podIP": "1.2.3.4"}), json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}]})),
        (
            json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "5.6.7.8"}]}),
            json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}]}),
        ),
        (
            json!({"podIPs": [{"ip": "5.6.7.8"}]}),
            json!({"podIP": "5.6.7.8", "podIPs": [{"ip": "5.6.7.8"}]}),
        ),
        (json!({}), json!({})),
    ] {
        let mut value = json!({ "status": status });
        pod(&mut value);
        assert_eq!(value["status"], expected);
    }
}
