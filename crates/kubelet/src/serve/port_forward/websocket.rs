//! Forwarding over the older channels: for each port of the query a channel for bytes and one for errors, both of which begin with
//! the port in two bytes, the lower first (Kubernetes v1.36 `portforward/websocket.go`).

use bytes::Bytes;
use podo_api::Status;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::channels::{Channels, Format};
use super::super::query::Query;
use super::forward::{Ends, Target};

/// Ports in one request: two channels each, in one byte that also has other uses.
const PORTS_MAX: usize = 100;

/// The ports that a query names.
pub(super) fn ports(query: &Query) -> Result<Vec<u16>, Status> {
    let mut ports = Vec::new();
    for text in query.all("port").flat_map(|value| value.split(',')) {
        let port: u16 = text.parse().map_err(|error| {
            Status::bad_request(format!("unable to parse {text:?} as a port: {error}"))
        })?;
        if port == 0 {
            return Err(Status::bad_request(format!("port {text:?} must be > 0")));
        }
        ports.push(port);
    }
    if ports.is_empty() {
        return Err(Status::bad_request("query parameter \"port\" is required"));
    }
    if ports.len() > PORTS_MAX {
        return Err(Status::bad_request(format!("at most {PORTS_MAX} ports can be forwarded")));
    }
    Ok(ports)
}

/// Forwards to the ports until all their connections are over.
pub(super) async fn run<S>(io: S, protocol: Option<&str>, target: &Target, ports: &[u16])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let format = Format {
        is_base64: protocol.is_some_and(|name| name.contains("base64")),
        has_close: false,
    };
    let mut channels = Channels::new();
    let mut forwards = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let Ok(data) = u8::try_from(index * 2) else { break };
        let ends = Ends {
            inflow: channels.inflow(data),
            outlet: channels.outlet(data),
            error: channels.outlet(data + 1),
        };
        forwards.push(async move {
            let begun = Bytes::copy_from_slice(&port.to_le_bytes());
            if ends.outlet.send(begun.clone()).await.is_ok() && ends.error.send(begun).await.is_ok()
            {
                target.forward(*port, ends).await;
            }
        });
    }
    channels
        .run(io, format, async move {
            futures_util::future::join_all(forwards).await;
        })
        .await;
}
