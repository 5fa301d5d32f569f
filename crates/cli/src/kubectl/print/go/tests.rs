use serde_json::json;

use super::*;

#[test]
fn values_are_go_source() {
    assert_eq!(
        syntax(&json!({"a": [1, "x\n", null, true], "b": {}})),
        "map[string]interface {}{\"a\":[]interface {}{1, \"x\\n\", interface {}(nil), true}, \"b\":map[string]interface {}{}}"
    );
}

#[test]
fn values_are_text() {
    for (value, text) in [
        (json!([1, 2.5, 1e6, 123_456.0, 1.5e-7, 0.0001]), "[1 2.5 1e+06 123456 1.5e-07 0.0001]"),
        (json!({"b": null, "a": {"c": "x y"}}), "map[a:map[c:x y] b:<nil>]"),
        (json!(1e20), "1e+20"),
    ] {
        assert_eq!(plain(&value), text);
    }
    assert_eq!(sprint(&[json!(1), json!(2), json!("a"), json!("b"), json!(3)]), "1 2ab3");
}

#[test]
fn literals_lose_quotes_and_escapes() {
    for (literal, text) in [
        (r#""a\tb\x41\u00e9\101""#, Some("a\tbA\u{e9}A")),
        (r#""\"'""#, Some("\"'")),
        (r"'\'a'", Some("'a")),
        ("`a\\n`", Some("a\\n")),
        (r#""\'""#, None),
        (r#""\x4""#, None),
        (r#""\u+123""#, None),
        (r#""a"#, None),
        ("\"", None),
    ] {
        assert_eq!(unquoted(literal).as_deref(), text, "{literal}");
    }
}

#[test]
fn sprintf_writes_what_gos_writes() {
    let values = [json!(42), json!("hi"), json!(2.5), json!(true), json!([1, "x"]), json!(null)];
    for (format, picks, text) in [
        ("%05d|%+d|%x|%-4d|", &[0, 0, 0, 0][..], "00042|+42|2a|42  |"),
        ("%s|%10s|%-4s|%q|%x|% X|%.1s", &[1; 7], "hi|        hi|hi  |\"hi\"|6869|68 69|h"),
        (
            "%v|%f|%.2f|%e|%g|%6.1f|%06.1f",
            &[2; 7],
            "2.5|2.500000|2.50|2.500000e+00|2.5|   2.5|0002.5",
        ),
        ("%t|%5t|%d", &[3; 3], "true| true|%!d(bool=true)"),
        ("%v|%d|%s", &[4; 3], "[1 x]|[1 %!d(string=x)]|[%!s(int64=1) x]"),
        ("%v|%s|%T", &[5; 3], "<nil>|%!s(<nil>)|<nil>"),
        ("%T %T %T", &[0, 1, 4], "int64 string []interface {}"),
        ("%d %%", &[], "%!d(MISSING) %"),
        ("x", &[0, 1, 5], "x%!(EXTRA int64=42, string=hi, <nil>)"),
        ("%[2]s %[1]d", &[0, 1], "hi 42"),
        ("%[3]d", &[0, 1], "%!d(BADINDEX)"),
        ("%*d|", &[0, 0], "                                        42|"),
        ("%!", &[0], "%!!(int64=42)"),
        ("%", &[], "%!(NOVERB)"),
        ("%c %U %#x %o %b", &[0; 5], "* U+002A 0x2a 52 101010"),
    ] {
        let given: Vec<Typed<'_>> = picks.iter().map(|at: &usize| (&values[*at]).into()).collect();
        assert_eq!(sprintf(format, &given), text, "{format}");
    }
}
