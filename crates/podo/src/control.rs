//! The control socket: how `podo down` and `podo image` speak to the process that runs the instance.
//!
//! One request a connection, a line of JSON; the answer is lines of JSON, the last of which says how it ended. Only root can open the
//! socket (its directory is 0700, it is 0600).

use std::path::Path;
use std::sync::Arc;

use podo_base::{Stop, StopHandle, Tasks};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::progress::Step;

/// A request is a short line.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;

/// What can be asked of a running instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub(crate) enum Request {
    /// Remove all Pods and end.
    Down,
    /// List images.
    ImageList,
    /// Pull an image.
    ImagePull {
        /// Its name.
        image: String,
    },
    /// Import an archive.
    ImageImport {
        /// Its path.
        path: String,
    },
    /// Export images to an archive.
    ImageExport {
        /// Their names.
        images: Vec<String>,
        /// The path of the archive.
        path: String,
    },
    /// Remove an image.
    ImageRemove {
        /// Its name.
        image: String,
    },
}

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// Something to show.
    Line(String),
    /// How far something has got.
    Progress(Step),
    /// It went well.
    Done,
    /// It did not.
    Failed(String),
}

/// Who carries out requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Carries out a request; whatever is sent before it ends is shown.
    fn handle(
        &self,
        request: Request,
        answers: tokio::sync::mpsc::Sender<Answer>,
    ) -> futures_util::future::BoxFuture<'_, Result<(), String>>;
}

/// After a connection could not be taken, the next attempt.
const ACCEPT_RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// Answers requests until `stop`.
pub(crate) async fn serve(listener: UnixListener, handler: Arc<dyn Handler>, stop: Stop) {
    let mut connections = Tasks::new("control");
    while let Some(accepted) = stop.or(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: the next try fails as well until some are closed.
            stop.sleep(ACCEPT_RETRY).await;
            continue;
        };
        let (handler, stop) = (Arc::clone(&handler), stop.clone());
        connections.spawn("control connection", async move {
            // Who asked may have gone: nothing is left to tell then.
            let _gone = stop.or(converse(stream, handler)).await;
        });
    }
    connections.stop(std::time::Duration::from_secs(1)).await;
}

async fn converse(stream: UnixStream, handler: Arc<dyn Handler>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(REQUEST_BYTES_MAX)).read_line(&mut line).await?;
    let (sender, mut answers) = tokio::sync::mpsc::channel(64);
    let request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => {
            return send(&mut writer, &Answer::Failed(format!("not a request: {error}"))).await;
        }
    };
    let work = handler.handle(request, sender);
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            biased;
            Some(answer) = answers.recv() => send(&mut writer, &answer).await?,
            result = &mut work => break result,
        }
    };
    while let Ok(answer) = answers.try_recv() {
        send(&mut writer, &answer).await?;
    }
    let last = result.map_or_else(Answer::Failed, |()| Answer::Done);
    send(&mut writer, &last).await
}

async fn send(
    writer: &mut (impl tokio::io::AsyncWrite + Unpin),
    answer: &Answer,
) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Opens the socket of this process.
pub(crate) fn listen(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Asks the process of an instance; `None` if none runs. Each answer but the last is given to `show`.
pub(crate) async fn ask(
    path: &Path,
    request: &Request,
    mut show: impl FnMut(Answer),
) -> Option<Result<(), String>> {
    let stream = UnixStream::connect(path).await.ok()?;
    let converse = async {
        let (reader, mut writer) = stream.into_split();
        let mut line = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        line.push(b'\n');
        writer.write_all(&line).await.map_err(|error| error.to_string())?;
        let mut lines = BufReader::new(reader).lines();
        while let Some(line) = lines.next_line().await.map_err(|error| error.to_string())? {
            match serde_json::from_str(&line).map_err(|error| error.to_string())? {
                Answer::Done => return Ok(()),
                Answer::Failed(why) => return Err(why),
                answer => show(answer),
            }
        }
        Err("the running podo went away".to_owned())
    };
    Some(converse.await)
}

/// Says that the process is to end, from inside a handler.
pub(crate) type EndHandle = Arc<StopHandle>;
