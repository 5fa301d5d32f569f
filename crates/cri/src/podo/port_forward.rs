//! PortForward: a connection to a port inside a sandbox.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use podo_network::netns::Netns;
use tokio::net::{TcpSocket, TcpStream};

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
        // A socket belongs to the network that it was made in. Connecting may take its time, which no place at the gate is held
        // for.
        let (of, id) = (Arc::clone(&sandbox), sandbox.id().to_owned());
        let make = move || match &of.netns {
            None => Ok(Sockets::new()),
            Some(path) => {
                let netns = Netns::open(path).map_err(|error| CriError::internal(&error))?;
                netns.run(Sockets::new).map_err(|error| CriError::internal(&error))
            }
        };
        let connected = self.gate.run(make).await?.connect(port).await;
        let stream = connected.map_err(|[v4, v6]| {
            let text = format!(
                "failed to connect to localhost:{port} inside namespace {id:?}, IPv4: {v4}, IPv6: {v6}"
            );
            CriError::new(Code::Unavailable, text)
        })?;
        stream.set_nodelay(true).map_err(|error| CriError::internal(&error))?;
        Ok(Box::new(stream))
    }
}

/// Sockets of one network, one for each version of IP.
struct Sockets {
    v4: io::Result<TcpSocket>,
    v6: io::Result<TcpSocket>,
}

impl Sockets {
    /// Sockets of the calling thread's network.
    fn new() -> Self {
        Self { v4: TcpSocket::new_v4(), v6: TcpSocket::new_v6() }
    }

    /// Connects to the loopback, IPv4 first; both errors if neither answers.
    async fn connect(self, port: u16) -> Result<TcpStream, [io::Error; 2]> {
        let v4 = match dial(self.v4, (Ipv4Addr::LOCALHOST, port).into()).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        dial(self.v6, (Ipv6Addr::LOCALHOST, port).into()).await.map_err(|v6| [v4, v6])
    }
}

async fn dial(socket: io::Result<TcpSocket>, address: SocketAddr) -> io::Result<TcpStream> {
    let connect = async { socket?.connect(address).await };
    let timed_out = |_elapsed| Err(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(CONNECT_LIMIT, connect).await.unwrap_or_else(timed_out)
}
