use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[track_caller]
fn reads(text: &str, expected: Value) {
    assert_eq!(to_json(text.as_bytes()), Ok(expected), "{text}");
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    assert_eq!(to_json(text.as_bytes()).expect_err(text).to_string(), expected, "{text}");
}

#[track_caller]
fn prints(value: Value, expected: &str) {
    assert_eq!(from_json(&value), expected);
}

#[test]
fn scalars_follow_yaml_1_1() {
    reads("[y, Yes, NO, off, ON, true, yEs]", json!([true, true, false, false, true, true, "yEs"]));
    reads("[~, null, Null, '', \"\", nUll]", json!([null, null, null, "", "", "nUll"]));
    reads(
        "[1, -1, +1, 1_000, 017, 0o17, 0x1F, 0b11, -0x1F, 08, 1__2]",
        json!([1, -1, 1, 1000, 15, 15, 31, 3, -31, 8, 12]),
    );
    reads(
        "[9223372036854775808, 18446744073709551615, -9223372036854775808]",
        json!([9_223_372_036_854_775_808u64, u64::MAX, i64::MIN]),
    );
    reads(
        "[1.5, 1., .5, 1e3, -1.5e-3, 1.0, 1e400, 1e21]",
        json!([1.5, 1, 0.5, 1000, -0.0015, 1, "1e400", 1e21]),
    );
    reads(
        "[190:20:30, 1:30, 0x, 1e, -, +, 0.0.0, ., 1.2.3]",
        json!(["190:20:30", "1:30", "0x", "1e", "-", "+", "0.0.0", ".", "1.2.3"]),
    );
    reads(
        "[2001-01-01, 2001-12-14t21:59:43.10-05:00, 12:30:45]",
        json!(["2001-01-01", "2001-12-14t21:59:43.10-05:00", "12:30:45"]),
    );
    reads(
        "[\"1\", '1', !!str 1, !!int \"1\", !!float 1, !!bool yes, !custom 1, ! 1]",
        json!(["1", "1", "1", 1, 1, true, "1", "1"]),
    );
    reads("!!binary aGVsbG8=", json!("hello"));
    reads("a: b # c\n", json!({"a": "b"}));
    reads("a#b", json!("a#b"));
}

#[test]
fn block_scalars_keep_or_fold_lines() {
    reads("a: |\n  x\n   y\n\nb: >-\n  x\n  y\n\n  z\n", json!({"a": "x\n y\n", "b": "x y\nz"}));
    reads("a: |+\n  x\n\nb: \"x\\\n   y\\u00e9\\n\"", json!({"a": "x\n\n", "b": "xyé\n"}));
    reads("a: |2\n   x\n", json!({"a": " x\n"}));
}

#[test]
fn keys_become_strings() {
    reads(
        "{1: a, true: b, 1.5: c, 0x10: d, yes: e, .inf: f, 1e10: g}",
        json!({"1": "a", "true": "e", "1.5": "c", "16": "d", ".inf": "f", "1e+10": "g"}),
    );
    reads("? a\n: b\n? c\n", json!({"a": "b", "c": null}));
    fails("~: x", "unsupported map key of type: %!s(<nil>), key: <nil>, value: \"x\"");
    fails(
        "{{ .Values.x }}",
        "yaml: invalid map key: map[interface {}]interface {}{\".Values.x\":interface {}(nil)}",
    );
    fails("a: {{ b }}: 1", "yaml: mapping values are not allowed in this context");
    fails(
        "? [a, 1, null]\n: b",
        "yaml: invalid map key: []interface {}{\"a\", 1, interface {}(nil)}",
    );
}

