//! Exec and attach over SPDY/3.1: a stream for each of the process', named by the header `streamType`.

use std::time::Duration;

use podo_client::websocket::spdy::Headers;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::Node;
use super::super::spdy_session::{self, Entry, Stream, header};
use super::Streams;
use super::process::{ClientEnds, Command};
use super::status::StatusForm;

const V4: &str = "v4.channel.k8s.io";
const V3: &str = "v3.channel.k8s.io";

/// What is spoken on top.
pub(super) const VERSIONS: &[&str] = &[V4, V3, "v2.channel.k8s.io", "channel.k8s.io"];

/// How long the client may take to open its streams (Kubernetes v1.36 `DefaultStreamCreationTimeout`).
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);

const STREAM_TYPE: &str = "streamtype";

/// Runs a command over a connection.
pub(super) async fn run<S>(
    io: S,
    version: &str,
    streams: Streams,
    node: &dyn Node,
    command: Command,
) where
    S: AsyncRead + AsyncWrite,
{
    let has_resize = streams.tty && (version == V4 || version == V3);
    let form = if version == V4 { StatusForm::Json } else { StatusForm::Text };
    let serve = async |mut opened: mpsc::Receiver<Stream>| {
        let collected =
            timeout(CREATION_TIMEOUT, Opened::collect(&mut opened, streams, has_resize)).await;
        let Ok(Some(collected)) = collected else {
            tracing::debug!("the client did not open its streams");
            return;
        };
        let (ends, _entries) = collected.into_ends(form);
        if let Some(ends) = ends {
            command.run(node, ends).await;
        }
    };
    spdy_session::run(io, is_known, serve).await;
}

fn is_known(headers: &Headers) -> bool {
    ["error", "stdin", "stdout", "stderr", "resize"].contains(&header(headers, STREAM_TYPE))
}

/// The streams that the client has opened.
#[derive(Default)]
struct Opened {
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    error: Option<Stream>,
    resize: Option<Stream>,
}

impl Opened {
    /// Waits for all streams that the request speaks of. `None` if the client has gone.
    async fn collect(
        opened: &mut mpsc::Receiver<Stream>,
        streams: Streams,
        has_resize: bool,
    ) -> Option<Self> {
        let mut all = Self::default();
        while !all.is_complete(streams, has_resize) {
            let stream = opened.recv().await?;
            let place = match stream.header(STREAM_TYPE) {
                "stdin" => &mut all.stdin,
                "stdout" => &mut all.stdout,
                "stderr" => &mut all.stderr,
                "resize" => &mut all.resize,
                _ => &mut all.error,
            };
            *place = Some(stream);
        }
        Some(all)
    }

    fn is_complete(&self, streams: Streams, has_resize: bool) -> bool {
        let is_there = |wanted: bool, stream: &Option<Stream>| !wanted || stream.is_some();
        is_there(true, &self.error)
            && is_there(streams.stdin, &self.stdin)
            && is_there(streams.stdout, &self.stdout)
            && is_there(streams.stderr, &self.stderr)
            && is_there(has_resize, &self.resize)
    }

    /// The ends, and what keeps the streams known as long as they are used.
    fn into_ends(self, form: StatusForm) -> (Option<ClientEnds>, Vec<Entry>) {
        let mut entries = Vec::new();
        let mut split = |stream: Option<Stream>| {
            let Stream { inflow, outlet, entry, .. } = stream?;
            entries.push(entry);
            Some((inflow, outlet))
        };
        let (stdin, stdout, stderr) = (split(self.stdin), split(self.stdout), split(self.stderr));
        let (error, resize) = (split(self.error), split(self.resize));
        let ends = error.map(|(_, error)| ClientEnds {
            stdin: stdin.map(|(inflow, _)| inflow),
            stdout: stdout.map(|(_, outlet)| outlet),
            stderr: stderr.map(|(_, outlet)| outlet),
            error,
            resize: resize.map(|(inflow, _)| inflow),
            form,
        });
        (ends, entries)
    }
}
