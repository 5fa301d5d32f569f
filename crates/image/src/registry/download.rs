//! Layers over the wire: a broken transfer goes on where it broke.

use bytes::Bytes;
use http::{StatusCode, header};
use tokio::sync::mpsc;

use super::error::RegistryError;
use super::http_client::Call;
use super::session::{Place, Session, is_passed_over, text_header};
use crate::manifest::Descriptor;

/// Where a transfer stands.
struct Transfer<'a> {
    wanted: &'a Descriptor,
    sink: &'a mpsc::Sender<Bytes>,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    done: u64,
}

impl Session {
    /// Sends a blob's bytes to `sink`, in order and exactly as many as described. `progress` is told
    /// how many there were so far.
    ///
    /// The receiver verifies the digest. Transfers that break, stall or end early are resumed by range.
    pub async fn blob(
        &self,
        wanted: &Descriptor,
        sink: &mpsc::Sender<Bytes>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), RegistryError> {
        let mut transfer = Transfer { wanted, sink, progress, done: 0 };
        let mut last = RegistryError::NoEndpoint;
        for place in &self.places {
            match self.transfer(place, &mut transfer).await {
                Err(error) if is_passed_over(&error) => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    async fn transfer(
        &self,
        place: &Place,
        transfer: &mut Transfer<'_>,
    ) -> Result<(), RegistryError> {
        let timeouts = &self.client.http.timeouts;
        let (mut pause, mut attempt) = (timeouts.retry, 1);
        loop {
            let before = transfer.done;
            match self.transfer_once(place, transfer).await {
                Err(error) if error.is_worth_retrying() => {
                    if transfer.done > before {
                        (pause, attempt) = (timeouts.retry, 1);
                    }
                    if attempt >= timeouts.attempts {
                        return Err(error);
                    }
                    tracing::debug!(
                        digest = %transfer.wanted.digest, done = transfer.done, attempt,
                        error = %error.chain(), "transfer is resumed"
                    );
                }
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn transfer_once(
        &self,
        place: &Place,
        transfer: &mut Transfer<'_>,
    ) -> Result<(), RegistryError> {
        let wanted = transfer.wanted;
        let mut call = self.blob_call(place, &wanted.digest)?;
        let start = transfer.done;
        if start > 0 {
            call.headers.push((header::RANGE, format!("bytes={start}-")));
        }
        let response = self.send_once(place, call.clone(), &wanted.digest.to_string()).await?;
        let is_partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let range_start = text_header(&response, "content-range").and_then(range_start);
        let announced =
            text_header(&response, "content-length").and_then(|text| text.parse::<u64>().ok());
        let first = if is_partial { range_start.unwrap_or(start) } else { 0 };
        let total = announced.map(|announced| first.saturating_add(announced));
        if first > start || total.is_some_and(|total| total != wanted.size) {
            let got = total.unwrap_or(first);
            return Err(RegistryError::Size {
                expected: wanted.digest.clone(),
                got,
                size: wanted.size,
            });
        }
        // A registry without ranges begins anew: what we have is skipped.
        let skip = start - first;
        self.receive(&call, response.into_body(), skip, transfer).await?;
        if transfer.done < wanted.size {
            let (digest, got, size) = (wanted.digest.clone(), transfer.done, wanted.size);
            return Err(RegistryError::Truncated { digest, got, size });
        }
        Ok(())
    }

    async fn receive(
        &self,
        call: &Call,
        mut body: hyper::body::Incoming,
        mut skip: u64,
        transfer: &mut Transfer<'_>,
    ) -> Result<(), RegistryError> {
        let size = transfer.wanted.size;
        while let Some(mut chunk) = self.client.http.next_chunk(call, &mut body).await? {
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            let fresh = chunk.split_off(skipped);
            skip -= skipped as u64;
            if fresh.is_empty() {
                continue;
            }
            let got = transfer.done + fresh.len() as u64;
            if got > size {
                return Err(RegistryError::Size {
                    expected: transfer.wanted.digest.clone(),
                    got,
                    size,
                });
            }
            transfer.sink.send(fresh).await.map_err(|_| RegistryError::ReceiverGone)?;
            transfer.done = got;
            (transfer.progress)(got);
        }
        Ok(())
    }
}

/// The first position of `bytes first-last/total`.
fn range_start(header: &str) -> Option<u64> {
    header.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
