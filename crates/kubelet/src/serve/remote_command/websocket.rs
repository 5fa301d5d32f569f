//! Exec and attach over WebSocket: stdin, stdout, stderr, the end and the terminal's size are channels 0 to 4.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::Node;
use super::super::channels::{Channels, Format};
use super::Streams;
use super::process::{ClientEnds, Command};
use super::status::StatusForm;

/// The newest of what is spoken.
pub(super) const NEWEST: &str = "v5.channel.k8s.io";

/// What is spoken.
pub(super) const PROTOCOLS: &[&str] = &[
    NEWEST,
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

/// Runs a command over a connection that speaks `protocol`; none is the first version in binary.
pub(super) async fn run<S>(
    io: S,
    protocol: Option<&str>,
    streams: Streams,
    node: &dyn Node,
    command: Command,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let protocol = protocol.unwrap_or("channel.k8s.io");
    let has_status = protocol.starts_with("v4.") || protocol.starts_with("v5.");
    let format =
        Format { is_base64: protocol.contains("base64"), has_close: protocol.starts_with("v5.") };
    let mut channels = Channels::new();
    let ends = ClientEnds {
        stdin: streams.stdin.then(|| channels.inflow(STDIN)),
        stdout: streams.stdout.then(|| channels.outlet(STDOUT)),
        stderr: streams.stderr.then(|| channels.outlet(STDERR)),
        error: channels.outlet(ERROR),
        resize: streams.tty.then(|| channels.inflow(RESIZE)),
        form: if has_status { StatusForm::Json } else { StatusForm::Text },
    };
    channels
        .run(io, format, async move {
            // An empty message on the lowest channel says that the connection stands (Kubernetes v1.36 `createWebSocketStreams`).
            let lowest = ends.stdout.as_ref().or(ends.stderr.as_ref()).unwrap_or(&ends.error);
            if lowest.send(Bytes::new()).await.is_ok() {
                command.run(node, ends).await;
            }
        })
        .await;
}
