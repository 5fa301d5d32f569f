//! The streams of exec and attach (KEP-4006, `v5.channel.k8s.io`): input, output, terminal size, and how the process ended.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use podo_client::websocket::{self, CHANNELS_V5, Channel, StreamError, WebSocket};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::call::refusal_of;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::terminal;
use super::value::Look;

/// The size of a piece of input, as kubectl copies.
const PIECE_BYTES: usize = 32 << 10;
/// How many pieces of input wait for the connection.
const PIECES_MAX: usize = 4;
/// How long output may follow the news of the process's end.
const DRAIN: Duration = Duration::from_secs(2);

/// Where a session's input comes from.
pub(crate) enum Input {
    /// There is none.
    None,
    /// Standard input.
    Process,
    /// Pieces that somebody makes.
    Pieces(mpsc::Receiver<Bytes>),
}

/// What happens in a session.
enum Event {
    Frame(Option<Bytes>),
    Input(Option<Bytes>),
    Resized,
}

/// Opens a stream; a refusal with a `Status` is that fault.
pub(crate) async fn open(ctx: &Ctx, path: &str, protocol: &str) -> Result<WebSocket, Fault> {
    let client = ctx.client().await?;
    websocket::open(client, path, &[protocol]).await.map_err(|error| match error {
        StreamError::Refused { status, body } => match refusal_of(status, &body) {
            Some(status) => Fault::Status(Box::new(status)),
            None => Fault::refused(format!(
                "unable to upgrade connection: {}",
                String::from_utf8_lossy(&body).trim()
            )),
        },
        other => Fault::Stream(other),
    })
}

/// Runs a session to its end. `sink` takes output and error output.
pub(crate) async fn run(
    ctx: &Ctx,
    path: &str,
    input: Input,
    is_tty: bool,
    mut sink: impl AsyncFnMut(Channel, &[u8]) -> Outcome,
) -> Outcome {
    let opened = open(ctx, path, CHANNELS_V5).await;
    let mut socket = opened.map_err(|fault| match fault {
        // Kubectl v1.36 tells the text of a refusal only.
        Fault::Status(status) => {
            Fault::refused(format!("unable to upgrade connection: {}", status.s("/message")))
        }
        fault => fault,
    })?;
    let mut input = match input {
        Input::None => None,
        Input::Process => Some(pump(ctx.take_input())),
        Input::Pieces(pieces) => Some(pieces),
    };
    let raw = is_tty.then(terminal::Raw::enter).transpose();
    let raw = raw.map_err(Fault::io("unable to set the terminal up"))?;
    let mut resizes = is_tty
        .then(|| signal(SignalKind::window_change()))
        .transpose()
        .map_err(Fault::io("unable to watch the terminal's size"))?;
    if is_tty {
        resize(&mut socket).await?;
    }
    let ended = loop {
        let event = tokio::select! {
            biased;
            frame = socket.next() => Event::Frame(frame?),
            piece = next_piece(&mut input) => Event::Input(piece),
            () = next_resize(&mut resizes) => Event::Resized,
        };
        match event {
            Event::Frame(None) => break None,
            Event::Frame(Some(frame)) => {
                if let Some(status) = take(&frame, &mut sink).await? {
                    break Some(status);
                }
            }
            Event::Input(Some(piece)) => socket.send_on(Channel::Stdin, &piece).await?,
            Event::Input(None) => {
                input = None;
                socket.send_on(Channel::Close, &[Channel::Stdin as u8]).await?;
            }
            Event::Resized => resize(&mut socket).await?,
        }
    };
    let drained = async {
        while let Ok(Some(frame)) = socket.next().await {
            take(&frame, &mut sink).await?;
        }
        Ok::<(), Fault>(())
    };
    tokio::time::timeout(DRAIN, drained).await.unwrap_or(Ok(()))?;
    socket.close().await;
    drop(raw);
    ended.map_or(Ok(()), |status| outcome(&status))
}

/// Passes output on; the status, if that is what the frame holds.
async fn take(
    frame: &[u8],
    sink: &mut impl AsyncFnMut(Channel, &[u8]) -> Outcome,
) -> Result<Option<Value>, Fault> {
    let Some((channel, payload)) = frame.split_first() else {
        return Ok(None);
    };
    match *channel {
        1 if !payload.is_empty() => sink(Channel::Stdout, payload).await?,
        2 if !payload.is_empty() => sink(Channel::Stderr, payload).await?,
        3 if !payload.is_empty() => {
            return serde_json::from_slice(payload)
                .map(Some)
                .map_err(|source| Fault::Answer { path: "error stream".into(), source });
        }
        _ => {}
    }
    Ok(None)
}

fn outcome(status: &Value) -> Outcome {
    if status.s("/status") == "Success" {
        return Ok(());
    }
    let causes = status.list("/details/causes").iter();
    let code = causes.clone().find(|cause| cause.s("/reason") == "ExitCode");
    match code.and_then(|cause| cause.s("/message").parse::<u8>().ok()) {
        Some(code) if status.s("/reason") == "NonZeroExitCode" => {
            Err(Fault::Exit { code, text: format!("command terminated with exit code {code}") })
        }
        _ => Err(Fault::refused(status.s("/message"))),
    }
}

async fn resize(socket: &mut WebSocket) -> Outcome {
    if let Some(size) = terminal::size() {
        socket.send_on(Channel::Resize, size.to_string().as_bytes()).await?;
    }
    Ok(())
}

async fn next_piece(input: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}

async fn next_resize(resizes: &mut Option<tokio::signal::unix::Signal>) {
    match resizes {
        Some(resizes) => {
            resizes.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Reads input on a thread of its own, for reading may block; it ends when nobody wants more.
fn pump(mut input: Box<dyn Read + Send>) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(count @ 1..) = input.read(&mut buffer) {
            if sender.blocking_send(Bytes::copy_from_slice(&buffer[..count])).is_err() {
                return;
            }
        }
    });
    receiver
}
