//! Containers: making, starting, executing in them, joining their streams.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::EventFlags;

use super::births::{Birth, BirthKind, duplicate};
use super::log::{Log, Place};
use super::output::{Output, StreamName};
use super::peers::{Answer, ReplyTo};
use super::sandbox::shm_path;
use super::{Exec, Shim, Source, watch};
use crate::cgroup::{Cgroup, OomWatch};
use crate::error::{At, Fault, FaultKind};
use crate::init::{ContainerPlan, ExecPlan, Report, Streams, Terminals};
use crate::records::{self, CreateRecord, ExitRecord};
use crate::spec::{ContainerSpec, DeviceRule, ExecSpec, PidMode, ProcessSpec, Stdin};
use crate::sys::clone::{self, Child, CloneSpec};
use crate::sys::misc;
use crate::wire::Reply;
use crate::{check, clock, defaults};

/// Further processes of one sandbox at once.
const EXECS_MAX: usize = 256;

/// Containers of one sandbox that are remembered.
const CONTAINERS_MAX: usize = 256;

/// A container as the shim holds it.
pub(super) struct Container {
    /// Until it runs; afterwards it lies on disk only.
    pub(super) spec: Option<Box<ContainerSpec>>,
    pub(super) cgroup: Cgroup,
    pub(super) tty: bool,
    /// It is in the PID namespace of another.
    pub(super) has_target: bool,
    stdin_mode: Stdin,
    pub(super) log: Option<Log>,
    pub(super) outputs: Vec<Output>,
    /// Where its standard input is written: a pipe, or its terminal.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) terminals: Option<Terminals>,
    /// 0 until it runs.
    pub(super) pid: i32,
    pub(super) pidfd: Option<OwnedFd>,
    pub(super) oom: Option<(OomWatch, u64)>,
    pub(super) oom_kills: u64,
    /// Looks still to be taken at the counter, which the kernel raises after its wake-up.
    pub(super) oom_looks: u32,
    pub(super) exit: Option<ExitRecord>,
    pub(super) waiters: Vec<ReplyTo>,
}

impl Container {
    pub(super) fn is_running(&self) -> bool {
        self.pidfd.is_some() && self.exit.is_none()
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Fault> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).at(FaultKind::Kernel, "make a pipe")
}

/// Rules of the device cgroup in their order.
fn device_rules(spec: &ContainerSpec) -> Vec<DeviceRule> {
    if spec.privileged {
        return vec![DeviceRule {
            kind: None,
            major: None,
            minor: None,
            access: "rwm".into(),
            allow: true,
        }];
    }
    let mut rules = defaults::device_rules();
    rules.extend(spec.devices.iter().map(|device| DeviceRule {
        kind: Some(device.kind),
        major: Some(device.major),
        minor: Some(device.minor),
        access: device.access.clone(),
        allow: true,
    }));
    rules.extend(spec.device_rules.iter().cloned());
    rules
}

impl Shim {
    pub(super) fn create_container(&mut self, spec: ContainerSpec) -> Answer {
        check::container(&spec)?;
        let Some(sandbox) = self.sandbox.as_ref().filter(|sandbox| sandbox.is_ready) else {
            return Err(Fault::new(FaultKind::State, "the sandbox is not ready"));
        };
        if self.containers.contains_key(&spec.id) {
            return Err(Fault::new(FaultKind::Exists, format!("container {:?} exists", spec.id)));
        }
        if self.containers.len() >= CONTAINERS_MAX {
            return Err(Fault::new(
                FaultKind::State,
                format!("the sandbox has {CONTAINERS_MAX} containers"),
            ));
        }
        let name = if spec.cgroup.is_empty() { &spec.id } else { &spec.cgroup };
        let cgroup = Cgroup::new(&self.layout, format!("{}/{name}", sandbox.spec.cgroup));
        let log = Place::of(&spec)
            .and_then(|place| place.map(|place| Log::open(place, spec.log_limit)).transpose())
            .at(FaultKind::Kernel, format!("open the log {:?}", spec.log.as_deref()))?;
        let made = cgroup
            .create()
            .and_then(|()| cgroup.set(&spec.resources))
            .and_then(|()| cgroup.set_devices(&device_rules(&spec)))
            .at(FaultKind::Cgroup, format!("make the cgroup {:?}", cgroup.path()));
        let record =
            CreateRecord { version: records::VERSION, spec, created_at_ns: clock::now_ns() };
        let id = record.spec.id.clone();
        let made = made.and_then(|()| {
            self.write_record(&format!("{id}.spec"), &record)
                .at(FaultKind::Kernel, "write the container's record")
        });
        if let Err(fault) = made {
            let _ = cgroup.try_remove();
            return Err(fault);
        }
        let spec = record.spec;
        self.containers.insert(
            id,
            Container {
                cgroup,
                tty: spec.tty,
                has_target: spec.pid_target.is_some(),
                stdin_mode: spec.stdin,
                log,
                outputs: Vec::new(),
                stdin: None,
                terminals: None,
                pid: 0,
                pidfd: None,
                oom: None,
                oom_kills: 0,
                oom_looks: 0,
                exit: None,
                waiters: Vec::new(),
                spec: Some(Box::new(spec)),
            },
        );
        Ok((Reply::Done, Vec::new()))
    }

