//! Reading a time by a layout, as Go's `time.Parse` does: what it accepts and what it says.

/// A part of a layout.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// These letters.
    Literal(&'static str),
    /// Four digits.
    Year,
    /// The month; two digits if so.
    Month { is_padded: bool },
    /// The day of the month; two digits if so.
    Day { is_padded: bool },
    /// The hour, one digit or two.
    Hour,
    /// The minute; two digits if so.
    Minute { is_padded: bool },
    /// The second; two digits if so. A fraction may follow even where the layout has none.
    Second { is_padded: bool },
    /// A point and exactly so many digits.
    Fraction(usize),
    /// `Z` or an offset such as `+01:00`.
    Zone,
}

impl Part {
    /// How Go's layout writes the part.
    fn text(self) -> &'static str {
        match self {
            Part::Literal(text) => text,
            Part::Year => "2006",
            Part::Month { is_padded: true } => "01",
            Part::Month { is_padded: false } => "1",
            Part::Day { is_padded: true } => "02",
            Part::Day { is_padded: false } => "2",
            Part::Hour => "15",
            Part::Minute { is_padded: true } => "04",
            Part::Minute { is_padded: false } => "4",
            Part::Second { is_padded: true } => "05",
            Part::Second { is_padded: false } => "5",
            Part::Fraction(digits) => &".000000000"[..=digits],
            Part::Zone => "Z07:00",
        }
    }
}

/// What was read. The offset is in seconds east of Greenwich.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) nanos: i64,
    pub(super) offset: i64,
}

/// What stops the reading of a part.
enum Stop {
    /// It does not have the form of the part.
    Form,
    /// It has the form, but there is no such moment.
    Range(&'static str),
}

struct Reader<'a> {
    rest: &'a str,
    fields: Fields,
}

/// Reads `value` by `parts`; the error is Go's, which shows the layout whole.
pub(super) fn parse(value: &str, parts: &[Part], layout: &str) -> Result<Fields, String> {
    let start = format!("parsing time {}", quoted(value));
    let mut reader = Reader { rest: value, fields: Fields::default() };
    for (index, part) in parts.iter().enumerate() {
        let hold = reader.rest;
        let has_fraction = matches!(parts.get(index + 1), Some(Part::Fraction(_)));
        match reader.part(*part, has_fraction) {
            Ok(()) => {}
            Err(Stop::Range(what)) => return Err(format!("{start}: {what} out of range")),
            Err(Stop::Form) => {
                // After a literal Go shows what is left of the value behind the letters that fit.
                let left = if matches!(part, Part::Literal(_)) { reader.rest } else { hold };
                let (left, part) = (quoted(left), quoted(part.text()));
                return Err(format!(
                    "{start} as {}: cannot parse {left} as {part}",
                    quoted(layout)
                ));
            }
        }
    }
    if !reader.rest.is_empty() {
        return Err(format!("{start}: extra text: {}", quoted(reader.rest)));
    }
    let fields = reader.fields;
    if fields.day < 1 || fields.day > days_in(fields.year, fields.month) {
        return Err(format!("{start}: day out of range"));
    }
    Ok(fields)
}

