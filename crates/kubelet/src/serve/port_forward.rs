//! `/portForward`: connections of a client joined to ports inside a Pod.
//!
//! Holds always
//! - Each connection has a stream for its bytes and one for errors; both are closed when it is over, however it ended.
//! - When the client goes, all its connections are dropped.
//!
//! Not here: how a port inside a Pod is reached ([`super::Node::port_forward`]).

mod forward;
mod spdy;
mod websocket;

use std::sync::Arc;

use podo_api::Status;

use super::authentication::Peer;
use super::handler::{Request, Server};
use super::query::Query;
use super::reply::Response;
use super::spdy_session;
use super::upgrade::{Protocol, Upgrade};
use super::websocket::{ByteTunnel, open};

/// What is spoken on top of SPDY.
const SPDY_VERSIONS: &[&str] = &["portforward.k8s.io"];

/// SPDY inside WebSocket messages (KEP-4006).
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// What is spoken in WebSocket messages.
const WEBSOCKET_PROTOCOLS: &[&str] = &[TUNNEL, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"];

/// Forwards to a Pod, which is given by namespace and name.
pub(super) async fn port_forward(
    server: &Arc<Server>,
    mut request: Request,
    peer: &Peer,
    (namespace, pod): (&str, &str),
    query: &Query,
) -> Result<Response, Status> {
    let sandbox = server.node.sandbox(namespace, pod).await?;
    let upgrade = Upgrade::of(&mut request, SPDY_VERSIONS, WEBSOCKET_PROTOCOLS)?;
    let protocol = upgrade.protocol;
    // Only the channels of the older protocol name their ports beforehand.
    let ports = match protocol {
        Protocol::Spdy(_) | Protocol::WebSocket(Some(TUNNEL)) => Vec::new(),
        Protocol::WebSocket(_) => websocket::ports(query)?,
    };
    let target = forward::Target { node: Arc::clone(&server.node), sandbox };
    upgrade.run(server, peer, "port forward", move |connection| async move {
        let serve = |opened| spdy::run(target.clone(), opened);
        match protocol {
            Protocol::Spdy(_) => spdy_session::run(connection, spdy::is_known, serve).await,
            Protocol::WebSocket(Some(TUNNEL)) => {
                let tunnel = ByteTunnel::new(open(connection).await);
                spdy_session::run(tunnel, spdy::is_known, serve).await;
            }
            Protocol::WebSocket(name) => websocket::run(connection, name, &target, &ports).await,
        }
    })
}
