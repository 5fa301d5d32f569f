//! A clock that goes with tokio's, so that paused time is paused everywhere.

use podo_base::{Clock, Timestamp};
use tokio::time::Instant;

/// The time since the clock was made, added to a fixed date.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    begin: Instant,
}

impl TokioClock {
    /// Second 0 of all such clocks: 2026-01-01T00:00:00Z.
    pub const BEGIN_SECONDS: i64 = 1_767_225_600;

    /// A clock that begins now.
    pub fn new() -> Self {
        Self { begin: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(Self::BEGIN_SECONDS).plus(self.begin.elapsed())
    }

    fn monotonic(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}
