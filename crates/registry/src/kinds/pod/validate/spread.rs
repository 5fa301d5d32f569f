//! Topology spread constraints.

use std::collections::{HashMap, HashSet};

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::{check, selector};
use super::super::view::{at, entries, get, has, int, list, one_of, positive, text, texts};
use super::optional_one_of;

/// The constraints of a Pod's spec.
pub(super) fn constraints(spec: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("topologySpreadConstraints");
    let constraints = list(spec, "topologySpreadConstraints");
    let last: HashMap<_, _> =
        constraints.iter().enumerate().map(|(index, it)| (kind_of(it), index)).collect();
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        positive(errors, &path.child("maxSkew"), int(constraint, "maxSkew").unwrap_or(0));
        let (key, action) = kind_of(constraint);
        if key.is_empty() {
            errors.required(&path.child("topologyKey"), "can not be empty");
        }
        one_of(
            errors,
            &path.child("whenUnsatisfiable"),
            action,
            &["DoNotSchedule", "ScheduleAnyway"],
        );
        if last.get(&(key, action)).is_some_and(|&last| last > index) {
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            errors.duplicate(&path, &format!("{{{key}, {action}}}"));
        }
        min_domains(constraint, action, &path.child("minDomains"), errors);
        for name in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            optional_one_of(constraint, &path, name, &["Honor", "Ignore"], errors);
        }
        label_keys(constraint, &path, errors);
        selector(errors, constraint, "labelSelector", &path);
    }
}

/// What only one constraint may have: the key and what is done where it cannot be met.
fn kind_of(constraint: &Value) -> (&str, &str) {
    (text(constraint, "topologyKey"), text(constraint, "whenUnsatisfiable"))
}

fn min_domains(constraint: &Value, action: &str, path: &Path, errors: &mut Errors) {
    let Some(domains) = int(constraint, "minDomains") else { return };
    positive(errors, path, domains);
    if action != "DoNotSchedule" {
        let why =
            format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        errors.invalid_value(path, domains, why);
    }
}

/// The keys of the Pod's own labels that a selector is extended by (KEP-3243, KEP-3633).
pub(super) fn label_keys(owner: &Value, path: &Path, errors: &mut Errors) {
    for name in ["matchLabelKeys", "mismatchLabelKeys"] {
        let path = path.child(name);
        if list(owner, name).is_empty() {
            continue;
        }
        if !has(owner, "labelSelector") {
            errors.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, key) in texts(owner, name).enumerate() {
            check(errors, &path.index(index), key, names::qualified_name(key));
        }
    }
    repeated_keys(owner, path, errors);
    let mismatched: HashSet<&str> = texts(owner, "mismatchLabelKeys").collect();
    for (index, key) in texts(owner, "matchLabelKeys").enumerate() {
        if mismatched.contains(key) {
            let path = path.child("matchLabelKeys").index(index);
            errors.invalid(&path, key, "exists in both matchLabelKeys and mismatchLabelKeys");
        }
    }
}

/// A key is found twice, since the selector has been extended by it already.
fn repeated_keys(owner: &Value, path: &Path, errors: &mut Errors) {
    let Some(selector) = get(owner, "labelSelector") else { return };
    let places: HashMap<&str, usize> =
        texts(owner, "matchLabelKeys").enumerate().map(|(index, key)| (key, index)).collect();
    let mut seen: HashSet<&str> =
        entries(selector, "matchLabels").into_iter().map(|(key, _)| key).collect();
    for requirement in list(selector, "matchExpressions") {
        let key = at(requirement, "key").as_str().unwrap_or("");
        if let Some(&index) = places.get(key).filter(|_| seen.contains(key)) {
            errors.invalid(
                &path.index(index),
                key,
                "exists in both matchLabelKeys and labelSelector",
            );
        }
        seen.insert(key);
    }
}