#[test]
fn the_last_of_equal_keys_counts_and_a_strict_reader_refuses_them() {
    let text = "spec:\n  a: 1\n  b: 2\n  a: 3\n  b:\n  - x\n";
    reads(text, json!({"spec": {"a": 3, "b": ["x"]}}));
    let error = to_json_strict(text.as_bytes()).expect_err("duplicates").to_string();
    assert_eq!(
        error,
        "yaml: unmarshal errors:\n  line 4: key \"a\" already set in map\n  line 6: key \"b\" already set in map"
    );
    assert_eq!(to_json_strict(b"a: 1"), Ok(json!({"a": 1})));
}

#[test]
fn aliases_are_expanded_and_merge_keys_merged() {
    reads("a: &x {k: 1}\nb: *x\n", json!({"a": {"k": 1}, "b": {"k": 1}}));
    reads("a: &x 1\nb: &x 2\nc: *x\n", json!({"a": 1, "b": 2, "c": 2}));
    reads(
        "a: &x {k: 1, l: 1}\nb: {<<: *x, l: 2}\n",
        json!({"a": {"k": 1, "l": 1}, "b": {"k": 1, "l": 2}}),
    );
    reads(
        "a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {<<: [*x, *y], m: 3}\n",
        json!({"a": {"k": 1}, "b": {"k": 2, "l": 2}, "c": {"k": 1, "l": 2, "m": 3}}),
    );
    reads("a: {\"<<\": 1}\n", json!({"a": {"<<": 1}}));
    fails("a: &a\n  b: *a\n", "yaml: anchor 'a' value contains itself");
    fails("a: {<<: 1}", "yaml: map merge requires map or sequence of maps as the value");
    fails("a: &x 1\nb: {<<: *x}", "yaml: map merge requires map or sequence of maps as the value");
}

#[test]
fn errors_have_the_texts_and_lines_of_goyaml() {
    fails("a: b: c", "yaml: mapping values are not allowed in this context");
    fails("\t", "yaml: found character that cannot start any token");
    fails("kind: Pod\n  x: y", "yaml: line 2: mapping values are not allowed in this context");
    fails("{", "yaml: line 1: did not find expected node content");
    fails(
        "apiVersion: v1\nkind: Pod\nmetadata: &a\n  name: *b\n",
        "yaml: unknown anchor 'b' referenced",
    );
    fails("a:\n- b\n c: d\n", "yaml: line 3: mapping values are not allowed in this context");
    fails("a: 'x", "yaml: found unexpected end of stream");
    fails("a: \"\\x\"", "yaml: did not find expected hexdecimal number");
    fails("- a\nb: c", "yaml: line 1: did not find expected '-' indicator");
    fails("a: [b\nc: d", "yaml: line 1: did not find expected ',' or ']'");
    fails("a: 1\n\tb: 2", "yaml: line 2: found a tab character that violates indentation");
    fails("a:\n\tb: 2", "yaml: line 2: found character that cannot start any token");
    fails("%YAML 9.9\n---\na", "yaml: found incompatible YAML document");
    // A flow collection without a key of its own is not waited for.
    fails("zz: 1\n[]- x", "yaml: line 1: did not find expected key");
    fails("zz: 1\n[a]- x", "yaml: line 2: block sequence entries are not allowed in this context");
    fails("@a", "yaml: found character that cannot start any token");
    fails("!!int x", "yaml: cannot decode !!str `x` as a !!int");
    fails("!!binary =", "yaml: !!binary value contains invalid base64 data");
    fails("a: \u{1}", "yaml: control characters are not allowed");
    fails("a: .inf", "json: unsupported value: +Inf");
    fails(".NaN", "json: unsupported value: NaN");
    assert_eq!(
        to_json(b"a: \xff").expect_err("no text").to_string(),
        "yaml: invalid leading UTF-8 octet"
    );
}

#[test]
fn nothing_is_null_and_only_the_first_document_counts() {
    for text in ["", "\n", "# c\n", "---\n", "---\n...\n"] {
        reads(text, Value::Null);
    }
    reads("a: 1\n---\nb: 2\n", json!({"a": 1}));
    reads("x", json!("x"));
    reads("- a", json!(["a"]));
    reads("{\"a\": [1, \"\\u00e9\\n\"], \"b\": {}}", json!({"a": [1, "é\n"], "b": {}}));
}

