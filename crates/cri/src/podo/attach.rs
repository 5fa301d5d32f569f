//! Attach: a container's own streams as one more client sees them.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::watch;

use super::container::Container;
use super::container_update::not_running;
use super::exec::{next_size, window};
use super::fd_stream::{Input, Kind, Output};
use super::sandbox::Sandbox;
use super::stop_container::ended;
use super::{Node, faults};
use crate::{CriError, ExecStreams, ReadStream, TerminalSize, WriteStream, v1};

impl Node {
    pub(super) async fn attach(
        self: &Arc<Self>,
        request: v1::AttachRequest,
    ) -> Result<ExecStreams, CriError> {
        let (sandbox, container) = self.table.both(&request.container_id)?;
        let is_terminal = container.record.config.as_ref().is_some_and(|config| config.tty);
        let (of, at) = (Arc::clone(&sandbox), Arc::clone(&container));
        let join = move || {
            let runtime = of.runtime.as_ref().filter(|_| at.is_running());
            let runtime = runtime.ok_or_else(|| not_running(&at))?;
            runtime.attach(at.id(), request.stdin).map_err(|error| faults::of_runtime(&error))
        };
        let attached = self.gate.run(join).await?;
        let kind = if is_terminal { Kind::Terminal } else { Kind::Pipe };
        let failed = |error: std::io::Error| CriError::internal(&error);
        let output =
            |fd: Option<OwnedFd>| fd.map(|fd| Output::new(fd, kind)).transpose().map_err(failed);
        let stdin = attached.stdin.map(|fd| Input::new(fd, kind)).transpose().map_err(failed)?;
        let stdout = output(attached.stdout)?.filter(|_| request.stdout || is_terminal);
        let stderr = output(attached.stderr)?.filter(|_| request.stderr);
        let resize = is_terminal.then(|| self.resizer(&sandbox, &container)).transpose()?;
        Ok(ExecStreams {
            stdin: stdin.map(|fd| Box::new(fd) as WriteStream),
            stdout: stdout.map(|fd| Box::new(fd) as ReadStream),
            stderr: stderr.map(|fd| Box::new(fd) as ReadStream),
            resize,
            exit: Box::pin(async move {
                ended(&container).await;
                let end = container.life.borrow().end.clone();
                Ok(end.unwrap_or_default().exit_code)
            }),
        })
    }

    /// Carries sizes of a container's terminal over until the client or the container is gone.
    fn resizer(
        self: &Arc<Self>,
        sandbox: &Arc<Sandbox>,
        container: &Arc<Container>,
    ) -> Result<watch::Sender<TerminalSize>, CriError> {
        let sender = watch::Sender::new(TerminalSize::default());
        let mut sizes = Some(sender.subscribe());
        let (node, sandbox, container) =
            (Arc::clone(self), Arc::clone(sandbox), Arc::clone(container));
        let stop = self.stop_signal()?;
        let name = format!("terminal of container {}", container.id());
        self.spawn(name, async move {
            loop {
                let size = tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    () = ended(&container) => return,
                    size = next_size(&mut sizes) => size,
                };
                let (of, id) = (Arc::clone(&sandbox), container.id().to_owned());
                let set = move || {
                    let Some(runtime) = &of.runtime else { return Ok(()) };
                    runtime.resize(&id, window(size)).map_err(|error| faults::of_runtime(&error))
                };
                if node.gate.run(set).await.is_err() {
                    return;
                }
            }
        });
        Ok(sender)
    }
}
