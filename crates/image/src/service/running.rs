//! How far pulls have got: the steps of one summed up over its layers, and those that run now.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Progress, ProgressSink};
use crate::digest::Digest;

/// How far a pull has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullSum {
    /// How many layers the image has; none before that is known.
    pub layer_count: usize,
    /// How many of them are unpacked.
    pub unpacked_count: usize,
    /// Bytes here.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// A pull that runs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningPull {
    /// The image's whole name.
    pub image: String,
    /// How far it has got.
    pub sum: PullSum,
}

/// Sums up the steps of one pull.
#[derive(Debug, Default)]
pub struct PullTally(BTreeMap<Digest, Layer>);

/// How far one layer is.
#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    done_bytes: u64,
    total_bytes: u64,
    is_unpacked: bool,
}

impl PullTally {
    /// Takes note of a step; `false` if it changes nothing of the sum.
    pub fn take(&mut self, step: &Progress) -> bool {
        match step {
            Progress::Layers(sizes) => {
                for (digest, total_bytes) in sizes {
                    self.layer(digest).total_bytes = *total_bytes;
                }
            }
            Progress::Downloading { layer, done_bytes, total_bytes } => {
                let layer = self.layer(layer);
                (layer.done_bytes, layer.total_bytes) = (*done_bytes, *total_bytes);
            }
            Progress::Downloaded(layer) => {
                let layer = self.layer(layer);
                layer.done_bytes = layer.total_bytes;
            }
            Progress::Unpacked(layer) => self.layer(layer).is_unpacked = true,
            Progress::Resolved(_) | Progress::Unpacking(_) => return false,
        }
        true
    }

    fn layer(&mut self, digest: &Digest) -> &mut Layer {
        self.0.entry(digest.clone()).or_default()
    }

    /// The sum over all layers.
    pub fn sum(&self) -> PullSum {
        PullSum {
            layer_count: self.0.len(),
            unpacked_count: self.0.values().filter(|layer| layer.is_unpacked).count(),
            done_bytes: self.0.values().map(|layer| layer.done_bytes).sum(),
            total_bytes: self.0.values().map(|layer| layer.total_bytes).sum(),
        }
    }
}

type Pulls = Arc<Mutex<BTreeMap<u64, (String, PullTally)>>>;

/// The pulls that run now, in the order in which they began.
#[derive(Clone, Default)]
pub(super) struct Running(Pulls);

/// A pull's place among those that run; given up when dropped, however the pull ends.
pub(super) struct Place {
    pulls: Pulls,
    number: u64,
}

impl Running {
    /// A place for a pull of this image.
    pub(super) fn begin(&self, image: String) -> Place {
        let mut pulls = self.0.lock();
        let number = pulls.last_key_value().map_or(0, |(number, _)| number + 1);
        pulls.insert(number, (image, PullTally::default()));
        Place { pulls: Arc::clone(&self.0), number }
    }

    /// All of them.
    pub(super) fn list(&self) -> Vec<RunningPull> {
        let pulls = self.0.lock();
        let running = |(image, tally): &(String, PullTally)| RunningPull {
            image: image.clone(),
            sum: tally.sum(),
        };
        pulls.values().map(running).collect()
    }
}

impl Place {
    /// Hears what `sink` hears.
    pub(super) fn listening(&self, sink: &ProgressSink) -> ProgressSink {
        let (pulls, number, sink) = (Arc::clone(&self.pulls), self.number, Arc::clone(sink));
        Arc::new(move |step| {
            if let Some((_, tally)) = pulls.lock().get_mut(&number) {
                tally.take(&step);
            }
            sink(step);
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pulls.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_is_the_sum_of_its_layers_and_is_listed_until_its_end() {
        let running = Running::default();
        let (first, second) = (running.begin("a".to_owned()), running.begin("b".to_owned()));
        let sink = second.listening(&(Arc::new(|_| {}) as ProgressSink));
        let [a, b] = [Digest::sha256(b"a"), Digest::sha256(b"b")];
        sink(Progress::Resolved(a.clone()));
        sink(Progress::Layers(vec![(a.clone(), 100), (b.clone(), 50)]));
        sink(Progress::Downloading { layer: a, done_bytes: 40, total_bytes: 100 });
        sink(Progress::Downloaded(b.clone()));
        sink(Progress::Unpacked(b));
        let sum = PullSum { layer_count: 2, unpacked_count: 1, done_bytes: 90, total_bytes: 150 };
        let at = |image: &str, sum| RunningPull { image: image.to_owned(), sum };
        assert_eq!(running.list(), [at("a", PullSum::default()), at("b", sum)]);
        drop(first);
        assert_eq!(running.list(), [at("b", sum)]);
        drop(second);
        assert_eq!(running.list(), []);
    }
}