#[test]
fn depth_and_expansion_are_bounded() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let deep = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        assert!(to_json(deep(500).as_bytes()).is_ok());
        fails(&deep(20_000), "yaml: exceeded max depth of 10000");
    }
    let block: Vec<String> = (0..1_000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    let block = block.concat();
    fails(&block, "yaml: line 513: exceeded max depth of 10000");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{items}]\n");
    }
    fails(&bomb, "yaml: document contains excessive aliasing");
    let shared = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 50].join(", "));
    fails(&shared, "yaml: document contains excessive aliasing");
    // An open bracket or a comma more costs no more than a step more.
    assert!(to_json("[".repeat(1 << 20).as_bytes()).is_err());
    assert!(to_json(format!("[{}]", "a,".repeat(1 << 18)).as_bytes()).is_ok());
}

#[test]
fn streams_are_split_at_separators() {
    let split = |text| documents(text).collect::<Result<Vec<_>, _>>();
    assert_eq!(split("a: 1\n---\nb: 2\n"), Ok(vec![(1, "a: 1\n"), (3, "b: 2\n")]));
    assert_eq!(
        split("---\na: 1\n--- # c\n\n---\nb: |\n  ---\n"),
        Ok(vec![(1, "---\na: 1\n"), (4, "\n"), (6, "b: |\n  ---\n")])
    );
    assert_eq!(split(""), Ok(vec![]));
    assert_eq!(split("a\n---"), Ok(vec![(1, "a\n")]));
    assert_eq!(split("a: 1\r\n---\r\nb: 2"), Ok(vec![(1, "a: 1\r\n"), (3, "b: 2")]));
    assert_eq!(
        split("a\n--- b\n").expect_err("text").to_string(),
        "invalid Yaml document separator: b"
    );
}

#[test]
fn trees_are_written_as_kubectl_writes_them() {
    prints(
        json!({"b": [{"x": 1, "y": [1, [2, {"z": null}]]}, "t"], "a": {}, "c": [], "a10": true, "a2": 1.5, "d": {"e": {"f": [[]]}}}),
        "a: {}\na2: 1.5\na10: true\nb:\n- x: 1\n  \"y\":\n  - 1\n  - - 2\n    - z: null\n- t\nc: []\nd:\n  e:\n    f:\n    - []\n",
    );
    prints(json!("x"), "x\n");
    prints(json!([]), "[]\n");
    prints(json!([1, {"a": 1}]), "- 1\n- a: 1\n");
    prints(
        json!([0.1, 1e21, 1e20, 1_000_000.0, 0.00001, -0.5, 123_456_789.5, 1e-7]),
        "- 0.1\n- 1e+21\n- 1e+20\n- 1000000\n- 1e-05\n- -0.5\n- 1.234567895e+08\n- 1e-07\n",
    );
}

