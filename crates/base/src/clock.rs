//! Time as a dependency: code that decides by the clock takes a [`Clock`], so that tests and simulations can drive it.

use std::fmt;
use std::time::{Duration, Instant};

/// A moment of wall-clock time, in microseconds since 1970-01-01T00:00:00Z.
///
/// Kubernetes' `Time` is written with a resolution of a second, its `MicroTime` with one of a microsecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    micros: i64,
}

impl Timestamp {
    /// The moment so many microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// The moment so many seconds after the epoch; what cannot be counted in microseconds is the nearest that can.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { micros: seconds.saturating_mul(1_000_000) }
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.micros
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.micros.div_euclid(1_000_000)
    }

    /// Reads RFC 3339, with any number of fractional digits and any offset.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        Some(Self { micros: stamp.as_microsecond() })
    }

    /// RFC 3339 to the second in UTC, as Kubernetes' `Time` is written.
    pub fn to_rfc3339(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%SZ")
    }

    /// RFC 3339 with six fractional digits in UTC, as Kubernetes' `MicroTime` is written.
    pub fn to_rfc3339_micros(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S.%6fZ")
    }

    /// The time that passed from `earlier` to `self`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(
            u64::try_from(self.micros.saturating_sub(earlier.micros)).unwrap_or(0),
        )
    }

    /// The moment `length` after this one.
    #[must_use]
    pub fn plus(self, length: Duration) -> Self {
        let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        Self { micros: self.micros.saturating_add(micros) }
    }

    /// A moment that is too far away to have a date is written as the last that has one, or as the epoch.
    fn format(self, pattern: &str) -> String {
        let is_past = self.micros < 0;
        let far = if is_past { jiff::Timestamp::UNIX_EPOCH } else { jiff::Timestamp::MAX };
        let stamp = jiff::Timestamp::from_microsecond(self.micros).unwrap_or(far);
        stamp.strftime(pattern).to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339_micros())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The wall-clock time. It may jump.
    fn now(&self) -> Timestamp;

    /// A clock that never goes back, for measuring lengths.
    fn monotonic(&self) -> Instant;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_kubernetes_writes_them_and_read_in_any_precision() {
        let stamp = Timestamp::parse("2026-02-03T04:05:06.123456789+01:00").expect("valid");
        assert_eq!(stamp.to_rfc3339(), "2026-02-03T03:05:06Z");
        assert_eq!(stamp.to_rfc3339_micros(), "2026-02-03T03:05:06.123456Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_length_is_never_negative() {
        let (early, late) = (Timestamp::from_seconds(10), Timestamp::from_seconds(12));
        assert_eq!(late.since(early), Duration::from_secs(2));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