    pub(super) fn start(&mut self, to: ReplyTo, id: &str) -> Result<(), Fault> {
        let is_pause_alive = self.sandbox.as_ref().is_some_and(|sandbox| sandbox.pause.is_some());
        let container = self.containers.get_mut(id).ok_or_else(|| Fault::missing(id))?;
        let is_fresh =
            container.exit.is_none() && container.pid == 0 && container.terminals.is_none();
        let Some(spec) = container.spec.take().filter(|_| is_fresh && is_pause_alive) else {
            return Err(Fault::new(
                FaultKind::State,
                format!("container {id:?} was started before, or its sandbox has ended"),
            ));
        };
        let begun = self.begin_container(to, id, &spec);
        if let Some(container) = self.containers.get_mut(id) {
            container.spec = Some(spec); // Kept until its process runs.
        }
        begun
    }

    fn begin_container(
        &mut self,
        to: ReplyTo,
        id: &str,
        spec: &ContainerSpec,
    ) -> Result<(), Fault> {
        let user = self.sandbox.as_ref().and_then(|sandbox| sandbox.spec.user_namespace.clone());
        let terminals = Terminals::new(user.as_ref())?;
        let streams = self.connect(
            id,
            spec,
            &terminals,
            user.as_ref().map(crate::spec::UserNamespace::root_ids),
        )?;
        let (child, report) = self.spawn_container(spec, &terminals, streams)?;
        let pid = child.pid.as_raw_nonzero().get();
        if let Some(container) = self.containers.get_mut(id) {
            container.terminals = Some(terminals);
            container.pid = pid;
        }
        self.watch_memory(id);
        self.add_birth(Birth::new(BirthKind::Container(id.to_owned()), Some(to), pid, report))
    }

    /// Makes the streams: their shim's sides are watched, the others are given to the process.
    fn connect(
        &mut self,
        id: &str,
        spec: &ContainerSpec,
        terminals: &Terminals,
        owner: Option<(u32, u32)>,
    ) -> Result<Streams, Fault> {
        let step = "watch the container's output";
        if spec.tty {
            let (master, peer) = terminals.open(None)?;
            let stdin = duplicate(&master).at(FaultKind::Kernel, step)?;
            let output =
                self.add_output(id, StreamName::Stdout, master).at(FaultKind::Kernel, step)?;
            if let Some(container) = self.containers.get_mut(id) {
                (container.stdin, container.outputs) = (Some(stdin), vec![output]);
            }
            return Ok(Streams::Terminal(peer));
        }
        let (stdout, stderr) = (pipe()?, pipe()?);
        let stdin = if spec.stdin == Stdin::Null { None } else { Some(pipe()?) };
        if let Some((uid, gid)) = owner {
            let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
            for end in [Some(&stdout.1), Some(&stderr.1), stdin.as_ref().map(|pipe| &pipe.0)]
                .into_iter()
                .flatten()
            {
                let _ = rustix::fs::fchown(end, Some(uid), Some(gid)); // Only reopening them depends on it.
            }
        }
        let outputs = vec![
            self.add_output(id, StreamName::Stdout, stdout.0).at(FaultKind::Kernel, step)?,
            self.add_output(id, StreamName::Stderr, stderr.0).at(FaultKind::Kernel, step)?,
        ];
        let (stdin_read, stdin_write) = stdin.unzip();
        if let Some(container) = self.containers.get_mut(id) {
            (container.stdin, container.outputs) = (stdin_write, outputs);
        }
        Ok(Streams::Pipes { stdin: stdin_read, stdout: Some(stdout.1), stderr: Some(stderr.1) })
    }

