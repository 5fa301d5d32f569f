//! Floating-point numbers between YAML, JSON and Go's notation.

use serde_json::{Number, Value};

use super::YamlError;

/// The value in JSON; whole numbers are integers there.
pub(super) fn to_json(value: f64) -> Result<Value, YamlError> {
    let not_json = |value| YamlError::NotJson { value };
    if value.is_nan() {
        return Err(not_json("NaN"));
    }
    if let Some(whole) = whole(value) {
        return Ok(Value::Number(whole));
    }
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| not_json(if value > 0.0 { "+Inf" } else { "-Inf" }))
}

/// The integer that a number is in Go's JSON: its shortest digits, then zeros.
fn whole(value: f64) -> Option<Number> {
    if value.fract() != 0.0 {
        return None;
    }
    let decimal = Decimal::of(value)?;
    let zeros = usize::try_from(decimal.point).ok()?.checked_sub(decimal.digits.len())?;
    let text = format!("{}{}{}", decimal.sign, decimal.digits, "0".repeat(zeros));
    let signed = text.parse::<i64>().map(Number::from);
    signed.or_else(|_| text.parse::<u64>().map(Number::from)).ok()
}

/// A number of a JSON tree as goyaml writes it.
pub(super) fn print(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if !number.is_i64() && !number.is_u64() => match whole(value) {
            Some(whole) => whole.to_string(),
            None => go_text(value),
        },
        _ => number.to_string(),
    }
}

/// Go's shortest notation (`%g`): exponents below -4 and from 6 on are written as such.
pub(super) fn go_text(value: f64) -> String {
    match Decimal::of(value) {
        Some(decimal) => decimal.general(),
        None if value.is_nan() => "NaN".to_owned(),
        None if value > 0.0 => "+Inf".to_owned(),
        None => "-Inf".to_owned(),
    }
}

/// A floating-point key as sigs.k8s.io/yaml makes it a string: in single precision.
pub(super) fn key_text(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "upstream rounds to single precision")]
    let single = value as f32;
    if single.is_nan() {
        return ".nan".to_owned();
    }
    if single.is_infinite() {
        return if single > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    Decimal::parse(&format!("{single:e}")).general()
}

/// The shortest digits that stand for a number: 0.`digits` × 10^`point`.
struct Decimal {
    sign: &'static str,
    digits: String,
    point: i32,
}

impl Decimal {
    /// `None` if the number is not finite. Of two equally near texts the JSON printer takes the even one, as Go does.
    fn of(value: f64) -> Option<Self> {
        Some(Self::parse(&Number::from_f64(value)?.to_string()))
    }

    /// Reads `-12.5`, `1e21` and the like.
    fn parse(text: &str) -> Self {
        let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let shift = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let point = shift(whole.len()) - shift(all.len() - digits.len())
            + exponent.parse::<i32>().unwrap_or(0);
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            return Self { sign, digits: "0".to_owned(), point: 1 };
        }
        Self { sign, digits: digits.to_owned(), point }
    }

    fn general(&self) -> String {
        let Self { sign, digits, point } = self;
        let exponent = point - 1;
        if !(-4..6).contains(&exponent) {
            let (first, rest) = digits.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            let direction = if exponent < 0 { '-' } else { '+' };
            let exponent = exponent.unsigned_abs();
            return format!("{sign}{first}{point}{rest}e{direction}{exponent:02}");
        }
        let places = usize::try_from(point.unsigned_abs()).unwrap_or(0);
        if *point <= 0 {
            return format!("{sign}0.{}{digits}", "0".repeat(places));
        }
        if digits.len() <= places {
            return format!("{sign}{digits}{}", "0".repeat(places - digits.len()));
        }
        let (whole, fraction) = digits.split_at(places);
        format!("{sign}{whole}.{fraction}")
    }
}
