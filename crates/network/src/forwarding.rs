//! The host settings that routing between endpoints needs.

use crate::sysctl::{self, Change, SysctlError};

/// What must be on: packets are passed on between links.
const WANTED: &[(&str, &str)] = &[("ipv4/ip_forward", "1")];

/// Sets what is needed in the calling thread's namespace and says what it changed.
///
/// Nothing is turned back later: another instance, or the host itself, may rely on it.
pub fn ensure() -> Result<Vec<Change>, SysctlError> {
    let changes = WANTED.iter().map(|(name, value)| sysctl::set(name, value));
    changes.filter_map(Result::transpose).collect()
}
