use serde_json::json;

use super::*;

fn document() -> Value {
    json!({
        "kind": "List",
        "items": [
            {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}}, "n": 1, "on": true},
            {"metadata": {"name": "b"}, "n": 2, "list": [{"type": "Ready", "status": "True"}]},
            {"metadata": {"name": "c"}, "n": 3},
        ],
    })
}

#[track_caller]
fn check(template: &str, expected: &str) {
    let text = JsonPath::parse(template).and_then(|path| path.text(&document(), true));
    assert_eq!(text.unwrap(), expected, "{template}");
}

#[test]
fn templates_find_what_kubectl_finds() {
    check("kind is {.kind}", "kind is List");
    check("{.items[*].metadata.name}", "a b c");
    check("{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "x");
    check(
        "{.items[0]['metadata','n']}",
        r#"{"labels":{"app.kubernetes.io/name":"x"},"name":"a"} 1"#,
    );
    check("{.items[-1:].metadata.name}", "c");
    check("{.items[0:2].n}", "1 2");
    check("{.items[::2].n}", "1 3");
    check("{.items[?(@.n>1)].metadata.name}", "b c");
    check("{.items[?(@.metadata.name==\"b\")].list[?(@.type=='Ready')].status}", "True");
    check("{.items[?(@.on)].metadata.name}", "a");
    check("{..name}", "a b c");
    check("{range .items[*]}{.metadata.name}={.n}{\"\\n\"}{end}", "a=1\nb=2\nc=3\n");
    check("{.items[0].nothing}", "");
    check("{$.items[1].metadata.name}", "b");
    check("{.items[1,2].n}", "2 3");
    check("{.items[*]['metadata.name', 'n']}", "a b c 1 2 3");
    check("{.items[0].metadata.labels['app\\.kubernetes\\.io/name']}", "x");
    check("{range .items[*]}{range .list[*]}{.type}{end};{end}", ";Ready;;");
    check("{.items[].n} {.items[-1].n}", "1 3");
}

#[test]
fn a_missing_key_is_an_error_when_asked_to_be() {
    let path = JsonPath::parse("{.nothing}").unwrap();
    let error = path.text(&document(), false).unwrap_err().to_string();
    assert!(error.contains("Error executing template: nothing is not found"), "{error}");
}

#[test]
fn templates_that_make_no_sense_are_refused() {
    for (template, why) in [
        ("{.a", "unclosed action"),
        ("{.a[}", "unterminated array"),
        ("{.a[\"b\"]}", "invalid array index \"b\""),
        ("{.a[?(@.x]}", "unterminated filter"),
        ("{....a}", "invalid multiple recursive descent"),
        ("{#}", "unrecognized character in action: U+0023 '#'"),
        ("{\"a}", "unterminated quoted string"),
    ] {
        let error = JsonPath::parse(template).unwrap_err().to_string();
        assert_eq!(error, format!("error parsing jsonpath {template}, {why}"));
    }
    for (template, why) in [
        ("{end}", "not in range, nothing to end"),
        ("{foo}", "unrecognized identifier foo"),
        ("{.items[9]}", "array index out of bounds: index 9, length 3"),
        ("{.kind[0]}", "string is not array or slice"),
        ("{.items[?(@.n==1.5)]}", "incompatible types for comparison"),
    ] {
        assert_eq!(JsonPath::parse(template).unwrap().find(&document(), true).unwrap_err(), why);
    }
}

#[test]
fn relaxed_paths_may_lack_braces_and_dot() {
    for source in ["kind", ".kind", "{kind}", "{.kind}"] {
        let path = JsonPath::parse_relaxed(source).unwrap();
        assert_eq!(path.text(&document(), true).unwrap(), "List");
    }
}
