//! Forwarding over SPDY/3.1: a pair of streams for each connection, told by the headers `streamType`, `port` and `requestID`.

use std::collections::HashMap;
use std::time::Duration;

use podo_base::Tasks;
use podo_client::websocket::spdy::Headers;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::super::spdy_session::{Stream, header};
use super::forward::{Ends, Target};

/// How long the second stream of a pair may take to come (Kubernetes v1.36 `DefaultStreamCreationTimeout`).
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);

const STREAM_TYPE: &str = "streamtype";
const PORT: &str = "port";
const REQUEST_ID: &str = "requestid";
const DATA: &str = "data";
const ERROR: &str = "error";

/// Whether a stream is one of a pair for a port.
pub(super) fn is_known(headers: &Headers) -> bool {
    [DATA, ERROR].contains(&header(headers, STREAM_TYPE)) && port(header(headers, PORT)).is_some()
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// A stream whose other half has not come.
struct Half {
    stream: Stream,
    deadline: Instant,
}

/// Forwards each pair of streams that the client opens. Ends when the client has gone.
pub(super) async fn run(target: Target, mut opened: mpsc::Receiver<Stream>) {
    let mut connections = Tasks::new("port forward");
    let mut halves: HashMap<String, Half> = HashMap::new();
    loop {
        let deadline = halves.values().map(|half| half.deadline).min();
        let expired = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            stream = opened.recv() => {
                let Some(stream) = stream else { return };
                if let Some((data, error)) = pair(&mut halves, stream) {
                    connections.spawn("connection", forward(target.clone(), data, error));
                }
            }
            () = expired => expire(&mut halves).await,
        }
    }
}

/// Joins a stream with the other half of its pair, or keeps it.
fn pair(halves: &mut HashMap<String, Half>, stream: Stream) -> Option<(Stream, Stream)> {
    let id = request_id(&stream);
    match halves.remove(&id) {
        Some(half) if half.stream.header(STREAM_TYPE) != stream.header(STREAM_TYPE) => {
            let is_data = stream.header(STREAM_TYPE) == DATA;
            Some(if is_data { (stream, half.stream) } else { (half.stream, stream) })
        }
        // A second one of the same kind takes the place of the first, which is dropped.
        _ => {
            halves.insert(id, Half { stream, deadline: Instant::now() + CREATION_TIMEOUT });
            None
        }
    }
}

/// Which pair a stream belongs to. Clients that do not say open the stream for errors first, and the next one for data.
fn request_id(stream: &Stream) -> String {
    let said = stream.header(REQUEST_ID);
    if !said.is_empty() {
        return said.to_owned();
    }
    let id =
        if stream.header(STREAM_TYPE) == ERROR { stream.id } else { stream.id.saturating_sub(2) };
    id.to_string()
}

async fn expire(halves: &mut HashMap<String, Half>) {
    let now = Instant::now();
    let ids: Vec<String> =
        halves.iter().filter(|(_, half)| half.deadline <= now).map(|(id, _)| id.clone()).collect();
    for id in ids {
        let Some(Half { stream, .. }) = halves.remove(&id) else { continue };
        // A client that has gone needs no words.
        let _gone = async {
            if stream.header(STREAM_TYPE) == ERROR {
                let text = format!("timed out waiting for streams of request {id}");
                stream.outlet.send(text.into()).await?;
            }
            stream.outlet.finish().await
        }
        .await;
    }
}

async fn forward(target: Target, data: Stream, error: Stream) {
    let Some(port) = port(data.header(PORT)) else { return };
    let Stream { inflow, outlet, reset, entry, .. } = data;
    let ends = Ends { inflow, outlet: outlet.clone(), error: error.outlet.clone() };
    // The client that resets the bytes' stream wants nothing more of this connection.
    if reset.or(target.forward(port, ends)).await.is_none() {
        let _gone = async {
            error.outlet.finish().await?;
            outlet.finish().await
        }
        .await;
    }
    drop(entry);
}
