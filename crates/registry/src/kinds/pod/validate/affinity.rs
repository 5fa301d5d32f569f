//! Affinity to nodes and to other Pods.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::{check, key_and_values, operator, selector};
use super::super::view::{at, get, int, list, text, texts};
use super::spread;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// The affinities of a Pod's spec.
pub(super) fn affinity(affinity: &Value, path: &Path, errors: &mut Errors) {
    node(at(affinity, "nodeAffinity"), &path.child("nodeAffinity"), errors);
    for name in ["podAffinity", "podAntiAffinity"] {
        pods(at(affinity, name), &path.child(name), errors);
    }
}

fn node(affinity: &Value, path: &Path, errors: &mut Errors) {
    if let Some(required) = get(affinity, REQUIRED) {
        node_selector(required, &path.child(REQUIRED), errors);
    }
    for (index, term) in list(affinity, PREFERRED).iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        weight(term, &path, errors);
        // A preference that no node can meet does no harm, so its values are not checked.
        node_term(at(term, "preference"), false, &path.child("preference"), errors);
    }
}

/// A node selector: at least one term, each well-formed.
pub(crate) fn node_selector(selector: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("nodeSelectorTerms");
    let terms = list(selector, "nodeSelectorTerms");
    if terms.is_empty() {
        errors.required(&path, "must have at least one node selector term");
    }
    for (index, term) in terms.iter().enumerate() {
        node_term(term, true, &path.index(index), errors);
    }
}

fn node_term(term: &Value, with_values: bool, path: &Path, errors: &mut Errors) {
    for (index, requirement) in list(term, "matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(index);
        operator(errors, requirement, &path, true);
        key_and_values(errors, requirement, &path, with_values);
    }
    for (index, requirement) in list(term, "matchFields").iter().enumerate() {
        node_field(requirement, &path.child("matchFields").index(index), errors);
    }
}

/// A requirement on a field of nodes; the name is the only one.
fn node_field(requirement: &Value, path: &Path, errors: &mut Errors) {
    match text(requirement, "operator") {
        "In" | "NotIn" => {
            if list(requirement, "values").len() != 1 {
                const WHY: &str = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.required(&path.child("values"), WHY);
            }
        }
        other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
    let key = text(requirement, "key");
    if key != "metadata.name" {
        errors.invalid(&path.child("key"), key, "not a valid field selector key");
        return;
    }
    for (index, name) in texts(requirement, "values").enumerate() {
        check(errors, &path.child("values").index(index), name, names::dns1123_subdomain(name));
    }
}

fn pods(affinity: &Value, path: &Path, errors: &mut Errors) {
    for (index, term) in list(affinity, REQUIRED).iter().enumerate() {
        pod_term(term, &path.child(REQUIRED).index(index), errors);
    }
    for (index, term) in list(affinity, PREFERRED).iter().enumerate() {
        let path = path.child(PREFERRED).index(index);
        weight(term, &path, errors);
        pod_term(at(term, "podAffinityTerm"), &path.child("podAffinityTerm"), errors);
    }
}

fn pod_term(term: &Value, path: &Path, errors: &mut Errors) {
    for name in ["labelSelector", "namespaceSelector"] {
        selector(errors, term, name, path);
    }
    for namespace in texts(term, "namespaces") {
        check(errors, &path.child("namespace"), namespace, names::dns1123_label(namespace));
    }
    spread::label_keys(term, path, errors);
    let key = text(term, "topologyKey");
    let path = path.child("topologyKey");
    if key.is_empty() {
        errors.required(&path, "can not be empty");
    }
    check(errors, &path, key, names::qualified_name(key));
}

fn weight(term: &Value, path: &Path, errors: &mut Errors) {
    let weight = int(term, "weight").unwrap_or(0);
    if !(1..=100).contains(&weight) {
        errors.invalid_value(&path.child("weight"), weight, "must be in the range 1-100");
    }
}
