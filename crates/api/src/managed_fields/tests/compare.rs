use serde_json::{Value, json};

use crate::managed_fields::{FieldSet, blank, compare, of};
use crate::schema::{self, TypeRef};

fn ty(name: &str) -> TypeRef<'static> {
    schema::builtin().get(name).expect("a type")
}

fn print(set: &FieldSet) -> String {
    set.paths().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// What is added, modified and removed, as `+a ~b -c`.
fn changes(name: &str, old: &Value, new: &Value) -> String {
    let found = compare(old, new, Some(ty(name))).expect("objects of the type");
    [("+", &found.added), ("~", &found.modified), ("-", &found.removed)]
        .iter()
        .filter(|(_, set)| !set.is_empty())
        .map(|(mark, set)| format!("{mark}{}", print(set)))
        .collect::<Vec<_>>()
        .join(" ")
}

#[track_caller]
fn check(name: &str, old: Value, new: Value, expected: &str) {
    assert_eq!(changes(name, &old, &new), expected);
}

const SPEC: &str = "core/v1.PodSpec";

#[test]
fn scalars_maps_and_structs_are_compared_leaf_by_leaf() {
    check(
        "core/v1.ConfigMap",
        json!({"metadata": {"labels": {"a": "1"}}, "data": {"x": "1", "y": "2"}}),
        json!({"metadata": {"annotations": {"b": "1"}}, "data": {"x": "2", "z": "3"}}),
        "+.data.z .metadata.annotations .metadata.annotations.b ~.data.x -.data.y .metadata.labels .metadata.labels.a",
    );
}

#[test]
fn list_items_are_told_apart_by_their_keys_and_defaults_count() {
    let ports = |ports: Value| json!({"containers": [{"name": "c", "ports": ports}]});
    let list = ".containers[name=\"c\"].ports";
    check(
        SPEC,
        ports(json!([{"containerPort": 80, "protocol": "TCP"}])),
        ports(
            json!([{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80, "hostPort": 1}]),
        ),
        &format!(
            "+{list}[containerPort=80,protocol=\"UDP\"] {list}[containerPort=80,protocol=\"TCP\"].hostPort {list}[containerPort=80,protocol=\"UDP\"].containerPort {list}[containerPort=80,protocol=\"UDP\"].protocol -{list}[containerPort=80,protocol=\"TCP\"].protocol"
        ),
    );
}

#[test]
fn atomic_values_are_one_leaf() {
    check(
        SPEC,
        json!({"nodeSelector": {"a": "1"}, "tolerations": [{"key": "a"}], "imagePullSecrets": [{"name": "p"}]}),
        json!({"nodeSelector": {"b": "1"}, "tolerations": [{"key": "b"}], "imagePullSecrets": [{"name": "q"}]}),
        "+.imagePullSecrets[name=\"q\"] ~.nodeSelector .tolerations -.imagePullSecrets[name=\"p\"]",
    );
}

#[test]
fn empty_and_absent_are_told_apart() {
    check(SPEC, json!({"securityContext": {}}), json!({}), "-.securityContext");
    check(SPEC, json!({}), json!({"volumes": []}), "+.volumes");
    check(SPEC, json!({"volumes": null}), json!({"volumes": []}), "~.volumes");
}

#[test]
fn duplicates_are_compared_as_one() {
    let env = |env: Value| json!({"containers": [{"name": "c", "env": env}]});
    let twice = env(json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]));
    let item = ".containers[name=\"c\"].env[name=\"A\"]";
    check(SPEC, twice.clone(), twice.clone(), "");
    check(
        SPEC,
        twice.clone(),
        env(json!([{"name": "A", "value": "1"}, {"name": "A", "value": "3"}])),
        &format!("~{item}"),
    );
    let once = env(json!([{"name": "A", "value": "1"}]));
    check(SPEC, twice.clone(), once.clone(), &format!("+{item} {item}.name {item}.value -{item}"));
    check(SPEC, once, twice.clone(), &format!("+{item} -{item} {item}.name {item}.value"));
    assert_eq!(
        print(&of(&twice, Some(ty(SPEC))).expect("a set")),
        ".containers[name=\"c\"] .containers[name=\"c\"].name .containers[name=\"c\"].env[name=\"A\"]"
    );
}

#[test]
fn an_object_without_schema_is_owned_key_by_key_with_whole_lists() {
    let object = json!({"spec": {"l": [{"a": 1}], "m": {"x": {}}, "s": "t"}});
    let set = of(&object, None).expect("a set");
    assert_eq!(print(&set), ".spec .spec.l .spec.m .spec.s .spec.m.x");
    let changed = json!({"spec": {"l": [{"a": 2}], "m": {"x": {}}, "s": {"now": "a map"}}});
    let found = compare(&object, &changed, None).expect("a comparison");
    assert_eq!(print(&found.modified), ".spec.l .spec.s");
    assert_eq!(print(&found.added), ".spec.s.now");
}

#[test]
fn a_raw_extension_is_one_leaf() {
    let revision = |data: Value| json!({"data": data, "revision": 1});
    check(
        "apps/v1.ControllerRevision",
        revision(json!({"a": 1})),
        revision(json!({"a": 2})),
        "~.data",
    );
}

#[test]
fn an_item_without_key_is_an_error() {
    let account = json!({"secrets": [{"kind": "x"}]});
    let error =
        compare(&json!({}), &account, Some(ty("core/v1.ServiceAccount"))).expect_err("no key");
    assert_eq!(
        error.to_string(),
        "element 0: associative list with keys has an element that omits all key fields [\"name\"] (and doesn't have default values for any key fields)"
    );
}

#[test]
fn what_a_blank_object_has_is_nobody_s() {
    let blank = blank(Some(ty("apps/v1.Deployment")), "apps/v1", "Deployment");
    let mut new = blank.clone();
    new["spec"]["strategy"] = json!({"type": "Recreate"});
    let found = compare(&blank, &new, Some(ty("apps/v1.Deployment"))).expect("a comparison");
    assert_eq!(print(&found.added), ".spec.strategy.type");
    assert!(found.modified.is_empty() && found.removed.is_empty());
}
