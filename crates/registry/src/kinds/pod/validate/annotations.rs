//! Annotations that mean something to Kubernetes, and their agreement with the fields that took their place.

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Errors, Path, quoted};
use podo_api::meta;

use super::super::view::{at, containers, entries, get, text};
use super::{paths, tolerations};

/// Marks the reflection of a Pod that a node runs from a file.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";

/// How soon a Pod is chosen when a ReplicaSet shrinks.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Tolerations before they had a field.
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";

/// The seccomp profile of a Pod before it had a field, and of a container, whose name follows.
pub(crate) const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
pub(crate) const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// The AppArmor profile of a container before it had a field; the container's name follows.
pub(crate) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The annotations of a Pod.
pub(crate) fn annotations(pod: &Value, errors: &mut Errors) {
    let path = Path::new("metadata").child("annotations");
    let (spec, metadata) = (at(pod, "spec"), at(pod, "metadata"));
    let all = entries(metadata, "annotations");
    if let Some(value) = meta::annotation(pod, MIRROR)
        && text(spec, "nodeName").is_empty()
    {
        const WHY: &str = "must set spec.nodeName if mirror pod annotation is set";
        errors.invalid(&path.key(MIRROR), value, WHY);
    }
    if let Some(value) = meta::annotation(pod, TOLERATIONS).filter(|value| !value.is_empty()) {
        old_tolerations(value, &path, errors);
    }
    if let Some(cost) = meta::annotation(pod, DELETION_COST)
        && !is_cost(cost)
    {
        errors.invalid(&path.key(DELETION_COST), cost, "must be a 32bit integer");
    }
    seccomp(&all, &path, errors);
    app_armor(&all, spec, &path, errors);
}

/// Annotations that say how a Pod came to be do not change (new, old).
pub(crate) fn update(new: &Value, old: &Value, errors: &mut Errors) {
    let path = Path::new("metadata").child("annotations");
    let (new, old) = (at(new, "metadata"), at(old, "metadata"));
    let now = |key: &str| at(at(new, "annotations"), key);
    let before = |key: &str| at(at(old, "annotations"), key);
    for (key, _) in entries(old, "annotations").iter().filter(|(key, old)| now(key) != *old) {
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(&path.key(key), "may not remove or update AppArmor annotations");
        }
        if *key == MIRROR {
            errors.forbidden(&path.key(key), "may not remove or update mirror pod annotation");
        }
    }
    for (key, _) in entries(new, "annotations").iter().filter(|(key, _)| before(key).is_null()) {
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(&path.key(key), "may not add AppArmor annotations");
        }
        if *key == MIRROR {
            errors.forbidden(&path.key(key), "may not add mirror pod annotation");
        }
    }
}

fn old_tolerations(value: &str, path: &Path, errors: &mut Errors) {
    match serde_json::from_str::<Vec<Value>>(value) {
        Ok(list) => tolerations::tolerations(&list, &path.child(TOLERATIONS), errors),
        Err(error) => errors.invalid(path, TOLERATIONS, error.to_string()),
    }
}

/// Whether the text is a whole number as controllers read it: no plus, no leading zero.
fn is_cost(cost: &str) -> bool {
    let has_odd_start = cost.starts_with('+') || (cost.len() > 1 && cost.starts_with('0'));
    !has_odd_start && cost.parse::<i32>().is_ok()
}

fn seccomp(all: &[(&str, &Value)], path: &Path, errors: &mut Errors) {
    let of_pod = all.iter().filter(|(key, _)| *key == SECCOMP_POD);
    let of_containers = all.iter().filter(|(key, _)| key.starts_with(SECCOMP_CONTAINER));
    for (key, value) in of_pod.chain(of_containers) {
        let profile = value.as_str().unwrap_or("");
        let path = path.child(key);
        match profile.strip_prefix("localhost/") {
            Some(file) => paths::descending(file, &path, errors),
            None if matches!(profile, "runtime/default" | "docker/default" | "unconfined") => {}
            None => errors.invalid(&path, profile, "must be a valid seccomp profile"),
        }
    }
}

fn app_armor(all: &[(&str, &Value)], spec: &Value, path: &Path, errors: &mut Errors) {
    let names: HashSet<&str> =
        containers(spec, &Path::root()).map(|(container, _)| text(container, "name")).collect();
    for (key, value) in all {
        let Some(name) = key.strip_prefix(APP_ARMOR) else { continue };
        let profile = value.as_str().unwrap_or("");
        let path = path.key(key);
        if !names.contains(name) {
            errors.invalid(&path, name, "container not found");
        }
        let is_known = matches!(profile, "" | "runtime/default" | "unconfined");
        if !is_known && !profile.starts_with("localhost/") {
            let why = format!("invalid AppArmor profile name: {}", quoted(profile));
            errors.invalid(&path, profile, why);
        }
    }
}

/// What annotations say of profiles must be what the fields say, where there are both.
pub(super) fn match_fields(pod: &Value, errors: &mut Errors) {
    let (spec, path) = (at(pod, "spec"), Path::new("spec"));
    let of_pod = at(spec, "securityContext");
    let is_windows = text(at(spec, "os"), "name") == "windows";
    if let (Some(profile), Some(annotation)) =
        (get(of_pod, "seccompProfile"), meta::annotation(pod, SECCOMP_POD))
    {
        let path = path.child("securityContext").child("seccompProfile");
        match_profile(annotation, profile, "seccomp", &path, errors);
    }
    for (container, path) in containers(spec, &path) {
        let key = format!("{SECCOMP_CONTAINER}{}", text(container, "name"));
        let profile = get(at(container, "securityContext"), "seccompProfile");
        if let (Some(profile), Some(annotation)) = (profile, meta::annotation(pod, &key)) {
            let path = path.child("securityContext").child("seccompProfile");
            match_profile(annotation, profile, "seccomp", &path, errors);
        }
    }
    for (container, path) in containers(spec, &path).filter(|_| !is_windows) {
        let key = format!("{APP_ARMOR}{}", text(container, "name"));
        let own = get(at(container, "securityContext"), "appArmorProfile");
        let profile = own.or_else(|| get(of_pod, "appArmorProfile"));
        if let (Some(profile), Some(annotation)) = (profile, meta::annotation(pod, &key)) {
            let path = path.child("securityContext").child("appArmorProfile");
            match_profile(annotation, profile, "apparmor", &path, errors);
        }
    }
}

fn match_profile(annotation: &str, profile: &Value, kind: &str, path: &Path, errors: &mut Errors) {
    let is_match = match text(profile, "type") {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => {
            annotation == "runtime/default" || (kind == "seccomp" && annotation == "docker/default")
        }
        "Localhost" => match annotation.strip_prefix("localhost/") {
            Some(file) => {
                if get(profile, "localhostProfile").and_then(Value::as_str) != Some(file) {
                    let why = format!("{kind} profile in annotation and field must match");
                    errors.forbidden(&path.child("localhostProfile"), why);
                }
                true
            }
            None => false,
        },
        _ => true,
    };
    if !is_match {
        errors.forbidden(
            &path.child("type"),
            format!("{kind} type in annotation and field must match"),
        );
    }
}
