use serde_json::{Value, json};

use super::*;
use crate::schema::builtin;

fn pod(text: &str) -> Result<Decoded, String> {
    decode(text.as_bytes(), builtin().get("core/v1.Pod").expect("known"))
}

#[track_caller]
fn error(text: &str, expected: &str) {
    assert_eq!(pod(text).expect_err("must not decode"), expected);
}

#[track_caller]
fn strict(text: &str, expected: &[&str]) {
    assert_eq!(pod(text).expect("decodes").strict, expected);
}

#[test]
fn broken_syntax_is_told_in_the_words_of_go() {
    error("{", "unexpected end of JSON input");
    error("", "unexpected end of JSON input");
    error("not json", "invalid character 'o' in literal null (expecting 'u')");
    error(r#"{"kind":"Pod",}"#, "invalid character '}' looking for beginning of object key string");
    error(r#"{"a":1} x"#, "invalid character 'x' after top-level value");
    error(r#"{"a" 1}"#, "invalid character '1' after object key");
    error("[1 2]", "invalid character '2' after array element");
    error("{\"a\":\"\n\"}", r"invalid character '\n' in string literal");
    error("01", "invalid character '1' after top-level value");
    error("1.x", "invalid character 'x' after decimal point in numeric literal");
    error(r#""\q""#, "invalid character 'q' in string escape code");
    error("'", r"invalid character '\'' looking for beginning of value");
}

#[test]
fn nesting_is_bounded_and_never_overflows_the_stack() {
    error(&"[".repeat(20_000), "exceeded max depth");
    let deep = format!("{}{}", "[".repeat(9_000), "]".repeat(9_000));
    strict(&format!(r#"{{"nosuch":{deep}}}"#), &["unknown field \"nosuch\""]);
    let open = format!(r#"{{"metadata":{{"managedFields":[{{"fieldsV1":{deep}}}]}}}}"#);
    error(&open, "exceeded max depth");
}

#[test]
fn a_wrong_type_names_the_go_field() {
    error(
        r#"{"spec":{"nodeSelector":{"gpu":true}}}"#,
        "json: cannot unmarshal bool into Go struct field PodSpec.spec.nodeSelector of type string",
    );
    error(
        r#"{"spec":{"containers":{}}}"#,
        "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
    );
    error(
        r#"{"spec":{"containers":[{"ports":[{"containerPort":"80"}]}]}}"#,
        "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    );
    error(
        r#"{"spec":{"priority":1.5}}"#,
        "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
    );
}

#[test]
fn unknown_and_duplicate_fields_are_noted_in_the_order_of_the_text() {
    strict(
        r#"{"Spec":{},"spec":{"containers":[{"name":"c","foo":1,"name":"d"}]},"metadata":{"labels":{"a":"1","a":"2"}}}"#,
        &[
            "unknown field \"Spec\"",
            "unknown field \"spec.containers[0].foo\"",
            "duplicate field \"spec.containers[0].name\"",
            "duplicate field \"metadata.labels.a\"",
        ],
    );
}

#[test]
fn what_go_would_leave_out_is_left_out_and_what_it_would_write_is_there() {
    let text = r#"{"metadata":{"name":"x","labels":{}},"spec":{"hostNetwork":false,"automountServiceAccountToken":false,
        "containers":[{"name":"c","resources":{"limits":{"cpu":0.5,"memory":"1024Mi"}}}],"nodeName":null}}"#;
    let expected = json!({
        "metadata": {"name": "x"},
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{"name": "c", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}],
        },
        "status": {},
    });
    assert_eq!(pod(text).expect("decodes").value, expected);
}

#[test]
fn a_settled_tree_is_written_in_the_order_of_go_and_read_back_the_same() {
    let ty = builtin().get("core/v1.Pod").expect("known");
    let decoded = pod(r#"{"status":{},"spec":{"containers":[{"image":"i","name":"c"}]},"kind":"Pod","apiVersion":"v1"}"#)
        .expect("decodes");
    let mut out = Vec::new();
    encode(&decoded.value, ty, &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{"containers":[{"name":"c","image":"i","resources":{}}]},"status":{}}"#
    );
    let mut again = decode(&out, ty).expect("decodes").value;
    settle(&mut again, ty).expect("settled");
    assert_eq!(again, decoded.value);
}

#[test]
fn strings_are_unescaped_as_in_go() {
    let decoded = decode_any(br#"["\ud83c\udf47 \ud800 \u0041\n", 12345678901234567890, 1e3]"#)
        .expect("decodes");
    let Value::Array(items) = decoded.value else { panic!("an array") };
    assert_eq!(items[0], json!("\u{1f347} \u{fffd} A\n"));
    assert_eq!(items[2], json!(1000.0));
}

#[test]
fn every_recorded_object_is_settled_already() {
    let Ok(entries) = std::fs::read_dir("../../../shared/upstream/api-testdata") else {
        eprintln!("SKIP every_recorded_object_is_settled_already: ../shared is absent");
        return;
    };
    let mut count = 0;
    for path in entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
    {
        let name = path.file_stem().expect("named").to_string_lossy().into_owned();
        let Some(ty) = type_of_file(&name) else { continue };
        let text = std::fs::read(&path).expect("readable");
        let original: Value = serde_json::from_slice(&text).expect("JSON");
        let decoded = decode(&text, ty).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(decoded.strict, Vec::<String>::new(), "{name}");
        assert_eq!(decoded.value, original, "{name}");
        count += 1;
    }
    assert!(count > 50, "only {count} files had a known type");
}

/// `apps.v1.Deployment` is `apps/v1.Deployment` of the table, `core.v1.Pod` is `core/v1.Pod`.
fn type_of_file(name: &str) -> Option<crate::schema::TypeRef<'static>> {
    let (group_version, kind) = name.rsplit_once('.')?;
    let (group, version) = group_version.rsplit_once('.')?;
    let group = group.split('.').next()?;
    builtin().get(&format!("{group}/{version}.{kind}"))
}
