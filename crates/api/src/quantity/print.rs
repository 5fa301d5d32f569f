//! Writing a quantity in canonical form.

use std::fmt;

use super::{Format, Quantity, reduced, rescale};

const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

pub(super) fn print(quantity: &Quantity, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if quantity.is_zero() {
        return f.write_str("0");
    }
    match quantity.format {
        Format::BinarySi => match whole(quantity) {
            Some(number) => print_binary(number, f),
            None => print_decimal(quantity, Format::DecimalSi, f),
        },
        format => print_decimal(quantity, format, f),
    }
}

/// The number that can be shown with a binary suffix: a whole one of at least 1024.
fn whole(quantity: &Quantity) -> Option<i128> {
    let (number, is_exact) = rescale(quantity.mantissa, quantity.exponent, 0);
    (is_exact && number.unsigned_abs() >= 1024).then_some(number)
}

fn print_binary(mut number: i128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut power = 0;
    while number.unsigned_abs() >= 1024 && number % 1024 == 0 {
        number /= 1024;
        power += 1;
    }
    // Beyond the last suffix upstream writes none.
    write!(f, "{number}{}", BINARY.get(power).unwrap_or(&""))
}

fn print_decimal(quantity: &Quantity, format: Format, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (mantissa, exponent) = reduced(quantity.mantissa, quantity.exponent);
    // Exponents are multiples of three; what is missing goes back into the digits.
    let zeros = exponent.rem_euclid(3);
    let exponent = exponent.saturating_sub(zeros);
    write!(f, "{mantissa}{}", &"00"[..usize::try_from(zeros).unwrap_or(0)])?;
    if format == Format::DecimalExponent {
        return if exponent == 0 { Ok(()) } else { write!(f, "e{exponent}") };
    }
    // Beyond the last suffix upstream writes none.
    let at = usize::try_from(exponent / 3 + 3).ok();
    f.write_str(at.and_then(|at| DECIMAL.get(at)).unwrap_or(&""))
}
