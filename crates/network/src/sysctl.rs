//! Kernel settings below `/proc/sys/net`, read and written for the calling thread's namespace.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

/// Root of all settings of this crate.
const ROOT: &str = "/proc/sys/net";
/// File system type of procfs, statfs(2).
const PROC_FILE_SYSTEM: i64 = 0x9fa0;
/// Settings are numbers; anything longer is not one of those written here.
const VALUE_BYTES_MAX: u64 = 64;

/// One setting that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name in the form `net.ipv4.ip_forward`.
    pub name: String,
    /// The value found.
    pub from: String,
    /// The value written.
    pub to: String,
}

/// Why a setting could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SysctlError {
    /// The name is not one or more plain path components.
    #[error("{name:?} is no kernel setting below net")]
    Name {
        /// The name given.
        name: String,
    },
    /// The file is not the kernel's.
    #[error("kernel setting {name:?} is not on procfs")]
    NotProcfs {
        /// The setting.
        name: String,
    },
    /// The kernel refused.
    #[error("kernel setting {name:?} cannot be {step}")]
    Access {
        /// The setting.
        name: String,
        /// "opened", "read" or "written".
        step: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Sets `net/<name>` (as in `ipv4/ip_forward`) to `value`; `None` if it had that value.
pub fn set(name: &str, value: &str) -> Result<Option<Change>, SysctlError> {
    let from = read(name)?;
    if from == value {
        return Ok(None);
    }
    let mut file = open(name, OpenOptions::new().write(true))?;
    file.write_all(value.as_bytes()).map_err(|source| access(name, "written", source))?;
    let dotted = format!("net.{}", name.replace('/', "."));
    Ok(Some(Change { name: dotted, from, to: value.to_owned() }))
}

/// Reads `net/<name>`, without the line end.
pub fn read(name: &str) -> Result<String, SysctlError> {
    let mut text = String::new();
    open(name, OpenOptions::new().read(true))?
        .take(VALUE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|source| access(name, "read", source))?;
    Ok(text.trim_end().to_owned())
}

fn open(name: &str, how: &OpenOptions) -> Result<File, SysctlError> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !name.split('/').all(is_plain) || name.contains('\0') {
        return Err(SysctlError::Name { name: name.to_owned() });
    }
    let file =
        how.open(format!("{ROOT}/{name}")).map_err(|source| access(name, "opened", source))?;
    // A file mounted over procfs would swallow the setting unseen (CVE-2019-16884).
    let is_procfs =
        rustix::fs::fstatfs(&file).is_ok_and(|system| system.f_type == PROC_FILE_SYSTEM);
    if is_procfs { Ok(file) } else { Err(SysctlError::NotProcfs { name: name.to_owned() }) }
}

fn access(name: &str, step: &'static str, source: io::Error) -> SysctlError {
    SysctlError::Access { name: name.to_owned(), step, source }
}