#[test]
fn strings_are_quoted_where_they_would_be_read_as_something_else() {
    for (text, expected) in [
        ("", "\"\""),
        ("yes", "\"yes\""),
        ("1", "\"1\""),
        ("1_0", "\"1_0\""),
        ("1:30", "\"1:30\""),
        ("2024-01-01T00:00:00Z", "\"2024-01-01T00:00:00Z\""),
        ("null", "\"null\""),
        ("0x", "0x"),
        ("a b", "a b"),
        (" a", "' a'"),
        ("a: b", "'a: b'"),
        ("a:", "'a:'"),
        ("a #b", "'a #b'"),
        ("a#b", "a#b"),
        ("'", "''''"),
        ("it's", "it's"),
        ("\"a\"", "'\"a\"'"),
        ("-", "'-'"),
        ("-a", "-a"),
        ("--- a", "'--- a'"),
        ("{a}", "'{a}'"),
        ("a{b}", "a{b}"),
        ("*", "'*'"),
        ("@a", "'@a'"),
        ("a\tb", "\"a\\tb\""),
        ("é☃", "é☃"),
        ("😀", "\"\\U0001F600\""),
        ("\u{a0}", "\u{a0}"),
        ("a\u{7f}\u{1}", "\"a\\x7F\\x01\""),
        ("\u{feff}a", "\"\\uFEFF\\x61\""),
        ("=", "="),
        ("<<", "<<"),
        ("a\nb", "|-\n  a\n  b"),
        ("a\n", "|\n  a"),
        ("a\n\n", "|+\n  a\n"),
        (" a\n", "|2\n   a"),
        ("a\n b\n\nc", "|-\n  a\n   b\n\n  c"),
        ("a \nb", "\"a \\nb\""),
        ("a\n ", "\"a\\n \""),
        ("a\t\nb", "\"a\\t\\nb\""),
        ("\n", "|2+\n"),
    ] {
        prints(json!({"k": text}), &format!("k: {expected}\n"));
        assert_eq!(
            to_json(from_json(&json!({"k": text})).as_bytes()),
            Ok(json!({"k": text})),
            "{text}"
        );
    }
}

#[test]
fn long_strings_are_folded_and_long_keys_marked() {
    let words = "word ".repeat(20);
    prints(
        json!({"k": words.trim()}),
        "k: word word word word word word word word word word word word word word word word\n  word word word word\n",
    );
    let quoted = format!("{}: x", "word ".repeat(18).trim());
    prints(
        json!({"k": quoted}),
        "k: 'word word word word word word word word word word word word word word word word\n  word word: x'\n",
    );
    prints(
        json!({"k": format!("\t{}", words.trim())}),
        "k: \"\\tword word word word word word word word word word word word word word word word\n  word word word word\"\n",
    );
    let key = "k".repeat(129);
    prints(
        json!({&key: [1], "a\nb": {"c": 1}}),
        &format!("? |-\n  a\n  b\n: c: 1\n? {key}\n: - 1\n"),
    );
}

#[test]
fn the_samples_of_upstream_are_read_and_written_alike() {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/api-testdata");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIP yaml samples: no api-testdata beside the project");
        return;
    };
    let mut count = 0;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let yaml = std::fs::read_to_string(&path).expect("readable");
        let json = std::fs::read(path.with_extension("json")).expect("readable");
        let tree: Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(to_json_strict(yaml.as_bytes()).as_ref(), Ok(&tree), "{}", path.display());
        assert_eq!(from_json(&tree), yaml, "{}", path.display());
        count += 1;
    }
    assert!(count > 150, "{count} samples");
}

fn tree() -> impl Strategy<Value = Value> {
    let text = "[a-c ]{0,4}|[-:#' \\n\\t{}\\[\\],&*!|>%@`\"\\\\y1.e0é\u{2028}]{0,6}|\\PC{0,6}|(word  ?){0,30}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e25..1e25f64).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(text, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The tree as YAML can carry it: `<<` is written plainly and merges when read, as upstream's is.
fn is_carried(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().all(|(key, value)| key != "<<" && is_carried(value)),
        Value::Array(items) => items.iter().all(is_carried),
        // Line breaks other than \n are not kept in single quotes, and a byte order mark is none of the text; nor are these upstream.
        Value::String(text) => !text.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}']),
        Value::Number(number) => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|n| n.fract() != 0.0)
        }
        _ => true,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(tree in tree()) {
        let text = from_json(&tree);
        prop_assume!(is_carried(&tree) && !format!("{tree}").contains("\\u2028"));
        prop_assert_eq!(to_json(text.as_bytes()), Ok(tree), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "[-a:{}\\[\\], \\n\\t#&*!|>'\"%@`?<.1\\\\]{0,40}|\\PC{0,30}") {
        let _ = decode(text.as_bytes());
        let _ = documents(&text).count();
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = decode(&bytes);
    }
}
