//! Ends: of containers, of further processes, of the pause; and want of memory.

use std::os::fd::AsFd;

use super::Shim;
use super::births::BirthKind;
use crate::clock;
use crate::records::{self, ExitRecord};
use crate::spec::PidMode;
use crate::sys::misc::{self, Ended};
use crate::wire::{Event, Message, Reply};

/// Looks at the counter of kills after a wake-up that came before the kill, ten milliseconds apart.
const OOM_LOOKS: u32 = 20;

impl Shim {
    pub(super) fn children_ended(&mut self) {
        // Any number of children stand behind one signal; its content is of no use.
        let _ = rustix::io::read(&self.signals, &mut [0_u8; 1024]);
        self.read_reports();
        while let Some(ended) = misc::peek_ended() {
            self.child_ended(ended);
            misc::reap(ended.pid); // Only now: what must be on disk is there.
        }
        self.answer_stops();
    }

    fn child_ended(&mut self, ended: Ended) {
        let exit = ExitRecord {
            exit_code: ended.exit_code,
            signal: ended.signal,
            finished_at_ns: clock::now_ns(),
            ..ExitRecord::default()
        };
        if self
            .sandbox
            .as_ref()
            .is_some_and(|sandbox| sandbox.pause.is_some() && sandbox.pause_pid == ended.pid)
        {
            return self.pause_ended(exit);
        }
        if let Some(number) =
            self.execs.iter().find(|(_, exec)| exec.pid == ended.pid).map(|(number, _)| *number)
        {
            if self.births.values().any(|birth| birth.kind == BirthKind::Exec(number)) {
                return; // Its report tells more.
            }
            if let Some(exec) = self.execs.remove(&number) {
                let event = Event::ExecExited { exec: number, exit };
                self.send(exec.peer, &Message::Event(event), Vec::new());
            }
            return;
        }
        let own = self
            .containers
            .iter()
            .find(|(_, container)| container.is_running() && container.pid == ended.pid);
        if let Some(id) = own.map(|(id, _)| id.clone()) {
            self.container_ended(&id, exit);
        }
    }

    /// Writes the record, then tells everyone.
    pub(super) fn container_ended(&mut self, id: &str, mut exit: ExitRecord) {
        self.drain_outputs(id);
        let has_shared_pids =
            self.sandbox.as_ref().is_some_and(|sandbox| sandbox.spec.pid != PidMode::Container);
        let Some(container) = self.containers.get_mut(id) else { return };
        if (has_shared_pids || container.has_target) && exit.start_failure.is_none() {
            container.cgroup.kill(); // With a PID namespace of its own everything has ended with it.
        }
        exit.oom_kills = container.cgroup.oom_kills();
        let has_new_kills = exit.oom_kills > container.oom_kills;
        container.oom_kills = exit.oom_kills;
        container.exit = Some(exit.clone());
        (container.pidfd, container.stdin, container.terminals) = (None, None, None);
        (container.log, container.spec, container.oom_looks) = (None, None, 0);
        let oom = container.oom.take();
        let waiters = std::mem::take(&mut container.waiters);
        if let Some((_, token)) = oom {
            self.sources.remove(&token);
        }
        if let Err(error) = self.write_record(&format!("{id}.exit"), &exit) {
            let text = format!("shim: exit of {id} could not be written: {error}\n");
            let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
        }
        if has_new_kills {
            self.publish(&Event::OutOfMemory { container: id.to_owned(), kills: exit.oom_kills });
        }
        for to in waiters {
            self.reply(to, Ok((Reply::Exited(exit.clone()), Vec::new())));
        }
        self.publish(&Event::ContainerExited { container: id.to_owned(), exit });
    }

    /// Nothing holds the namespaces any more: the sandbox is over, its containers with it.
    fn pause_ended(&mut self, exit: ExitRecord) {
        let Some(sandbox) = &mut self.sandbox else { return };
        sandbox.pause = None;
        if sandbox.is_ready {
            let _ = self.write_record(records::SANDBOX_EXIT, &exit);
        }
        self.kill_containers();
        self.publish(&Event::SandboxExited { exit });
    }

    pub(super) fn kill_containers(&mut self) {
        for container in self
            .containers
            .values()
            .filter(|container| container.exit.is_none() && container.pid > 0)
        {
            container.cgroup.kill();
            if let Some(pidfd) = &container.pidfd {
                let _ = misc::signal(pidfd.as_fd(), libc::SIGKILL);
            }
        }
        for birth in self.births.values() {
            let _ = misc::kill(birth.pid, libc::SIGKILL); // Not reaped yet, so the id is its own.
        }
    }

    /// Ends everything; those who asked are answered when it has ended.
    pub(super) fn stop(&mut self) {
        self.kill_containers();
        if let Some(pause) = self.sandbox.as_ref().and_then(|sandbox| sandbox.pause.as_ref()) {
            let _ = misc::signal(pause.as_fd(), libc::SIGKILL);
        }
        self.answer_stops();
    }

    pub(super) fn answer_stops(&mut self) {
        let is_pause_alive = self.sandbox.as_ref().is_some_and(|sandbox| sandbox.pause.is_some());
        let is_any_running =
            self.containers.values().any(super::Container::is_running) || !self.births.is_empty();
        if is_pause_alive || is_any_running {
            return;
        }
        for (to, is_last) in std::mem::take(&mut self.stops) {
            self.reply(to, Ok((Reply::Done, Vec::new())));
            self.is_ending |= is_last;
        }
    }

    pub(super) fn memory_ran_out(&mut self, id: &str) {
        if let Some(container) = self.containers.get_mut(id) {
            if let Some((watch, _)) = &container.oom {
                watch.take();
            }
            container.oom_looks = OOM_LOOKS;
        }
        self.look_for_kills(id);
    }

    /// Reads the counter of kills; tells if it grew.
    pub(super) fn look_for_kills(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.oom_looks = container.oom_looks.saturating_sub(1);
        let kills = container.cgroup.oom_kills();
        if kills > container.oom_kills {
            container.oom_kills = kills;
            container.oom_looks = 0;
            self.publish(&Event::OutOfMemory { container: id.to_owned(), kills });
        }
    }
}
