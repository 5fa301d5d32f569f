//! Manifests as tests write them, and looks at a Pod's status.

use serde_json::{Value, json};

/// A Pod in the namespace `default` that ends within a second when it is deleted.
pub fn pod(name: &str, spec: Value) -> Value {
    let mut pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
    if pod["spec"]["terminationGracePeriodSeconds"].is_null() {
        pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
    }
    pod
}

/// A container of busybox that runs a script.
pub fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]})
}

/// A container that does nothing until it is told to end.
pub fn idle(name: &str) -> Value {
    shell(name, "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done")
}

/// A container with more fields.
pub fn also(mut container: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (container.as_object_mut(), more) {
        fields.extend(more);
    }
    container
}

/// A Pod of one script that is run once.
pub fn once(name: &str, script: &str) -> Value {
    pod(name, json!({"restartPolicy": "Never", "containers": [shell("main", script)]}))
}

/// The status of a container, init containers included; null if there is none.
pub fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    lists
        .iter()
        .filter_map(|list| pod["status"][list].as_array())
        .flatten()
        .find(|status| status["name"] == name)
        .unwrap_or(&Value::Null)
}

/// The condition of a type; null if there is none.
pub fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

/// Whether the Pod is ready.
pub fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready")["status"] == "True"
}

/// Whether the Pod has ended, one way or the other.
pub fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// The reason why a container waits; empty if it does not.
pub fn waiting(pod: &Value, container_name: &str) -> String {
    container(pod, container_name)["state"]["waiting"]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// How often a container was restarted.
pub fn restarts(pod: &Value, container_name: &str) -> i64 {
    container(pod, container_name)["restartCount"].as_i64().unwrap_or(-1)
}
