//! `/exec` and `/attach`: a process' streams joined to a client's.
//!
//! Holds always
//! - The status of the end is the last that the client gets, after all output; it gets one whatever happens, also for success.
//! - When the client goes, the process' streams are dropped, which closes them.
//!
//! Not here: how streams travel ([`spdy`], [`websocket`]).

mod process;
pub(crate) mod resize;
mod spdy;
mod status;
mod websocket;

use std::sync::Arc;

use podo_api::Status;
use podo_cri::v1;

use super::authentication::Peer;
use super::handler::{Request, Server};
use super::query::Query;
use super::reply::Response;
use super::route::ContainerPath;
use super::upgrade::{Protocol, Upgrade};
use super::websocket as accepted;
use process::Command;

/// Which streams the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Streams {
    fn of(query: &Query) -> Result<Self, Status> {
        let tty = query.is_one("tty");
        let streams = Self {
            stdin: query.is_one("input"),
            stdout: query.is_one("output"),
            // A terminal has no second output.
            stderr: query.is_one("error") && !tty,
            tty,
        };
        if !streams.stdin && !streams.stdout && !streams.stderr {
            return Err(Status::bad_request(
                "you must specify at least 1 of stdin, stdout, stderr",
            ));
        }
        Ok(streams)
    }
}

/// Runs a process in a container.
pub(super) async fn exec(
    server: &Arc<Server>,
    request: Request,
    peer: &Peer,
    path: &ContainerPath,
    query: &Query,
) -> Result<Response, Status> {
    let streams = Streams::of(query)?;
    let target = server.node.container(&path.namespace, &path.pod, &path.container).await;
    let command = match target {
        Ok(target) => Command::Exec(v1::ExecRequest {
            container_id: target.id,
            cmd: query.all("command").map(str::to_owned).collect(),
            tty: streams.tty,
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
        }),
        Err(why) => refusal(&request, why)?,
    };
    run(server, request, peer, streams, command)
}

/// Joins the streams of a container.
pub(super) async fn attach(
    server: &Arc<Server>,
    request: Request,
    peer: &Peer,
    path: &ContainerPath,
    query: &Query,
) -> Result<Response, Status> {
    let streams = Streams::of(query)?;
    let target = server.node.container(&path.namespace, &path.pod, &path.container).await;
    let command = match target {
        Ok(target) => Command::Attach(v1::AttachRequest {
            container_id: target.id,
            stdin: streams.stdin,
            tty: target.is_tty,
            stdout: streams.stdout,
            stderr: streams.stderr && !target.is_tty,
        }),
        Err(why) => refusal(&request, why)?,
    };
    run(server, request, peer, streams, command)
}

/// How it is told that there is no such container: before the protocol is changed, or where the end is told to who speaks the newest
/// one, whose WebSocket Kubernetes v1.36's API server accepts before it asks the kubelet (`StreamTranslatorHandler`).
fn refusal(request: &Request, why: Status) -> Result<Command, Status> {
    let chosen = accepted::choose(request.headers(), websocket::PROTOCOLS);
    if !accepted::is_requested(request.headers()) || chosen != Ok(Some(websocket::NEWEST)) {
        return Err(why);
    }
    let told = format!("unable to upgrade connection: {}", why.message);
    Ok(Command::Refuse(Box::new(Status::internal(told))))
}

fn run(
    server: &Arc<Server>,
    mut request: Request,
    peer: &Peer,
    streams: Streams,
    command: Command,
) -> Result<Response, Status> {
    let upgrade = Upgrade::of(&mut request, spdy::VERSIONS, websocket::PROTOCOLS)?;
    let (protocol, node) = (upgrade.protocol, Arc::clone(&server.node));
    upgrade.run(server, peer, command.name(), move |connection| async move {
        match protocol {
            Protocol::Spdy(version) => {
                Box::pin(spdy::run(connection, version, streams, &*node, command)).await;
            }
            Protocol::WebSocket(name) => {
                Box::pin(websocket::run(connection, name, streams, &*node, command)).await;
            }
        }
    })
}
