//! How far long work has got: [`Step`]s, which the control socket carries as well, and where they come from.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use podo_image::{ImageService, RunningPull};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;

use crate::control::Answer;

/// How often it is told over the control socket.
const PERIOD: Duration = Duration::from_millis(100);

/// How far something has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// What it is about: an image, a file, a Pod.
    pub what: String,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all; 0 if that is not known.
    pub total: u64,
    /// What it is at, where bytes do not tell.
    pub note: String,
}

impl Step {
    /// Something that only words can tell of.
    pub(crate) fn note(what: impl Into<String>, note: impl Into<String>) -> Self {
        Self { what: what.into(), done: 0, total: 0, note: note.into() }
    }

    /// Whether all bytes are there.
    pub(crate) fn is_whole(&self) -> bool {
        self.total > 0 && self.done == self.total
    }
}

/// How far a pull has got.
fn of_pull(pull: RunningPull) -> Step {
    let sum = pull.sum;
    let note = if sum.layer_count == 0 {
        "asking the registry".to_owned()
    } else if sum.done_bytes == sum.total_bytes {
        format!("unpacking, {} of {} layers", sum.unpacked_count, sum.layer_count)
    } else {
        String::new()
    };
    Step { what: pull.image, done: sum.done_bytes, total: sum.total_bytes, note }
}

/// The pulls that run now.
pub(crate) fn pulls(images: &ImageService) -> Vec<Step> {
    images.running_pulls().into_iter().map(of_pull).collect()
}

/// Runs `work` and sends how far it is meanwhile, as `step` tells; where it ends well, that it is whole.
pub(crate) async fn told<T, E>(
    work: impl Future<Output = Result<T, E>>,
    answers: &Sender<Answer>,
    step: impl Fn() -> Option<Step>,
) -> Result<T, E> {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: Option<Step> = None;
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            biased;
            result = &mut work => break result,
            _ = ticks.tick() => if let Some(step) = step() {
                // A slow reader misses a step, not the work.
                let _full = answers.try_send(Answer::Progress(step.clone()));
                last = Some(step);
            },
        }
    };
    if let Some(last) = last.filter(|last| result.is_ok() && last.total > 0) {
        let whole = Step { done: last.total, note: String::new(), ..last };
        // Who asked may have gone.
        let _gone = answers.send(Answer::Progress(whole)).await;
    }
    result
}

/// A stream that counts what passes.
pub(crate) struct Counted<S> {
    stream: S,
    count: Arc<AtomicU64>,
}

impl<S> Counted<S> {
    /// The stream, counting into `count`.
    pub(crate) fn new(stream: S, count: &Arc<AtomicU64>) -> Self {
        Self { stream, count: Arc::clone(count) }
    }

    fn add(&self, count: usize) -> usize {
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        count
    }
}

impl<S: Read> Read for Counted<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        Ok(self.add(count))
    }
}

impl<S: Write> Write for Counted<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        Ok(self.add(count))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A size as people read it.
pub(crate) fn bytes(count: u64) -> String {
    let mut tenths = u128::from(count) * 10;
    for unit in ["B", "KiB", "MiB"] {
        if tenths < 10_240 {
            return size(tenths, unit);
        }
        tenths /= 1024;
    }
    size(tenths, "GiB")
}

fn size(tenths: u128, unit: &str) -> String {
    match unit {
        "B" => format!("{} B", tenths / 10),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536 * 1024, "1.5 MiB"),
            (1 << 40, "1024.0 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
