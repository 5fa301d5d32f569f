//! Go's `Sprintf`, for what JSON decodes to.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::super::fault::quoted;
use super::{Typed, plain, syntax};

/// Widths and precisions above this are none to Go.
const SIZE_MAX: i64 = 1_000_000;

/// What stands between a `%` and its verb.
#[derive(Debug, Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Text with values put in place of its verbs.
pub(in super::super) fn sprintf(format: &str, values: &[Typed<'_>]) -> String {
    let format: Vec<char> = format.chars().collect();
    let mut printer = Printer {
        format: &format,
        at: 0,
        values,
        next: 0,
        is_reordered: false,
        out: String::new(),
    };
    while let Some(c) = printer.bump() {
        if c == '%' {
            printer.directive();
        } else {
            printer.out.push(c);
        }
    }
    printer.surplus();
    printer.out
}

struct Printer<'a> {
    format: &'a [char],
    at: usize,
    values: &'a [Typed<'a>],
    next: usize,
    /// Whether an index was given: then nobody minds values that are not used.
    is_reordered: bool,
    out: String,
}

impl Printer<'_> {
    fn peek(&self) -> Option<char> {
        self.format.get(self.at).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn directive(&mut self) {
        let mut spec = Spec::default();
        while let Some(c) = self.peek() {
            match c {
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                ' ' => spec.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut is_good = true;
        let mut has_index = self.index(&mut is_good);
        if let Some(width) = self.size("%!(BADWIDTH)", &mut has_index, &mut is_good) {
            spec.minus |= width < 0;
            spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
        }
        if self.peek() == Some('.') {
            self.at += 1;
            is_good &= !has_index;
            has_index = self.index(&mut is_good);
            let digits_at = self.at;
            let size = self.size("%!(BADPREC)", &mut has_index, &mut is_good);
            let is_left_out = size.is_none() && self.at == digits_at;
            spec.precision =
                size.or(is_left_out.then_some(0)).and_then(|size| usize::try_from(size).ok());
        }
        if !has_index {
            self.index(&mut is_good);
        }
        spec.zero &= !spec.minus;
        self.verb(&spec, is_good);
    }

    /// `[N]`, which value is next; whether it was there.
    fn index(&mut self, is_good: &mut bool) -> bool {
        if self.peek() != Some('[') {
            return false;
        }
        self.is_reordered = true;
        let Some(length) = self.format[self.at..].iter().position(|c| *c == ']') else {
            self.at += 1;
            *is_good = false;
            return false;
        };
        let text: String = self.format[self.at + 1..self.at + length].iter().collect();
        self.at += length + 1;
        let index = text.parse::<usize>().ok().filter(|index| *index <= self.values.len());
        match index.and_then(|index| index.checked_sub(1)) {
            Some(index) => self.next = index,
            None => *is_good = false,
        }
        true
    }

    /// A width or a precision: digits, or `*` for the next value.
    fn size(&mut self, bad: &str, has_index: &mut bool, is_good: &mut bool) -> Option<i64> {
        if self.peek() == Some('*') {
            self.at += 1;
            let value = self.values.get(self.next).and_then(|typed| typed.value.as_i64());
            self.next = (self.next + 1).min(self.values.len());
            *has_index = false;
            let value = value.filter(|size| size.abs() <= SIZE_MAX);
            if value.is_none() {
                self.out.push_str(bad);
            }
            return value;
        }
        let mut size = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            if size.unwrap_or(0) > SIZE_MAX {
                // Go gives up on such a number together with all that follows it.
                self.at = self.format.len();
                return None;
            }
            size = Some(size.unwrap_or(0) * 10 + i64::from(digit));
            self.at += 1;
        }
        *is_good &= !(*has_index && size.is_some());
        size
    }

    fn verb(&mut self, spec: &Spec, is_good: bool) {
        let Some(verb) = self.bump() else {
            self.out.push_str("%!(NOVERB)");
            return;
        };
        if verb == '%' {
            self.out.push('%');
        } else if !is_good {
            let _infallible = write!(self.out, "%!{verb}(BADINDEX)");
        } else if let Some(value) = self.values.get(self.next) {
            self.out.push_str(&argument(verb, spec, *value, true));
            self.next += 1;
        } else {
            let _infallible = write!(self.out, "%!{verb}(MISSING)");
        }
    }

    fn surplus(&mut self) {
        if self.is_reordered || self.next >= self.values.len() {
            return;
        }
        let shown: Vec<String> = self.values[self.next..]
            .iter()
            .map(|typed| match typed.value {
                Value::Null => "<nil>".to_owned(),
                value => format!("{}={}", typed.name, plain(value)),
            })
            .collect();
        let _infallible = write!(self.out, "%!(EXTRA {})", shown.join(", "));
    }
}

/// One value; those inside of it get the same verb.
fn argument(verb: char, spec: &Spec, typed: Typed<'_>, is_outer: bool) -> String {
    let value = typed.value;
    if verb == 'T' {
        return pad(spec, typed.name.to_owned());
    }
    if verb == 'v' && spec.sharp && !value.is_null() {
        return syntax(value);
    }
    let inner = |value: &Value| argument(verb, spec, value.into(), false);
    let bad = || format!("%!{verb}({}={})", typed.name, plain(value));
    match value {
        Value::Null if verb == 'v' || !is_outer => pad(spec, "<nil>".to_owned()),
        Value::Null => format!("%!{verb}(<nil>)"),
        _ if verb == 'p' => bad(),
        Value::Bool(is) if matches!(verb, 't' | 'v') => pad(spec, is.to_string()),
        Value::String(text) => string(verb, spec, text).unwrap_or_else(bad),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inner).collect::<Vec<_>>().join(" "))
        }
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| {
                let bad = || format!("%!{verb}(string={key})");
                let key = string(verb, spec, key).unwrap_or_else(bad);
                format!("{key}:{}", inner(value))
            });
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        Value::Number(number) if number.is_f64() => {
            real(verb, spec, number.as_f64().unwrap_or_default()).unwrap_or_else(bad)
        }
        Value::Number(number) => {
            number.as_i64().and_then(|number| integer(verb, spec, number)).unwrap_or_else(bad)
        }
        Value::Bool(_) => bad(),
    }
}

