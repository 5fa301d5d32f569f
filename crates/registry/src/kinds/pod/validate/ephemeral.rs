//! Ephemeral containers: for looking into a running Pod, so they have neither ports nor probes nor resources (KEP-277).

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Errors, Path};

use super::super::view::{at, get, list, text};
use super::containers::{Scope, common, only_in_pods};

const WHY: &str = "cannot be set for an Ephemeral Container";

/// Fields of containers that ephemeral ones do not have.
const FORBIDDEN: &[&str] = &[
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

/// The ephemeral containers.
pub(super) fn containers(scope: &Scope<'_>, path: &Path, errors: &mut Errors) {
    let path = path.child("ephemeralContainers");
    let others: HashSet<&str> = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|name| list(scope.spec, name))
        .map(|container| text(container, "name"))
        .collect();
    let mut seen = others.clone();
    for (index, container) in list(scope.spec, "ephemeralContainers").iter().enumerate() {
        let path = path.index(index);
        common(container, scope, &path, errors);
        only_in_pods(container, &path, errors);
        let name = text(container, "name");
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        let target = text(container, "targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errors.not_found(&path.child("targetContainerName"), target);
        }
        without_service(container, &path, errors);
    }
}

fn without_service(container: &Value, path: &Path, errors: &mut Errors) {
    for &name in FORBIDDEN {
        let is_set = match get(container, name) {
            None => false,
            Some(Value::Object(_)) if name == "resources" => ["limits", "requests", "claims"]
                .iter()
                .any(|list| get(at(container, name), list).is_some()),
            Some(_) => true,
        };
        if is_set {
            errors.forbidden(&path.child(name), WHY);
        }
    }
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        for name in ["subPath", "subPathExpr"] {
            if !text(mount, name).is_empty() {
                errors.forbidden(&path.child("volumeMounts").index(index).child(name), WHY);
            }
        }
    }
}
