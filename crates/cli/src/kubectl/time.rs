//! Ages and durations as kubectl writes and reads them.

#[cfg(test)]
mod tests;

use std::time::Duration;

use podo_base::{Clock, SystemClock, Timestamp};

/// The time now.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// How long ago a moment was, as in `5m`; `<unknown>` for none.
pub(crate) fn age(stamp: &str) -> String {
    match Timestamp::parse(stamp) {
        Some(moment) => human((now().as_micros() - moment.as_micros()).div_euclid(1_000_000)),
        None => "<unknown>".into(),
    }
}

/// Seconds as upstream's `HumanDuration` writes them.
pub(crate) fn human(seconds: i64) -> String {
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{big}{big_unit}")
        } else {
            format!("{big}{big_unit}{small}{small_unit}")
        }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1..0 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ if years < 2 => format!("{days}d"),
        _ if years < 8 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

/// A moment as kubectl's `describe` writes it, in UTC: `Mon, 02 Jan 2006 15:04:05 +0000`.
pub(crate) fn rfc1123z(stamp: &str) -> String {
    let Some(moment) = Timestamp::parse(stamp) else {
        return stamp.to_owned();
    };
    let Local { offset, weekday, year, month, day, clock: [hours, minutes, seconds] } =
        Local::of(moment.as_seconds());
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs() / 60;
    format!(
        "{}, {day:02} {} {year:04} {hours:02}:{minutes:02}:{seconds:02} {sign}{:02}{:02}",
        WEEKDAYS[weekday],
        MONTHS[month - 1],
        offset / 60,
        offset % 60
    )
}

/// A moment in the machine's time zone.
pub(crate) struct Local {
    /// What it is ahead of UTC, in seconds.
    offset: i64,
    /// 0 is Sunday.
    weekday: usize,
    year: i64,
    /// 1 to 12.
    pub(crate) month: usize,
    pub(crate) day: i64,
    /// Hours, minutes and seconds.
    pub(crate) clock: [i64; 3],
}

impl Local {
    /// The moment of so many seconds after 1970-01-01 in UTC.
    pub(crate) fn of(at: i64) -> Self {
        let offset = local_offset(at);
        let (days, clock) = ((at + offset).div_euclid(86_400), (at + offset).rem_euclid(86_400));
        let (year, month, day) = civil(days);
        // 1970-01-01 was a Thursday.
        let weekday = usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
        Self {
            offset,
            weekday,
            year,
            month,
            day,
            clock: [clock / 3600, clock / 60 % 60, clock % 60],
        }
    }
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month and day of a day since 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

/// The difference of local time from UTC in seconds. The machine's zone file is TZif (RFC 9636); anything unreadable is UTC.
fn local_offset(at: i64) -> i64 {
    let name = std::env::var("TZ").ok();
    let path = match name.as_deref() {
        None => "/etc/localtime".to_owned(),
        Some("" | "UTC") => return 0,
        Some(name) => format!("/usr/share/zoneinfo/{}", name.trim_start_matches(':')),
    };
    std::fs::read(path).ok().and_then(|file| tzif_offset(&file, at)).unwrap_or(0)
}

pub(crate) fn tzif_offset(file: &[u8], at: i64) -> Option<i64> {
    let count = |base: usize, index: usize| -> Option<usize> {
        let start = base + 20 + index * 4;
        let bytes: [u8; 4] = file.get(start..start + 4)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(bytes)).ok()
    };
    if file.get(..4)? != b"TZif" || *file.get(4)? < b'2' {
        return None;
    }
    let header = |base| -> Option<[usize; 6]> {
        let mut counts = [0; 6];
        for (index, slot) in counts.iter_mut().enumerate() {
            *slot = count(base, index)?;
        }
        Some(counts)
    };
    // The first block has 32-bit times; the second, after it, 64-bit ones.
    let [utc, standard, leap, times, types, names] = header(0)?;
    let second = 44 + times * 5 + types * 6 + names + leap * 8 + standard + utc;
    let [_, _, _, times, _, _] = header(second)?;
    let start = second + 44;
    let mut chosen = 0_usize;
    for index in 0..times {
        let from = start + index * 8;
        let moment = i64::from_be_bytes(file.get(from..from + 8)?.try_into().ok()?);
        if moment <= at {
            chosen = usize::from(*file.get(start + times * 8 + index)?);
        }
    }
    let entry = start + times * 9 + chosen * 6;
    Some(i64::from(i32::from_be_bytes(file.get(entry..entry + 4)?.try_into().ok()?)))
}

/// Reads a duration as Go writes it: `300ms`, `1.5h`, `2h45m`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0.0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(total).ok()
}
