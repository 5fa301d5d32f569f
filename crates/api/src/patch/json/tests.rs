use serde_json::{Value, json};

use super::{ApplyError, DecodeError, OPERATIONS_MAX, Patch};

/// Applies `patch` to `document`; an error is written as `error: text`.
fn apply(document: Value, patch: Value) -> Value {
    match Patch::decode(patch, true).expect("a patch").apply(document) {
        Ok(result) => result,
        Err(error) => json!(format!("error: {error}")),
    }
}

#[track_caller]
fn check(document: Value, patch: Value, expected: Value) {
    assert_eq!(apply(document, patch), expected);
}

#[track_caller]
fn fails(document: Value, patch: Value) {
    let result = apply(document, patch);
    assert!(
        result.as_str().is_some_and(|text| text.starts_with("error: ")),
        "it applied: {result}"
    );
}

#[test]
fn every_operation_does_as_rfc_6902_says() {
    let document = || json!({"data": {"a": "1", "b": "2"}});
    check(
        document(),
        json!([{"op": "add", "path": "/data/n", "value": "v"}]),
        json!({"data": {"a": "1", "b": "2", "n": "v"}}),
    );
    check(
        document(),
        json!([{"op": "replace", "path": "/data/a", "value": "9"}, {"op": "remove", "path": "/data/b"}]),
        json!({"data": {"a": "9"}}),
    );
    check(
        document(),
        json!([{"op": "move", "from": "/data/a", "path": "/data/c"}, {"op": "copy", "from": "/data/c", "path": "/d"}]),
        json!({"data": {"b": "2", "c": "1"}, "d": "1"}),
    );
    check(
        document(),
        json!([{"op": "test", "path": "/data/a", "value": "1"}, {"op": "test", "path": "/data", "value": {"b": "2", "a": "1"}}]),
        document(),
    );
    check(document(), json!([]), document());
    check(document(), json!(null), document());
}

#[test]
fn lists_take_indexes_from_both_ends_and_the_end_marker() {
    let document = || json!({"l": [1, 2, 3]});
    for (patch, expected) in [
        (json!([{"op": "add", "path": "/l/-", "value": 4}]), json!([1, 2, 3, 4])),
        (json!([{"op": "add", "path": "/l/0", "value": 4}]), json!([4, 1, 2, 3])),
        (json!([{"op": "add", "path": "/l/3", "value": 4}]), json!([1, 2, 3, 4])),
        (json!([{"op": "add", "path": "/l/-1", "value": 4}]), json!([1, 2, 3, 4])),
        (json!([{"op": "add", "path": "/l/-2", "value": 4}]), json!([1, 2, 4, 3])),
        (json!([{"op": "remove", "path": "/l/-1"}]), json!([1, 2])),
        (json!([{"op": "replace", "path": "/l/+1", "value": 9}]), json!([1, 9, 3])),
    ] {
        check(document(), patch, json!({"l": expected}));
    }
    for path in ["/l/4", "/l/-5", "/l/x", "/l/1/x", "/l/9/x"] {
        fails(document(), json!([{"op": "add", "path": path, "value": 4}]));
    }
    for path in ["/l/3", "/l/-4", "/l/-"] {
        fails(document(), json!([{"op": "replace", "path": path, "value": 4}]));
        fails(document(), json!([{"op": "remove", "path": path}]));
    }
}

#[test]
fn what_is_missing_fails_but_for_the_key_that_replace_sets_and_copy_reads() {
    let document = || json!({"data": {"a": "1"}, "n": null});
    for patch in [
        json!([{"op": "remove", "path": "/data/none"}]),
        json!([{"op": "move", "from": "/data/none", "path": "/data/x"}]),
        json!([{"op": "add", "path": "/none/deep", "value": 1}]),
        json!([{"op": "add", "path": "/n/deep", "value": 1}]),
        json!([{"op": "copy", "from": "/no/no", "path": "/data/q"}]),
        json!([{"op": "test", "path": "/data/a", "value": "no"}]),
        json!([{"op": "test", "path": "/data/a"}]),
        json!([{"op": "frob", "path": "/data/a"}]),
        json!([{"op": "add", "value": 1}]),
        json!([{"op": "add", "path": "", "value": {}}]),
        json!([{"op": "remove", "path": ""}]),
        json!([{"op": "replace", "path": "", "value": 1}]),
        json!([{}]),
        json!([null]),
    ] {
        fails(document(), patch);
    }
    check(
        document(),
        json!([{"op": "replace", "path": "/data/none", "value": "x"}, {"op": "test", "path": "/gone"}]),
        json!({"data": {"a": "1", "none": "x"}, "n": null}),
    );
    check(
        document(),
        json!([{"op": "copy", "from": "/data/none", "path": "/data/q"}]),
        json!({"data": {"a": "1", "q": null}, "n": null}),
    );
    check(document(), json!([{"op": "replace", "path": "", "value": [1]}]), json!([1]));
}

#[test]
fn a_path_without_leading_slash_loses_its_first_part() {
    check(
        json!({"data": {"a": "1"}}),
        json!([{"op": "add", "path": "data/a", "value": "x"}]),
        json!({"data": {"a": "1"}, "a": "x"}),
    );
}

#[test]
fn escapes_are_undone_in_one_pass() {
    check(
        json!({"x/y": 1, "~1": 2, "t~": 3}),
        json!([{"op": "remove", "path": "/x~1y"}, {"op": "remove", "path": "/~01"}, {"op": "remove", "path": "/t~"}]),
        json!({}),
    );
}

#[test]
fn documents_of_another_shape_are_refused_in_go_s_words() {
    for (document, checked, unchecked) in [
        (
            json!({"op": "add"}),
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
            "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
        ),
        (
            json!([5]),
            "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
            "json: cannot unmarshal number into Go value of type jsonpatch.Operation",
        ),
    ] {
        for (is_checked, expected) in [(true, checked), (false, unchecked)] {
            let error = Patch::decode(document.clone(), is_checked).expect_err("not a patch");
            assert_eq!(error, DecodeError::Shape(expected.to_owned()));
        }
    }
    let error = Patch::decode(json!([{"op": 1}]), true).expect_err("op is not a string");
    let expected = "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string";
    assert_eq!(error.to_string(), expected);
    assert!(Patch::decode(json!([{"op": 1}]), false).is_ok());
}

#[test]
fn unknown_members_are_noted_with_their_place() {
    let patch =
        json!([{"op": "test", "path": "/a", "value": 1}, {"op": "add", "foo": 1, "bar": 2}]);
    let patch = Patch::decode(patch, true).expect("a patch");
    let expected =
        [r#"json patch unknown field "[1].bar""#, r#"json patch unknown field "[1].foo""#];
    assert_eq!(patch.unknown(), expected);
}

#[test]
fn operations_and_copied_bytes_are_bounded() {
    let operation = json!({"op": "test", "path": "/a", "value": 1});
    let many = Value::Array(vec![operation; OPERATIONS_MAX + 1]);
    let error = Patch::decode(many, true).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "The allowed maximum operations in a JSON patch is 10000, got 10001"
    );

    let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    let patch = Patch::decode(Value::Array(vec![double; 40]), true).expect("a patch");
    let error = patch.apply(json!({"a": ["xxxx"]})).expect_err("it would fill memory");
    assert!(matches!(error, ApplyError::CopySize { .. }), "{error}");
}
