//! Exponential back-off: how long to wait before trying the same thing again.

use std::time::{Duration, Instant};

/// The shape of a back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// The first wait.
    pub initial: Duration,
    /// The longest wait; each wait doubles the last up to this.
    pub maximum: Duration,
    /// After so long without a failure the next wait is the first again.
    pub reset_after: Duration,
}

/// The state of one thing's back-off.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    policy: BackoffPolicy,
    last: Option<(Instant, Duration)>,
}

impl Backoff {
    /// A back-off in which nothing has failed yet.
    pub const fn new(policy: BackoffPolicy) -> Self {
        Self { policy, last: None }
    }

    /// Notes a failure at `now` and returns how long to wait from then.
    pub fn fail(&mut self, now: Instant) -> Duration {
        let wait = match self.last {
            Some((at, wait))
                if now.saturating_duration_since(at) < wait + self.policy.reset_after =>
            {
                (wait * 2).min(self.policy.maximum)
            }
            _ => self.policy.initial,
        };
        self.last = Some((now, wait));
        wait
    }

    /// How much of the current wait is left at `now`; zero when it is over or nothing failed.
    pub fn remaining(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |(at, wait)| (at + wait).saturating_duration_since(now))
    }

    /// The length of the current wait; zero when nothing failed yet.
    pub fn current(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |(_, wait)| wait)
    }

    /// Forgets all failures.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackoffPolicy = BackoffPolicy {
        initial: Duration::from_secs(10),
        maximum: Duration::from_secs(300),
        reset_after: Duration::from_secs(600),
    };

    #[test]
    fn waits_double_up_to_the_maximum_and_start_over_after_a_quiet_time() {
        let mut backoff = Backoff::new(POLICY);
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..7 {
            let wait = backoff.fail(now);
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
        now += Duration::from_secs(601);
        assert_eq!(backoff.fail(now).as_secs(), 10);
    }

    #[test]
    fn what_remains_shrinks_to_nothing() {
        let mut backoff = Backoff::new(POLICY);
        let now = Instant::now();
        assert_eq!(backoff.remaining(now), Duration::ZERO);
        backoff.fail(now);
        assert_eq!(backoff.remaining(now + Duration::from_secs(4)), Duration::from_secs(6));
        assert_eq!(backoff.remaining(now + Duration::from_secs(40)), Duration::ZERO);
    }
}
