use serde_json::json;

use super::*;

#[track_caller]
fn check(template: &str, expected: &str) {
    let object = json!({
        "kind": "List",
        "items": [{"name": "a", "port": 8080, "on": true}, {"name": "b", "labels": {"x": "1", "y": "2"}}],
        "data": {"a.b": "c", "password": "aGk="},
        "empty": [],
    });
    let text = Template::parse(template).and_then(|template| template.execute(&object, true));
    assert_eq!(text.unwrap(), expected, "{template}");
}

#[test]
fn templates_make_what_gos_text_template_makes() {
    check("{{.kind}} {{.nothing}}", "List <no value>");
    check("{{range .items}}{{.name}} {{end}}", "a b ");
    check("{{range $i, $e := .items}}{{$i}}={{$e.name}}{{\"\\n\"}}{{end}}", "0=a\n1=b\n");
    check("{{range $k, $v := (index .items 1).labels}}{{$k}}:{{$v}},{{end}}", "x:1,y:2,");
    check("{{index .data \"a.b\"}} {{len .items}}", "c 2");
    check(
        "{{range .items}}{{if .on}}{{.name}}{{else if eq .name \"b\"}}!{{else}}?{{end}}{{end}}",
        "a!",
    );
    check("{{with .empty}}x{{else}}none{{end}}", "none");
    check("{{printf \"%s-%d %q\" .kind (len .items) .kind}}", "List-2 \"List\"");
    check("{{.data.password | base64decode}}", "hi");
    check("{{range .items}}{{.port}} {{end}}", "8080 <no value> ");
    check("a {{- /* gone */ -}} b{{ \"x\" -}}  c", "abxc");
    check("{{$x := 1}}{{range .items}}{{$x = 2}}{{end}}{{$x}}", "2");
    check("{{.data}}", "map[a.b:c password:aGk=]");
    check("{{and .kind .empty}}|{{or .empty .kind}}|{{not .empty}}", "[]|List|true");
    check("{{range .items}}{{if .on}}{{continue}}{{end}}{{.name}}{{end}}", "b");
}

#[test]
fn a_width_or_precision_beyond_gos_limit_counts_as_none() {
    check("{{printf \"%99999999999999d|%9999999s\" 1 \"x\"}}", "1|x");
    check("{{printf \"%.9999999s|%.99999999999f\" \"x\" 1}}", "x|1.000000");
    let wide = Template::parse("{{printf \"%.70000f\" 1}}").unwrap();
    assert!(wide.execute(&json!({}), true).is_ok());
}

#[test]
fn what_is_not_supported_is_said() {
    for (template, why) in [
        ("{{template \"x\"}}", "\"template\" is not supported"),
        ("{{nosuch .x}}", "function \"nosuch\" not defined"),
        ("{{if .x}}", "unexpected EOF"),
        ("{{.x", "unclosed action"),
    ] {
        let error = Template::parse(template).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
