use proptest::prelude::*;

use super::*;

#[test]
fn lengths_are_written_as_go_writes_them() {
    for (text, expected) in [
        ("0", "0s"),
        ("34s", "34s"),
        ("1.5s", "1.5s"),
        ("1h2m3s", "1h2m3s"),
        ("90m", "1h30m0s"),
        ("3600s", "1h0m0s"),
        ("100ms", "100ms"),
        ("1500us", "1.5ms"),
        ("1µs", "1µs"),
        ("-1m", "-1m0s"),
        ("+5ns", "5ns"),
        (".5s", "500ms"),
        ("1.h", "1h0m0s"),
        ("0.000000001s", "1ns"),
        ("9223372036854775807ns", "2562047h47m16.854775807s"),
        ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
    ] {
        assert_eq!(
            text.parse::<GoDuration>().map(|length| length.to_string()),
            Ok(expected.into()),
            "{text}"
        );
    }
}

#[test]
fn bad_lengths_have_the_errors_of_go() {
    for (text, expected) in [
        ("", "time: invalid duration \"\""),
        ("-", "time: invalid duration \"-\""),
        (".s", "time: invalid duration \".s\""),
        ("x", "time: invalid duration \"x\""),
        ("1", "time: missing unit in duration \"1\""),
        ("1d", "time: unknown unit \"d\" in duration \"1d\""),
        ("1s x", "time: unknown unit \"s x\" in duration \"1s x\""),
        ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
        ("3000000h", "time: invalid duration \"3000000h\""),
        ("99999999999999999999s", "time: invalid duration \"99999999999999999999s\""),
        ("1é", "time: unknown unit \"\\xc3\\xa9\" in duration \"1\\xc3\\xa9\""),
    ] {
        assert_eq!(
            text.parse::<GoDuration>().map_err(|error| error.to_string()),
            Err(expected.into())
        );
    }
}

#[test]
fn ages_have_two_or_three_figures() {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;
    const DAY: i64 = 86_400;
    for (seconds, expected) in [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (10 * MINUTE - 1, "9m59s"),
        (10 * MINUTE + 1, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + MINUTE, "3h1m"),
        (8 * HOUR + MINUTE, "8h"),
        (48 * HOUR - 1, "47h"),
        (48 * HOUR, "2d"),
        (2 * DAY + HOUR, "2d1h"),
        (8 * DAY + HOUR, "8d"),
        (2 * 365 * DAY - 1, "729d"),
        (2 * 365 * DAY, "2y"),
        (2 * 365 * DAY + DAY, "2y1d"),
        (8 * 365 * DAY + DAY, "8y"),
    ] {
        assert_eq!(human_seconds(seconds), expected);
    }
    let at = Timestamp::from_micros;
    assert_eq!(human(at(1_900_000), at(0)), "0s");
    assert_eq!(human(at(0), at(5_999_999)), "5s");
    assert_eq!(short_human_seconds(3 * 365 * DAY), "3y");
}