    fn spawn_container(
        &self,
        spec: &ContainerSpec,
        terminals: &Terminals,
        streams: Streams,
    ) -> Result<(Child, OwnedFd), Fault> {
        let gone = || Fault::new(FaultKind::State, "the sandbox has ended");
        let sandbox = self.sandbox.as_ref().ok_or_else(gone)?;
        let pause = sandbox.pause.as_ref().ok_or_else(gone)?;
        let container = self.containers.get(&spec.id).ok_or_else(|| Fault::missing(&spec.id))?;
        let birthplace = container.cgroup.birthplace().at(FaultKind::Cgroup, "open the cgroup")?;
        let (report, child_report) = pipe()?;
        let target = spec.pid_target.as_deref().map(|id| self.first_process(id)).transpose()?;
        let others = target.or(Some(pause).filter(|_| sandbox.spec.pid == PidMode::Sandbox));
        let has_own_pids = sandbox.spec.pid == PidMode::Container && target.is_none();
        let is_mapped = sandbox.user_namespace.is_some();
        let plan = ContainerPlan {
            spec,
            layout: &self.layout,
            cgroup: &container.cgroup,
            is_born_there: birthplace.is_some(),
            pause: pause.as_fd(),
            shared: sandbox.shared(),
            user: sandbox.user(),
            has_own_pids,
            pids: others.filter(|_| is_mapped).map(AsFd::as_fd),
            shm: shm_path(&self.directory, &sandbox.spec),
            terminals,
            streams,
            report: Report(child_report),
        };
        let pids = if has_own_pids && !is_mapped { libc::CLONE_NEWPID } else { 0 };
        let clone = CloneSpec {
            namespaces: pids,
            cgroup: birthplace.as_ref().map(AsFd::as_fd),
            sibling: false,
        };
        let child = self.spawn_among(others.filter(|_| !is_mapped), &clone, || plan.run())?;
        Ok((child, report))
    }

    /// The first process of a container that runs.
    fn first_process(&self, id: &str) -> Result<&OwnedFd, Fault> {
        let container = self.containers.get(id).ok_or_else(|| Fault::missing(id))?;
        let ended = || Fault::new(FaultKind::State, format!("container {id:?} has ended"));
        container.pidfd.as_ref().ok_or_else(ended)
    }

    /// Makes a process in the PID namespace of another.
    fn spawn_among(
        &self,
        others: Option<&OwnedFd>,
        spec: &CloneSpec<'_>,
        body: impl FnOnce() -> i32,
    ) -> Result<Child, Fault> {
        let step = "enter the PID namespace";
        if let Some(others) = others {
            misc::enter(others.as_fd(), libc::CLONE_NEWPID).at(FaultKind::Kernel, step)?;
        }
        let born = clone::spawn(spec, body).at(FaultKind::Kernel, "make a process");
        if others.is_some() {
            // Only where children are made is changed; back is always allowed.
            misc::enter(self.own_pids.as_fd(), libc::CLONE_NEWPID).at(FaultKind::Kernel, step)?;
        }
        born
    }

    /// Without it an end for want of memory is still told from the counter.
    fn watch_memory(&mut self, id: &str) {
        let Some(Ok(Some(oom))) =
            self.containers.get(id).map(|container| container.cgroup.watch_oom())
        else {
            return;
        };
        let flags = if oom.is_v2 { EventFlags::PRI } else { EventFlags::IN };
        oom.take();
        let token = self.token(Source::Oom(id.to_owned()));
        let _ = watch(&self.epoll, oom.fd.as_fd(), token, flags);
        if let Some(container) = self.containers.get_mut(id) {
            container.oom = Some((oom, token));
        }
    }

    pub(super) fn exec(
        &mut self,
        to: ReplyTo,
        spec: &ExecSpec,
        mut descriptors: Vec<OwnedFd>,
    ) -> Result<(), Fault> {
        let container =
            self.containers.get(&spec.container).ok_or_else(|| Fault::missing(&spec.container))?;
        if !container.is_running() || spec.args.is_empty() || self.execs.len() >= EXECS_MAX {
            let message = format!(
                "container {:?} cannot execute: not running, too much running, or no program",
                spec.container
            );
            return Err(Fault::new(FaultKind::State, message));
        }
        let (terminal, streams) = match &container.terminals {
            Some(terminals) if spec.tty => {
                let (master, peer) = terminals.open(spec.size)?;
                (Some(master), Streams::Terminal(peer))
            }
            _ => {
                let mut next =
                    || if descriptors.is_empty() { None } else { Some(descriptors.remove(0)) };
                let stdin = if spec.stdin { next() } else { None };
                (None, Streams::Pipes { stdin, stdout: next(), stderr: next() })
            }
        };
        let process = self.exec_process(spec)?;
        let (child, report) = self.spawn_exec(spec, &process, streams)?;
        let number = self.next_token; // Unique in this shim's life.
        let pid = child.pid.as_raw_nonzero().get();
        let exec = Exec {
            container: spec.container.clone(),
            pid,
            pidfd: child.pidfd,
            terminal,
            peer: to.peer,
        };
        self.execs.insert(number, exec);
        self.add_birth(Birth::new(BirthKind::Exec(number), Some(to), pid, report))
    }