impl Reader<'_> {
    fn part(&mut self, part: Part, has_fraction: bool) -> Result<(), Stop> {
        match part {
            Part::Literal(text) => {
                for letter in text.chars() {
                    self.rest = self.rest.strip_prefix(letter).ok_or(Stop::Form)?;
                }
                Ok(())
            }
            Part::Year => {
                self.fields.year = self.fixed(4)?;
                Ok(())
            }
            Part::Month { is_padded } => {
                self.fields.month = self.number(is_padded, 1..=12, "month")?;
                Ok(())
            }
            Part::Day { is_padded } => {
                // Whether the month has such a day is checked at the end.
                self.fields.day = self.number(is_padded, 0..=99, "day")?;
                Ok(())
            }
            Part::Hour => {
                self.fields.hour = self.number(false, 0..=23, "hour")?;
                Ok(())
            }
            Part::Minute { is_padded } => {
                self.fields.minute = self.number(is_padded, 0..=59, "minute")?;
                Ok(())
            }
            Part::Second { is_padded } => {
                self.fields.second = self.number(is_padded, 0..=59, "second")?;
                if !has_fraction {
                    self.open_fraction();
                }
                Ok(())
            }
            Part::Fraction(digits) => {
                let has_point = self.rest.starts_with(['.', ',']);
                let text = self.rest.get(1..=digits).filter(|_| has_point).ok_or(Stop::Form)?;
                if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Stop::Form);
                }
                self.fields.nanos = nanos(text);
                self.rest = &self.rest[digits + 1..];
                Ok(())
            }
            Part::Zone => self.zone(),
        }
    }

    /// A fraction that the layout does not have.
    fn open_fraction(&mut self) {
        let Some(tail) = self.rest.strip_prefix(['.', ',']) else { return };
        let end = tail.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(tail.len());
        if end > 0 {
            self.fields.nanos = nanos(&tail[..end]);
            self.rest = &tail[end..];
        }
    }

    fn zone(&mut self) -> Result<(), Stop> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(());
        }
        let text = self.rest.get(..6).ok_or(Stop::Form)?;
        let two = |at: usize| -> Result<i64, Stop> {
            let digits = text.get(at..at + 2).ok_or(Stop::Form)?;
            if digits.bytes().all(|b| b.is_ascii_digit()) {
                digits.parse().map_err(|_| Stop::Form)
            } else {
                Err(Stop::Form)
            }
        };
        if text.as_bytes()[3] != b':' {
            return Err(Stop::Form);
        }
        let (hours, minutes) = (two(1)?, two(4)?);
        if hours > 24 {
            return Err(Stop::Range("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(Stop::Range("time zone offset minute"));
        }
        let offset = (hours * 60 + minutes) * 60;
        self.fields.offset = match text.as_bytes()[0] {
            b'+' => offset,
            b'-' => -offset,
            _ => return Err(Stop::Form),
        };
        self.rest = &self.rest[6..];
        Ok(())
    }

    fn fixed(&mut self, digits: usize) -> Result<i64, Stop> {
        let text = self.rest.get(..digits).ok_or(Stop::Form)?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Stop::Form);
        }
        self.rest = &self.rest[digits..];
        text.parse().map_err(|_| Stop::Form)
    }

    /// One or two digits, two if `is_padded`.
    fn number(
        &mut self,
        is_padded: bool,
        range: std::ops::RangeInclusive<i64>,
        name: &'static str,
    ) -> Result<i64, Stop> {
        let count = self.rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if count == 0 || (is_padded && count < 2) {
            return Err(Stop::Form);
        }
        let number = self.fixed(count)?;
        if range.contains(&number) { Ok(number) } else { Err(Stop::Range(name)) }
    }
}

/// The digits of a fraction as nanoseconds; Go cuts off after nine.
fn nanos(digits: &str) -> i64 {
    let kept = &digits[..digits.len().min(9)];
    let scale = 10i64.pow(u32::try_from(9 - kept.len()).unwrap_or(0));
    kept.parse::<i64>().unwrap_or(0) * scale
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A text as Go's `time` package quotes it in errors.
pub(super) fn quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='\u{7f}' => out.push(letter),
            _ => {
                for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string cannot fail.
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
        }
    }
    out.push('"');
    out
}

/// Whether YAML 1.1 takes a plain scalar for a point in time (goyaml.v2's four layouts).
pub(crate) fn is_yaml_timestamp(text: &str) -> bool {
    if text.bytes().position(|byte| !byte.is_ascii_digit()) != Some(4) || text.as_bytes()[4] != b'-'
    {
        return false;
    }
    let date = [
        Part::Year,
        Part::Literal("-"),
        Part::Month { is_padded: false },
        Part::Literal("-"),
        Part::Day { is_padded: false },
    ];
    let time = [
        Part::Hour,
        Part::Literal(":"),
        Part::Minute { is_padded: false },
        Part::Literal(":"),
        Part::Second { is_padded: false },
    ];
    let fits = |between: Option<&'static str>, zone: &[Part]| {
        let mut parts = date.to_vec();
        if let Some(between) = between {
            parts.push(Part::Literal(between));
            parts.extend(time);
        }
        parts.extend(zone);
        parse(text, &parts, "").is_ok()
    };
    fits(Some("T"), &[Part::Zone])
        || fits(Some("t"), &[Part::Zone])
        || fits(Some(" "), &[])
        || fits(None, &[])
}