fn pad(spec: &Spec, text: String) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    let blanks: String = std::iter::repeat_n(' ', missing).collect();
    if spec.minus { text + &blanks } else { blanks + &text }
}

/// A number, filled up with zeros behind its sign if that is wanted.
fn pad_number(spec: &Spec, sign: &str, digits: &str) -> String {
    let length = sign.len() + digits.chars().count();
    if spec.zero && length < spec.width {
        return format!("{sign}{}{digits}", "0".repeat(spec.width - length));
    }
    pad(spec, format!("{sign}{digits}"))
}

fn sign(spec: &Spec, is_negative: bool) -> &'static str {
    match (is_negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn string(verb: char, spec: &Spec, text: &str) -> Option<String> {
    let text: String = match spec.precision {
        Some(count) => text.chars().take(count).collect(),
        None => text.to_owned(),
    };
    Some(match verb {
        's' | 'v' => pad(spec, text),
        'q' if spec.sharp && !text.contains('`') && !text.contains(char::is_control) => {
            pad(spec, format!("`{text}`"))
        }
        'q' => pad(spec, quoted(&text)),
        'x' | 'X' => {
            let bytes = text.bytes().map(|byte| match verb {
                'x' => format!("{byte:02x}"),
                _ => format!("{byte:02X}"),
            });
            let prefix = match (spec.sharp, verb) {
                (false, _) => "",
                (true, 'x') => "0x",
                (true, _) => "0X",
            };
            let bytes: Vec<String> = bytes.collect();
            let text = if spec.space {
                bytes.iter().map(|byte| format!("{prefix}{byte}")).collect::<Vec<_>>().join(" ")
            } else if bytes.is_empty() {
                String::new()
            } else {
                format!("{prefix}{}", bytes.concat())
            };
            pad(spec, text)
        }
        _ => return None,
    })
}

fn integer(verb: char, spec: &Spec, number: i64) -> Option<String> {
    let whole = number.unsigned_abs();
    let (prefix, digits) = match verb {
        'v' | 'd' => ("", whole.to_string()),
        'b' => ("0b", format!("{whole:b}")),
        'o' => ("0", format!("{whole:o}")),
        'O' => ("0o", format!("{whole:o}")),
        'x' => ("0x", format!("{whole:x}")),
        'X' => ("0X", format!("{whole:X}")),
        'c' => return Some(pad(spec, character(number).to_string())),
        'q' => return Some(pad(spec, quoted_character(character(number)))),
        'U' => return Some(pad(spec, format!("U+{:04X}", u32::from(character(number))))),
        _ => return None,
    };
    let prefix = if spec.sharp || verb == 'O' { prefix } else { "" };
    let sign = format!("{}{prefix}", sign(spec, number < 0));
    if let Some(precision) = spec.precision {
        if precision == 0 && whole == 0 {
            return Some(pad(spec, String::new()));
        }
        let zeros = "0".repeat(precision.saturating_sub(digits.len()));
        return Some(pad(&Spec { zero: false, ..*spec }, format!("{sign}{zeros}{digits}")));
    }
    Some(pad_number(spec, &sign, &digits))
}

fn character(code: i64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn quoted_character(c: char) -> String {
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let text = quoted(&c.to_string());
            format!("'{}'", &text[1..text.len() - 1])
        }
    }
}

