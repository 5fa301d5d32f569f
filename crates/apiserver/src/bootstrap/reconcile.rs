//! Bringing an object that is there in line with what it should be (Kubernetes v1.36 `pkg/registry/rbac/reconciliation`).
//!
//! Each function gets the present object and the wanted one and gives the object as it should be, or `None` if it is good.

use podo_api::{Value, meta, tree};
use serde_json::json;

use crate::authz::Rule;

/// The annotation that keeps a default role or binding from being mended.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Whatever is there is good.
pub(super) fn keep(_present: &Value, _wanted: &Value) -> Option<Value> {
    None
}

/// The object if it differs from what is there.
fn changed(present: &Value, mended: Value) -> Option<Value> {
    (mended != *present).then_some(mended)
}

fn is_left_alone(present: &Value) -> bool {
    meta::annotation(present, AUTOUPDATE) == Some("false")
}

/// Adds labels and annotations that are missing or other than wanted.
fn mend_metadata(mended: &mut Value, wanted: &Value) {
    for field in ["labels", "annotations"] {
        for (key, value) in meta::pairs(wanted, field) {
            let pairs = meta::of_mut(mended).entry(field).or_insert_with(|| json!({}));
            tree::set(pairs, key, value);
        }
    }
}

/// Adds the items of a list that are missing.
fn mend_list(mended: &mut Value, field: &str, wanted: &[Value]) {
    let mut items = tree::items_at(mended, &[field]).to_vec();
    let missing: Vec<Value> = wanted.iter().filter(|item| !items.contains(item)).cloned().collect();
    if !missing.is_empty() {
        items.extend(missing);
        tree::set(mended, field, items);
    }
}

/// A role gets back the rules that it lacks; a sum of roles the selectors of its parts.
pub(super) fn role(present: &Value, wanted: &Value) -> Option<Value> {
    if is_left_alone(present) {
        return None;
    }
    let mut mended = present.clone();
    mend_metadata(&mut mended, wanted);
    let selectors = tree::items_at(wanted, &["aggregationRule", "clusterRoleSelectors"]);
    if selectors.is_empty() {
        let missing = Rule::missing(&rules(present), &rules(wanted));
        if !missing.is_empty() {
            let mut all = tree::items_at(present, &["rules"]).to_vec();
            all.extend(joined(missing).iter().map(|rule| json!(rule)));
            tree::set(&mut mended, "rules", all);
        }
    } else {
        let rule = tree::as_map(&mut mended).entry("aggregationRule").or_insert_with(|| json!({}));
        mend_list(rule, "clusterRoleSelectors", selectors);
    }
    changed(present, mended)
}

fn rules(role: &Value) -> Vec<Rule> {
    serde_json::from_value(tree::at(role, &["rules"]).clone()).unwrap_or_default()
}

/// Rules of one verb each with those of the same things joined.
fn joined(parts: Vec<Rule>) -> Vec<Rule> {
    let mut joined: Vec<Rule> = Vec::new();
    for part in parts {
        let same = joined
            .iter_mut()
            .find(|rule| Rule { verbs: part.verbs.clone(), ..(*rule).clone() } == part);
        match same {
            Some(rule) => rule.verbs.extend(part.verbs),
            None => joined.push(part),
        }
    }
    joined
}

/// A binding gets back the subjects that it lacks. One of another role is replaced: what a binding grants cannot change.
pub(super) fn binding(present: &Value, wanted: &Value) -> Option<Value> {
    if is_left_alone(present) {
        return None;
    }
    let mut mended = present.clone();
    mend_metadata(&mut mended, wanted);
    mend_list(&mut mended, "subjects", tree::items_at(wanted, &["subjects"]));
    if present.get("roleRef") != wanted.get("roleRef") {
        tree::copy(&mut mended, wanted, "roleRef");
        meta::set(&mut mended, "uid", podo_base::uid());
    }
    changed(present, mended)
}

/// The ports of the `kubernetes` Service lead to the server's own.
pub(super) fn service(present: &Value, wanted: &Value) -> Option<Value> {
    let mut mended = present.clone();
    let spec = tree::as_map(&mut mended).entry("spec").or_insert(Value::Null);
    tree::copy(spec, tree::at(wanted, &["spec"]), "ports");
    changed(present, mended)
}

/// The addresses and ports are the server's.
pub(super) fn endpoints(present: &Value, wanted: &Value) -> Option<Value> {
    take(present, wanted, &["subsets"])
}

/// The addresses and ports are the server's. A slice of the other family is replaced: that of one cannot change.
pub(super) fn endpoint_slice(present: &Value, wanted: &Value) -> Option<Value> {
    let mut mended = take(present, wanted, &["endpoints", "ports", "addressType"])?;
    if present.get("addressType") != wanted.get("addressType") {
        meta::set(&mut mended, "uid", podo_base::uid());
    }
    Some(mended)
}

fn take(present: &Value, wanted: &Value, fields: &[&str]) -> Option<Value> {
    let mut mended = present.clone();
    mend_metadata(&mut mended, wanted);
    for field in fields {
        tree::copy(&mut mended, wanted, field);
    }
    changed(present, mended)
}

/// The wanted entries stand in `data`, whatever else does.
pub(super) fn data(present: &Value, wanted: &Value) -> Option<Value> {
    let mut mended = present.clone();
    let entries = tree::as_map(&mut mended).entry("data").or_insert_with(|| json!({}));
    for (key, value) in tree::at(wanted, &["data"]).as_object().into_iter().flatten() {
        tree::set(entries, key, value.clone());
    }
    changed(present, mended)
}
