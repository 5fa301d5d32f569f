//! What is done for each request.

use std::os::fd::{AsFd, OwnedFd};

use super::Shim;
use super::peers::{Answer, ReplyTo};
use crate::error::{At, Fault, FaultKind};
use crate::init;
use crate::records;
use crate::spec::WindowSize;
use crate::sys::misc;
use crate::wire::{Reply, Request};

/// What most requests are answered.
const DONE: (Reply, Vec<OwnedFd>) = (Reply::Done, Vec::new());

impl Shim {
    pub(super) fn request(&mut self, to: ReplyTo, request: Request, descriptors: Vec<OwnedFd>) {
        let answer = match request {
            // These answer themselves, later.
            Request::CreateSandbox(spec) => return self.create_sandbox(to, *spec),
            Request::RemoveContainer { container } => return self.remove(to, container),
            Request::Wait { container } => return self.wait(to, &container),
            Request::Stop => return self.stop_for(to, false),
            Request::Shutdown => return self.stop_for(to, true),
            Request::Start { container } => match self.start(to, &container) {
                Ok(()) => return,
                Err(fault) => Err(fault),
            },
            Request::Exec(spec) => match self.exec(to, &spec, descriptors) {
                Ok(()) => return,
                Err(fault) => Err(fault),
            },
            // These at once.
            Request::CreateContainer(spec) => self.create_container(*spec),
            Request::Kill { container, signal, all } => self.kill(&container, signal, all),
            Request::KillExec { exec, signal } => self.kill_exec(exec, signal),
            Request::Attach { container, stdin } => self.attach(&container, stdin),
            Request::Resize { container, exec, size } => self.resize(&container, exec, size),
            Request::State => self.state(),
            Request::ReopenLog { container } => self.reopen_log(&container),
            Request::Subscribe => {
                if let Some(peer) = self.peers.get_mut(&to.peer) {
                    peer.is_subscriber = true;
                }
                Ok(DONE)
            }
        };
        self.reply(to, answer);
    }

    fn wait(&mut self, to: ReplyTo, id: &str) {
        let answer = match self.containers.get_mut(id) {
            None => Err(Fault::missing(id)),
            Some(container) => {
                let Some(exit) = &container.exit else {
                    // Those that gave up are gone: a caller may wait in short turns.
                    container.waiters.retain(|waiter| self.peers.contains_key(&waiter.peer));
                    return container.waiters.push(to);
                };
                Ok((Reply::Exited(exit.clone()), Vec::new()))
            }
        };
        self.reply(to, answer);
    }

    fn stop_for(&mut self, to: ReplyTo, is_last: bool) {
        self.stops.push((to, is_last));
        self.stop();
    }

    fn kill(&mut self, id: &str, signal: i32, all: bool) -> Answer {
        let container = self.containers.get(id).ok_or_else(|| Fault::missing(id))?;
        if all {
            container.cgroup.kill();
            return Ok(DONE);
        }
        match (&container.pidfd, &container.exit) {
            (Some(pidfd), None) => {
                misc::signal(pidfd.as_fd(), signal)
                    .at(FaultKind::Kernel, format!("send signal {signal} to {id:?}"))?;
                Ok(DONE)
            }
            _ => Err(Fault::new(FaultKind::State, format!("container {id:?} is not running"))),
        }
    }

    fn kill_exec(&mut self, number: u64, signal: i32) -> Answer {
        let missing = || Fault::new(FaultKind::Missing, format!("no process {number}"));
        let exec = self.execs.get(&number).ok_or_else(missing)?;
        misc::signal(exec.pidfd.as_fd(), signal)
            .at(FaultKind::Kernel, format!("send signal {signal}"))?;
        Ok(DONE)
    }

    fn resize(&mut self, id: &str, exec: Option<u64>, size: WindowSize) -> Answer {
        let terminal = match exec {
            Some(number) => self
                .execs
                .get(&number)
                .filter(|exec| exec.container == id)
                .and_then(|exec| exec.terminal.as_ref()),
            None => self
                .containers
                .get(id)
                .filter(|container| container.tty)
                .and_then(|container| container.stdin.as_ref()),
        };
        let terminal = terminal
            .ok_or_else(|| Fault::new(FaultKind::State, format!("{id:?} has no terminal")))?;
        init::resize(terminal.as_fd(), size)?;
        Ok(DONE)
    }

    /// Read from disk, where it is complete.
    fn state(&self) -> Answer {
        let state =
            records::read_sandbox(&self.directory).at(FaultKind::Kernel, "read the records")?;
        let state =
            state.ok_or_else(|| Fault::new(FaultKind::State, "the sandbox is not ready"))?;
        Ok((Reply::State(Box::new(state)), Vec::new()))
    }
}