fn real(verb: char, spec: &Spec, number: f64) -> Option<String> {
    let precision = spec.precision;
    let text = match verb {
        'v' | 'g' => float(number.abs(), 'g', precision),
        'G' => float(number.abs(), 'g', precision).to_uppercase(),
        'e' | 'f' => float(number.abs(), verb, Some(precision.unwrap_or(6))),
        'E' => float(number.abs(), 'e', Some(precision.unwrap_or(6))).to_uppercase(),
        'F' => float(number.abs(), 'f', Some(precision.unwrap_or(6))),
        _ => return None,
    };
    Some(pad_number(spec, sign(spec, number.is_sign_negative()), &text))
}

/// A float with an exponent (`e`), without (`f`), or as it is shorter (`g`); without a precision with as many digits as tell it apart.
pub(super) fn float(number: f64, form: char, precision: Option<usize>) -> String {
    // Rust writes no more digits behind the point than this.
    let precision = precision.map(|count| count.min(usize::from(u16::MAX)));
    match form {
        'f' => precision.map_or_else(|| number.to_string(), |count| format!("{number:.count$}")),
        'e' => scientific(&match precision {
            Some(count) => format!("{number:.count$e}"),
            None => format!("{number:e}"),
        }),
        _ => shorter(number, precision),
    }
}

fn shorter(number: f64, precision: Option<usize>) -> String {
    /// The exponent from which a float without a precision is written with it.
    const EXPONENT_MAX: usize = 6;
    let digits = precision.map(|count| count.max(1));
    let text = match digits {
        Some(count) => format!("{number:.*e}", count - 1),
        None => format!("{number:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let has_point = mantissa.contains('.');
    let mantissa =
        if has_point { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let shown = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let limit = match digits {
        Some(count) if i64::try_from(shown).is_ok_and(|shown| shown > exponent) => {
            count.min(shown).max(usize::try_from(exponent + 1).unwrap_or(0))
        }
        Some(count) => count,
        None => EXPONENT_MAX,
    };
    if exponent < -4 || i64::try_from(limit).is_ok_and(|limit| exponent >= limit) {
        return scientific(&format!("{mantissa}e{exponent}"));
    }
    let behind = i64::try_from(shown).unwrap_or(0) - 1 - exponent;
    let behind = usize::try_from(behind.max(0)).unwrap_or(0);
    format!("{number:.behind$}")
}

/// `1.5e7` as Go writes it: `1.5e+07`.
fn scientific(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}
