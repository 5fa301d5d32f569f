//! `resource.Quantity`: a number with a suffix, such as `500m`, `1Gi` or `12e6`.
//!
//! A quantity is an exact decimal of up to 38 digits, not finer than a billionth (finer input is rounded away from zero), and
//! the notation that it came in. Its text is what Kubernetes v1.36 writes: the largest suffix that loses nothing, or the text it
//! came in where that is close enough to canonical for Go to keep it.
//!
//! Holds always: comparison and arithmetic are exact in that range, and saturate beyond it; nothing here panics.

mod parse;
mod print;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

pub use parse::QuantityError;

/// The finest part of a quantity, as a power of ten: a billionth.
const NANO: i32 = -9;

/// How a quantity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `12e6`.
    DecimalExponent,
    /// `12Mi`, powers of 1024.
    BinarySi,
    /// `12M`, powers of 1000.
    DecimalSi,
}

/// An amount of a resource. Equality and order are those of the number, not of the text.
#[derive(Debug, Clone)]
pub struct Quantity {
    mantissa: i128,
    exponent: i32,
    format: Format,
    text: Option<Box<str>>,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self::plain(0, 0, Format::DecimalSi);

    const fn plain(mantissa: i128, exponent: i32, format: Format) -> Self {
        Self { mantissa, exponent, format, text: None }
    }

    /// So many whole units.
    pub const fn from_value(value: i64, format: Format) -> Self {
        Self::plain(value as i128, 0, format)
    }

    /// So many thousandths.
    pub const fn from_milli(value: i64, format: Format) -> Self {
        Self::plain(value as i128, -3, format)
    }

    /// The notation in which it is written.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether it is nothing.
    pub const fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// -1, 0 or 1.
    pub const fn signum(&self) -> i32 {
        // The sign of a mantissa fits.
        self.mantissa.signum() as i32
    }

    /// Whole units, rounded away from zero; saturates.
    pub fn value(&self) -> i64 {
        self.scaled(0)
    }

    /// Thousandths, rounded away from zero; saturates.
    pub fn milli_value(&self) -> i64 {
        self.scaled(-3)
    }

    /// Units of 10^`exponent`, rounded away from zero; saturates.
    pub fn scaled(&self, exponent: i32) -> i64 {
        let (quotient, _) = rescale(self.mantissa, self.exponent, exponent);
        i64::try_from(quotient).unwrap_or(if quotient < 0 { i64::MIN } else { i64::MAX })
    }

    /// The number of whole units if it is a whole number that fits.
    pub fn as_i64(&self) -> Option<i64> {
        let (quotient, is_exact) = rescale(self.mantissa, self.exponent, 0);
        if is_exact { i64::try_from(quotient).ok() } else { None }
    }

    /// The nearest floating-point number.
    pub fn as_f64(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "this is the lossy view")]
        let base = self.mantissa as f64;
        base * 10f64.powi(self.exponent)
    }

    /// The sum. A sum with nothing takes the other side's notation.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        let (mantissa, exponent) = sum(self, other);
        Self::plain(mantissa, exponent, format)
    }

    /// The difference. A difference from nothing takes the other side's notation.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        self.add(&other.negated())
    }

    /// The same amount below zero.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self::plain(self.mantissa.saturating_neg(), self.exponent, self.format)
    }

    /// So many times the amount.
    #[must_use]
    pub fn times(&self, factor: i64) -> Self {
        Self::plain(self.mantissa.saturating_mul(i128::from(factor)), self.exponent, self.format)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::parse(text)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => print::print(self, f),
        }
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_sign = self.signum().cmp(&other.signum());
        if by_sign != Ordering::Equal || self.is_zero() {
            return by_sign;
        }
        let by_size = match aligned(self, other) {
            Some((ours, theirs, _)) => return ours.cmp(&theirs),
            None => compare_magnitudes(self, other),
        };
        if self.signum() < 0 { by_size.reverse() } else { by_size }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        reduced(self.mantissa, self.exponent).hash(state);
    }
}

/// The same number without factors of ten in the mantissa.
fn reduced(mut mantissa: i128, mut exponent: i32) -> (i128, i32) {
    if mantissa == 0 {
        return (0, 0);
    }
    while mantissa % 10 == 0 && exponent < i32::MAX {
        mantissa /= 10;
        exponent += 1;
    }
    (mantissa, exponent)
}

/// 10^`power`, if it fits.
fn pow10(power: i64) -> Option<i128> {
    10i128.checked_pow(u32::try_from(power).ok()?)
}

/// `mantissa` × 10^`from` in units of 10^`to`, rounded away from zero, and whether nothing was rounded; saturates.
fn rescale(mantissa: i128, from: i32, to: i32) -> (i128, bool) {
    let shift = i64::from(from) - i64::from(to);
    if mantissa == 0 || shift == 0 {
        return (mantissa, true);
    }
    let factor = pow10(shift.abs());
    if shift > 0 {
        let product = factor.and_then(|factor| mantissa.checked_mul(factor));
        let saturated = if mantissa < 0 { i128::MIN } else { i128::MAX };
        return product.map_or((saturated, false), |product| (product, true));
    }
    let Some(factor) = factor else { return (mantissa.signum(), false) };
    let rest = mantissa % factor;
    (mantissa / factor + rest.signum(), rest == 0)
}

/// Both mantissas at the smaller of the two exponents, if they fit.
fn aligned(a: &Quantity, b: &Quantity) -> Option<(i128, i128, i32)> {
    let exponent = a.exponent.min(b.exponent);
    let at = |quantity: &Quantity| {
        let factor = pow10(i64::from(quantity.exponent) - i64::from(exponent))?;
        quantity.mantissa.checked_mul(factor)
    };
    Some((at(a)?, at(b)?, exponent))
}

fn sum(a: &Quantity, b: &Quantity) -> (i128, i32) {
    if a.is_zero() {
        return (b.mantissa, b.exponent);
    }
    if b.is_zero() {
        return (a.mantissa, a.exponent);
    }
    let exact = aligned(a, b)
        .and_then(|(ours, theirs, exponent)| Some((ours.checked_add(theirs)?, exponent)));
    // Beyond 38 digits the smaller addend no longer shows.
    exact.unwrap_or_else(|| match compare_magnitudes(a, b) {
        Ordering::Less => (b.mantissa, b.exponent),
        _ => (a.mantissa, a.exponent),
    })
}

/// Compares two numbers without their signs, digit by digit.
fn compare_magnitudes(a: &Quantity, b: &Quantity) -> Ordering {
    let parts = |quantity: &Quantity| {
        let (mantissa, exponent) = reduced(quantity.mantissa, quantity.exponent);
        let digits = mantissa.unsigned_abs().to_string();
        let top = i64::try_from(digits.len()).unwrap_or(i64::MAX) + i64::from(exponent);
        (top, digits)
    };
    // With equal leading positions the digits compare like text: a shorter one is padded with zeros, which a prefix precedes.
    parts(a).cmp(&parts(b))
}

#[cfg(test)]
mod tests;
