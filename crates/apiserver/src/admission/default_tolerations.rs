//! DefaultTolerationSeconds: a Pod stays five minutes on a node that is not ready or not reachable, unless it says otherwise.

use podo_api::{Value, tree};
use serde_json::json;

use super::{Operation, Request};

/// How long (Kubernetes v1.36 `--default-not-ready-toleration-seconds`).
const SECONDS: i64 = 300;

const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

pub(super) fn admit(request: &Request<'_>, value: &mut Value) {
    if !request.is_main("pods")
        || !matches!(request.operation, Operation::Create | Operation::Update)
    {
        return;
    }
    for taint in TAINTS {
        let tolerations = tree::items_at(value, &["spec", "tolerations"]);
        if tolerations.iter().any(|toleration| tolerates(toleration, taint)) {
            continue;
        }
        let mut tolerations = tolerations.to_vec();
        tolerations.push(json!({
            "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS,
        }));
        tree::set(
            tree::as_map(value).entry("spec").or_insert(Value::Null),
            "tolerations",
            tolerations,
        );
    }
}

fn tolerates(toleration: &Value, taint: &str) -> bool {
    let text = |field: &str| tree::str_at(toleration, &[field]);
    let has_key = text("key") == taint || text("key").is_empty();
    let has_effect = matches!(text("effect"), "NoExecute" | "");
    has_key && has_effect
}
