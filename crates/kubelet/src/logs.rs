//! Logs of containers: reading them as `kubectl logs` does, and following them. The runtime writes and rotates them.
//!
//! Reads     files in CRI's form below the log folder, each line `TIME STREAM TAG TEXT`.
//! Holds always
//! - Files are opened beneath the log folder and through no link: what a container can write decides nothing about what is read.
//! - A reader holds one buffer of bounded size, however long the log or a line is.
//! - Following waits for the kernel's word (inotify), never for time.
//!
//! Not here: whose log it is ([`crate::KubeletHandle::logs`]), serving it.

pub(crate) mod file;
pub(crate) mod line;
mod read;

use podo_base::Timestamp;

pub(crate) use file::tail_text;
pub use read::LogStream;
#[cfg(fuzzing)]
pub(crate) use read::Reader;
pub(crate) use read::Source;

/// What of which log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// The Pod's namespace.
    pub namespace: String,
    /// The Pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Go on when the end is reached, until the container ends.
    pub follow: bool,
    /// The log of the container before the present one.
    pub previous: bool,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Only what was written from then on.
    pub since: Option<Timestamp>,
    /// Only so many lines at the end.
    pub tail_lines: Option<u64>,
    /// At most so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only one of the streams.
    pub stream: LogStreams,
}

/// Which of a container's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogStreams {
    /// Both.
    #[default]
    All,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Why there is no log. The texts are those of Kubernetes v1.36.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The node has no such Pod.
    #[error("pod {name:?} not found")]
    NoPod {
        /// Namespace and name.
        name: String,
    },
    /// The Pod has no such container.
    #[error("container {container:?} not found in pod {pod:?}")]
    NoContainer {
        /// The container.
        container: String,
        /// The Pod.
        pod: String,
    },
    /// The container has not begun.
    #[error("container {container:?} in pod {pod:?} is waiting to start: {why}")]
    Waiting {
        /// The container.
        container: String,
        /// The Pod.
        pod: String,
        /// Why it has not.
        why: String,
    },
    /// The container has not begun and nobody says why.
    #[error("container {container:?} in pod {pod:?} is waiting to start - no logs yet")]
    NoLogsYet {
        /// The container.
        container: String,
        /// The Pod.
        pod: String,
    },
    /// The container ended and left nothing.
    #[error("container {container:?} in pod {pod:?} is terminated")]
    Terminated {
        /// The container.
        container: String,
        /// The Pod.
        pod: String,
    },
    /// The Pod tells nothing of the container, as one that the node refused.
    #[error("container {container:?} in pod {pod:?} is not available")]
    NotAvailable {
        /// The container.
        container: String,
        /// The Pod.
        pod: String,
    },
    /// The runtime has forgotten the container.
    #[error("unable to retrieve container logs for {id}")]
    Gone {
        /// The container's id.
        id: String,
    },
    /// There was none before.
    #[error("previous terminated container {container:?} in pod {pod:?} not found")]
    NoPrevious {
        /// The container.
        container: String,
        /// The Pod.
        pod: String,
    },
    /// The file is not where logs are.
    #[error("log path {0:?} is outside of the node's logs")]
    Outside(std::path::PathBuf),
    /// The file cannot be read.
    #[error("failed to try resolving symlinks in path {path:?}")]
    Open {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests;
