use super::*;

#[test]
fn ages_are_written_as_upstream_writes_them() {
    for (seconds, expected) in [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_000, "3h3m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (64_000_000, "2y10d"),
        (252_288_000, "8y"),
    ] {
        assert_eq!(human(seconds), expected, "{seconds}");
    }
}

#[test]
fn durations_are_read_as_go_writes_them() {
    let millis = |text| parse_duration(text).map(|length| length.as_millis());
    for (text, expected) in [
        ("300ms", Some(300)),
        ("1.5h", Some(5_400_000)),
        ("2h45m", Some(9_900_000)),
        ("0", Some(0)),
        ("0s", Some(0)),
        ("", None),
        ("5", None),
        ("1x", None),
        ("-1s", None),
    ] {
        assert_eq!(millis(text), expected, "{text}");
    }
}

#[test]
fn days_become_dates() {
    for (days, expected) in
        [(0, (1970, 1, 1)), (-1, (1969, 12, 31)), (11_016, (2000, 2, 29)), (20_777, (2026, 11, 20))]
    {
        assert_eq!(civil(days), expected);
    }
}
