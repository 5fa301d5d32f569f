use serde_json::{Value, json};

use crate::patch::strategic::{ErrorClass, apply, decode};
use crate::schema;

/// Applies `patch` to an object of `ty`; an error is `error: text`.
fn patched(ty: &str, original: &Value, patch: &Value) -> Value {
    let ty = schema::builtin().get(ty).expect("a type");
    match apply(original.clone(), &mut patch.clone(), ty) {
        Ok(result) => result,
        Err(error) => json!(format!("error: {error}")),
    }
}

#[track_caller]
fn check(ty: &str, original: Value, patch: Value, expected: Value) {
    assert_eq!(patched(ty, &original, &patch), expected);
}

/// A Pod spec with one container.
fn with_container(container: Value) -> Value {
    json!({"containers": [container]})
}

const SPEC: &str = "core/v1.PodSpec";
const META: &str = "meta/v1.ObjectMeta";

#[test]
fn lists_with_a_merge_key_are_merged_item_by_item() {
    check(
        SPEC,
        with_container(
            json!({"name": "a", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}),
        ),
        with_container(
            json!({"name": "a", "env": [{"name": "B", "value": "9"}, {"name": "C", "value": "3"}]}),
        ),
        with_container(
            json!({"name": "a", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "9"}, {"name": "C", "value": "3"}]}),
        ),
    );
    check(
        SPEC,
        with_container(json!({"name": "a", "env": [{"name": "B", "value": "2"}]})),
        with_container(
            json!({"name": "a", "env": [{"name": "B", "value": null, "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}),
        ),
        with_container(
            json!({"name": "a", "env": [{"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}),
        ),
    );
}

#[test]
fn a_new_item_goes_before_what_only_the_server_has_unless_an_order_is_given() {
    let ports = |ports: Value| with_container(json!({"name": "a", "ports": ports}));
    check(
        SPEC,
        ports(json!([{"containerPort": 80}, {"containerPort": 81}])),
        ports(json!([{"containerPort": 82}])),
        ports(json!([{"containerPort": 82}, {"containerPort": 80}, {"containerPort": 81}])),
    );
    check(
        SPEC,
        json!({"containers": [{"name": "a"}, {"name": "b"}]}),
        json!({"$setElementOrder/containers": [{"name": "n"}, {"name": "a"}, {"name": "b"}], "containers": [{"name": "n", "image": "n:1"}]}),
        json!({"containers": [{"name": "n", "image": "n:1"}, {"name": "a"}, {"name": "b"}]}),
    );
    check(
        SPEC,
        json!({"containers": [{"name": "n"}, {"name": "a"}, {"name": "b"}]}),
        json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}, {"name": "n"}]}),
        json!({"containers": [{"name": "b"}, {"name": "a"}, {"name": "n"}]}),
    );
}

#[test]
fn a_list_order_that_the_patch_does_not_keep_is_an_error() {
    let text = "error: The order in patch list:\n[map[image:q:1 name:q]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n";
    check(
        SPEC,
        json!({"containers": [{"name": "a"}]}),
        json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "q", "image": "q:1"}]}),
        json!(text),
    );
}

#[test]
fn items_are_deleted_and_lists_replaced_by_directive() {
    let env = |env: Value| with_container(json!({"name": "a", "env": env}));
    check(
        SPEC,
        env(json!([{"name": "A"}, {"name": "B"}])),
        env(json!([{"name": "A", "$patch": "delete"}])),
        env(json!([{"name": "B"}])),
    );
    check(
        SPEC,
        env(json!([{"name": "A"}, {"name": "B"}])),
        env(json!([{"$patch": "replace"}, {"name": "C"}])),
        env(json!([{"name": "C"}])),
    );
    check(
        SPEC,
        env(json!([{"name": "A"}])),
        env(json!([{"$patch": "merge"}])),
        json!("error: merging lists cannot yet be specified in the patch"),
    );
    check(
        SPEC,
        env(json!([{"name": "A"}])),
        env(json!([{"value": "x"}])),
        json!("error: map: map[value:x] does not contain declared merge key: name"),
    );
}

#[test]
fn lists_without_a_merge_strategy_are_replaced_directives_and_all() {
    check(
        "core/v1.ServiceAccount",
        json!({"imagePullSecrets": [{"name": "q"}]}),
        json!({"imagePullSecrets": [{"name": "p", "$patch": "delete"}]}),
        json!({"imagePullSecrets": [{"name": "p", "$patch": "delete"}]}),
    );
    check(
        SPEC,
        json!({"tolerations": [{"key": "a"}, {"key": "b"}]}),
        json!({"tolerations": [{"key": "c"}]}),
        json!({"tolerations": [{"key": "c"}]}),
    );
}

