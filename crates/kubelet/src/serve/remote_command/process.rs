//! A process and the client's ends of its streams: what is copied, and what the end is.

use podo_api::Status;
use podo_cri::{CriError, ExecStreams, v1};

use super::super::Node;
use super::super::bytes_queue::{Gone, Inflow, Outlet};
use super::resize;
use super::status::{self, StatusForm};

/// What is to be done.
#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Run a process.
    Exec(v1::ExecRequest),
    /// Join a container's process.
    Attach(v1::AttachRequest),
    /// Nothing can be done, for this reason.
    Refuse(Box<Status>),
}

/// The client's ends.
#[derive(Debug)]
pub(super) struct ClientEnds {
    /// To the process.
    pub(super) stdin: Option<Inflow>,
    /// From the process.
    pub(super) stdout: Option<Outlet>,
    /// From the process.
    pub(super) stderr: Option<Outlet>,
    /// How it ended.
    pub(super) error: Outlet,
    /// The terminal's size.
    pub(super) resize: Option<Inflow>,
    /// How the end is told.
    pub(super) form: StatusForm,
}

impl Command {
    /// What it is called in logs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
            Self::Attach(_) => "attach",
            Self::Refuse(_) => "refusal",
        }
    }

    /// Does it, and tells the client the end.
    pub(super) async fn run(self, node: &dyn Node, ends: ClientEnds) {
        let (error, form) = (ends.error.clone(), ends.form);
        let status = match self {
            Self::Exec(request) => {
                let argv = request.cmd.clone();
                status::of_exec(join(node.exec(request).await, ends).await, &argv)
            }
            Self::Attach(request) => {
                status::of_attach(join(node.attach(request).await, ends).await)
            }
            Self::Refuse(status) => {
                let _gone = tokio::join!(finish(ends.stdout), finish(ends.stderr));
                *status
            }
        };
        let text = status::encode(&status, form);
        // A client that has gone needs no status.
        let _gone = async {
            if !text.is_empty() {
                error.send(text).await?;
            }
            error.finish().await
        }
        .await;
    }
}

/// Copies both ways until the process has ended and its output is through. Gives its exit code.
async fn join(started: Result<ExecStreams, CriError>, ends: ClientEnds) -> Result<i32, CriError> {
    let ClientEnds { stdin, stdout, stderr, resize, .. } = ends;
    let streams = match started {
        Ok(streams) => streams,
        Err(error) => {
            let _gone = tokio::join!(finish(stdout), finish(stderr));
            return Err(error);
        }
    };
    let output =
        async { tokio::join!(copy_out(streams.stdout, stdout), copy_out(streams.stderr, stderr)) };
    let input = async {
        let typed = async {
            if let (Some(from), Some(to)) = (stdin, streams.stdin) {
                from.write_all(to).await;
            }
        };
        let sized = async {
            if let (Some(from), Some(to)) = (resize, streams.resize) {
                resize::follow(from, &to).await;
            }
        };
        tokio::join!(typed, sized);
        // The end of the input is not the end.
        std::future::pending::<()>().await;
    };
    let end = async { tokio::join!(output, streams.exit).1 };
    tokio::select! {
        biased;
        end = end => end,
        () = input => unreachable!("the input waits for ever"),
    }
}

async fn copy_out(from: Option<podo_cri::ReadStream>, to: Option<Outlet>) -> Result<(), Gone> {
    let Some(to) = to else { return Ok(()) };
    if let Some(from) = from {
        to.send_all(from).await?;
    }
    to.finish().await
}

async fn finish(outlet: Option<Outlet>) -> Result<(), Gone> {
    match outlet {
        Some(outlet) => outlet.finish().await,
        None => Ok(()),
    }
}
