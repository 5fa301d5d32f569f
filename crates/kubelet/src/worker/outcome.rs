//! What came of something that a [`super::machine::Machine`] commanded.

use std::time::Duration;

use podo_base::Timestamp;

use super::actuate::Changed;
use crate::status::Waiting;

/// What came of a command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// Volumes were set up, or not.
    Volumes { refresh_at: Option<Timestamp>, is_ok: bool },
    /// A sandbox was made, or not: the runtime says which.
    Sandbox,
    /// Old sandboxes were stopped, all or some.
    SandboxesStopped { ids: Vec<String>, is_ok: bool },
    /// All containers were removed, or not.
    AllRemoved { is_ok: bool },
    /// A container was started, or not.
    Started { name: String, failure: Option<StartFailure> },
    /// A container was stopped, or not.
    Stopped { id: String, is_ok: bool },
    /// Sandboxes and volumes are gone, or not.
    CleanedUp { is_ok: bool },
    /// Every trace is gone, or not.
    Removed { is_ok: bool },
    /// The API object was told to go, or not.
    Confirmed { is_ok: bool },
    /// What the Pod was given is in force, or not, or not all.
    Resized(Changed),
}

/// Why a container could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartFailure {
    /// What to show.
    pub(crate) waiting: Waiting,
    /// When to try again.
    pub(crate) retry_in: Duration,
    /// What to show after a while.
    pub(crate) later: Option<Waiting>,
}
