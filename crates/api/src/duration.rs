//! Lengths of time as text: Go's `1h2m3s`, and the short ages that tables show.
//!
//! Points in time ([`parse_time`], [`parse_micro_time`]) are read as Go reads them, error texts included.

mod layout;
mod time;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use podo_base::Timestamp;

pub(crate) use layout::is_yaml_timestamp;
pub use time::{ZERO_TIME_SECONDS, format_micro_time, format_time, parse_micro_time, parse_time};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// A length of time in Go's notation, such as `1m30s`; it may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration {
    /// Nanoseconds.
    pub nanos: i64,
}

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is malformed or too large.
    #[error("time: invalid duration {}", layout::quoted(.text))]
    Invalid {
        /// The whole text.
        text: String,
    },
    /// A number has no unit.
    #[error("time: missing unit in duration {}", layout::quoted(.text))]
    MissingUnit {
        /// The whole text.
        text: String,
    },
    /// A unit is none of `ns us µs ms s m h`.
    #[error("time: unknown unit {} in duration {}", layout::quoted(.unit), layout::quoted(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl GoDuration {
    /// The length, zero if it is negative.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanos).unwrap_or(0))
    }
}

impl From<Duration> for GoDuration {
    fn from(length: Duration) -> Self {
        Self { nanos: i64::try_from(length.as_nanos()).unwrap_or(i64::MAX) }
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || DurationError::Invalid { text: text.to_owned() };
        let is_negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (nanos, tail) = part(text, rest)?;
            total = total.checked_add(nanos).filter(|&sum| sum <= 1 << 63).ok_or_else(invalid)?;
            rest = tail;
        }
        let limit = 1 << 63;
        match i64::try_from(total) {
            Ok(nanos) if is_negative => Ok(Self { nanos: -nanos }),
            Ok(nanos) => Ok(Self { nanos }),
            Err(_) if is_negative && total == limit => Ok(Self { nanos: i64::MIN }),
            Err(_) => Err(invalid()),
        }
    }
}

/// One number with its unit, in nanoseconds, and what follows it.
fn part<'a>(text: &str, rest: &'a str) -> Result<(u64, &'a str), DurationError> {
    let invalid = || DurationError::Invalid { text: text.to_owned() };
    let (whole, tail) = digits(rest);
    let (fraction, tail, has_point) = match tail.strip_prefix('.') {
        Some(tail) => {
            let (fraction, tail) = digits(tail);
            (fraction, tail, true)
        }
        None => ("", tail, false),
    };
    if whole.is_empty() && (fraction.is_empty() || !has_point) {
        return Err(invalid());
    }
    let end = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
    let (unit, tail) = tail.split_at(end);
    let scale = match unit {
        "" => return Err(DurationError::MissingUnit { text: text.to_owned() }),
        "ns" => 1,
        "us" | "µs" | "μs" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => {
            return Err(DurationError::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            });
        }
    };
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
    let nanos = whole.checked_mul(scale).filter(|&n| n <= 1 << 63).ok_or_else(invalid)?;
    Ok((nanos.checked_add(fraction_of(fraction, scale)).ok_or_else(invalid)?, tail))
}

/// `0.fraction` × `scale`, cut off.
fn fraction_of(fraction: &str, scale: u64) -> u64 {
    // The scale has no more than 13 digits: further ones do not count.
    let digits = &fraction[..fraction.len().min(18)];
    let number: u128 = digits.parse().unwrap_or(0);
    let divisor = 10u128.pow(u32::try_from(digits.len()).unwrap_or(0));
    u64::try_from(number * u128::from(scale) / divisor).unwrap_or(0)
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.nanos.unsigned_abs();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if self.nanos < 0 {
            f.write_str("-")?;
        }
        if nanos < SECOND {
            let (scale, unit) = match nanos {
                0..MICROSECOND => (1, "ns"),
                MICROSECOND..MILLISECOND => (MICROSECOND, "µs"),
                _ => (MILLISECOND, "ms"),
            };
            return write!(f, "{}{unit}", decimal(nanos, scale));
        }
        let (hours, minutes) = (nanos / (3600 * SECOND), nanos / (60 * SECOND) % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(nanos % (60 * SECOND), SECOND))
    }
}

/// `nanos` in units of `scale`, without zeros at the end.
fn decimal(nanos: u64, scale: u64) -> String {
    let (whole, rest) = (nanos / scale, nanos % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let places = usize::try_from(scale.ilog10()).unwrap_or(0);
    let fraction = format!("{rest:0places$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// The age that a table shows: two or three significant figures. Up to two seconds of the future count as now.
pub fn human(from: Timestamp, to: Timestamp) -> String {
    human_seconds((to.as_micros().saturating_sub(from.as_micros())) / 1_000_000)
}

/// As [`human`], for a length in seconds.
pub fn human_seconds(seconds: i64) -> String {
    let pair = |large: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => pair(days, 'd', hours % 24, 'h'),
        _ if days < 365 * 2 => format!("{days}d"),
        _ if days < 365 * 8 => pair(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

/// A shorter age with one figure only, which a few tables show.
pub fn short_human_seconds(seconds: i64) -> String {
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        86_400..31_536_000 => format!("{}d", seconds / 86_400),
        _ => format!("{}y", seconds / 31_536_000),
    }
}

#[cfg(test)]
mod tests;
