use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn prints(text: &str, expected: &str) {
    assert_eq!(Selector::parse(text).map(|selector| selector.to_string()), Ok(expected.to_owned()));
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    assert_eq!(Selector::parse(text).expect_err(text).text, expected);
}

#[test]
fn selectors_print_in_canonical_form() {
    prints("", "");
    prints("b=1,a==2,c!=3", "a==2,b=1,c!=3");
    prints("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()");
    prints(" !a , b > 1,c<2 ", "!a,b>1,c<2");
    prints("a in (b,a,b)", "a in (a,b)");
    prints("in in (notin),notin", "in in (notin),notin");
    prints("a=,b!=", "a=,b!=");
    prints("a in (,)", "a in ()");
}

#[test]
fn errors_have_the_texts_of_upstream() {
    fails("=web", "found '=', expected: !, identifier, or 'end of string'");
    fails("app in", "unable to parse requirement: found '' expected: '('");
    fails("app in (", "unable to parse requirement: found '', expected: ',', ')' or identifier");
    fails("app in (web", "unable to parse requirement: found '', expected: ',' or ')'");
    fails(
        "app>x",
        "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
    );
    fails(
        "n>",
        "unable to parse requirement: values[0]: Invalid value: \"\": for 'Gt', 'Lt' operators, the value must be an integer",
    );
    fails(
        "bad key!=x",
        "unable to parse requirement: found 'key', expected: in, notin, =, ==, !=, gt, lt",
    );
    fails("app=bad value", "found 'value', expected: ',' or 'end of string'");
    fails("app,,tier", "found ',', expected: identifier after ','");
    fails("app,", "found '', expected: identifier after ','");
    fails("(a)", "found '(', expected: !, identifier, or 'end of string'");
    fails("!", "unable to parse requirement: found '', expected: identifier");
    fails("a=b=c", "found '=', expected: ',' or 'end of string'");
    fails("!a=b", "found '=', expected: ',' or 'end of string'");
    fails("a notin b", "unable to parse requirement: found 'b' expected: '('");
    fails("a=(b)", "unable to parse requirement: found '(', expected: identifier");
    fails("a in (b (", "unable to parse requirement: found '(', expected: ',' or ')'");
    fails("a in (,=", "unable to parse requirement: found '=', expected: ',', or identifier");
    fails(
        "x/y/z=1",
        "unable to parse requirement: <nil>: Invalid value: \"x/y/z\": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    );
    fails(
        "a=-",
        "unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    );
}

#[test]
fn an_operator_sees_the_label_or_its_absence() {
    let labels = json!({"app": "web", "n": "2", "x.y/z": ""});
    for (text, expected) in [
        ("", true),
        ("app=web", true),
        ("app==db", false),
        ("app!=db", true),
        ("tier!=x", true),
        ("tier notin (x)", true),
        ("app notin (web,db)", false),
        ("app in (web,db)", true),
        ("tier in (x)", false),
        ("app,!tier", true),
        ("!app", false),
        ("x.y/z=", true),
        ("n>1,n<3", true),
        ("n>2", false),
        ("app>1", false),
        ("tier<1", false),
    ] {
        let selector = Selector::parse(text).expect(text);
        assert_eq!(selector.matches_value(&labels), expected, "{text}");
    }
    assert!(!Selector::nothing().matches_value(&labels));
    assert!(Selector::from_labels([("app", "web")]).matches_value(&labels));
    assert!(!Selector::from_labels([("app", "web")]).matches_value(&Value::Null));
}

#[test]
fn a_label_selector_object_becomes_a_selector() {
    let selector = json!({"matchLabels": {"b": "1"}, "matchExpressions": [
        {"key": "a", "operator": "In", "values": ["y", "x"]}, {"key": "c", "operator": "DoesNotExist"}]});
    assert_eq!(
        Selector::from_value(Some(&selector)).map(|s| s.to_string()),
        Ok("a in (x,y),b=1,!c".into())
    );
    assert!(Selector::from_value(Some(&json!({}))).is_ok_and(|selector| selector.is_everything()));
    assert!(Selector::from_value(None).is_ok_and(|selector| selector.is_nothing()));
    let fails = |expression: Value, expected: &str| {
        let selector = json!({"matchExpressions": [expression]});
        assert_eq!(Selector::from_value(Some(&selector)).expect_err("invalid").text, expected);
    };
    fails(json!({"key": "a", "operator": "Gt"}), "\"Gt\" is not a valid label selector operator");
    fails(
        json!({"key": "a", "operator": "In"}),
        "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty",
    );
    fails(
        json!({"key": "a", "operator": "Exists", "values": ["x"]}),
        "values: Invalid value: [\"x\"]: values set must be empty for exists and does not exist",
    );
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_without_a_panic(text in "[a-c=!,()<> \\t]{0,16}|\\PC{0,12}|[in(),a]{0,12}") {
        if let Ok(selector) = Selector::parse(&text) {
            let printed = selector.to_string();
            let again = Selector::parse(&printed);
            prop_assert_eq!(again.map(|again| again.to_string()), Ok(printed));
        }
    }

    #[test]
    fn a_requirement_and_its_negation_never_agree(value in proptest::option::of("[ab]?"), listed in "[ab]?") {
        let value = value.as_deref();
        for (operator, negation) in [("=", "!="), (" in ", " notin ")] {
            let wrap = |operator: &str| if operator.contains("in") { format!("k{operator}({listed})") } else { format!("k{operator}{listed}") };
            let parse = |operator: &str| Selector::parse(&wrap(operator)).expect("valid");
            prop_assert_ne!(parse(operator).matches(|_| value), parse(negation).matches(|_| value));
        }
    }
}
