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
    if value.fract() != 0.0 || !value.is_finite() {
        return None;
    }
    let digits = format!("{value}");
    let signed = digits.parse::<i64>().map(Number::from);
    signed.or_else(|_| digits.parse::<u64>().map(Number::from)).ok()
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
    general(&format!("{value:e}"))
}

/// A floating-point key as sigs.k8s.io/yaml makes it a string: in single precision.
pub(super) fn key_text(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "upstream rounds to single precision")]
    let single = value as f32;
    match general(&format!("{single:e}")).as_str() {
        "+Inf" => ".inf".to_owned(),
        "-Inf" => "-.inf".to_owned(),
        "NaN" => ".nan".to_owned(),
        text => text.to_owned(),
    }
}

/// Brings Rust's `1.25e-7` into the form of Go's `%g`.
fn general(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let Some((mantissa, exponent)) = text.split_once('e') else {
        let infinity = if sign.is_empty() { "+Inf" } else { "-Inf" };
        return if text == "inf" { infinity } else { "NaN" }.to_owned();
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let direction = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{direction}{:02}", exponent.unsigned_abs());
    }
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(places - 1));
    }
    if digits.len() <= places + 1 {
        return format!("{sign}{digits}{}", "0".repeat(places + 1 - digits.len()));
    }
    let (whole, fraction) = digits.split_at(places + 1);
    format!("{sign}{whole}.{fraction}")
}
