//! `meta/v1.Time` and `meta/v1.MicroTime`: RFC 3339 to the second and to the microsecond.

use podo_base::Timestamp;

use super::layout::{self, Fields, Part};

/// Go's zero time, the start of the year 1, in seconds from 1970. It stands for "not set" and is `null` in JSON.
pub const ZERO_TIME_SECONDS: i64 = -62_135_596_800;

const TIME: &str = "2006-01-02T15:04:05Z07:00";
const MICRO_TIME: &str = "2006-01-02T15:04:05.000000Z07:00";

const DATE_TIME: [Part; 11] = [
    Part::Year,
    Part::Literal("-"),
    Part::Month { is_padded: true },
    Part::Literal("-"),
    Part::Day { is_padded: true },
    Part::Literal("T"),
    Part::Hour,
    Part::Literal(":"),
    Part::Minute { is_padded: true },
    Part::Literal(":"),
    Part::Second { is_padded: true },
];

/// Reads a `Time`: RFC 3339, with a fraction or without. What is finer than a microsecond is cut off.
///
/// # Errors
/// The text of Go's `time.ParseError`.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Some(time) = quick(text) {
        return Ok(time);
    }
    let mut parts = DATE_TIME.to_vec();
    parts.push(Part::Zone);
    layout::parse(text, &parts, TIME).map(|fields| timestamp(&fields))
}

/// Reads a `MicroTime`: RFC 3339 with exactly six digits of a fraction.
///
/// # Errors
/// The text of Go's `time.ParseError`.
pub fn parse_micro_time(text: &str) -> Result<Timestamp, String> {
    let mut parts = DATE_TIME.to_vec();
    parts.extend([Part::Fraction(6), Part::Zone]);
    layout::parse(text, &parts, MICRO_TIME).map(|fields| timestamp(&fields))
}

/// The form in which almost every time comes: `2006-01-02T15:04:05Z`.
fn quick(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let template = b"0000-00-00T00:00:00Z";
    let fits = bytes.iter().zip(template).all(|(&byte, &wanted)| {
        if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted }
    });
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'))
    };
    let fields = Fields {
        year: number(0, 4),
        month: number(5, 7),
        day: number(8, 10),
        hour: number(11, 13),
        minute: number(14, 16),
        second: number(17, 19),
        ..Fields::default()
    };
    // Days that only some months have are left to the slow way.
    let is_plain = (1..=12).contains(&fields.month)
        && (1..=28).contains(&fields.day)
        && fields.hour < 24
        && fields.minute < 60
        && fields.second < 60;
    is_plain.then(|| timestamp(&fields))
}

fn timestamp(fields: &Fields) -> Timestamp {
    let days = days_from_civil(fields.year, fields.month, fields.day);
    let seconds = ((days * 24 + fields.hour) * 60 + fields.minute) * 60 + fields.second;
    Timestamp::from_micros((seconds - fields.offset) * 1_000_000 + fields.nanos / 1_000)
}

/// Days from 1970-01-01 in the Gregorian calendar, years counted from March so that leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of the days from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn date_time(seconds: i64) -> String {
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Writes a `Time`: RFC 3339 in UTC, fractions cut off.
pub fn format_time(time: Timestamp) -> String {
    let mut text = date_time(time.as_seconds());
    text.push('Z');
    text
}

/// Writes a `MicroTime`: RFC 3339 in UTC with six digits of a fraction.
pub fn format_micro_time(time: Timestamp) -> String {
    let micros = time.as_micros().rem_euclid(1_000_000);
    format!("{}.{micros:06}Z", date_time(time.as_seconds()))
}
