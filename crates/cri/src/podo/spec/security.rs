//! Powers: capabilities, seccomp, AppArmor.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use podo_runtime::capabilities;
use podo_runtime::seccomp::{self, Program};

use crate::v1::{LinuxContainerSecurityContext, ProfileType, SecurityProfile};
use crate::{Code, CriError};

/// Size of a seccomp profile; the largest known is some 30 KB.
const PROFILE_BYTES_MAX: u64 = 1 << 20;

/// The container's capabilities: all when privileged, else the default set with what is added and dropped.
pub(in crate::podo) fn capabilities(
    security: &LinuxContainerSecurityContext,
) -> Result<u64, CriError> {
    if security.privileged {
        return Ok(capabilities::ALL);
    }
    let asked = security.capabilities.clone().unwrap_or_default();
    if !asked.add_ambient_capabilities.is_empty() {
        let text = "ambient capabilities are not supported";
        return Err(CriError::new(Code::Unimplemented, text));
    }
    let add: Vec<&str> = asked.add_capabilities.iter().map(String::as_str).collect();
    let drop: Vec<&str> = asked.drop_capabilities.iter().map(String::as_str).collect();
    capabilities::adjust(capabilities::DEFAULT, &add, &drop)
        .map_err(|name| CriError::invalid(format!("unknown capability {name:?}")))
}

/// The system call filter of a container with these capabilities. None asked for, or privileged: unconfined.
pub(in crate::podo) fn seccomp(
    profile: Option<&SecurityProfile>,
    is_privileged: bool,
    capabilities: u64,
) -> Result<Option<Program>, CriError> {
    let Some(profile) = profile.filter(|_| !is_privileged) else { return Ok(None) };
    match ProfileType::try_from(profile.profile_type) {
        Ok(ProfileType::Unconfined) => Ok(None),
        Ok(ProfileType::RuntimeDefault) => Ok(Some(seccomp::runtime_default(capabilities))),
        Ok(ProfileType::Localhost) => from_file(&profile.localhost_ref, capabilities).map(Some),
        Err(_) => Err(CriError::invalid("unknown type of seccomp profile")),
    }
}

/// An empty path must not mean "no filter" (CVE-2023-2431).
fn from_file(path: &str, capabilities: u64) -> Result<Program, CriError> {
    let bad = |why: String| CriError::invalid(format!("seccomp profile {path:?}: {why}"));
    let path_on_host = Path::new(path.strip_prefix("localhost/").unwrap_or(path));
    if !path_on_host.is_absolute() {
        return Err(bad("the path must be absolute".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path_on_host).map_err(|error| bad(error.to_string()))?;
    let read = file.take(PROFILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    let length = read.map_err(|error| bad(error.to_string()))?;
    if length as u64 > PROFILE_BYTES_MAX {
        return Err(bad(format!("longer than {PROFILE_BYTES_MAX} bytes")));
    }
    seccomp::from_profile(&bytes, capabilities)
        .map_err(|error| bad(podo_base::Chain(&error).to_string()))
}

/// Whether AppArmor confines: it does not here, and a profile that was asked for by name is not left out silently.
pub(in crate::podo) fn check_apparmor(profile: Option<&SecurityProfile>) -> Result<(), CriError> {
    match profile.map(|profile| ProfileType::try_from(profile.profile_type)) {
        Some(Ok(ProfileType::Localhost)) => {
            Err(CriError::new(Code::Unimplemented, "apparmor is not supported"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::Capability;

    #[track_caller]
    fn check(privileged: bool, add: &[&str], drop: &[&str], expected: &str) {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let security = LinuxContainerSecurityContext {
            privileged,
            capabilities: Some(Capability {
                add_capabilities: list(add),
                drop_capabilities: list(drop),
                add_ambient_capabilities: Vec::new(),
            }),
            ..LinuxContainerSecurityContext::default()
        };
        let shown = match capabilities(&security) {
            Ok(capabilities::ALL) => "all".to_owned(),
            Ok(capabilities::DEFAULT) => "default".to_owned(),
            Ok(set) => capabilities::names(set).join(" "),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn capabilities_are_the_default_with_what_is_added_and_dropped() {
        check(false, &[], &[], "default");
        check(true, &[], &["ALL"], "all");
        check(false, &["NET_ADMIN"], &["ALL"], "CAP_NET_ADMIN");
        check(false, &["ALL"], &[], "all");
        check(false, &["ALL"], &["ALL"], "");
        check(false, &["FLY"], &[], "unknown capability \"FLY\"");
    }

    #[test]
    fn a_seccomp_profile_without_a_path_is_refused() {
        for path in ["", "localhost/", "profiles/a.json"] {
            let profile = SecurityProfile {
                profile_type: ProfileType::Localhost as i32,
                localhost_ref: path.into(),
            };
            assert!(seccomp(Some(&profile), false, 0).is_err(), "{path:?}");
        }
    }

    #[test]
    fn privileged_containers_and_those_that_ask_for_nothing_are_unconfined() {
        let default = SecurityProfile::default();
        assert_eq!(seccomp(None, false, 0), Ok(None));
        assert_eq!(seccomp(Some(&default), true, 0), Ok(None));
        assert!(seccomp(Some(&default), false, 0).is_ok_and(|program| program.is_some()));
    }
}
