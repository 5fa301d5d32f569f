//! A living sandbox.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::connection::wait_for;
use super::{Attached, CALL_LIMIT, Connection, END_LIMIT, ExecHandle};
use crate::cgroup::{Cgroup, Layout, Stats};
use crate::error::{Fault, FaultKind, RuntimeError, Step};
use crate::records::{self, ContainerState, ExitRecord, SandboxRecord, SandboxState};
use crate::rediscovery;
use crate::spec::{ContainerSpec, ExecSpec, Resources, WindowSize};
use crate::users::Identity;
use crate::wire::{Reply, Request};

/// A living sandbox: the client of its shim. Dropping it leaves the sandbox as it is.
#[derive(Debug)]
pub struct Sandbox {
    directory: PathBuf,
    id: String,
    connection: Mutex<Connection>,
    network: Option<OwnedFd>,
}

fn unexpected<T>() -> Result<T, RuntimeError> {
    Err(RuntimeError::Protocol { what: "an answer to another question".into() })
}

impl Sandbox {
    pub(super) fn created(
        directory: &Path,
        id: &str,
        connection: Connection,
        _pause_pid: i32,
        network: Option<OwnedFd>,
    ) -> Self {
        Self {
            directory: directory.to_owned(),
            id: id.to_owned(),
            connection: Mutex::new(connection),
            network,
        }
    }

    pub(crate) fn reconnected(directory: &Path, id: &str, connection: Connection) -> Self {
        Self {
            directory: directory.to_owned(),
            id: id.to_owned(),
            connection: Mutex::new(connection),
            network: None,
        }
    }

    /// Connects to a sandbox of a run directory.
    pub fn open(run_dir: &Path, id: &str) -> Result<Self, RuntimeError> {
        crate::check::id(id).map_err(RuntimeError::Refused)?;
        let directory = run_dir.join(id);
        Ok(Self::reconnected(&directory, id, Connection::open(&directory)?))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its directory, which is what [`Connection::open`] takes.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its network namespace, if this value made the sandbox and the network is not the host's. The pinned path works at
    /// any time.
    pub fn network(&self) -> Option<BorrowedFd<'_>> {
        self.network.as_ref().map(AsFd::as_fd)
    }

