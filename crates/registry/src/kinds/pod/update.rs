//! What may change in a Pod through its main endpoint: images, deadline, tolerations, and while it is gated where it may run.

use std::collections::{BTreeMap, HashSet};

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::tree;

use super::validate::{annotations, tolerations};
use super::view::{at, entries, get, int, list, text};
use super::{diff, internal};

/// The fields that may change, as the error text lists them.
const MUTABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// Validates a change of a Pod (new, old), beyond what is asked of every Pod.
pub(super) fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    annotations::update(new, old, errors);
    annotations::annotations(new, errors);
    let path = Path::new("spec");
    let (new, old) = (at(new, "spec"), at(old, "spec"));
    for name in ["containers", "initContainers"] {
        if !images(list(new, name), list(old, name), &path.child(name), errors) {
            return;
        }
    }
    if !deadline(new, old, &path.child("activeDeadlineSeconds"), errors) {
        return;
    }
    added_tolerations(
        list(new, "tolerations"),
        list(old, "tolerations"),
        &path.child("tolerations"),
        errors,
    );
    removed_gates(new, old, &path.child("schedulingGates"), errors);
    if new != old {
        rest(new, old, &path, errors);
    }
}

/// Checks the images; whether there are as many containers as before.
fn images(new: &[Value], old: &[Value], path: &Path, errors: &mut Errors) -> bool {
    if new.len() != old.len() {
        errors.forbidden(path, "pod updates may not add or remove containers");
        return false;
    }
    for (index, container) in new.iter().enumerate() {
        let image = text(container, "image");
        let path = path.index(index).child("image");
        if image.is_empty() {
            errors.required(&path, "");
        }
        if image.trim() != image {
            errors.invalid(&path, image, "must not have leading or trailing whitespace");
        }
    }
    true
}

/// A deadline may come or come nearer; whether the rest is worth checking.
fn deadline(new: &Value, old: &Value, path: &Path, errors: &mut Errors) -> bool {
    match (int(new, "activeDeadlineSeconds"), int(old, "activeDeadlineSeconds")) {
        (Some(seconds), _) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            let why = podo_api::names::range_text(0, i64::from(i32::MAX));
            errors.invalid_value(path, seconds, why);
            false
        }
        (Some(seconds), Some(before)) if before < seconds => {
            errors.invalid_value(path, seconds, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            errors.invalid_value(
                path,
                Value::Null,
                "must not update from a positive integer to nil value",
            );
            true
        }
        _ => true,
    }
}

