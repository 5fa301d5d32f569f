//! How many connections there are, and when many have gone: then the allocator gives back what they took.
//!
//! An allocator keeps freed memory for later. After ten thousand connections that is half a gigabyte, for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use podo_base::Stop;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Fewer connections than this leave too little memory behind to look for.
const CROWD_MIN: usize = 1_000;

/// How long those that go together take to be gone.
const GOING_TOGETHER: Duration = Duration::from_secs(1);

/// The places of connections.
#[derive(Debug)]
pub(super) struct Crowd {
    slots: Arc<Semaphore>,
    places: usize,
    /// The most connections at a time since memory was last given back.
    peak: AtomicUsize,
    give_back: fn(),
}

impl Crowd {
    pub(super) fn new(places: usize, give_back: fn()) -> Self {
        let slots = Arc::new(Semaphore::new(places));
        Self { slots, places, peak: AtomicUsize::new(0), give_back }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        self.peak.fetch_max(self.present(), Ordering::Relaxed);
        Some(place)
    }

    /// Leaves a place. Who makes half of a crowd gone waits for those that go together with it, and gives back the memory.
    pub(super) async fn leave(&self, place: OwnedSemaphorePermit, stop: &Stop) {
        drop(place);
        if self.has_thinned() && stop.sleep(GOING_TOGETHER).await {
            self.peak.fetch_max(self.present(), Ordering::Relaxed);
            // For half a gigabyte it takes a tenth of a second.
            let _panicked = tokio::task::spawn_blocking(self.give_back).await;
        }
    }

    fn present(&self) -> usize {
        self.places - self.slots.available_permits()
    }

    /// Whether half of a crowd has gone; told to one of those that go.
    fn has_thinned(&self) -> bool {
        let peak = self.peak.load(Ordering::Relaxed);
        peak >= CROWD_MIN
            && self.present() <= peak / 2
            && self.peak.compare_exchange(peak, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use podo_base::Tasks;

    use super::*;

    static GIVEN_BACK: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_once_when_half_of_a_crowd_has_gone() {
        let crowd = Crowd::new(5_000, || {
            GIVEN_BACK.fetch_add(1, Ordering::Relaxed);
        });
        let tasks = Tasks::new("test");
        let stop = tasks.stop_signal();
        let mut places = Vec::new();
        for _ in 0..CROWD_MIN {
            places.push(crowd.enter().await.unwrap());
        }
        for place in places.drain(CROWD_MIN / 2 + 1..) {
            crowd.leave(place, &stop).await;
        }
        assert_eq!(GIVEN_BACK.load(Ordering::Relaxed), 0, "more than half is there");
        let going = places.into_iter().map(|place| crowd.leave(place, &stop));
        futures_util::future::join_all(going).await;
        assert_eq!(GIVEN_BACK.load(Ordering::Relaxed), 1, "all went together");
    }
}
