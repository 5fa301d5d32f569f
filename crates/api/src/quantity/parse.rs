//! Reading a quantity, with the tolerance and the error texts of Kubernetes v1.36.

use super::{Format, NANO, Quantity, pow10};

/// Up to this many digits Go reads a number as an integer, and may then keep its text.
const FAST_DIGITS_MAX: usize = 18;
/// The digits that a mantissa holds for certain.
const MANTISSA_DIGITS_MAX: usize = 38;

/// Why a text is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not have the form of a number with a suffix.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// It has no digits where digits are needed.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// There is no such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// The parts of a text of the right form.
struct Parts<'a> {
    is_negative: bool,
    has_digits: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

pub(super) fn parse(text: &str) -> Result<Quantity, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Format);
    }
    let parts = split(text)?;
    let (exponent, format) = suffix(parts.suffix).ok_or(QuantityError::Suffix)?;
    if let Some(quantity) = parse_short(text, &parts, exponent, format) {
        return Ok(quantity);
    }
    if !parts.has_digits {
        return Err(QuantityError::Numeric);
    }
    let (magnitude, exponent, format) = if format == Format::BinarySi {
        binary(&parts, exponent)
    } else {
        let (mantissa, exponent) = decimal(&parts, exponent);
        (mantissa, exponent, format)
    };
    let mantissa = if parts.is_negative { -magnitude } else { magnitude };
    Ok(Quantity::plain(mantissa, exponent, format))
}

/// Splits off sign, digits and suffix. Leading zeros are dropped.
fn split(text: &str) -> Result<Parts<'_>, QuantityError> {
    let (is_negative, rest) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let number = rest;
    let (whole, rest) = digits(rest.trim_start_matches('0'));
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
    let has_digits = number.starts_with('0') || !whole.is_empty() || !fraction.is_empty();
    let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let power = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    if !power.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError::Format);
    }
    Ok(Parts { is_negative, has_digits, whole, fraction, suffix })
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The power (of ten, or of two for [`Format::BinarySi`]) that a suffix stands for.
fn suffix(text: &str) -> Option<(i32, Format)> {
    Some(match text {
        "n" => (-9, Format::DecimalSi),
        "u" => (-6, Format::DecimalSi),
        "m" => (-3, Format::DecimalSi),
        "" => (0, Format::DecimalSi),
        "k" => (3, Format::DecimalSi),
        "M" => (6, Format::DecimalSi),
        "G" => (9, Format::DecimalSi),
        "T" => (12, Format::DecimalSi),
        "P" => (15, Format::DecimalSi),
        "E" => (18, Format::DecimalSi),
        "Ki" => (10, Format::BinarySi),
        "Mi" => (20, Format::BinarySi),
        "Gi" => (30, Format::BinarySi),
        "Ti" => (40, Format::BinarySi),
        "Pi" => (50, Format::BinarySi),
        "Ei" => (60, Format::BinarySi),
        _ => {
            let power: i64 = text.strip_prefix(['e', 'E'])?.parse().ok()?;
            #[expect(clippy::cast_possible_truncation, reason = "Go cuts the exponent to 32 bits")]
            let power = power as i32;
            (power, Format::DecimalExponent)
        }
    })
}

/// Numbers that fit 64 bits. Of these Go keeps the text if it looks canonical.
fn parse_short(text: &str, parts: &Parts<'_>, exponent: i32, format: Format) -> Option<Quantity> {
    let whole = if parts.whole.is_empty() { "0" } else { parts.whole };
    let (power, factor) = if format == Format::BinarySi {
        // 2^exponent has about three tenths as many decimal digits; the fraction of such numbers is read the long way.
        let precision = 14 - i64::try_from(whole.len()).ok()? - i64::from(exponent) * 3 / 10;
        if precision < 0 || !parts.fraction.is_empty() {
            return None;
        }
        (0, 1i64 << exponent)
    } else {
        if whole.len() + parts.fraction.len() > FAST_DIGITS_MAX {
            return None;
        }
        (exponent, 1)
    };
    let power = power.checked_sub(i32::try_from(parts.fraction.len()).ok()?)?;
    if power < NANO {
        return None;
    }
    let shifted = format!("{whole}{}", parts.fraction);
    let number: i64 = shifted.parse().ok()?;
    let product = number.checked_mul(factor)?;
    let keeps_text = match format {
        Format::BinarySi => number % 8 != 0,
        _ => power % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0'),
    };
    let mantissa = i128::from(if parts.is_negative { -product } else { product });
    let mut quantity = Quantity::plain(mantissa, power, format);
    quantity.text = keeps_text.then(|| text.into());
    Some(quantity)
}

/// The decimal `whole.fraction` × 10^`exponent`, rounded up to billionths and to the digits that a mantissa holds.
fn decimal(parts: &Parts<'_>, exponent: i32) -> (i128, i32) {
    let all = format!("{}{}", parts.whole, parts.fraction);
    let all = all.trim_start_matches('0');
    if all.is_empty() {
        return (0, 0);
    }
    let mut power = i64::from(exponent) - length(parts.fraction);
    let too_fine = i64::from(NANO).saturating_sub(power).max(0);
    let too_long = length(all) - i64::try_from(MANTISSA_DIGITS_MAX).unwrap_or(i64::MAX);
    let dropped = too_fine.max(too_long).max(0);
    power += dropped;
    let kept = usize::try_from(length(all) - dropped).unwrap_or(0);
    let (kept, rest) = all.split_at(kept);
    let mantissa: i128 = if kept.is_empty() { 0 } else { kept.parse().unwrap_or(i128::MAX) };
    let is_inexact = rest.bytes().any(|digit| digit != b'0');
    (mantissa.saturating_add(i128::from(is_inexact)), i32::try_from(power).unwrap_or(i32::MAX))
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// The number `whole.fraction` × 2^`exponent` in billionths, rounded up and capped at 2^63-1 as upstream does.
fn binary(parts: &Parts<'_>, exponent: i32) -> (i128, i32, Format) {
    let billion = pow10(i64::from(-NANO)).unwrap_or(1);
    let unit = billion << exponent;
    // From the last digit on: each step is an exact division, so what is cut off adds up to the true remainder.
    let mut nanos = 0;
    let mut is_inexact = false;
    for digit in parts.fraction.bytes().rev() {
        let sum = i128::from(digit - b'0') * unit + nanos;
        is_inexact |= sum % 10 != 0;
        nanos = sum / 10;
    }
    nanos += i128::from(is_inexact);
    let limit = i128::from(i64::MAX) * billion;
    let whole: Option<i128> =
        if parts.whole.is_empty() { Some(0) } else { parts.whole.parse().ok() };
    let total = whole
        .and_then(|whole| whole.checked_mul(unit))
        .and_then(|whole| whole.checked_add(nanos))
        .map_or(limit, |total| total.min(limit));
    // Below one, only a decimal notation can show the value without rounding it.
    let format = if total > 0 && total < billion { Format::DecimalSi } else { Format::BinarySi };
    (total, NANO, format)
}
