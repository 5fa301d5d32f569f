//! Two connections that have become one.

use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf, copy, split};

/// How long either side may take to hand its connection over, and to take leave.
const HANDOVER: Duration = Duration::from_secs(10);

/// Copies both ways until either side ends, then ends the other. Each way holds one buffer.
pub(super) async fn join(client: OnUpgrade, node: OnUpgrade) {
    let upgraded = tokio::time::timeout(HANDOVER, async { tokio::try_join!(client, node) }).await;
    let Ok(Ok((client, node))) = upgraded else {
        tracing::debug!("one side of a stream went before it began");
        return;
    };
    let ((mut from_client, mut to_client), (mut from_node, mut to_node)) =
        (halves(client), halves(node));
    tokio::select! {
        biased;
        // What the node said last is with the client when this ends. A side that breaks ends the stream like one that closes.
        _ended = copy(&mut from_node, &mut to_client) => {}
        _ended = copy(&mut from_client, &mut to_node) => {}
    }
    let _leave = tokio::time::timeout(HANDOVER, async {
        tokio::join!(to_client.shutdown(), to_node.shutdown())
    })
    .await;
}

fn halves(upgraded: Upgraded) -> (ReadHalf<TokioIo<Upgraded>>, WriteHalf<TokioIo<Upgraded>>) {
    split(TokioIo::new(upgraded))
}
