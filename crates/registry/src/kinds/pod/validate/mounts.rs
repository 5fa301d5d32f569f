//! Where volumes and devices appear in containers.

use std::collections::{BTreeMap, HashSet};

use podo_api::Value;
use podo_api::field::{Errors, Path};

use super::super::view::{get, has, is_on, list, text};
use super::containers::{Scope, mount_propagation};
use super::paths;

/// The mounts of a container. Some findings are at the list rather than at the mount; that is upstream's.
pub(super) fn mounts(container: &Value, scope: &Scope<'_>, path: &Path, errors: &mut Errors) {
    let path = path.child("volumeMounts");
    let devices = places(container, "volumeDevices", "devicePath");
    let device_paths: HashSet<&str> = devices.values().copied().collect();
    let mut seen = HashSet::new();
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let at_index = path.index(index);
        let (name, place) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            errors.required(&at_index.child("name"), "");
        }
        if !scope.volumes.contains_key(name) {
            errors.not_found(&at_index.child("name"), name);
        }
        if place.is_empty() {
            errors.required(&at_index.child("mountPath"), "");
        }
        if !seen.insert(place) {
            errors.invalid(&at_index.child("mountPath"), place, "must be unique");
        }
        if devices.contains_key(name) {
            errors.invalid(
                &at_index.child("name"),
                name,
                "must not already exist in volumeDevices",
            );
        }
        if device_paths.contains(place) {
            const WHY: &str = "must not already exist as a path in volumeDevices";
            errors.invalid(&at_index.child("mountPath"), place, WHY);
        }
        sub_path(mount, &path, &at_index, errors);
        if let Some(mode) = get(mount, "mountPropagation").and_then(Value::as_str) {
            mount_propagation(mode, container, &path.child("mountPropagation"), errors);
        }
        recursive_read_only(mount, &path.child("recursiveReadOnly"), errors);
    }
}

fn sub_path(mount: &Value, path: &Path, at_index: &Path, errors: &mut Errors) {
    let (plain, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
    if !plain.is_empty() {
        paths::descending(plain, &path.child("subPath"), errors);
    }
    if !expression.is_empty() {
        if !plain.is_empty() {
            const WHY: &str = "subPathExpr and subPath are mutually exclusive";
            errors.invalid(&at_index.child("subPathExpr"), expression, WHY);
        }
        paths::descending(expression, &path.child("subPathExpr"), errors);
    }
}

/// Read-only mounts below a read-only mount (KEP-3857).
fn recursive_read_only(mount: &Value, path: &Path, errors: &mut Errors) {
    match get(mount, "recursiveReadOnly").and_then(Value::as_str) {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if !is_on(mount, "readOnly") {
                errors.forbidden(path, "may only be specified when readOnly is true");
            }
            if !matches!(text(mount, "mountPropagation"), "" | "None") {
                const WHY: &str =
                    "may only be specified when mountPropagation is None or not specified";
                errors.forbidden(path, WHY);
            }
        }
        Some(other) => errors.not_supported(path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

/// The block devices of a container.
pub(super) fn devices(container: &Value, scope: &Scope<'_>, path: &Path, errors: &mut Errors) {
    let path = path.child("volumeDevices");
    let mounts = places(container, "volumeMounts", "mountPath");
    let mount_paths: HashSet<&str> = mounts.values().copied().collect();
    let (mut names, mut device_paths) = (HashSet::new(), HashSet::new());
    for (index, device) in list(container, "volumeDevices").iter().enumerate() {
        let path = path.index(index);
        let (name, place) = (text(device, "name"), text(device, "devicePath"));
        let (name_path, place_path) = (path.child("name"), path.child("devicePath"));
        if name.is_empty() {
            errors.required(&name_path, "");
        } else if !names.insert(name) {
            errors.invalid(&name_path, name, "must be unique");
        }
        match scope.volumes.get(name) {
            None => errors.not_found(&name_path, name),
            Some(volume) if !has(volume, "persistentVolumeClaim") && !has(volume, "ephemeral") => {
                const WHY: &str = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.invalid(&name_path, name, WHY);
            }
            Some(_) => {}
        }
        if place.is_empty() {
            errors.required(&place_path, "");
        }
        if device_paths.contains(place) {
            errors.invalid(&place_path, place, "must be unique");
        }
        if paths::has_backsteps(place) {
            errors.invalid(&place_path, place, "can not contain backsteps ('..')");
        } else {
            device_paths.insert(place);
        }
        if mounts.contains_key(name) {
            errors.invalid(&name_path, name, "must not already exist in volumeMounts");
        }
        if mount_paths.contains(place) {
            errors.invalid(&place_path, place, "must not already exist as a path in volumeMounts");
        }
    }
}

/// The paths at which a container sees things, by their name.
fn places<'a>(container: &'a Value, field: &str, path: &str) -> BTreeMap<&'a str, &'a str> {
    list(container, field).iter().map(|place| (text(place, "name"), text(place, path))).collect()
}
