//! Errors: what callers get, and how a step's failure travels from a container's init to them.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a call of this crate did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The shim, or the process that it was making, refused.
    #[error("{0}")]
    Refused(Fault),
    /// The sandbox's shim is not running; what it left is read by [`crate::list`].
    #[error("sandbox {sandbox:?} has no living shim")]
    ShimGone {
        /// Its directory.
        sandbox: PathBuf,
        /// What showed it.
        #[source]
        source: io::Error,
    },
    /// No answer in time; the call may still take effect.
    #[error("no answer from the shim within {}s", limit.as_secs_f32())]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The other side speaks another version or sends what is not a message.
    #[error("the shim's protocol was broken: {what}")]
    Protocol {
        /// What was wrong.
        what: Cow<'static, str>,
    },
    /// A run directory is not private to root (CVE-2020-15257, CVE-2024-25621).
    #[error("run directory {path:?} must be a directory that only root can use")]
    RunDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A sandbox of this id exists.
    #[error("sandbox {id:?} exists")]
    Exists {
        /// Its id.
        id: String,
    },
    /// A system call on the caller's side.
    #[error("{step}")]
    Io {
        /// What was being done.
        step: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl RuntimeError {
    /// The kind of a refusal.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Refused(fault) => Some(fault),
            _ => None,
        }
    }
}

/// What the shim or a process being made could not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// For deciding.
    pub kind: FaultKind,
    /// For people, the cause included.
    pub message: String,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The request makes no sense: a bad name, path or number.
    Invalid,
    /// No such container or process.
    Missing,
    /// It exists already.
    Exists,
    /// Not possible in the state that it is in.
    State,
    /// The program is not in `$PATH`, or its path does not exist.
    ProgramNotFound,
    /// The program may not be executed.
    ProgramPermission,
    /// The kernel cannot execute a file of that format.
    ProgramFormat,
    /// The working directory cannot be entered.
    WorkingDirectory,
    /// The user or group is not in the image.
    User,
    /// A mount or a path of the container's root.
    Mount,
    /// A cgroup or a limit.
    Cgroup,
    /// Another system call.
    Kernel,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl FaultKind {
    /// Exit code that shells and runtimes give to a process that could not be started for this reason.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::ProgramNotFound => 127,
            Self::ProgramPermission | Self::ProgramFormat => 126,
            _ => 128,
        }
    }
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn missing(container: &str) -> Self {
        Self::new(FaultKind::Missing, format!("no container {container:?}"))
    }
}

/// Names the step at which a system call failed.
pub(crate) trait At<T> {
    /// Inside the shim and its children.
    fn at(self, kind: FaultKind, step: impl Into<Cow<'static, str>>) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, kind: FaultKind, step: impl Into<Cow<'static, str>>) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(kind, format!("{}: {}", step.into(), plain(&error.into()))))
    }
}

/// Names the step at which a system call of the caller's side failed.
pub(crate) trait Step<T> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, RuntimeError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, RuntimeError> {
        self.map_err(|error| RuntimeError::Io { step: step(), source: error.into() })
    }
}

/// An error's text in lower case without Rust's `(os error N)`: `no such file or directory`.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