#[test]
fn times_are_read_as_go_reads_them() {
    for (text, expected) in [
        ("2024-01-01T00:00:20Z", "2024-01-01T00:00:20Z"),
        ("2024-02-29T23:59:59.999999999Z", "2024-02-29T23:59:59Z"),
        ("2024-01-01T00:00:00+01:00", "2023-12-31T23:00:00Z"),
        ("2024-01-01T1:00:00Z", "2024-01-01T01:00:00Z"),
        ("2024-01-01T00:00:00,5Z", "2024-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(parse_time(text).map(format_time), Ok(expected.into()), "{text}");
    }
    assert_eq!(
        parse_micro_time("2024-01-01T00:00:00.000001-00:30").map(format_micro_time),
        Ok("2024-01-01T00:30:00.000001Z".into())
    );
}

#[test]
fn bad_times_have_the_errors_of_go() {
    const TIME: &str = "2006-01-02T15:04:05Z07:00";
    let error = |text: &str, left: &str, part: &str| {
        let expected =
            format!("parsing time \"{text}\" as \"{TIME}\": cannot parse \"{left}\" as \"{part}\"");
        assert_eq!(parse_time(text), Err(expected));
    };
    error("", "", "2006");
    error("yesterday", "yesterday", "2006");
    error("2020-01-01", "", "T");
    error("2020-1-01T00:00:00Z", "1-01T00:00:00Z", "01");
    error("2020-01-01 00:00:00Z", " 00:00:00Z", "T");
    error("2020-01-01T00:00:00", "", "Z07:00");
    error("2020-01-01T00:00:00+0100", "+0100", "Z07:00");
    error("2020-01-01T00:00:00.Z", ".Z", "Z07:00");
    for (text, message) in [
        ("2020-13-01T00:00:00Z", "month out of range"),
        ("2020-02-30T00:00:00Z", "day out of range"),
        ("2020-01-01T24:00:00Z", "hour out of range"),
        ("2020-01-01T00:60:00Z", "minute out of range"),
        ("2020-01-01T00:00:60Z", "second out of range"),
        ("2020-01-01T00:00:00+25:00", "time zone offset hour out of range"),
        ("2020-01-01T00:00:00Zx", "extra text: \"x\""),
    ] {
        assert_eq!(parse_time(text), Err(format!("parsing time \"{text}\": {message}")));
    }
    let micro = |text: &str| parse_micro_time(text).expect_err("invalid");
    assert_eq!(
        micro("2024-01-01T00:00:20Z"),
        r#"parsing time "2024-01-01T00:00:20Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#
    );
    assert_eq!(
        micro("2020-01-01"),
        r#"parsing time "2020-01-01" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "" as "T""#
    );
    assert_eq!(
        micro("2024-01-01T00:00:30.1Z"),
        r#"parsing time "2024-01-01T00:00:30.1Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ".1Z" as ".000000""#
    );
    assert_eq!(
        micro("2024-01-01T00:00:30.1234567Z"),
        r#"parsing time "2024-01-01T00:00:30.1234567Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "7Z" as "Z07:00""#
    );
}

#[test]
fn yaml_takes_four_layouts_for_times() {
    for text in [
        "2001-1-2",
        "2001-12-14t21:59:43.10-05:00",
        "2001-12-14 21:59:43.10",
        "2015-02-24T18:19:39.12Z",
        "2024-01-01T00:00:00Z",
    ] {
        assert!(is_yaml_timestamp(text), "{text}");
    }
    for text in [
        "",
        "2001",
        "2001-",
        "2001-13-01",
        "2001-02-30",
        "20011-1-1",
        "2001-1-2x",
        "2001-12-14 21:59:43.10 -5",
        "2001-1-2T",
    ] {
        assert!(!is_yaml_timestamp(text), "{text}");
    }
}

proptest! {
    #[test]
    fn every_length_survives_its_text(nanos in any::<i64>()) {
        let length = GoDuration { nanos };
        prop_assert_eq!(length.to_string().parse::<GoDuration>(), Ok(length));
    }

    #[test]
    fn every_moment_survives_its_text(micros in -62_135_596_800_000_000i64..253_402_300_800_000_000) {
        let time = Timestamp::from_micros(micros);
        prop_assert_eq!(parse_micro_time(&format_micro_time(time)), Ok(time));
        prop_assert_eq!(parse_time(&format_time(time)), Ok(Timestamp::from_seconds(time.as_seconds())));
        prop_assert_eq!(format_micro_time(time), time.to_rfc3339_micros());
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "[-+0-9TZt:., ]{0,40}|\\PC{0,24}") {
        let _ = parse_time(&text);
        let _ = parse_micro_time(&text);
        let _ = text.parse::<GoDuration>();
        is_yaml_timestamp(&text);
    }
}
