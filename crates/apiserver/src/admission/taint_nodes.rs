//! TaintNodesByCondition: a Node that begins to exist takes no Pods until it has said that it is ready.

use podo_api::{Value, tree};
use serde_json::json;

use super::{Operation, Request};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

pub(super) fn admit(request: &Request<'_>, value: &mut Value) {
    if !request.is_main("nodes") || request.operation != Operation::Create {
        return;
    }
    let taints = tree::items_at(value, &["spec", "taints"]);
    let is_tainted = taints.iter().any(|taint| {
        tree::str_at(taint, &["key"]) == NOT_READY
            && tree::str_at(taint, &["effect"]) == "NoSchedule"
    });
    if is_tainted {
        return;
    }
    let mut taints = taints.to_vec();
    taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    tree::set(tree::as_map(value).entry("spec").or_insert(Value::Null), "taints", taints);
}
