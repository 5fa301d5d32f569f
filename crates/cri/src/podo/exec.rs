//! Exec: one more process in a container, with live streams.
//!
//! Its pipes are between it and us; the shim only tells its end. A task of ours waits for that and carries sizes of the
//! terminal over.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use podo_runtime::wire::{Event, Request};
use podo_runtime::{ExecHandle, ExecSpec, RuntimeError, WindowSize};

use super::container_update::not_running;
use super::fd_stream::{Input, Kind, Output};
use super::shim_events::Readiness;
use super::{Node, faults};
use crate::{Code, CriError, ExecStreams, ReadStream, TerminalSize, WriteStream, v1};

/// A process whose end a task of ours waits for.
pub(super) struct Running {
    pub(super) stdin: Option<Input>,
    pub(super) stdout: Option<Output>,
    pub(super) stderr: Option<Output>,
    /// Resolves to its exit code.
    pub(super) exit: oneshot::Receiver<Result<i32, CriError>>,
    /// Its terminal's size.
    pub(super) resize: Option<watch::Sender<TerminalSize>>,
    /// Kills it when told so.
    pub(super) kill: oneshot::Sender<()>,
}

/// What the task of a process waits for.
struct Orders {
    resize: Option<watch::Receiver<TerminalSize>>,
    kill: Option<oneshot::Receiver<()>>,
}

pub(super) fn window(size: TerminalSize) -> WindowSize {
    WindowSize { rows: size.height, columns: size.width }
}

/// Waits for a new size; for ever if there will be none.
pub(super) async fn next_size(resize: &mut Option<watch::Receiver<TerminalSize>>) -> TerminalSize {
    if let Some(receiver) = resize
        && receiver.changed().await.is_ok()
    {
        return *receiver.borrow_and_update();
    }
    *resize = None;
    std::future::pending().await
}

impl Node {
    pub(super) async fn exec(
        self: &Arc<Self>,
        request: v1::ExecRequest,
    ) -> Result<ExecStreams, CriError> {
        if request.tty && request.stderr {
            return Err(CriError::invalid("tty and stderr cannot both be true"));
        }
        let stdin = request.stdin;
        let running = self.start_process(&request.container_id, request.cmd, request.tty, stdin);
        let running = running.await?;
        let exit = async move {
            let ended = running.exit.await;
            ended.unwrap_or_else(|_| Err(CriError::new(Code::Cancelled, "shutting down")))
        };
        Ok(ExecStreams {
            stdin: running.stdin.filter(|_| stdin).map(|fd| Box::new(fd) as WriteStream),
            stdout: running.stdout.map(|fd| Box::new(fd) as ReadStream),
            stderr: running.stderr.map(|fd| Box::new(fd) as ReadStream),
            resize: running.resize,
            exit: Box::pin(exit),
        })
    }

    /// Starts a process; it runs when this answers.
    pub(super) async fn start_process(
        self: &Arc<Self>,
        container_id: &str,
        args: Vec<String>,
        tty: bool,
        stdin: bool,
    ) -> Result<Running, CriError> {
        let (sandbox, container) = self.table.both(container_id)?;
        if args.is_empty() {
            return Err(CriError::invalid("no command to execute"));
        }
        let spec = ExecSpec {
            container: container_id.to_owned(),
            args,
            tty,
            stdin: stdin && !tty,
            env: if tty { vec!["TERM=xterm".to_owned()] } else { Vec::new() },
            ..ExecSpec::default()
        };
        let start = move || {
            let runtime = sandbox.runtime.as_ref().filter(|_| container.is_running());
            let runtime = runtime.ok_or_else(|| not_running(&container))?;
            runtime.exec(&spec).map_err(|error| match error {
                RuntimeError::Refused(fault) => faults::of_start(&fault),
                error => faults::of_runtime(&error),
            })
        };
        let handle = self.gate.run(start).await?;
        self.attend(handle, container_id.to_owned())
    }

    /// Takes a process' streams and waits for its end.
    fn attend(&self, mut handle: ExecHandle, container: String) -> Result<Running, CriError> {
        let failed = |error: std::io::Error| CriError::internal(&error);
        let streams = Streams::take(&mut handle).map_err(failed)?;
        let readiness = Readiness::of(handle.connection()).map_err(failed)?;
        let (mut ended, exit) = oneshot::channel();
        let (kill, killed) = oneshot::channel();
        let resize = streams.is_terminal.then(|| watch::Sender::new(TerminalSize::default()));
        let orders =
            Orders { resize: resize.as_ref().map(watch::Sender::subscribe), kill: Some(killed) };
        let name = format!("process {} in {container}", handle.pid());
        let stop = self.stop_signal()?;
        self.spawn(name, async move {
            // When it is time to stop, or when its client has left, the process goes on and nobody is told of its end.
            let exit = tokio::select! {
                biased;
                exit = stop.or(follow(handle, &container, &readiness, orders)) => exit,
                () = ended.closed() => None,
            };
            if let Some(exit) = exit {
                let _nobody_waits = ended.send(exit);
            }
        });
        let Streams { stdin, stdout, stderr, .. } = streams;
        Ok(Running { stdin, stdout, stderr, exit, resize, kill })
    }
}

/// A process' streams on our side.
struct Streams {
    stdin: Option<Input>,
    stdout: Option<Output>,
    stderr: Option<Output>,
    is_terminal: bool,
}

impl Streams {
    fn take(handle: &mut ExecHandle) -> std::io::Result<Self> {
        if let Some(terminal) = handle.tty.take() {
            let again = terminal.try_clone()?;
            return Ok(Self {
                stdin: Some(Input::new(again, Kind::Terminal)?),
                stdout: Some(Output::new(terminal, Kind::Terminal)?),
                stderr: None,
                is_terminal: true,
            });
        }
        let output = |fd: Option<OwnedFd>| fd.map(|fd| Output::new(fd, Kind::Pipe)).transpose();
        Ok(Self {
            stdin: handle.stdin.take().map(|fd| Input::new(fd, Kind::Pipe)).transpose()?,
            stdout: output(handle.stdout.take())?,
            stderr: output(handle.stderr.take())?,
            is_terminal: false,
        })
    }
}

/// Waits for a process' end and does meanwhile what is ordered.
async fn follow(
    mut handle: ExecHandle,
    container: &str,
    readiness: &Readiness,
    mut orders: Orders,
) -> Result<i32, CriError> {
    let number = handle.number();
    loop {
        let request = tokio::select! {
            biased;
            event = readiness.next(handle.connection()) => match event {
                Ok(Event::ExecExited { exec, exit }) if exec == number => return Ok(exit.exit_code),
                Ok(_) => continue,
                Err(error) => return Err(faults::of_runtime(&error)),
            },
            () = killed(&mut orders.kill) => {
                Request::KillExec { exec: number, signal: SIGKILL }
            }
            size = next_size(&mut orders.resize) => Request::Resize {
                container: container.to_owned(),
                exec: Some(number),
                size: window(size),
            },
        };
        let sent = handle.connection().send(request, Vec::new());
        sent.map_err(|error| faults::of_runtime(&error))?;
    }
}

const SIGKILL: i32 = 9;

/// Waits until it is to be killed; for ever if nobody can say so any more.
async fn killed(kill: &mut Option<oneshot::Receiver<()>>) {
    if let Some(receiver) = kill {
        let is_killed = receiver.await.is_ok();
        *kill = None;
        if is_killed {
            return;
        }
    }
    std::future::pending::<()>().await;
}
