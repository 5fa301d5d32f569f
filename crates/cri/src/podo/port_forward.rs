//! PortForward: a connection to a port inside a sandbox.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use podo_network::netns::Netns;

use super::Node;
use crate::{Code, CriError, PortStream};

/// What connecting on a loopback may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

impl Node {
    pub(super) async fn port_forward(
        self: &Arc<Self>,
        sandbox_id: String,
        port: u16,
    ) -> Result<PortStream, CriError> {
        let sandbox = self.table.sandbox(&sandbox_id)?;
        if !sandbox.is_ready() {
            let text = format!("sandbox {sandbox_id:?} is not running");
            return Err(CriError::new(Code::FailedPrecondition, text));
        }
        let dial = move || {
            let connected = match &sandbox.netns {
                None => connect(port),
                Some(path) => {
                    let netns = Netns::open(path).map_err(|error| CriError::internal(&error))?;
                    netns.run(|| connect(port)).map_err(|error| CriError::internal(&error))?
                }
            };
            connected.map_err(|[v4, v6]| {
                let text = format!(
                    "failed to connect to localhost:{port} inside namespace {:?}, IPv4: {v4}, IPv6: {v6}",
                    sandbox.id()
                );
                CriError::new(Code::Unavailable, text)
            })
        };
        let stream = self.gate.run(dial).await?;
        let stream = stream.set_nonblocking(true).and_then(|()| {
            stream.set_nodelay(true)?;
            tokio::net::TcpStream::from_std(stream)
        });
        Ok(Box::new(stream.map_err(|error| CriError::internal(&error))?))
    }
}

/// The calling thread's loopback, IPv4 first; both errors if neither answers.
fn connect(port: u16) -> Result<TcpStream, [io::Error; 2]> {
    let dial = |address: SocketAddr| TcpStream::connect_timeout(&address, CONNECT_LIMIT);
    dial((Ipv4Addr::LOCALHOST, port).into())
        .or_else(|v4| dial((Ipv6Addr::LOCALHOST, port).into()).map_err(|v6| [v4, v6]))
}
