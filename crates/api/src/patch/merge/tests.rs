use serde_json::{Value, json};

use super::{CreateError, apply, create_three_way, create_two_way, decode};
use crate::patch::Precondition;

#[test]
fn the_examples_of_rfc_7396_hold_for_objects() {
    for (document, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        (
            json!({"a": "x"}),
            json!({"a": {"b": null, "c": [null, {"d": null}]}}),
            json!({"a": {"c": [null, {}]}}),
        ),
    ] {
        assert_eq!(apply(document, patch), expected);
    }
}

#[test]
fn bodies_that_are_no_object_are_refused_in_upstream_s_words() {
    let text = |document: Value, is_checked| match decode(document, is_checked) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    };
    let expected = "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}";
    assert_eq!(text(json!([1]), true), expected);
    assert_eq!(text(json!([1]), false), "accepted");
    assert_eq!(text(json!(5), false), "Invalid JSON Patch");
    assert_eq!(text(json!(null), true), "Invalid JSON Patch");
    assert_eq!(text(json!({}), true), "accepted");
}

#[test]
fn a_two_way_patch_turns_one_document_into_the_other() {
    let original = json!({"a": 1, "b": {"x": 1, "y": [1]}, "c": "gone", "e": {}});
    let modified = json!({"a": 1, "b": {"x": 2, "y": [1, 2]}, "d": {"n": 1}, "e": {}});
    let patch = create_two_way(&original, &modified);
    assert_eq!(patch, json!({"b": {"x": 2, "y": [1, 2]}, "c": null, "d": {"n": 1}}));
    assert_eq!(apply(original, patch), modified);
}

#[test]
fn a_three_way_patch_keeps_what_others_added_and_removes_what_was_applied_before() {
    let original = json!({"spec": {"a": 1, "gone": 1, "deep": {"x": 1}}});
    let modified = json!({"spec": {"a": 2, "empty": {}, "deep": {}}});
    let current = json!({"spec": {"a": 1, "gone": 1, "theirs": 1, "deep": {"x": 1, "z": 1}}});
    let patch = create_three_way(&original, &modified, &current, &[]).expect("a patch");
    assert_eq!(patch, json!({"spec": {"a": 2, "empty": {}, "gone": null, "deep": {"x": null}}}));
    let expected = json!({"spec": {"a": 2, "empty": {}, "theirs": 1, "deep": {"z": 1}}});
    assert_eq!(apply(current, patch), expected);
}

#[test]
fn a_precondition_stops_a_patch_that_renames() {
    let [original, modified] =
        ["a", "b"].map(|name| json!({"kind": "X", "metadata": {"name": name}}));
    let preconditions = [Precondition::Field("kind"), Precondition::Metadata("name")];
    let error =
        create_three_way(&original, &modified, &original, &preconditions).expect_err("refused");
    assert!(matches!(error, CreateError::Precondition { .. }));
    assert_eq!(error.to_string(), "precondition failed for: map[metadata:map[name:b]]");
}
