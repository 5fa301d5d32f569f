//! ExecSync: one more process in a container, its output and its exit code.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::oneshot;

use super::Node;
use super::fd_stream::Output;
use crate::{Code, CriError, v1};

/// Bytes kept of each stream; what comes beyond is read and dropped (CVE-2022-31030). gRPC's messages to a kubelet have at
/// most 16 MiB in all.
const OUTPUT_BYTES_MAX: usize = 8 << 20;

/// What a process that has ended may leave its streams open for: its children may hold them.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

const CHUNK_BYTES: usize = 16 << 10;

impl Node {
    pub(super) async fn exec_sync(
        self: &Arc<Self>,
        request: v1::ExecSyncRequest,
    ) -> Result<v1::ExecSyncResponse, CriError> {
        let limit = u64::try_from(request.timeout).ok().filter(|limit| *limit > 0);
        let limit = limit.map(Duration::from_secs);
        let command = request.cmd.join(" ");
        let running = self.start_process(&request.container_id, request.cmd, false, false).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut exit = running.exit;
        // Dropped before `exit`: the process' task hears of it before it hears that nobody waits.
        let killer = Killer(Some(running.kill));
        let reading = async {
            tokio::join!(collect(running.stdout, &mut stdout), collect(running.stderr, &mut stderr))
        };
        let ending = async {
            tokio::pin!(reading);
            let ended = tokio::select! {
                biased;
                ended = &mut exit => Some(ended),
                _ = &mut reading => None,
            };
            match ended {
                Some(ended) => {
                    let _still_open = tokio::time::timeout(DRAIN_LIMIT, reading).await;
                    ended
                }
                None => (&mut exit).await,
            }
        };
        let ended = match limit {
            None => Ok(ending.await),
            Some(limit) => tokio::time::timeout(limit, ending).await.map_err(|_| limit),
        };
        let ended = ended.map_err(|limit| {
            drop(killer);
            let text = format!("command {command:?} timed out after {}s", limit.as_secs());
            CriError::new(Code::DeadlineExceeded, text)
        })?;
        let exit_code =
            ended.unwrap_or_else(|_| Err(CriError::new(Code::Cancelled, "shutting down")))?;
        Ok(v1::ExecSyncResponse { stdout, stderr, exit_code })
    }
}

/// Kills a process whose output and end nobody waits for any more: at its time limit, or because the one who asked has left.
struct Killer(Option<oneshot::Sender<()>>);

impl Drop for Killer {
    fn drop(&mut self) {
        if let Some(kill) = self.0.take() {
            let _has_ended = kill.send(());
        }
    }
}

/// Reads to the end, keeping the beginning.
async fn collect(stream: Option<Output>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        let room = OUTPUT_BYTES_MAX - kept.len();
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
}