    /// The container's own process with other arguments; its spec is read back from disk.
    fn exec_process(&self, spec: &ExecSpec) -> Result<ProcessSpec, Fault> {
        let record =
            records::read::<CreateRecord>(&self.directory, &format!("{}.spec", spec.container));
        let record = record.at(FaultKind::Kernel, "read the container's record")?;
        let mut process = record.ok_or_else(|| Fault::missing(&spec.container))?.spec.process;
        process.args.clone_from(&spec.args);
        process.env.extend(spec.env.iter().map(Into::into));
        if let Some(cwd) = &spec.cwd {
            process.cwd.clone_from(cwd);
        }
        if let Some(user) = &spec.user {
            process.user.clone_from(user);
        }
        Ok(process)
    }

    fn spawn_exec(
        &self,
        spec: &ExecSpec,
        process: &ProcessSpec,
        streams: Streams,
    ) -> Result<(Child, OwnedFd), Fault> {
        let gone =
            || Fault::new(FaultKind::State, format!("container {:?} has ended", spec.container));
        let sandbox = self.sandbox.as_ref().ok_or_else(gone)?;
        let container = self.containers.get(&spec.container).ok_or_else(gone)?;
        let first = self.first_process(&spec.container)?;
        let birthplace = container.cgroup.birthplace().at(FaultKind::Cgroup, "open the cgroup")?;
        let (report, child_report) = pipe()?;
        let user = if sandbox.user_namespace.is_some() { libc::CLONE_NEWUSER } else { 0 };
        let plan = ExecPlan {
            process,
            cgroup: &container.cgroup,
            is_born_there: birthplace.is_some(),
            container: first.as_fd(),
            namespaces: sandbox.shared() | libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP | user,
            streams,
            report: Report(child_report),
        };
        let clone = CloneSpec {
            namespaces: 0,
            cgroup: birthplace.as_ref().map(AsFd::as_fd),
            sibling: false,
        };
        let pids = Some(first).filter(|_| sandbox.spec.pid != PidMode::Host);
        let child = self.spawn_among(pids, &clone, || plan.run())?;
        Ok((child, report))
    }

    pub(super) fn attach(&mut self, id: &str, wants_stdin: bool) -> Answer {
        let step = "join the container's streams";
        let container = self.containers.get_mut(id).ok_or_else(|| Fault::missing(id))?;
        if container.exit.is_some() {
            return Err(Fault::new(FaultKind::State, format!("container {id:?} has ended")));
        }
        let has_stderr = !container.tty;
        let is_once = container.stdin_mode == Stdin::Once && !container.tty;
        let stdin = match &container.stdin {
            Some(_) if !wants_stdin || container.stdin_mode == Stdin::Null => None,
            // Given away: when the client closes it, the container sees the end.
            Some(_) if is_once => container.stdin.take(),
            Some(stdin) => Some(duplicate(stdin).at(FaultKind::Kernel, step)?),
            None => None,
        };
        let attached = Reply::Attached { stdin: stdin.is_some(), stderr: has_stderr };
        let mut descriptors: Vec<OwnedFd> = stdin.into_iter().collect();
        descriptors.push(self.add_client(id, StreamName::Stdout).at(FaultKind::Kernel, step)?);
        if has_stderr {
            descriptors.push(self.add_client(id, StreamName::Stderr).at(FaultKind::Kernel, step)?);
        }
        Ok((attached, descriptors))
    }

    pub(super) fn reopen_log(&mut self, id: &str) -> Answer {
        let container = self.containers.get_mut(id).ok_or_else(|| Fault::missing(id))?;
        if let Some(log) = &mut container.log {
            log.reopen().at(FaultKind::Kernel, "open the log again")?;
        }
        Ok((Reply::Done, Vec::new()))
    }
}
