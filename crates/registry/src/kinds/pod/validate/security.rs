//! Security contexts of Pods and containers.

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::internal;
use super::super::view::{at, get, int, is_on, list, one_of, required_one_of, text, texts};
use super::{optional_one_of, paths, windows};

/// The bytes that the name of a sysctl may have.
const SYSCTL_BYTES_MAX: usize = 253;

/// The bytes that the path of a profile on the node may have (`PATH_MAX` without its end).
const PROFILE_BYTES_MAX: usize = 4095;

/// The security context of a Pod.
pub(super) fn pod(spec: &Value, path: &Path, errors: &mut Errors) {
    let Some(context) = get(spec, "securityContext") else { return };
    let path = path.child("securityContext");
    for name in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(context, name, &path, errors);
    }
    for (index, group) in list(context, "supplementalGroups").iter().enumerate() {
        let group = group.as_i64().unwrap_or(0);
        check_id(group, &path.child("supplementalGroups").index(index), errors);
    }
    if is_on(spec, "hostPID") && is_on(spec, "shareProcessNamespace") {
        const WHY: &str = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid_value(&path.child("shareProcessNamespace"), true, WHY);
    }
    sysctls(context, spec, &path, errors);
    optional_one_of(context, &path, "fsGroupChangePolicy", &["Always", "OnRootMismatch"], errors);
    seccomp(context, &path, errors);
    windows::options(context, &path, errors);
    app_armor(context, &path, errors);
    optional_one_of(context, &path, "supplementalGroupsPolicy", &["Merge", "Strict"], errors);
    // `MountOption` needs the SELinuxMount gate, which is off in v1.36.
    optional_one_of(context, &path, "seLinuxChangePolicy", &["Recursive"], errors);
}

/// The security context of a container.
pub(super) fn container(container: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    let Some(context) = get(container, "securityContext") else { return };
    let path = path.child("securityContext");
    for name in ["runAsUser", "runAsGroup"] {
        id(context, name, &path, errors);
    }
    if let Some(mount) = get(context, "procMount").and_then(Value::as_str) {
        one_of(errors, &path.child("procMount"), mount, &["Default", "Unmasked"]);
        if mount == "Unmasked" && at(spec, "hostUsers").as_bool() != Some(false) {
            errors.invalid(
                &path.child("procMount"),
                mount,
                "`hostUsers` must be false to use `Unmasked`",
            );
        }
    }
    seccomp(context, &path, errors);
    escalation(context, &path, errors);
    windows::options(context, &path, errors);
    app_armor(context, &path, errors);
}

