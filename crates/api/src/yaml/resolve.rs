//! What a plain scalar is: the rules of YAML 1.1 as goyaml.v2 has them.
//!
//! `yes`, `on` and their kin are booleans; integers may be octal (`017`, `0o17`), hexadecimal or binary and have underscores;
//! numbers to base 60 do not exist; a time is recognised, and then stays text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::YamlError;
use crate::duration;

const TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// A scalar's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resolved<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond 2^63-1.
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// The value of a scalar whose tag, if it has one, says what it must be.
pub(super) fn resolve<'a>(tag: Option<&str>, text: &'a str) -> Result<Resolved<'a>, YamlError> {
    let short = tag.and_then(|tag| tag.strip_prefix(TAG_PREFIX));
    let wanted = match (tag, short) {
        (None, _) => return Ok(plain(text)),
        (_, Some("binary")) => return binary(text),
        (_, Some("bool")) => "!!bool",
        (_, Some("int")) => "!!int",
        (_, Some("float")) => "!!float",
        (_, Some("null")) => "!!null",
        (_, Some("timestamp")) => "!!timestamp",
        // Text by tag, and the tags of others, which mean nothing here.
        _ => return Ok(Resolved::Text(text.into())),
    };
    let resolved = plain(text);
    let found = match &resolved {
        Resolved::Null => "!!null",
        Resolved::Bool(_) => "!!bool",
        Resolved::Int(_) | Resolved::Uint(_) => "!!int",
        Resolved::Float(_) => "!!float",
        Resolved::Text(_) if wanted == "!!timestamp" && duration::is_yaml_timestamp(text) => wanted,
        Resolved::Text(_) => "!!str",
    };
    match resolved {
        #[expect(clippy::cast_precision_loss, reason = "the tag asks for a floating-point number")]
        Resolved::Int(number) if wanted == "!!float" => Ok(Resolved::Float(number as f64)),
        resolved if found == wanted => Ok(resolved),
        _ => Err(YamlError::Tag { found, text: text.to_owned(), wanted }),
    }
}

fn binary(text: &str) -> Result<Resolved<'_>, YamlError> {
    let clean: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    let bytes = STANDARD.decode(clean).map_err(|_| YamlError::Binary)?;
    // JSON has no bytes: what is no text is replaced, as Go's encoder does.
    Ok(Resolved::Text(String::from_utf8_lossy(&bytes).into_owned().into()))
}

/// The value of a scalar that only its letters describe.
fn plain(text: &str) -> Resolved<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Resolved::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Resolved::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' => float(text),
        b'+' | b'-' | b'0'..=b'9' => number(text),
        _ => None,
    };
    number.unwrap_or(Resolved::Text(text.into()))
}

fn number(text: &str) -> Option<Resolved<'static>> {
    let clean: Cow<'_, str> =
        if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    integer(&clean).or_else(|| float(&clean))
}

fn integer(text: &str) -> Option<Resolved<'static>> {
    let (is_signed, rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (radix, digits) = match rest.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &rest[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &rest[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &rest[2..]),
        [b'0', _, ..] => (8, &rest[1..]),
        _ => (10, rest),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if text.starts_with('-') {
        return 0i64.checked_sub_unsigned(magnitude).map(Resolved::Int);
    }
    match i64::try_from(magnitude) {
        Ok(number) => Some(Resolved::Int(number)),
        Err(_) if !is_signed => Some(Resolved::Uint(magnitude)),
        Err(_) => None,
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, within the range of a double.
fn float(text: &str) -> Option<Resolved<'static>> {
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let is_mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => !mantissa.is_empty() && is_digits(mantissa),
    };
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && is_digits(digits)
    });
    if !is_mantissa || !is_exponent {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Resolved::Float)
}

/// Whether a text, written plainly, would be read as the same text.
pub(super) fn is_plain_text(text: &str) -> bool {
    matches!(plain(text), Resolved::Text(_))
        && !duration::is_yaml_timestamp(text)
        && !is_base60(text)
}

/// Numbers to base 60, which other readers of YAML 1.1 know: `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`.
fn is_base60(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = rest.split(':');
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_first = parts
        .next()
        .is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit()) && is_number(part));
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let is_part =
        |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    is_first && middle.iter().all(|part| is_part(part)) && is_part(last) && is_number(fraction)
}
