//! What a container runs: program and arguments, environment, user, stop signal.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use podo_image::RunConfig;
use podo_runtime::UserSpec;

use crate::v1::{ContainerConfig, KeyValue, LinuxContainerSecurityContext, Signal};
use crate::v1::{Int64Value, SupplementalGroupsPolicy};
use crate::{Code, CriError};

/// Where programs are looked up unless image or Pod say otherwise; every runtime's default.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `SIGTERM`, when neither image nor Pod say otherwise.
const SIGTERM: i32 = 15;

/// Program and arguments. Kubernetes' four cases: `command` takes the place of the entrypoint and drops the image's
/// arguments; `args` alone takes the place of these.
pub(in crate::podo) fn args(
    command: &[String],
    args: &[String],
    image: &RunConfig,
) -> Result<Vec<String>, CriError> {
    let (program, rest) = match (command.is_empty(), args.is_empty()) {
        (false, _) => (command, args),
        (true, false) => (image.entrypoint.as_slice(), args),
        (true, true) => (image.entrypoint.as_slice(), image.cmd.as_slice()),
    };
    let all = [program, rest].concat();
    if all.first().is_none_or(String::is_empty) {
        return Err(CriError::invalid("no command specified"));
    }
    if all.iter().any(|arg| arg.contains('\0')) {
        return Err(CriError::invalid("an argument of the command contains a zero byte"));
    }
    Ok(all)
}

/// The environment: the runtime's own, over it the image's, over it the Pod's.
pub(in crate::podo) fn environment(
    image: &[String],
    envs: &[KeyValue],
    hostname: &str,
    tty: bool,
) -> Result<Vec<OsString>, CriError> {
    let mut all = vec![OsString::from(PATH)];
    if tty {
        all.push("TERM=xterm".into());
    }
    if !hostname.is_empty() {
        all.push(format!("HOSTNAME={hostname}").into());
    }
    for entry in image {
        put(&mut all, entry.into());
    }
    for KeyValue { key, value } in envs {
        if key.is_empty() || key.contains(['=', '\0']) || value.contains(&0) {
            return Err(CriError::invalid(format!("environment variable {key:?} cannot be one")));
        }
        put(&mut all, OsString::from_vec([key.as_bytes(), b"=", value].concat()));
    }
    Ok(all)
}

/// A later value takes the place of an earlier one of the same name.
fn put(all: &mut Vec<OsString>, entry: OsString) {
    match all.iter_mut().find(|known| name(known) == name(&entry)) {
        Some(known) => *known = entry,
        None => all.push(entry),
    }
}

/// The name of a variable.
fn name(entry: &OsStr) -> &[u8] {
    entry.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// As whom: the Pod's user, else the image's with its group.
pub(in crate::podo) fn user(
    security: &LinuxContainerSecurityContext,
    image: &RunConfig,
) -> Result<UserSpec, CriError> {
    let asked = match (&security.run_as_user, security.run_as_username.as_str()) {
        (Some(uid), _) => id("runAsUser", uid)?.to_string(),
        (None, name) => name.to_owned(),
    };
    let gid = security.run_as_group.as_ref().map(|gid| id("runAsGroup", gid)).transpose()?;
    let groups = security.supplemental_groups.iter();
    let groups = groups.map(|gid| id("supplementalGroups", &Int64Value { value: *gid }));
    let groups = groups.collect::<Result<Vec<u32>, CriError>>()?;
    let is_strict = security.supplemental_groups_policy == SupplementalGroupsPolicy::Strict as i32;
    Ok(UserSpec {
        user: if asked.is_empty() { image.user.clone() } else { asked },
        gid,
        groups,
        merge_image_groups: !is_strict,
    })
}

/// 4294967295 means "leave as it is" to the kernel (CVE-2024-40635).
fn id(field: &str, value: &Int64Value) -> Result<u32, CriError> {
    let id = u32::try_from(value.value).ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| CriError::invalid(format!("{field} {} is out of range", value.value)))
}

/// The kernel's number of the signal that asks the container to end: the Pod's, else the image's.
pub(in crate::podo) fn stop_signal(
    config: &ContainerConfig,
    image: &RunConfig,
) -> Result<i32, CriError> {
    if let Some(number) = Signal::try_from(config.stop_signal).ok().and_then(Signal::number) {
        return Ok(number);
    }
    let named = image.stop_signal.trim().to_ascii_uppercase();
    if named.is_empty() {
        return Ok(SIGTERM);
    }
    if let Some(number) = named.parse::<i32>().ok().filter(|number| (1..=64).contains(number)) {
        return Ok(number);
    }
    let full = if named.starts_with("SIG") { named.clone() } else { format!("SIG{named}") };
    Signal::from_name(&full).and_then(Signal::number).ok_or_else(|| {
        let text = format!("stop signal {:?} of the image is not a signal", image.stop_signal);
        CriError::new(Code::InvalidArgument, text)
    })
}

#[cfg(test)]
mod tests;