/// What gives all rights away cannot at the same time withhold more.
fn escalation(context: &Value, path: &Path, errors: &mut Errors) {
    if at(context, "allowPrivilegeEscalation").as_bool() != Some(false) {
        return;
    }
    let mut contradiction = |why: &str| {
        errors.invalid_text(path, internal::compact(context, "core/v1.SecurityContext"), why);
    };
    if is_on(context, "privileged") {
        contradiction("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    }
    for _ in texts(at(context, "capabilities"), "add").filter(|name| *name == "CAP_SYS_ADMIN") {
        contradiction(
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        );
    }
}

fn id(context: &Value, name: &str, path: &Path, errors: &mut Errors) {
    if let Some(id) = int(context, name) {
        check_id(id, &path.child(name), errors);
    }
}

/// The number of a user or group.
pub(crate) fn check_id(id: i64, path: &Path, errors: &mut Errors) {
    for problem in names::user_id(id) {
        errors.invalid_value(path, id, problem);
    }
}

fn sysctls(context: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (index, sysctl) in list(context, "sysctls").iter().enumerate() {
        let path = path.child("sysctls").index(index).child("name");
        let name = text(sysctl, "name");
        if name.is_empty() {
            errors.required(&path, "");
        } else if !is_sysctl_name(name) {
            let why = format!(
                "must have at most {SYSCTL_BYTES_MAX} characters and match regex \
                 ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            );
            errors.invalid(&path, name, why);
        } else if seen.contains(name) {
            errors.duplicate(&path, name);
        }
        host_sysctl(name, spec, &path, errors);
        seen.insert(name);
    }
}

fn is_sysctl_name(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    name.len() <= SYSCTL_BYTES_MAX
        && name.split(['.', '/']).all(|part| {
            part.starts_with(is_letter)
                && part.ends_with(is_letter)
                && part.chars().all(|letter| is_letter(letter) || matches!(letter, '-' | '_'))
        })
}

/// A Pod cannot set what it shares with the host.
fn host_sysctl(name: &str, spec: &Value, path: &Path, errors: &mut Errors) {
    let dotted = dotted(name);
    let is_ipc = matches!(dotted.as_str(), "kernel.sem")
        || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|start| dotted.starts_with(start));
    let why = if is_on(spec, "hostNetwork") && dotted.starts_with("net.") {
        "may not be specified when 'hostNetwork' is true"
    } else if is_on(spec, "hostIPC") && is_ipc {
        "may not be specified when 'hostIPC' is true"
    } else {
        return;
    };
    errors.invalid(path, name, why);
}

/// The name with dots between its parts: where a slash comes first, the two change places.
fn dotted(name: &str) -> String {
    if name.find(['.', '/']).is_none_or(|at| name.as_bytes()[at] == b'.') {
        return name.to_owned();
    }
    let swap = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

fn seccomp(context: &Value, path: &Path, errors: &mut Errors) {
    let Some(profile) = get(context, "seccompProfile") else { return };
    let path = path.child("seccompProfile");
    let kind = text(profile, "type");
    if kind.is_empty() {
        errors.required(&path.child("type"), "type is required when seccompProfile is set");
    } else {
        one_of(errors, &path.child("type"), kind, &["Localhost", "RuntimeDefault", "Unconfined"]);
    }
    let path = path.child("localhostProfile");
    match (kind, get(profile, "localhostProfile").and_then(Value::as_str)) {
        ("Localhost", None) => errors.required(&path, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(file)) => paths::descending(file, &path, errors),
        (_, None) => {}
        (_, Some(_)) => {
            let shown = internal::compact(profile, "core/v1.SeccompProfile");
            errors.invalid_text(&path, shown, "can only be set when seccomp type is Localhost");
        }
    }
}

fn app_armor(context: &Value, path: &Path, errors: &mut Errors) {
    if let Some(profile) = get(context, "appArmorProfile") {
        app_armor_profile(profile, &path.child("appArmorProfile"), errors);
    }
}

/// An AppArmor profile.
pub(crate) fn app_armor_profile(profile: &Value, path: &Path, errors: &mut Errors) {
    const REQUIRED: &str = "must be set when AppArmor type is Localhost";
    let file_path = path.child("localhostProfile");
    let file = get(profile, "localhostProfile").and_then(Value::as_str);
    match (text(profile, "type"), file) {
        ("Localhost", None) => errors.required(&file_path, REQUIRED),
        ("Localhost", Some(file)) => {
            if file.trim() != file {
                errors.invalid(&file_path, file, "must not be padded with whitespace");
            } else if file.is_empty() {
                errors.required(&file_path, REQUIRED);
            }
            if file.len() > PROFILE_BYTES_MAX {
                errors.too_long(&file_path, PROFILE_BYTES_MAX);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(file)) => {
            errors.invalid(&file_path, file, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => {
            errors.required(&path.child("type"), "type is required when appArmorProfile is set");
        }
        (other, _) => {
            const TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
            required_one_of(errors, &path.child("type"), other, &TYPES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_are_named_with_dots_or_with_slashes() {
        assert_eq!(dotted("net.ipv4.ip_forward"), "net.ipv4.ip_forward");
        assert_eq!(dotted("net/ipv4/conf/eth0.1/x"), "net.ipv4.conf.eth0/1.x");
        assert!(
            is_sysctl_name("net/ipv4.x") && !is_sysctl_name("net..x") && !is_sysctl_name("Net.x")
        );
    }
}
