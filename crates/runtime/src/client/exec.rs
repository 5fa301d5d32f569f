//! Streams of processes, held by the caller.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};

use super::{CALL_LIMIT, Connection};
use crate::error::{RuntimeError, Step};
use crate::records::ExitRecord;
use crate::spec::{ExecSpec, WindowSize};
use crate::wire::{Event, Reply, Request};

/// A further process in a container. Its streams are the caller's: the shim is not between.
///
/// Dropping it closes them; the process goes on as long as it can without them, and the shim forgets it.
#[derive(Debug)]
pub struct ExecHandle {
    /// To write its standard input to, if asked for. Not with a terminal.
    pub stdin: Option<OwnedFd>,
    /// To read its standard output from. Not with a terminal.
    pub stdout: Option<OwnedFd>,
    /// To read its standard error from. Not with a terminal.
    pub stderr: Option<OwnedFd>,
    /// Its terminal, to read and to write.
    pub tty: Option<OwnedFd>,
    container: String,
    number: u64,
    pid: i32,
    connection: Connection,
}

impl ExecHandle {
    pub(super) fn start(directory: &Path, spec: &ExecSpec) -> Result<Self, RuntimeError> {
        let mut connection = Connection::open(directory)?;
        let pipe = || pipe_with(PipeFlags::CLOEXEC).step(|| "make a pipe".into());
        let (mut ours, mut theirs) = ((None, None, None), Vec::new());
        if !spec.tty {
            if spec.stdin {
                let (read, write) = pipe()?;
                ours.0 = Some(write);
                theirs.push(read);
            }
            let (stdout, stderr) = (pipe()?, pipe()?);
            (ours.1, ours.2) = (Some(stdout.0), Some(stderr.0));
            theirs.extend([stdout.1, stderr.1]);
        }
        match connection.call(Request::Exec(Box::new(spec.clone())), theirs, CALL_LIMIT)? {
            (Reply::Exec { exec, pid }, mut descriptors) => Ok(Self {
                stdin: ours.0,
                stdout: ours.1,
                stderr: ours.2,
                tty: descriptors.pop(),
                container: spec.container.clone(),
                number: exec,
                pid,
                connection,
            }),
            _ => Err(RuntimeError::Protocol { what: "another answer than the process".into() }),
        }
    }

    /// Its process id on the host.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its number at the shim.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The connection on which [`Event::ExecExited`] comes.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitRecord, RuntimeError> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.connection.next_event(left)? {
                None => return Err(RuntimeError::TimedOut { limit }),
                Some(Event::ExecExited { exec, exit }) if exec == self.number => return Ok(exit),
                Some(_) => {}
            }
        }
    }

    /// Sends it a signal.
    pub fn kill(&mut self, signal: i32) -> Result<(), RuntimeError> {
        let request = Request::KillExec { exec: self.number, signal };
        self.connection.call(request, Vec::new(), CALL_LIMIT).map(drop)
    }

    /// Sets the size of its terminal.
    pub fn resize(&mut self, size: WindowSize) -> Result<(), RuntimeError> {
        let request =
            Request::Resize { container: self.container.clone(), exec: Some(self.number), size };
        self.connection.call(request, Vec::new(), CALL_LIMIT).map(drop)
    }
}

/// A container's streams as one client sees them.
#[derive(Debug)]
pub struct Attached {
    /// To write its standard input (or terminal) to, if it is open. May be nonblocking.
    pub stdin: Option<OwnedFd>,
    /// To read its standard output, or its terminal, from; ends with the container.
    pub stdout: Option<OwnedFd>,
    /// To read its standard error from. Not with a terminal.
    pub stderr: Option<OwnedFd>,
}

impl Attached {
    /// From a [`Reply::Attached`] and its descriptors.
    pub fn from_parts(stdin: bool, stderr: bool, descriptors: Vec<OwnedFd>) -> Self {
        let mut descriptors = descriptors.into_iter();
        let stdin = if stdin { descriptors.next() } else { None };
        let stdout = descriptors.next();
        Self { stdin, stdout, stderr: if stderr { descriptors.next() } else { None } }
    }
}
