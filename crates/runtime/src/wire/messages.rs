//! Requests, replies, events.

use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::records::{ExitRecord, SandboxState};
use crate::spec::{ContainerSpec, ExecSpec, SandboxSpec, WindowSize};
use crate::users::Identity;

/// A request with the number that its reply will carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestFrame {
    /// Chosen by the sender, unique on its connection.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// What a server asks of a shim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Once, first: make the namespaces and the pause process.
    CreateSandbox(Box<SandboxSpec>),
    /// Keep a container's spec, make its cgroup, open its log.
    CreateContainer(Box<ContainerSpec>),
    /// Make its process. Answered when its program runs or why it does not.
    Start {
        /// The container.
        container: String,
    },
    /// Signal a container's first process.
    Kill {
        /// The container.
        container: String,
        /// Number.
        signal: i32,
        /// Every process of its cgroup, with SIGKILL.
        all: bool,
    },
    /// One more process. Descriptors: stdin, stdout, stderr for it; or none with a terminal. Answered with the terminal's
    /// master side if there is one; its end comes as [`Event::ExecExited`] on the same connection.
    Exec(Box<ExecSpec>),
    /// Signal such a process.
    KillExec {
        /// Its number.
        exec: u64,
        /// Signal number.
        signal: i32,
    },
    /// Join a container's streams. Answered with descriptors: its stdin to write (if asked and it has one), then its
    /// stdout, then its stderr (not with a terminal) to read.
    Attach {
        /// The container.
        container: String,
        /// Whether standard input is wanted.
        stdin: bool,
    },
    /// Set the size of a container's or a process' terminal.
    Resize {
        /// The container.
        container: String,
        /// One of its further processes instead.
        exec: Option<u64>,
        /// The size.
        size: WindowSize,
    },
    /// Answered when the container has ended.
    Wait {
        /// The container.
        container: String,
    },
    /// Everything known.
    State,
    /// The log was renamed: go on in a new file at the same path.
    ReopenLog {
        /// The container.
        container: String,
    },
    /// Kill what runs of it, forget it, remove its cgroup.
    RemoveContainer {
        /// The container.
        container: String,
    },
    /// Kill all containers and the pause process. Answered when they have ended.
    Stop,
    /// Send events on this connection from now on.
    Subscribe,
    /// Stop, then end the shim. Answered before it ends.
    Shutdown,
}

/// What a shim answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done.
    Done,
    /// The sandbox's pause process; with a descriptor of its network namespace unless that is the host's.
    Sandbox {
        /// Its process id.
        pause_pid: i32,
    },
    /// A container runs.
    Started {
        /// Its process id.
        pid: i32,
        /// As whom.
        identity: Identity,
    },
    /// A further process runs.
    Exec {
        /// Its number.
        exec: u64,
        /// Its process id.
        pid: i32,
    },
    /// Which streams the descriptors are.
    Attached {
        /// The first is standard input.
        stdin: bool,
        /// The last is standard error.
        stderr: bool,
    },
    /// A container has ended.
    Exited(ExitRecord),
    /// Everything known.
    State(Box<SandboxState>),
}

/// What a shim tells without being asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A container ended.
    ContainerExited {
        /// The container.
        container: String,
        /// How.
        exit: ExitRecord,
    },
    /// The kernel killed in a container's cgroup for want of memory.
    OutOfMemory {
        /// The container.
        container: String,
        /// How often since it started.
        kills: u64,
    },
    /// A further process ended (only on the connection that made it).
    ExecExited {
        /// Its number.
        exec: u64,
        /// How.
        exit: ExitRecord,
    },
    /// The pause process ended, and with it the sandbox.
    SandboxExited {
        /// How.
        exit: ExitRecord,
    },
    /// An event that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a shim sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The answer to a request.
    Reply {
        /// The request's number.
        id: u64,
        /// The answer.
        result: Result<Reply, Fault>,
    },
    /// Unasked.
    Event(Event),
}
