//! Events: from the shims to the node's state, and from there to whoever listens.
//!
//! One task per living sandbox reads its shim's events. A change of state is made once, by whoever learns of it first (the
//! verb or the event), and told exactly then.

use std::sync::Arc;

use podo_runtime::wire::Event;
use podo_runtime::{Connection, ExitRecord, StartRecord};

use super::container::{Container, end_of, unseen_end};
use super::records::{self, End};
use super::sandbox::Sandbox;
use super::shim_events::Readiness;
use super::{Node, faults, gate, now_ns};
use crate::v1::ContainerEventType;
use crate::{ContainerEvents, CriError, v1};

impl Node {
    /// A new listener.
    pub(super) fn subscribe(&self) -> Result<ContainerEvents, CriError> {
        let events = self.events.lock();
        let events = events.as_ref().map(|events| ContainerEvents::from(events.subscribe()));
        events.ok_or_else(gate::closed)
    }

    /// Tells everybody.
    pub(super) fn publish(&self, id: &str, kind: ContainerEventType, sandbox: &Sandbox) {
        let Some(events) = self.events.lock().clone().filter(|events| events.receiver_count() > 0)
        else {
            return;
        };
        let containers = sandbox.containers();
        let _no_listener = events.send(Arc::new(v1::ContainerEventResponse {
            container_id: id.to_owned(),
            container_event_type: kind as i32,
            created_at: now_ns(),
            pod_sandbox_status: Some(sandbox.status()),
            containers_statuses: containers.iter().map(|container| container.status()).collect(),
        }));
    }

    /// A container runs.
    pub(super) fn container_started(
        &self,
        sandbox: &Sandbox,
        container: &Container,
        start: StartRecord,
    ) {
        let _order = container.order.lock();
        let is_new = container.life.send_if_modified(|life| {
            let is_new = life.started.is_none();
            life.started.get_or_insert(start);
            is_new
        });
        if is_new {
            self.publish(container.id(), ContainerEventType::Started, sandbox);
        }
    }

    /// A container has ended. Its end is kept here as well, since a reboot takes the runtime's records.
    pub(super) fn container_ended(&self, sandbox: &Sandbox, container: &Container, end: &End) {
        let order = container.order.lock();
        let is_new = container.life.send_if_modified(|life| {
            let is_new = life.end.is_none();
            life.end.get_or_insert_with(|| end.clone());
            is_new
        });
        if is_new {
            self.publish(container.id(), ContainerEventType::Stopped, sandbox);
        }
        drop(order);
        if is_new && let Err(error) = records::write_end(&self.container_dir(container.id()), end) {
            tracing::warn!(container = container.id(), %error, "end of a container cannot be kept");
        }
    }

    /// A container's records say how far it is: brings the state up to them.
    pub(super) fn catch_up(&self, sandbox: &Sandbox, container: &Container) {
        let Some(runtime) = &sandbox.runtime else { return };
        let Ok(state) = runtime.container(container.id()) else { return };
        let started_at = state.started.as_ref().map_or(0, |start| start.started_at_ns);
        if let Some(start) = state.started {
            self.container_started(sandbox, container, start);
        }
        if let Some(exit) = state.exited {
            self.container_ended(sandbox, container, &end_of(&exit, started_at));
        }
    }

    fn container_exited(&self, sandbox: &Sandbox, id: &str, exit: &ExitRecord) {
        // One that is not in the table yet or any more: who makes or removes it reads its records.
        let Some(container) = sandbox.containers.lock().get(id).cloned() else { return };
        if exit.start_failure.is_none() && container.life.borrow().started.is_none() {
            return self.catch_up(sandbox, &container); // It ended before its start was answered.
        }
        let started = container.life.borrow().started.as_ref().map(|start| start.started_at_ns);
        self.container_ended(sandbox, &container, &end_of(exit, started.unwrap_or(0)));
    }

    /// The sandbox's own process has ended.
    pub(super) fn sandbox_ended(&self, sandbox: &Sandbox) {
        if sandbox.set_not_ready() {
            self.publish(sandbox.id(), ContainerEventType::Stopped, sandbox);
        }
    }

    /// The shim is gone, and with it every process: what its records do not tell is not known.
    fn shim_is_gone(&self, sandbox: &Sandbox) {
        if sandbox.is_leaving() {
            return;
        }
        tracing::warn!(sandbox = sandbox.id(), "shim of a sandbox has ended unasked");
        for container in sandbox.containers() {
            self.catch_up(sandbox, &container);
            let life = container.life.borrow().clone();
            if life.is_running() {
                let started_at = life.started.map_or(0, |start| start.started_at_ns);
                self.container_ended(sandbox, &container, &unseen_end(started_at));
            }
        }
        self.sandbox_ended(sandbox);
    }

    /// Listens to a living sandbox until it is removed. To be called before its state is read.
    pub(super) fn watch_sandbox(self: &Arc<Self>, sandbox: &Arc<Sandbox>) -> Result<(), CriError> {
        let Some(runtime) = &sandbox.runtime else { return Ok(()) };
        let connection = runtime.events().map_err(|error| faults::of_runtime(&error))?;
        let readiness = Readiness::of(&connection).map_err(|error| CriError::internal(&error))?;
        let stop = self.stop_signal()?;
        let (node, sandbox) = (Arc::clone(self), Arc::clone(sandbox));
        let name = format!("events of sandbox {}", sandbox.id());
        self.spawn(name, async move {
            stop.or(node.listen(&sandbox, connection, &readiness)).await;
        });
        Ok(())
    }

    /// Until the shim ends.
    async fn listen(
        self: &Arc<Self>,
        sandbox: &Arc<Sandbox>,
        mut connection: Connection,
        readiness: &Readiness,
    ) {
        loop {
            let event = readiness.next(&mut connection).await.ok();
            let is_over = event.is_none();
            let (node, of) = (Arc::clone(self), Arc::clone(sandbox));
            let handled = self.gate.run(move || {
                node.handle(&of, event.as_ref());
                Ok(())
            });
            if handled.await.is_err() || is_over {
                return;
            }
        }
    }

    fn handle(&self, sandbox: &Sandbox, event: Option<&Event>) {
        match event {
            Some(Event::ContainerExited { container, exit }) => {
                self.container_exited(sandbox, container, exit);
            }
            Some(Event::SandboxExited { .. }) => self.sandbox_ended(sandbox),
            Some(Event::OutOfMemory { container, kills }) => {
                tracing::info!(container, kills, "kernel killed for want of memory");
            }
            Some(Event::ExecExited { .. } | Event::Unknown) => {}
            None => self.shim_is_gone(sandbox),
        }
    }
}
