//! Processes being made: their reports, until they run their program or have failed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::peers::{Answer, ReplyTo};
use super::{Shim, Source, watch};
use crate::clock;
use crate::error::{At, Fault, FaultKind};
use crate::init::ReportLine;
use crate::records::{ExitRecord, StartRecord};
use crate::sys::misc;
use crate::users::Identity;
use crate::wire::Reply;

/// A report has three short lines; more is nonsense.
const REPORT_BYTES_MAX: usize = 64 << 10;

/// What is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BirthKind {
    Pause,
    Container(String),
    Exec(u64),
}

/// A process that has not yet become its program.
pub(super) struct Birth {
    pub(super) kind: BirthKind,
    pub(super) to: Option<ReplyTo>,
    /// The process that the shim made; of a container in a user namespace only the helper.
    pub(super) pid: i32,
    report: OwnedFd,
    text: Vec<u8>,
    identity: Identity,
    failure: Option<Fault>,
}

impl Birth {
    pub(super) fn new(kind: BirthKind, to: Option<ReplyTo>, pid: i32, report: OwnedFd) -> Self {
        Self {
            kind,
            to,
            pid,
            report,
            text: Vec::new(),
            identity: Identity::default(),
            failure: None,
        }
    }

    /// Reads what has been reported; `true` at its end.
    fn read(&mut self) -> bool {
        let mut chunk = [0_u8; 4096];
        let is_over = loop {
            match rustix::io::read(&self.report, &mut chunk) {
                Ok(0) => break true,
                Ok(count) if self.text.len() + count <= REPORT_BYTES_MAX => {
                    self.text.extend_from_slice(&chunk[..count]);
                }
                Err(Errno::AGAIN) => break false,
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => break true,
            }
        };
        while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.text.drain(..=end).collect();
            match ReportLine::parse(String::from_utf8_lossy(&line).trim_end()) {
                Some(ReportLine::Pid(pid)) => self.pid = pid,
                Some(ReportLine::Identity(identity)) => self.identity = identity,
                Some(ReportLine::Failed(fault)) => self.failure = Some(fault),
                None => {}
            }
        }
        is_over
    }
}

impl Shim {
    pub(super) fn add_birth(&mut self, birth: Birth) -> Result<(), Fault> {
        let step = "watch a process";
        rustix::io::ioctl_fionbio(&birth.report, true).at(FaultKind::Kernel, step)?;
        let token = self.token(Source::Report);
        watch(&self.epoll, birth.report.as_fd(), token, EventFlags::IN)
            .at(FaultKind::Kernel, step)?;
        self.births.insert(token, birth);
        Ok(())
    }

    /// Reads all reports: before an exit is looked at, so that it is known whose it is.
    pub(super) fn read_reports(&mut self) {
        let tokens: Vec<u64> = self.births.keys().copied().collect();
        for token in tokens {
            self.report_ready(token);
        }
    }

    pub(super) fn report_ready(&mut self, token: u64) {
        let Some(birth) = self.births.get_mut(&token) else { return };
        if !birth.read() {
            return;
        }
        let Some(birth) = self.births.remove(&token) else { return };
        self.sources.remove(&token);
        let to = birth.to;
        let answer = match birth.kind.clone() {
            BirthKind::Pause => self.pause_born(birth),
            BirthKind::Container(id) => self.container_born(&id, birth),
            BirthKind::Exec(exec) => self.exec_born(exec, birth),
        };
        if let Some(to) = to {
            self.reply(to, answer);
        }
        misc::trim_heap(); // What making a process took is not needed until the next one.
    }

    fn pause_born(&mut self, birth: Birth) -> Answer {
        let answer = match birth.failure {
            None => self.sandbox_is_born(),
            Some(fault) => Err(fault),
        };
        if answer.is_err() {
            if let Some(pause) = self.sandbox.as_ref().and_then(|sandbox| sandbox.pause.as_ref()) {
                let _ = misc::signal(pause.as_fd(), libc::SIGKILL);
            }
            self.is_ending = true;
        }
        answer
    }

    fn container_born(&mut self, id: &str, birth: Birth) -> Answer {
        let Some(container) = self.containers.get_mut(id) else { return Err(Fault::missing(id)) };
        if let Some(fault) = birth.failure {
            let exit = ExitRecord {
                exit_code: fault.kind.exit_code(),
                start_failure: Some(fault.clone()),
                finished_at_ns: clock::now_ns(),
                ..ExitRecord::default()
            };
            self.container_ended(id, exit);
            return Err(fault);
        }
        container.pid = birth.pid;
        // Its zombie cannot be gone: this process has not reaped it yet.
        let pid = Pid::from_raw(birth.pid)
            .ok_or_else(|| Fault::new(FaultKind::Kernel, "a process without an id"))?;
        container.pidfd =
            Some(pidfd_open(pid, PidfdFlags::empty()).at(FaultKind::Kernel, "hold the process")?);
        container.spec = None;
        let started = StartRecord {
            pid: birth.pid,
            started_at_ns: clock::now_ns(),
            identity: birth.identity.clone(),
        };
        let written = self.write_record(&format!("{id}.start"), &started);
        written.at(FaultKind::Kernel, "write the container's record")?;
        Ok((Reply::Started { pid: birth.pid, identity: birth.identity }, Vec::new()))
    }

    fn exec_born(&mut self, number: u64, birth: Birth) -> Answer {
        if let Some(fault) = birth.failure {
            self.execs.remove(&number);
            return Err(fault);
        }
        let Some(exec) = self.execs.get(&number) else {
            return Err(Fault::new(FaultKind::Missing, "no such process"));
        };
        let mut descriptors = Vec::new();
        if let Some(terminal) = &exec.terminal {
            descriptors.push(duplicate(terminal).at(FaultKind::Kernel, "hand the terminal over")?);
        }
        Ok((Reply::Exec { exec: number, pid: exec.pid }, descriptors))
    }
}

/// Another descriptor of the same open file.
pub(super) fn duplicate(fd: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}