    fn call(&self, request: Request) -> Result<(Reply, Vec<OwnedFd>), RuntimeError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.call(request, Vec::new(), CALL_LIMIT)
    }

    fn done(&self, request: Request) -> Result<(), RuntimeError> {
        match self.call(request)? {
            (Reply::Done, _) => Ok(()),
            _ => unexpected(),
        }
    }

    /// Everything known of it.
    pub fn state(&self) -> Result<SandboxState, RuntimeError> {
        match self.call(Request::State)? {
            (Reply::State(state), _) => Ok(*state),
            _ => unexpected(),
        }
    }

    /// Makes a container: its cgroup, its log. Nothing runs yet.
    pub fn create_container(&self, spec: &ContainerSpec) -> Result<(), RuntimeError> {
        self.done(Request::CreateContainer(Box::new(spec.clone())))
    }

    /// Starts a container; returns when its program runs. A refusal's kind says whether the program was not found, not
    /// allowed, or not executable; the container has then exited with [`FaultKind::exit_code`].
    pub fn start(&self, container: &str) -> Result<(i32, Identity), RuntimeError> {
        match self.call(Request::Start { container: container.to_owned() })? {
            (Reply::Started { pid, identity }, _) => Ok((pid, identity)),
            _ => unexpected(),
        }
    }

    /// Sends a signal to a container's first process.
    pub fn kill(&self, container: &str, signal: i32) -> Result<(), RuntimeError> {
        self.done(Request::Kill { container: container.to_owned(), signal, all: false })
    }

    /// Kills every process of a container.
    pub fn kill_all(&self, container: &str) -> Result<(), RuntimeError> {
        self.done(Request::Kill {
            container: container.to_owned(),
            signal: libc::SIGKILL,
            all: true,
        })
    }

    /// Asks a container to end with its stop signal, and kills it when it has not within `grace`.
    pub fn stop_container(
        &self,
        container: &str,
        grace: Duration,
    ) -> Result<ExitRecord, RuntimeError> {
        let state = self.container(container)?;
        if let Some(exit) = state.exited {
            return Ok(exit);
        }
        let signal = match state.created.spec.stop_signal {
            0 => libc::SIGTERM,
            signal => signal,
        };
        if !grace.is_zero() && self.kill(container, signal).is_ok() {
            match self.wait(container, grace) {
                Err(RuntimeError::TimedOut { .. }) => {}
                ended => return ended,
            }
        }
        self.kill_all(container)?;
        self.wait(container, CALL_LIMIT)
    }

    /// Waits for a container's end, on a connection of its own.
    pub fn wait(&self, container: &str, limit: Duration) -> Result<ExitRecord, RuntimeError> {
        let mut connection = Connection::open(&self.directory)?;
        match connection.call(
            Request::Wait { container: container.to_owned() },
            Vec::new(),
            limit,
        )? {
            (Reply::Exited(exit), _) => Ok(exit),
            _ => unexpected(),
        }
    }

    /// One container's state, from its records.
    pub fn container(&self, container: &str) -> Result<ContainerState, RuntimeError> {
        crate::check::id(container).map_err(RuntimeError::Refused)?;
        let state = records::read_container(&self.directory, container);
        let state = state.step(|| format!("read the records of {container:?}"))?;
        state.ok_or_else(|| RuntimeError::Refused(Fault::missing(container)))
    }

    /// Runs one more process in a container; returns when its program runs.
    pub fn exec(&self, spec: &ExecSpec) -> Result<ExecHandle, RuntimeError> {
        ExecHandle::start(&self.directory, spec)
    }

    /// Joins a container's streams.
    pub fn attach(&self, container: &str, stdin: bool) -> Result<Attached, RuntimeError> {
        match self.call(Request::Attach { container: container.to_owned(), stdin })? {
            (Reply::Attached { stdin, stderr }, descriptors) => {
                Ok(Attached::from_parts(stdin, stderr, descriptors))
            }
            _ => unexpected(),
        }
    }

    /// Sets the size of a container's terminal.
    pub fn resize(&self, container: &str, size: WindowSize) -> Result<(), RuntimeError> {
        self.done(Request::Resize { container: container.to_owned(), exec: None, size })
    }

    /// Goes on with a log in a new file at the same path: after the old one was renamed.
    pub fn reopen_log(&self, container: &str) -> Result<(), RuntimeError> {
        self.done(Request::ReopenLog { container: container.to_owned() })
    }

    /// Kills what runs of a container and forgets it: process, cgroup, records. The log and the layers are the caller's.
    pub fn remove_container(&self, container: &str) -> Result<(), RuntimeError> {
        self.done(Request::RemoveContainer { container: container.to_owned() })
    }

    /// A connection on which events come from now on. What happened before is in [`Self::state`]: subscribe, then read it.
    pub fn events(&self) -> Result<Connection, RuntimeError> {
        let mut connection = Connection::open(&self.directory)?;
        match connection.call(Request::Subscribe, Vec::new(), CALL_LIMIT)? {
            (Reply::Done, _) => Ok(connection),
            _ => unexpected(),
        }
    }

    fn cgroup(&self, container: Option<&str>) -> Result<Cgroup, RuntimeError> {
        let record = records::read::<SandboxRecord>(&self.directory, records::SANDBOX);
        let missing =
            || RuntimeError::Refused(Fault::new(FaultKind::State, "the sandbox is not ready"));
        let sandbox = record.step(|| "read the sandbox's record".into())?.ok_or_else(missing)?.spec;
        let layout = Layout::detect().step(|| "find the cgroups".into())?;
        let Some(container) = container else { return Ok(Cgroup::new(&layout, sandbox.cgroup)) };
        let spec = self.container(container)?.created.spec;
        let name = if spec.cgroup.is_empty() { spec.id } else { spec.cgroup };
        Ok(Cgroup::new(&layout, format!("{}/{name}", sandbox.cgroup)))
    }

    /// What a container uses; `None`: the whole group of the sandbox. Read from the kernel without the shim.
    pub fn stats(&self, container: Option<&str>) -> Result<Stats, RuntimeError> {
        self.cgroup(container)?.stats().step(|| "read the cgroup".into())
    }

    /// Changes limits of a container or of the whole group.
    pub fn update(
        &self,
        container: Option<&str>,
        resources: &Resources,
    ) -> Result<(), RuntimeError> {
        self.cgroup(container)?.set(resources).step(|| "set limits".into())
    }

    /// Stops or continues all processes of a container.
    pub fn freeze(&self, container: &str, freeze: bool) -> Result<(), RuntimeError> {
        self.cgroup(Some(container))?.freeze(freeze).step(|| "freeze the cgroup".into())
    }

    /// Kills all containers and the pause process; returns when they have ended. Records and network stay.
    pub fn stop(&self) -> Result<(), RuntimeError> {
        self.done(Request::Stop)
    }

    /// Stops it, ends its shim, and takes away everything it had, the pinned network included.
    pub fn remove(self) -> Result<(), RuntimeError> {
        let shim = records::read::<SandboxRecord>(&self.directory, records::SANDBOX).ok().flatten();
        // Held before it ends, so that the id cannot have become another process'.
        let shim = shim.and_then(|record| Pid::from_raw(record.shim_pid));
        let pidfd = shim.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        match self.done(Request::Shutdown) {
            Err(RuntimeError::ShimGone { .. }) => {}
            answered => {
                answered?;
                if let Some(pidfd) = pidfd {
                    let ended = wait_for(pidfd.as_fd(), PollFlags::IN, END_LIMIT);
                    if !ended.step(|| "wait for the shim's end".into())? {
                        return Err(RuntimeError::TimedOut { limit: END_LIMIT });
                    }
                }
            }
        }
        let Some(run_dir) = self.directory.parent() else { return Ok(()) };
        rediscovery::purge(run_dir, &self.id)
    }
}
