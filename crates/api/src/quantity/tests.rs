use proptest::prelude::*;

use super::*;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn prints(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(quantity(text).to_string(), *expected, "{text}");
    }
}

#[test]
fn the_largest_suffix_that_loses_nothing_is_written() {
    prints(&[
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1500m", "1500m"),
        ("0.001", "1m"),
        ("100k", "100k"),
        ("1000k", "1M"),
        ("1000000", "1M"),
        ("1024", "1024"),
        ("1024Ki", "1Mi"),
        ("2048Ki", "2Mi"),
        ("1025Ki", "1025Ki"),
        ("512Ki", "512Ki"),
        ("8Ki", "8Ki"),
        ("16Gi", "16Gi"),
        ("0.1", "100m"),
        ("12.34", "12340m"),
        ("1E", "1E"),
        ("100E", "100E"),
    ]);
}

#[test]
fn zero_has_one_form() {
    prints(&[
        ("0", "0"),
        ("00", "0"),
        ("0.0", "0"),
        ("-0", "0"),
        ("0Ki", "0"),
        ("0k", "0"),
        ("0e5", "0"),
        ("-", "0"),
        (".", "0"),
    ]);
}

#[test]
fn exponents_stay_exponents() {
    prints(&[
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("12e6", "12e6"),
        ("1e-3", "1e-3"),
        ("1e4", "10e3"),
        ("1e-4", "100e-6"),
        ("1000e3", "1e6"),
        ("1e0", "1e0"),
        ("1.5e3", "1500"),
        ("123456789012345678901234567890e0", "123456789012345678901234567890"),
    ]);
}

#[test]
fn text_that_looks_canonical_is_kept() {
    prints(&[
        ("+1", "+1"),
        ("01", "01"),
        ("1.", "1."),
        ("1.500", "1.500"),
        ("-1.5", "-1500m"),
        ("+1Ki", "+1Ki"),
    ]);
}

#[test]
fn what_is_too_fine_is_rounded_away_from_zero() {
    prints(&[
        ("0.1n", "1n"),
        ("1.5n", "2n"),
        ("0.0000000001", "1n"),
        ("-0.0000000001", "-1n"),
        ("1e-20", "1e-9"),
        ("0.1Gi", "107374182400m"),
        ("0.1Ki", "102400m"),
        ("0.0001Ki", "102400u"),
        ("0.5Ki", "512"),
        ("1.1Ki", "1126400m"),
        ("-1.5Gi", "-1536Mi"),
        ("1.0000000000000000001Gi", "1073741824000000001n"),
        ("9.999999999999999999999999999999999999999999", "10"),
    ]);
}

#[test]
fn binary_numbers_are_capped_and_decimal_ones_are_not() {
    prints(&[
        ("8Ei", "9223372036854775807"),
        ("-8Ei", "-9223372036854775807"),
        ("9999999999999999999999999999999999999999Ki", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775808"),
        ("100000000000000000000E", "100"),
    ]);
}

#[test]
fn errors_have_the_texts_of_upstream() {
    let check = |texts: &[&str], expected: QuantityError| {
        for text in texts {
            assert_eq!(text.parse::<Quantity>().map(|q| q.to_string()), Err(expected), "{text}");
        }
    };
    check(
        &["", " ", "abc", "1x", "1.2.3", "1 Gi", "1Gi ", "0x10", "1gi", "1e+-3", "1,5"],
        QuantityError::Format,
    );
    check(
        &["1mm", "1e", "1K", "1ki", "1e99999999999999999999", "10i", "1E+", "--1"],
        QuantityError::Suffix,
    );
    check(&[".e-20"], QuantityError::Numeric);
    assert_eq!(
        QuantityError::Format.to_string(),
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
}

#[test]
fn values_are_rounded_away_from_zero_and_saturate() {
    for (text, value, milli) in [
        ("100m", 1, 100),
        ("1.0001", 2, 1001),
        ("-100m", -1, -100),
        ("2Gi", 2_147_483_648, 2_147_483_648_000),
        ("10E", i64::MAX, i64::MAX),
        ("-1e2000000000", i64::MIN, i64::MIN),
        ("1n", 1, 1),
    ] {
        assert_eq!(
            (quantity(text).value(), quantity(text).milli_value()),
            (value, milli),
            "{text}"
        );
    }
    assert_eq!((quantity("1500m").as_i64(), quantity("2k").as_i64()), (None, Some(2000)));
}

#[test]
fn sums_take_the_notation_of_the_first_that_is_not_zero() {
    let add = |a: &str, b: &str| quantity(a).add(&quantity(b)).to_string();
    let sub = |a: &str, b: &str| quantity(a).sub(&quantity(b)).to_string();
    assert_eq!(add("500m", "500m"), "1");
    assert_eq!(add("0", "1Gi"), "1Gi");
    assert_eq!(add("1Gi", "1000M"), "2073741824");
    assert_eq!(add("1Gi", "512Mi"), "1536Mi");
    assert_eq!(add("1e3", "1"), "1001");
    assert_eq!(add("1Ki", "1m"), "1024001m");
    assert_eq!(sub("1", "1500m"), "-500m");
    assert_eq!(sub("0", "1Ki"), "-1Ki");
    assert_eq!(sub("2Gi", "1Gi"), "1Gi");
    assert_eq!(add("1e2000000000", "1"), "100e1999999998");
    assert_eq!(quantity("250m").times(4).to_string(), "1");
}

#[test]
fn notation_does_not_matter_for_comparison() {
    for (a, b) in [("1", "1000m"), ("1Gi", "1024Mi"), ("1k", "1e3"), ("0", "-0"), ("0.5Ki", "512")]
    {
        assert_eq!(quantity(a), quantity(b), "{a} {b}");
    }
    for (smaller, larger) in [
        ("1k", "1Ki"),
        ("-1", "0"),
        ("999m", "1"),
        ("-2", "-1"),
        ("1", "1e2000000000"),
        ("-1e2000000000", "-1e1999999999"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345679"),
    ] {
        assert!(quantity(smaller) < quantity(larger), "{smaller} {larger}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "[-+0-9.eEinumkKMGTP]{0,24}|\\PC{0,12}") {
        if let Ok(quantity) = text.parse::<Quantity>() {
            quantity.to_string();
            quantity.value();
            quantity.milli_value();
        }
    }

    #[test]
    fn printing_loses_nothing_and_is_stable(mantissa in any::<i64>(), suffix in "n|u|m|k|M|G|Ki|Mi|e-3|e3|", places in 0usize..4) {
        let digits = format!("{:05}", mantissa.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let quantity = quantity(&format!("{}{whole}.{fraction}{suffix}", if mantissa < 0 { "-" } else { "" }));
        let printed = quantity.to_string();
        let again: Quantity = printed.parse().expect("what was printed");
        prop_assert_eq!(&again, &quantity, "{}", printed);
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn arithmetic_is_that_of_integers(a in any::<i32>(), b in any::<i32>(), millis in any::<bool>()) {
        let make = |value: i32| if millis { Quantity::from_milli(value.into(), Format::DecimalSi) } else { Quantity::from_value(value.into(), Format::BinarySi) };
        let (x, y) = (make(a), make(b));
        let read = |quantity: Quantity| if millis { quantity.milli_value() } else { quantity.value() };
        prop_assert_eq!(read(x.add(&y)), i64::from(a) + i64::from(b));
        prop_assert_eq!(read(x.sub(&y)), i64::from(a) - i64::from(b));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x.add(&y).sub(&y), x);
    }
}
