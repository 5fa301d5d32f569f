//! Reading a profile file: the JSON form of Moby, and the OCI runtime specification's.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Action, Comparison, Condition, Filter, Rule, syscalls};
use crate::capabilities;

/// Bytes of a profile; real ones have 10 to 50 KiB.
const PROFILE_BYTES_MAX: usize = 1 << 20;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Too large to be read.
    #[error("seccomp profile has more than {PROFILE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON of this form; an empty file and an empty object too (CVE-2023-2431).
    #[error("seccomp profile is not readable")]
    Malformed(#[source] serde_json::Error),
    /// An action that cannot be had here.
    #[error("seccomp profile has the action {action:?}, which is not supported")]
    Action {
        /// Its name.
        action: String,
    },
    /// A comparison that does not exist, or of an argument that does not.
    #[error("seccomp profile compares argument {index} with {operator:?}")]
    Comparison {
        /// The argument.
        index: u32,
        /// The operator's name.
        operator: String,
    },
    /// A capability that does not exist.
    #[error("seccomp profile names the capability {name:?}, which does not exist")]
    Capability {
        /// Its name.
        name: String,
    },
    /// The kernel takes at most 4096 instructions.
    #[error("seccomp profile needs {instructions} instructions, the kernel takes 4096")]
    TooLong {
        /// How many it needs.
        instructions: usize,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    syscalls: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Vec<String>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Selector,
    #[serde(default)]
    excludes: Selector,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

impl Selector {
    fn has_capabilities(&self, held: u64) -> Result<Option<bool>, ProfileError> {
        if self.caps.is_empty() {
            return Ok(None);
        }
        let bits = self.caps.iter().map(|name| {
            capabilities::bit(name).ok_or_else(|| ProfileError::Capability { name: name.clone() })
        });
        let wanted = bits.collect::<Result<Vec<u64>, _>>()?;
        Ok(Some(wanted.iter().all(|bit| held & bit != 0)))
    }

    fn has_architecture(&self) -> Option<bool> {
        let is_ours = |name: &String| matches!(name.as_str(), "amd64" | "x86_64");
        if self.arches.is_empty() { None } else { Some(self.arches.iter().any(is_ours)) }
    }

    fn has_kernel(&self) -> Option<bool> {
        let number = |text: &str| {
            let mut parts = text.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
            (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
        };
        let running = rustix::system::uname();
        let running = number(&running.release().to_string_lossy());
        self.min_kernel.as_ref().map(|wanted| running >= number(wanted))
    }

    /// What each given criterion says.
    fn verdicts(&self, held: u64) -> Result<impl Iterator<Item = bool>, ProfileError> {
        let verdicts = [self.has_capabilities(held)?, self.has_architecture(), self.has_kernel()];
        Ok(verdicts.into_iter().flatten())
    }
}

fn action(name: &str, errno: Option<u16>) -> Result<Action, ProfileError> {
    const EPERM: u16 = 1;
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.unwrap_or(EPERM)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_TRACE" => Action::Trace(errno.unwrap_or(EPERM)),
        "SCMP_ACT_LOG" => Action::Log,
        _ => return Err(ProfileError::Action { action: name.to_owned() }),
    })
}

fn condition(argument: &Argument) -> Result<Condition, ProfileError> {
    let unknown =
        || ProfileError::Comparison { index: argument.index, operator: argument.op.clone() };
    let (comparison, value) = match argument.op.as_str() {
        "SCMP_CMP_EQ" => (Comparison::Equal, argument.value),
        "SCMP_CMP_NE" => (Comparison::NotEqual, argument.value),
        "SCMP_CMP_LT" => (Comparison::Less, argument.value),
        "SCMP_CMP_LE" => (Comparison::LessOrEqual, argument.value),
        "SCMP_CMP_GT" => (Comparison::Greater, argument.value),
        "SCMP_CMP_GE" => (Comparison::GreaterOrEqual, argument.value),
        "SCMP_CMP_MASKED_EQ" => (Comparison::Masked(argument.value), argument.value_two),
        _ => return Err(unknown()),
    };
    match u8::try_from(argument.index) {
        Ok(index) if index < 6 => Ok(Condition { argument: index, comparison, value }),
        _ => Err(unknown()),
    }
}

/// Names that this architecture lacks are skipped: one file serves all.
pub(super) fn filter(json: &[u8], held: u64) -> Result<Filter, ProfileError> {
    if json.len() > PROFILE_BYTES_MAX {
        return Err(ProfileError::TooLarge);
    }
    let profile: Profile = serde_json::from_slice(json).map_err(ProfileError::Malformed)?;
    let default = action(&profile.default_action, profile.default_errno_ret)?;
    let mut filter = Filter { default, rules: BTreeMap::new() };
    for group in &profile.syscalls {
        let is_in = group.includes.verdicts(held)?.all(|verdict| verdict);
        if !is_in || group.excludes.verdicts(held)?.any(|verdict| verdict) {
            continue;
        }
        let action = action(&group.action, group.errno_ret)?;
        let arguments = group.args.as_deref().unwrap_or_default();
        let conditions = arguments.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        // Two conditions on one argument cannot be put into one rule of libseccomp; Moby then means "any of them".
        let is_repeated = (1..conditions.len())
            .any(|at| conditions[..at].iter().any(|c| c.argument == conditions[at].argument));
        let alternatives: Vec<Vec<Condition>> = if is_repeated {
            conditions.into_iter().map(|condition| vec![condition]).collect()
        } else {
            vec![conditions]
        };
        let names = group.names.iter().chain(Some(&group.name).filter(|name| !name.is_empty()));
        for number in names.filter_map(|name| syscalls::number(name)) {
            for conditions in alternatives.clone() {
                filter.add(number, Rule { conditions, action });
            }
        }
    }
    Ok(filter)
}
