use serde_json::{Value, json};

use crate::managed_fields::{FieldSet, FieldsError, Filter, Path, PathElement, Step};

fn set(fields: Value) -> FieldSet {
    FieldSet::parse(&fields).expect("fields")
}

/// The members, one word each.
fn print(set: &FieldSet) -> String {
    set.paths().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn fields_are_written_as_they_were_read() {
    let fields = json!({
        "f:metadata": {"f:labels": {".": {}, "f:a.b/c": {}}, "f:finalizers": {".": {}, "v:\"x/y\"": {}}},
        "f:spec": {
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}},
            "f:list": {"i:3": {}},
        },
    });
    assert_eq!(set(fields.clone()).to_fields(), fields);
    assert_eq!(
        print(&set(fields)),
        ".metadata.finalizers .metadata.labels .metadata.finalizers[=\"x/y\"] .metadata.labels.a.b/c .spec.list[3] \
         .spec.ports[port=80,protocol=\"TCP\"] .spec.ports[port=80,protocol=\"TCP\"].name"
    );
}

#[test]
fn keys_are_sorted_and_escaped_as_go_escapes_them() {
    let fields = set(json!({"f:l": {"k:{\"b\":\"<x>\",\"a\":1.0}": {}}}));
    assert_eq!(fields.to_fields(), json!({"f:l": {"k:{\"a\":1,\"b\":\"\\u003cx\\u003e\"}": {}}}));
    assert!(
        fields == set(json!({"f:l": {"k:{\"a\":1,\"b\":\"<x>\"}": {}}})),
        "1.0 and 1 are one number"
    );
}

#[test]
fn unknown_kinds_of_steps_are_dropped_and_malformed_ones_refused() {
    assert_eq!(print(&set(json!({"x:new": {"f:a": {}}, "f:b": null}))), ".b");
    for (fields, text) in [
        (json!({"f": {}}), "key must be 2 characters long:"),
        (json!({"field": {}}), "missing colon: field"),
        (json!({"k:[]": {}}), "malformed path element \"k:[]\""),
        (json!({"v:{": {}}), "malformed path element \"v:{\""),
        (json!({"i:x": {}}), "malformed path element \"i:x\""),
        (json!({"f:a": 1}), "fields must be objects"),
    ] {
        let error = FieldSet::parse(&fields).expect_err("malformed");
        assert_eq!(error.to_string(), text);
    }
    let nested = |depth: usize| {
        (0..depth).fold(json!({}), |inner, _| {
            Value::Object(serde_json::Map::from_iter([("f:a".to_owned(), inner)]))
        })
    };
    assert!(FieldSet::parse(&nested(500)).is_ok());
    assert_eq!(FieldSet::parse(&nested(600)), Err(FieldsError::Depth));
}

#[test]
fn sets_add_and_subtract_members_and_what_lies_below() {
    let left = set(json!({"f:a": {".": {}, "f:b": {"f:c": {}}}, "f:d": {}}));
    let right = set(json!({"f:a": {"f:b": {}}, "f:e": {}}));
    assert_eq!(print(&left.union(&right)), ".a .d .e .a.b .a.b.c");
    assert_eq!(print(&left.difference(&right)), ".a .d .a.b.c");
    assert_eq!(print(&left.recursive_difference(&right)), ".a .d");
    assert_eq!(print(&left.recursive_difference(&set(json!({"f:a": {}})))), ".d");
    assert!(left.intersection(&right).is_empty(), ".a.b is no member of the left set");
    assert_eq!(print(&left.intersection(&left)), print(&left));
    assert!(left.difference(&left).is_empty());
    assert_eq!(print(&left.leaves()), ".d .a.b.c");
}

#[test]
fn members_are_found_by_path() {
    let fields = set(json!({"f:a": {"f:b": {}}}));
    assert!(fields.has(&Path::of_fields(&["a", "b"])));
    for path in [&["a"][..], &[], &["a", "b", "c"], &["b"]] {
        assert!(!fields.has(&Path::of_fields(path)), "{path:?}");
    }
    let mut built = FieldSet::new();
    for name in ["c", "a", "b", "a"] {
        built.insert(&Path::new(vec![PathElement::field(name)]));
    }
    built.insert(&Path::default());
    assert_eq!(print(&built), ".a .b .c");
}

#[test]
fn filters_keep_what_an_endpoint_may_own() {
    let fields = set(json!({
        "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:resources": {"f:limits": {}}}}},
        "f:status": {"f:x": {}},
    }));
    let except = Filter::except(&[&["status"]]);
    assert_eq!(print(&except.apply(&fields)).matches(".status").count(), 0);
    let only = Filter::Only(vec![vec![
        Step::Field("spec"),
        Step::Field("containers"),
        Step::Any,
        Step::Field("resources"),
    ]]);
    assert_eq!(
        print(&only.apply(&fields)),
        ".spec.containers[name=\"c\"] .spec.containers[name=\"c\"].resources.limits"
    );
}
