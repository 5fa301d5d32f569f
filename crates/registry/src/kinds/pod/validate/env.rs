//! Environment variables and where their values come from.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::check;
use super::super::resources::parse;
use super::super::view::{at, containers, get, has, list, one_of, text};
use super::paths;

/// Fields of a Pod that a variable can show.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of a Pod that a file can show.
pub(super) const VOLUME_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

/// Fields of a Pod whose paths Kubernetes knows, wherever they may be used.
const KNOWN_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Amounts of a container that variables and files can show.
const AMOUNTS: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const CPU_DIVISORS: &[&str] = &["1m", "1"];
const BYTE_DIVISORS: &[&str] =
    &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// The variables of a container.
pub(super) fn variables(container: &Value, path: &Path, errors: &mut Errors) {
    for (index, variable) in list(container, "env").iter().enumerate() {
        let path = path.child("env").index(index);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            check(errors, &path.child("name"), name, names::relaxed_env_var_name(name));
        }
        if let Some(source) = get(variable, "valueFrom") {
            value_from(variable, source, &path.child("valueFrom"), errors);
        }
    }
}

fn value_from(variable: &Value, source: &Value, path: &Path, errors: &mut Errors) {
    let mut count = 0;
    if let Some(reference) = get(source, "fieldRef") {
        count += 1;
        field(reference, ENV_FIELDS, &path.child("fieldRef"), errors);
    }
    if let Some(reference) = get(source, "resourceFieldRef") {
        count += 1;
        amount(reference, &path.child("resourceFieldRef"), false, errors);
    }
    for name in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = get(source, name) {
            count += 1;
            key(reference, &path.child(name), errors);
        }
    }
    if let Some(reference) = get(source, "fileKeyRef") {
        count += 1;
        file_key(reference, &path.child("fileKeyRef"), errors);
    }
    if count == 0 {
        const WHY: &str = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        errors.invalid(path, "", WHY);
    } else if !text(variable, "value").is_empty() {
        errors.invalid(path, "", "may not be specified when `value` is not empty");
    } else if count > 1 {
        errors.invalid(path, "", "may not have more than one field specified at a time");
    }
}

fn key(reference: &Value, path: &Path, errors: &mut Errors) {
    let (name, key) = (text(reference, "name"), text(reference, "key"));
    check(errors, &path.child("name"), name, names::dns1123_subdomain(name));
    if key.is_empty() {
        errors.required(&path.child("key"), "");
    } else {
        check(errors, &path.child("key"), key, names::config_map_key(key));
    }
}

/// A variable out of a file that an init container wrote (KEP-3721).
fn file_key(reference: &Value, path: &Path, errors: &mut Errors) {
    let key = text(reference, "key");
    if key.is_empty() {
        errors.required(&path.child("key"), "");
    } else {
        check(errors, &path.child("key"), key, names::relaxed_env_var_name(key));
    }
    let volume = text(reference, "volumeName");
    if volume.is_empty() {
        errors.required(&path.child("volumeName"), "");
    } else {
        check(errors, &path.child("volumeName"), volume, names::dns1123_label(volume));
    }
    match text(reference, "path") {
        "" => errors.required(&path.child("path"), ""),
        file => paths::no_backsteps(file, &path.child("path"), errors),
    }
}

/// Files with variables are in volumes that live as long as the Pod.
pub(super) fn file_volumes(spec: &Value, path: &Path, errors: &mut Errors) {
    for (container, path) in containers(spec, path) {
        for (index, variable) in list(container, "env").iter().enumerate() {
            let Some(reference) = get(at(variable, "valueFrom"), "fileKeyRef") else { continue };
            let name = text(reference, "volumeName");
            let path = path
                .child("env")
                .index(index)
                .child("valueFrom")
                .child("fileKeyRef")
                .child("volumeName");
            let volume = list(spec, "volumes").iter().rfind(|volume| text(volume, "name") == name);
            match volume {
                None => errors.not_found(&path, name),
                Some(volume) if !has(volume, "emptyDir") => {
                    errors.invalid(&path, name, "referenced volume must be of type emptyDir");
                }
                Some(_) => {}
            }
        }
    }
}

