use serde_json::json;

use super::{json as go_json, text};

#[test]
fn maps_and_lists_print_as_percent_v_does() {
    let value = json!({"b": [1, "x", null, {"k": true}], "a": {}, "c": 1.5});
    assert_eq!(text(&value), "map[a:map[] b:[1 x <nil> map[k:true]] c:1.5]");
}

#[test]
fn floats_take_the_shortest_form_with_go_s_exponents() {
    for (value, printed, encoded) in [
        (1e21, "1e+21", "1e+21"),
        (1e20, "100000000000000000000", "100000000000000000000"),
        (0.000_01, "1e-05", "0.00001"),
        (0.000_000_1, "1e-07", "1e-7"),
        (0.0, "0", "0"),
        (-2.5, "-2.5", "-2.5"),
        (1e-10, "1e-10", "1e-10"),
    ] {
        assert_eq!(
            (text(&json!(value)).as_str(), go_json(&json!(value)).as_str()),
            (printed, encoded)
        );
    }
}

#[test]
fn json_is_sorted_and_escaped_for_html() {
    let value = json!({"b": "<a&b>\u{2028}\u{1}\"\\\n", "a": [1, null]});
    let expected = r#"{"a":[1,null],"b":"\u003ca\u0026b\u003e\u2028\u0001\"\\\n"}"#;
    assert_eq!(go_json(&value), expected);
}
