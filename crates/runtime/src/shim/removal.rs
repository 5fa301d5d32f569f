//! Removing containers, and the timers of what the kernel gives no event for.

use rustix::event::Timespec;

use super::Shim;
use super::peers::ReplyTo;
use crate::error::{At, Fault, FaultKind};
use crate::sys::misc;
use crate::{clock, records};

/// Between two tries of something that was busy.
const RETRY_MS: i64 = 10;

/// Tries of removing a cgroup: five seconds in all.
const TRIES_MAX: u32 = 500;

/// A container on its way out.
pub(super) struct Removal {
    id: String,
    to: ReplyTo,
    tries: u32,
}

impl Shim {
    pub(super) fn remove(&mut self, to: ReplyTo, id: String) {
        let Some(container) = self.containers.get(&id) else {
            return self.reply(to, Err(Fault::missing(&id)));
        };
        if container.exit.is_none() && container.pid > 0 {
            container.cgroup.kill();
            let _ = misc::kill(container.pid, libc::SIGKILL); // Its child, not reaped: the id is its own.
        }
        self.removals.push(Removal { id, to, tries: 0 });
        self.run_removals();
    }

    fn run_removals(&mut self) {
        for mut removal in std::mem::take(&mut self.removals) {
            let Some(container) = self.containers.get(&removal.id) else {
                self.reply(removal.to, Ok((crate::wire::Reply::Done, Vec::new())));
                continue;
            };
            let is_over = container.exit.is_some() || container.pid == 0;
            let is_removed = is_over && {
                removal.tries += 1;
                container.cgroup.try_remove_tree().unwrap_or(false)
            };
            if is_removed {
                self.forget(removal);
            } else if removal.tries > TRIES_MAX {
                let message = format!("cgroup of container {:?} does not become empty", removal.id);
                self.reply(removal.to, Err(Fault::new(FaultKind::Cgroup, message)));
            } else {
                if is_over {
                    container.cgroup.kill();
                }
                self.removals.push(removal);
            }
        }
    }

    fn forget(&mut self, removal: Removal) {
        let Removal { id, to, .. } = removal;
        self.containers.remove(&id);
        let is_its = |source: &super::Source| match source {
            super::Source::Output(of, _)
            | super::Source::Client(of, _)
            | super::Source::Oom(of) => *of == id,
            _ => false,
        };
        self.sources.retain(|_, source| !is_its(source));
        let removed = records::remove_container(&self.directory, &id);
        let removed = removed.at(FaultKind::Kernel, "remove the container's records");
        self.reply(to, removed.map(|()| (crate::wire::Reply::Done, Vec::new())));
    }

    /// How long to wait for events at most; nothing to come back to means for ever.
    pub(super) fn next_timer(&self) -> Option<Timespec> {
        let is_looking = self.containers.values().any(|container| container.oom_looks > 0);
        let wait_ms = if !self.removals.is_empty() || is_looking {
            RETRY_MS
        } else if self.has_clients_behind() {
            1000
        } else {
            return None;
        };
        Some(Timespec { tv_sec: wait_ms / 1000, tv_nsec: wait_ms % 1000 * 1_000_000 })
    }

    pub(super) fn run_timers(&mut self) {
        if !self.removals.is_empty() {
            self.run_removals();
        }
        let looking = self.containers.iter().filter(|(_, container)| container.oom_looks > 0);
        let looking: Vec<String> = looking.map(|(id, _)| id.clone()).collect();
        for id in looking {
            self.look_for_kills(&id);
        }
        if self.has_clients_behind() {
            self.release_stuck_clients(clock::monotonic_ms());
        }
    }
}