/// A reference to a field of the Pod.
pub(super) fn field(reference: &Value, supported: &[&str], path: &Path, errors: &mut Errors) {
    let (version, field_path) = (text(reference, "apiVersion"), text(reference, "fieldPath"));
    if version.is_empty() {
        errors.required(&path.child("apiVersion"), "");
        return;
    }
    if field_path.is_empty() {
        errors.required(&path.child("fieldPath"), "");
        return;
    }
    let shown = path.child("fieldPath");
    let (base, subscript) = split_subscript(field_path);
    if let Err(why) = known(version, field_path, base, subscript) {
        errors.invalid(&shown, field_path, format!("error converting fieldPath: {why}"));
        return;
    }
    let base = if base == "spec.host" { "spec.nodeName" } else { base };
    match (base, subscript) {
        ("metadata.annotations", Some(key)) => check_key(&key.to_lowercase(), path, errors),
        ("metadata.labels", Some(key)) => check_key(key, path, errors),
        (_, Some(_)) => errors.invalid(path, base, "does not support subscript"),
        (_, None) => one_of(errors, &shown, base, supported),
    }
}

fn check_key(key: &str, path: &Path, errors: &mut Errors) {
    check(errors, path, key, names::qualified_name(key));
}

/// Whether there is such a field in that version of Pods.
fn known(version: &str, whole: &str, base: &str, subscript: Option<&str>) -> Result<(), String> {
    if version != "v1" {
        return Err(format!("unsupported pod version: {version}"));
    }
    match subscript {
        Some(_) if matches!(base, "metadata.annotations" | "metadata.labels") => Ok(()),
        Some(_) => Err(format!("field label does not support subscript: {whole}")),
        None if KNOWN_FIELDS.contains(&base) || base == "spec.host" => Ok(()),
        None => Err(format!("field label not supported: {whole}")),
    }
}

/// Splits `metadata.labels['key']` into path and key.
fn split_subscript(path: &str) -> (&str, Option<&str>) {
    path.strip_suffix("']")
        .and_then(|rest| rest.split_once("['"))
        .filter(|(base, _)| !base.is_empty())
        .map_or((path, None), |(base, key)| (base, Some(key)))
}

/// A reference to a request or limit of a container; a file must name the container.
pub(super) fn amount(reference: &Value, path: &Path, in_volume: bool, errors: &mut Errors) {
    let name = text(reference, "resource");
    if in_volume && text(reference, "containerName").is_empty() {
        errors.required(&path.child("containerName"), "");
    } else if name.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !is_hugepages(name) {
        one_of(errors, &path.child("resource"), name, AMOUNTS);
    }
    divisor(reference, name, &path.child("divisor"), errors);
}

fn is_hugepages(name: &str) -> bool {
    name.starts_with("requests.hugepages-") || name.starts_with("limits.hugepages-")
}

fn divisor(reference: &Value, name: &str, path: &Path, errors: &mut Errors) {
    let divisor = parse(at(reference, "divisor"));
    if divisor.is_zero() {
        return;
    }
    let (kind, supported) = match name {
        "limits.cpu" | "requests.cpu" => ("cpu", CPU_DIVISORS),
        "limits.memory" | "requests.memory" => ("memory", BYTE_DIVISORS),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            ("local ephemeral storage", BYTE_DIVISORS)
        }
        name if is_hugepages(name) => ("hugepages", BYTE_DIVISORS),
        _ => return,
    };
    if !supported.contains(&divisor.to_string().as_str()) {
        let values = if kind == "cpu" { "1m and 1".to_owned() } else { supported.join(", ") };
        let why = format!("only divisor's values {values} are supported with the {kind} resource");
        errors.invalid(path, name, why);
    }
}

/// Where a container takes whole sets of variables from. Two findings are at the list; that is upstream's.
pub(super) fn sources(container: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("envFrom");
    for (index, source) in list(container, "envFrom").iter().enumerate() {
        let at_index = path.index(index);
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            check(errors, &at_index.child("prefix"), prefix, names::relaxed_env_var_name(prefix));
        }
        let mut count = 0;
        for kind in ["configMapRef", "secretRef"] {
            if let Some(reference) = get(source, kind) {
                count += 1;
                set_name(text(reference, "name"), &at_index.child(kind).child("name"), errors);
            }
        }
        match count {
            0 => errors.invalid(&path, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => errors.invalid(&path, "", "may not have more than one field specified at a time"),
        }
    }
}

fn set_name(name: &str, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "");
    } else {
        // Checked as a prefix, which may end in a dash.
        let problems = names::dns1123_subdomain(&names::mask_trailing_dash(name));
        check(errors, path, name, problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscript_is_split_off_a_field_path() {
        assert_eq!(split_subscript("metadata.labels['a.b/c']"), ("metadata.labels", Some("a.b/c")));
        assert_eq!(split_subscript("metadata.name"), ("metadata.name", None));
        assert_eq!(split_subscript("['x']"), ("['x']", None));
    }
}
