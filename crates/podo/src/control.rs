//! The control socket: how `podo down` and `podo image` speak to the process that runs the instance.
//!
//! One request a connection, a line of JSON; the answer is lines of JSON, the last of which says how it ended. Only root can open the
//! socket (its directory is 0700, it is 0600).

use std::io::ErrorKind::{ConnectionRefused, NotFound};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podo_base::{Stop, StopHandle, Tasks};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::MissedTickBehavior;

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
    /// Nothing yet: it is being worked on.
    Working,
    /// It went well.
    Done,
    /// It did not.
    Failed(String),
}

/// How often is told that a request is being worked on.
const ALIVE: Duration = Duration::from_secs(5);

/// How long a process may say nothing to who asked it: six times [`ALIVE`].
const SILENCE: Duration = Duration::from_secs(30);

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
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

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
    connections.stop(Duration::from_secs(1)).await;
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
    let mut alive = tokio::time::interval(ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let result = loop {
        tokio::select! {
            biased;
            Some(answer) = answers.recv() => send(&mut writer, &answer).await?,
            result = &mut work => break result,
            _ = alive.tick() => send(&mut writer, &Answer::Working).await?,
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
        Err(error) if error.kind() != NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Asks the process of an instance; `None` if none runs. Each answer but the last is given to `show`. It may take as long as it
/// takes, but not be silent.
pub(crate) async fn ask(
    path: &Path,
    request: &Request,
    mut show: impl FnMut(Answer),
) -> Option<Result<(), String>> {
    let silent = |_| format!("the running podo has said nothing for {} s", SILENCE.as_secs());
    let stream = match tokio::time::timeout(SILENCE, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => stream,
        // No process, or one that left its socket behind.
        Ok(Err(error)) if matches!(error.kind(), NotFound | ConnectionRefused) => return None,
        Ok(Err(error)) => return Some(Err(format!("the running podo cannot be asked: {error}"))),
        Err(elapsed) => return Some(Err(silent(elapsed))),
    };
    let converse = async {
        let (reader, mut writer) = stream.into_split();
        let mut line = serde_json::to_vec(request).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let sent = tokio::time::timeout(SILENCE, writer.write_all(&line)).await.map_err(silent)?;
        sent.map_err(|error| error.to_string())?;
        let mut lines = BufReader::new(reader).lines();
        loop {
            let next = tokio::time::timeout(SILENCE, lines.next_line()).await.map_err(silent)?;
            let Some(line) = next.map_err(|error| error.to_string())? else { break };
            match serde_json::from_str(&line).map_err(|error| error.to_string())? {
                Answer::Done => return Ok(()),
                Answer::Failed(why) => return Err(why),
                Answer::Working => {}
                answer => show(answer),
            }
        }
        Err("the running podo went away".to_owned())
    };
    Some(converse.await)
}

/// Says that the process is to end, from inside a handler.
pub(crate) type EndHandle = Arc<StopHandle>;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Takes so long for everything.
    struct Slow(Duration);

    impl Handler for Slow {
        fn handle(
            &self,
            _: Request,
            answers: tokio::sync::mpsc::Sender<Answer>,
        ) -> futures_util::future::BoxFuture<'_, Result<(), String>> {
            async move {
                tokio::time::sleep(self.0).await;
                answers.send(Answer::Line("here".to_owned())).await.expect("somebody listens");
                Ok(())
            }
            .boxed()
        }
    }

    async fn asked(path: &Path) -> (Option<Result<(), String>>, Vec<Answer>) {
        let mut shown = Vec::new();
        let result = ask(path, &Request::ImageList, |answer| shown.push(answer)).await;
        (result, shown)
    }

    #[tokio::test(start_paused = true)]
    async fn who_works_long_is_waited_for_and_who_says_nothing_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        assert_eq!(asked(&path).await, (None, vec![]), "nobody runs");
        let listener = listen(&path).expect("bound");
        let mut tasks = Tasks::new("test");
        let slow = Arc::new(Slow(Duration::from_secs(3600)));
        tasks.spawn("slow", serve(listener, slow, tasks.stop_signal()));
        assert_eq!(asked(&path).await, (Some(Ok(())), vec![Answer::Line("here".to_owned())]));
        tasks.stop(Duration::from_secs(1)).await;
        assert_eq!(asked(&path).await, (None, vec![]), "it left its socket behind");
        let _deaf = listen(&path).expect("bound");
        let silent = Some(Err("the running podo has said nothing for 30 s".to_owned()));
        assert_eq!(asked(&path).await, (silent, vec![]));
    }
}
