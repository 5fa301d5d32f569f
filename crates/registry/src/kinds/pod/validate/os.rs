//! The operating system that a Pod is made for decides which fields it can have (KEP-2802).

use podo_api::Value;
use podo_api::field::{Errors, Path};

use super::super::view::{at, containers, get, has, is_on, one_of, text};

/// Fields that Pods for Windows do not have, in the order of their checks: below the security context or not, and whether they
/// count only when true.
const POD_FIELDS: &[(&str, bool, bool)] = &[
    ("appArmorProfile", true, false),
    ("seLinuxOptions", true, false),
    ("hostUsers", false, false),
    ("hostPID", false, true),
    ("hostIPC", false, true),
    ("seccompProfile", true, false),
    ("fsGroup", true, false),
    ("fsGroupChangePolicy", true, false),
    ("sysctls", true, false),
    ("shareProcessNamespace", false, false),
    ("runAsUser", true, false),
    ("runAsGroup", true, false),
    ("supplementalGroups", true, false),
    ("supplementalGroupsPolicy", true, false),
    ("seLinuxChangePolicy", true, false),
];

/// Fields that the security contexts of containers for Windows do not have.
const CONTAINER_FIELDS: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// The operating system and what follows from it.
pub(super) fn os(spec: &Value, path: &Path, errors: &mut Errors) {
    let Some(os) = get(spec, "os") else { return };
    match text(os, "name") {
        "" => errors.required(&path.child("os").child("name"), ""),
        "linux" => linux(spec, path, errors),
        "windows" => windows(spec, path, errors),
        other => one_of(errors, &path.child("os"), other, &["linux", "windows"]),
    }
}

fn linux(spec: &Value, path: &Path, errors: &mut Errors) {
    const WHY: &str = "windows options cannot be set for a linux pod";
    if has(at(spec, "securityContext"), "windowsOptions") {
        errors.forbidden(&path.child("securityContext").child("windowsOptions"), WHY);
    }
    for (container, path) in containers(spec, path) {
        if has(at(container, "securityContext"), "windowsOptions") {
            errors.forbidden(&path.child("securityContext").child("windowsOptions"), WHY);
        }
    }
}

fn windows(spec: &Value, path: &Path, errors: &mut Errors) {
    const WHY: &str = "cannot be set for a windows pod";
    for &(name, in_context, must_be_on) in POD_FIELDS {
        let (owner, path) = if in_context {
            (at(spec, "securityContext"), path.child("securityContext"))
        } else {
            (spec, path.clone())
        };
        if if must_be_on { is_on(owner, name) } else { has(owner, name) } {
            errors.forbidden(&path.child(name), WHY);
        }
    }
    for (container, path) in containers(spec, path) {
        for name in CONTAINER_FIELDS {
            if has(at(container, "securityContext"), name) {
                errors.forbidden(&path.child("securityContext").child(name), WHY);
            }
        }
    }
}