#[test]
fn finalizers_merge_as_a_set() {
    let meta = |finalizers: Value| json!({"finalizers": finalizers});
    check(
        META,
        meta(json!(["a.b/c", "d.e/f"])),
        meta(json!(["g.h/i", "d.e/f"])),
        meta(json!(["g.h/i", "a.b/c", "d.e/f"])),
    );
    check(
        META,
        meta(json!(["g.h/i", "a.b/c", "d.e/f"])),
        json!({"$deleteFromPrimitiveList/finalizers": ["a.b/c"]}),
        meta(json!(["g.h/i", "d.e/f"])),
    );
    check(
        META,
        meta(json!(["g.h/i", "d.e/f"])),
        json!({"$setElementOrder/finalizers": ["n.n/n", "g.h/i"], "finalizers": ["n.n/n"]}),
        meta(json!(["n.n/n", "g.h/i", "d.e/f"])),
    );
    check(META, meta(json!(["a"])), json!({"finalizers": null}), json!({}));
    check(META, json!({}), json!({"$deleteFromPrimitiveList/finalizers": ["a"]}), json!({}));
}

#[test]
fn maps_merge_and_take_directives() {
    let meta = |labels: Value| json!({"labels": labels});
    check(
        META,
        meta(json!({"a": "1", "b": "2"})),
        meta(json!({"c": "3", "a": null})),
        meta(json!({"b": "2", "c": "3"})),
    );
    check(
        META,
        meta(json!({"a": "1"})),
        meta(json!({"$patch": "replace", "only": "1"})),
        meta(json!({"only": "1"})),
    );
    check(META, meta(json!({"a": "1"})), meta(json!({"$patch": "delete"})), meta(json!({})));
    check(
        META,
        meta(json!({"a": "1"})),
        meta(json!({"$retainKeys": ["k"], "k": "v"})),
        meta(json!({"k": "v"})),
    );
    check(
        META,
        meta(json!({"a": "1"})),
        meta(json!({"$patch": "frob"})),
        json!("error: unknown patch type: frob in map: map[$patch:frob]"),
    );
    check(
        META,
        meta(json!({"a": "1"})),
        meta(json!({"$retainKeys": ["k"], "other": "v"})),
        json!("error: invalid patch format of retainKeys"),
    );
}

#[test]
fn new_maps_lose_their_nulls_and_directives() {
    check(
        META,
        json!({}),
        json!({"labels": {"a": null, "b": "1"}, "annotations": {"$patch": "delete"}}),
        json!({"labels": {"b": "1"}}),
    );
}

#[test]
fn unknown_fields_stay_for_the_caller_to_report() {
    check(
        META,
        json!({"name": "a"}),
        json!({"nosuch": {"x": 1}}),
        json!({"name": "a", "nosuch": {"x": 1}}),
    );
}

#[test]
fn retain_keys_of_a_volume_drops_the_other_source() {
    check(
        SPEC,
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}),
        json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}),
    );
}

#[test]
fn lists_that_mix_types_or_hold_lists_are_errors() {
    check(
        META,
        json!({"finalizers": ["a"]}),
        json!({"finalizers": [1]}),
        json!("error: list element types are not identical: [[a] [1]]"),
    );
    check(
        META,
        json!({"finalizers": ["a"]}),
        json!({"$setElementOrder/finalizers": "a"}),
        json!("error: expected a []interface {}, but received a string"),
    );
    check(
        META,
        json!({}),
        json!({"$setElementOrder/nosuch": [], "nosuch": ["a"]}),
        json!("error: unable to find api field in struct ObjectMeta for the json field \"nosuch\""),
    );
}

#[test]
fn a_map_of_maps_cannot_be_merged_as_upstream_cannot() {
    check(
        "apiextensions/v1.JSONSchemaProps",
        json!({"properties": {"a": {"type": "string"}}}),
        json!({"properties": {"a": {"type": "integer"}}}),
        json!("error: merging an object in json but data type is not struct, instead is: map"),
    );
}

#[test]
fn errors_have_the_status_that_upstream_gives_them() {
    let ty = schema::builtin().get(META).expect("a type");
    for (original, mut patch, class) in [
        (json!({"labels": {}}), json!({"$setElementOrder": []}), ErrorClass::BadRequest),
        (json!({"finalizers": [["a"]]}), json!({"finalizers": [["b"]]}), ErrorClass::Unprocessable),
        (json!({"labels": {}}), json!({"labels": {"$patch": 5}}), ErrorClass::Internal),
    ] {
        let error = apply(original, &mut patch, ty).expect_err("it fails");
        assert_eq!(error.class(), class, "{error}");
    }
    let error = decode(json!([])).expect_err("not an object");
    assert_eq!(
        error.to_string(),
        "json: cannot unmarshal array into Go value of type map[string]interface {}"
    );
}

#[test]
fn large_lists_are_merged_in_reasonable_time() {
    let list = |start: u32| -> Vec<Value> {
        (start..start + 60_000).map(|port| json!({"containerPort": port})).collect()
    };
    let original = with_container(json!({"name": "a", "ports": list(0)}));
    let patch = with_container(json!({"name": "a", "ports": list(30_000)}));
    let result = patched(SPEC, &original, &patch);
    let count = result.pointer("/containers/0/ports").and_then(Value::as_array).map(Vec::len);
    assert_eq!(count, Some(90_000));
}
