//! What admission adds to every Pod of the records: its account with the token, its priority, two tolerations.

use podo_api::{Value, tree};
use serde_json::json;

const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

const VOLUME: &str = "kube-api-access-abcde";

/// Admits a Pod; what was decided beyond the Pod is taken from the recorded answer.
pub(super) fn admit(pod: &mut Value, answer: &Value) {
    let Some(mut spec) = tree::take(pod, "spec") else { return };
    tree::set_default(&mut spec, "serviceAccountName", "default");
    let account = tree::str_at(&spec, &["serviceAccountName"]).to_owned();
    tree::set(&mut spec, "serviceAccount", account);
    if tree::at(&spec, &["automountServiceAccountToken"]) != &Value::from(false) {
        mount_token(&mut spec);
    }
    tree::set_default(&mut spec, "priority", 0);
    tree::set_default(&mut spec, "preemptionPolicy", "PreemptLowerPriority");
    for name in ["priority", "preemptionPolicy", "priorityClassName"] {
        let recorded = tree::at(answer, &["spec", name]).clone();
        if !recorded.is_null() {
            tree::set(&mut spec, name, recorded);
        }
    }
    tolerate(&mut spec);
    tree::set(pod, "spec", spec);
}

/// Admits an update of a Pod (new, old).
pub(super) fn admit_update(pod: &mut Value, old: &Value) {
    let Some(mut spec) = tree::take(pod, "spec") else { return };
    for name in ["priority", "preemptionPolicy"] {
        let before = tree::at(old, &["spec", name]).clone();
        tree::set_default(&mut spec, name, before);
    }
    tolerate(&mut spec);
    tree::set(pod, "spec", spec);
}

fn mount_token(spec: &mut Value) {
    let mut is_used = false;
    for name in ["initContainers", "containers"] {
        for container in tree::items_mut(spec, name) {
            let mounts = tree::items_at(container, &["volumeMounts"]);
            if mounts.iter().any(|mount| mount["mountPath"] == MOUNT_PATH) {
                continue;
            }
            let mut mounts = mounts.to_vec();
            mounts.push(json!({"name": VOLUME, "readOnly": true, "mountPath": MOUNT_PATH}));
            tree::set(container, "volumeMounts", mounts);
            is_used = true;
        }
    }
    if !is_used {
        return;
    }
    let mut volumes = tree::items_at(spec, &["volumes"]).to_vec();
    volumes.push(json!({
        "name": VOLUME,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
                ]}},
            ],
            "defaultMode": 420,
        },
    }));
    tree::set(spec, "volumes", volumes);
}

/// Tolerates a node that is lost for five minutes.
fn tolerate(spec: &mut Value) {
    let mut tolerations = tree::items_at(spec, &["tolerations"]).to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let is_tolerated = tolerations.iter().any(|toleration| {
            let text = |name: &str| tree::str_at(toleration, &[name]);
            (text("key") == key || text("key").is_empty())
                && matches!(text("effect"), "" | "NoExecute")
        });
        if !is_tolerated {
            tolerations.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
    if !tolerations.is_empty() {
        tree::set(spec, "tolerations", tolerations);
    }
}
