use serde_json::json;

use super::*;

fn object() -> Value {
    json!({
        "kind": "List",
        "items": [{"name": "a", "port": 8080, "on": true}, {"name": "b", "labels": {"x": "1", "y": "2"}}],
        "data": {"a.b": "c", "password": "aGk="},
        "empty": [],
        "nothing": null,
        "big": 12_345_678,
    })
}

#[track_caller]
fn check(template: &str, expected: &str) {
    let text = Template::parse(template).and_then(|template| template.execute(&object(), true));
    assert_eq!(text.unwrap(), expected, "{template}");
}

#[test]
fn templates_make_what_gos_text_template_makes() {
    check("{{.kind}} {{.nosuch}} {{.nosuch.x}}", "List <no value> <no value>");
    check("{{range .items}}{{.name}} {{end}}", "a b ");
    check("{{range $i, $e := .items}}{{$i}}={{$e.name}}{{\"\\n\"}}{{end}}", "0=a\n1=b\n");
    check("{{range $k, $v := (index .items 1).labels}}{{$k}}:{{$v}},{{end}}", "x:1,y:2,");
    check("{{index .data \"a.b\"}} {{len .items}}", "c 2");
    check(
        "{{range .items}}{{if .on}}{{.name}}{{else if eq .name \"b\"}}!{{else}}?{{end}}{{end}}",
        "a!",
    );
    check("{{with .empty}}x{{else}}none{{end}}", "none");
    check("{{with .empty}}x{{else with .kind}}{{.}}{{end}}", "List");
    check("{{printf \"%s-%d %q\" .kind (len .items) .kind}}", "List-2 \"List\"");
    check("{{.data.password | base64decode}}", "hi");
    check("{{range .items}}{{.port}} {{end}}", "8080 <no value> ");
    check("a {{- /* gone */ -}} b{{ \"x\" -}}  c", "abxc");
    check("{{$x := 1}}{{range .items}}{{$x = 2}}{{end}}{{$x}}", "2");
    check("{{.data}} {{.big}} {{.nothing}}", "map[a.b:c password:aGk=] 12345678 <no value>");
    check("{{and .kind .empty}}|{{or .empty .kind}}|{{not .empty}}", "[]|List|true");
    check("{{range .items}}{{if .on}}{{continue}}{{end}}{{.name}}{{end}}", "b");
    check("{{range 3}}{{.}}{{end}}{{range 0}}{{else}}-{{end}}", "012-");
    check("{{printf \"%T %T %v\" .big 1 .big}} {{lt .big 1}}", "int64 int 12345678 false");
    check("{{js \"<'\"}} {{urlquery \"a b\" }} {{html \"<\"}}", "\\u003C\\' a+b &lt;");
}

#[test]
fn templates_name_templates() {
    check("{{define \"x\"}}<{{.}}>{{end}}{{template \"x\" .kind}}", "<List>");
    check("{{template \"x\"}}{{define \"x\"}}{{.}}{{end}}", "<no value>");
    check("{{block \"b\" .data}}{{.password}}{{end}}", "aGk=");
}

/// What is wrong when a template is read.
#[test]
fn templates_that_make_no_sense_are_refused_in_gos_words() {
    for (template, why) in [
        ("{{nosuch .x}}", "function \"nosuch\" not defined"),
        ("{{if .x}}", "unexpected EOF"),
        ("{{.x", "unclosed action"),
        ("{{.x\n", "unclosed action started at output:1"),
        ("{{define \"a\" .}}{{end}}", "unexpected <.> in define clause"),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{$x}}", "undefined variable \"$x\""),
        ("{{.x | \"y\"}}", "non executable command in pipeline stage 2"),
        ("{{(.x}}", "unclosed left paren"),
        ("{{12x}}", "bad number syntax: \"12x\""),
        ("{{}}", "missing value for command"),
        ("{{if .x}}{{else}}{{else}}{{end}}", "expected end; found {{else}}"),
        ("{{range $a, $b, $c := .x}}{{end}}", "too many declarations in range"),
    ] {
        let error = Template::parse(template).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("error parsing template {template}, template: output:1: {why}")
                .replace("output:1: unclosed action started", "output:2: unclosed action started"),
        );
    }
}

/// What is wrong when a template is run.
#[test]
fn mistakes_are_told_with_their_place() {
    for (template, why) in [
        (
            "{{.kind.x}}",
            "1:7: executing \"output\" at <.kind.x>: can't evaluate field x in type interface {}",
        ),
        (
            "{{with .kind}}{{.x}}{{end}}",
            "1:16: executing \"output\" at <.x>: can't evaluate field x in type string",
        ),
        (
            "{{.nothing.x}}",
            "1:10: executing \"output\" at <.nothing.x>: nil pointer evaluating interface {}.x",
        ),
        ("\n{{len 3}}", "2:2: executing \"output\" at <len 3>: error calling len: len of type int"),
        (
            "{{.kind \"x\"}}",
            "1:2: executing \"output\" at <.kind>: kind is not a method but has arguments",
        ),
        (
            "{{template \"n\"}}",
            "1:11: executing \"output\" at <{{template \"n\"}}>: template \"n\" not defined",
        ),
        (
            "{{lt .kind 1}}",
            "1:2: executing \"output\" at <lt .kind 1>: error calling lt: incompatible types for comparison: string and int",
        ),
        (
            "{{range .kind}}{{end}}",
            "1:8: executing \"output\" at <.kind>: range can't iterate over List",
        ),
        (
            "{{not}}",
            "1:2: executing \"output\" at <not>: wrong number of args for not: want 1 got 0",
        ),
        (
            "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}",
            "1:25: executing \"a\" at <{{template \"a\"}}>: exceeded maximum template depth (100000)",
        ),
    ] {
        let made = Template::parse(template).unwrap().execute(&object(), true);
        let whole = quoted(template);
        assert_eq!(
            made.unwrap_err().to_string(),
            format!("error executing template {whole}: template: output:{why}")
        );
    }
}

#[test]
fn a_precision_beyond_gos_limit_is_bounded() {
    let wide = Template::parse("{{printf \"%.70000f\" 1.0}}").unwrap();
    assert!(wide.execute(&json!({}), true).is_ok());
}
