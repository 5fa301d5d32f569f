//! One connection to a port inside a Pod, joined to the client's ends.

use std::sync::Arc;
use std::time::Duration;

use podo_cri::PortStream;

use super::super::Node;
use super::super::bytes_queue::{Inflow, Outlet};

/// How long a port may take to accept.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Where ports are.
#[derive(Clone)]
pub(super) struct Target {
    /// Who reaches them.
    pub(super) node: Arc<dyn Node>,
    /// The Pod's sandbox.
    pub(super) sandbox: String,
}

/// The client's ends of one connection.
pub(super) struct Ends {
    /// To the port.
    pub(super) inflow: Inflow,
    /// From the port.
    pub(super) outlet: Outlet,
    /// What went wrong.
    pub(super) error: Outlet,
}

impl Target {
    /// Connects, copies both ways until the port has closed its side, and closes the client's ends. What goes wrong is told on the
    /// error end.
    pub(super) async fn forward(&self, port: u16, ends: Ends) {
        let Ends { inflow, outlet, error } = ends;
        let told = match self.dial(port).await {
            Ok(connection) => {
                join(connection, inflow, &outlet).await;
                None
            }
            Err(why) => {
                drop(inflow);
                Some(format!("error forwarding port {port} to pod {}, uid : {why}", self.sandbox))
            }
        };
        // A client that has gone needs no words.
        let _gone = async {
            if let Some(text) = told {
                error.send(text.into()).await?;
            }
            error.finish().await?;
            outlet.finish().await
        }
        .await;
    }

    async fn dial(&self, port: u16) -> Result<PortStream, String> {
        let dialled =
            tokio::time::timeout(DIAL_TIMEOUT, self.node.port_forward(self.sandbox.clone(), port))
                .await;
        match dialled {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("dial tcp4 127.0.0.1:{port}: i/o timeout")),
        }
    }
}

/// Copies until the port sends no more. The end of what the client sends is told to the port, which may still answer.
async fn join(connection: PortStream, inflow: Inflow, outlet: &Outlet) {
    let (from, to) = tokio::io::split(connection);
    let upload = async {
        inflow.write_all(to).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        _ended = outlet.send_all(from) => {}
        () = upload => {}
    }
}