fn added_tolerations(new: &[Value], old: &[Value], path: &Path, errors: &mut Errors) {
    let bare = |toleration: &Value| {
        let mut toleration = toleration.clone();
        tree::set(&mut toleration, "tolerationSeconds", Value::Null);
        toleration
    };
    let kept: HashSet<Value> = new.iter().map(bare).collect();
    if old.iter().all(|toleration| kept.contains(&bare(toleration))) {
        tolerations::tolerations(new, path, errors);
    } else {
        errors.forbidden(
            path,
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
}

fn removed_gates(new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    let known: Vec<&str> =
        list(old, "schedulingGates").iter().map(|gate| text(gate, "name")).collect();
    let gates = list(new, "schedulingGates").iter().enumerate();
    let added: BTreeMap<&str, usize> = gates
        .map(|(index, gate)| (text(gate, "name"), index))
        .filter(|(name, _)| !known.contains(name))
        .collect();
    for (name, index) in added {
        let why = format!("only deletion is allowed, but found new scheduling gate '{name}'");
        errors.forbidden(&path.index(index).child("name"), why);
    }
}

/// Puts what may change back to what it was; then nothing else may differ.
fn rest(new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    let mut same = new.clone();
    for name in ["containers", "initContainers"] {
        for (container, old) in tree::items_mut(&mut same, name).iter_mut().zip(list(old, name)) {
            tree::copy(container, old, "image");
        }
    }
    for name in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        tree::copy(&mut same, old, name);
    }
    let was_negative = int(old, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0);
    if was_negative && int(&same, "terminationGracePeriodSeconds") == Some(1) {
        tree::copy(&mut same, old, "terminationGracePeriodSeconds");
    }
    if !list(old, "schedulingGates").is_empty() {
        while_gated(&mut same, old, path, errors);
    }
    if &same != old {
        let difference = diff::unified(
            &internal::pretty(old, "core/v1.PodSpec"),
            &internal::pretty(&same, "core/v1.PodSpec"),
        );
        errors.forbidden(
            path,
            format!("pod updates may not change fields other than {MUTABLE}\n{difference}"),
        );
    }
}

/// Before it is scheduled, a Pod's choice of nodes may become narrower (KEP-3838).
fn while_gated(same: &mut Value, old: &Value, path: &Path, errors: &mut Errors) {
    if at(same, "nodeSelector") != at(old, "nodeSelector") {
        let path = path.child("nodeSelector");
        let is_kept = entries(old, "nodeSelector")
            .into_iter()
            .all(|(key, value)| at(same, "nodeSelector").get(key) == Some(value));
        if !is_kept {
            const WHY: &str =
                "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
            let shown = match at(same, "nodeSelector") {
                Value::Null => "null".to_owned(),
                selector => selector.to_string(),
            };
            errors.invalid_text(&path, shown, WHY);
        }
        tree::copy(same, old, "nodeSelector");
    }
    let affinity = |spec: &Value| at(at(spec, "affinity"), "nodeAffinity").clone();
    let (new_affinity, old_affinity) = (affinity(same), affinity(old));
    if new_affinity != old_affinity {
        narrower(
            &new_affinity,
            &old_affinity,
            &path.child("affinity").child("nodeAffinity"),
            errors,
        );
        restore_node_affinity(same, old, old_affinity);
    }
}

fn restore_node_affinity(same: &mut Value, old: &Value, old_affinity: Value) {
    let others = ["podAffinity", "podAntiAffinity"];
    let has_others = others.iter().any(|name| get(at(same, "affinity"), name).is_some());
    if get(old, "affinity").is_none() && !has_others {
        tree::set(same, "affinity", Value::Null);
        return;
    }
    let mut affinity = at(same, "affinity").clone();
    tree::set(&mut affinity, "nodeAffinity", old_affinity);
    tree::set(same, "affinity", affinity);
}

/// Each term of the required affinity may get more requirements, not fewer, and there may not be more terms.
fn narrower(new: &Value, old: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child(REQUIRED).child("nodeSelectorTerms");
    let old = list(at(old, REQUIRED), "nodeSelectorTerms");
    let new = list(at(new, REQUIRED), "nodeSelectorTerms");
    if old.is_empty() {
        return;
    }
    let shown = |term: &Value| internal::compact(term, "core/v1.NodeSelectorTerm");
    if old.len() != new.len() {
        let terms: Vec<String> = new.iter().map(shown).collect();
        let terms =
            if terms.is_empty() { "null".to_owned() } else { format!("[{}]", terms.join(",")) };
        errors.invalid_text(
            &path,
            terms,
            "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        );
        return;
    }
    for (index, (new, old)) in new.iter().zip(old).enumerate() {
        if !has_only_additions(new, old) {
            const WHY: &str = "only additions are allowed (no mutations or deletions)";
            errors.invalid_text(&path.index(index), shown(new), WHY);
        }
    }
}

fn has_only_additions(new: &Value, old: &Value) -> bool {
    const LISTS: [&str; 2] = ["matchExpressions", "matchFields"];
    // A term without requirements matches no node, so a requirement would make it wider.
    if LISTS.iter().all(|name| list(old, name).is_empty()) {
        return LISTS.iter().all(|name| list(new, name).is_empty());
    }
    LISTS.iter().all(|name| list(new, name).starts_with(list(old, name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(new: Value, old: Value, expected: &str) {
        let mut errors = Errors::new();
        let pod = |spec: Value| json!({"metadata": {"name": "p"}, "spec": spec});
        validate(&pod(new), &pod(old), &mut errors);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.join("\n").lines().next().unwrap_or(""), expected);
    }

    #[test]
    fn a_deadline_may_come_nearer_but_not_go() {
        check(json!({"activeDeadlineSeconds": 5}), json!({"activeDeadlineSeconds": 9}), "");
        check(
            json!({}),
            json!({"activeDeadlineSeconds": 9}),
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
        );
    }

    #[test]
    fn a_gated_pod_may_get_a_node_affinity_and_make_it_narrower() {
        let gates = json!([{"name": "g"}]);
        let required = |expressions: Value| {
            json!({"schedulingGates": gates, "affinity": {"nodeAffinity": {
                REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": expressions}]}}}})
        };
        let one = json!([{"key": "a", "operator": "Exists"}]);
        let two = json!([{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}]);
        check(required(one.clone()), json!({"schedulingGates": gates}), "");
        check(required(two.clone()), required(one.clone()), "");
        check(
            required(one),
            required(two),
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]: Invalid value: {\"MatchExpressions\":[{\"Key\":\"a\",\"Operator\":\"Exists\",\"Values\":null}],\"MatchFields\":null}: only additions are allowed (no mutations or deletions)",
        );
    }
}
