use serde_json::{Value, json};

use crate::patch::Precondition;
use crate::patch::strategic::{PatchError, apply, create_three_way, create_two_way};
use crate::schema::{self, TypeRef};

fn ty(name: &str) -> TypeRef<'static> {
    schema::builtin().get(name).expect("a type")
}

/// The two-way patch is as expected, and leads from one document to the other.
#[track_caller]
fn two_way(name: &str, original: Value, modified: Value, expected: Value) {
    let patch = create_two_way(&original, &modified, ty(name)).expect("a patch");
    assert_eq!(patch, expected);
    assert_eq!(apply(original, &mut patch.clone(), ty(name)).expect("it applies"), modified);
}

#[track_caller]
fn three_way(name: &str, documents: [Value; 3], expected: Value, result: Value) {
    let [original, modified, current] = documents;
    let patch = create_three_way(&original, &modified, &current, ty(name), true, &[]);
    let patch = patch.expect("a patch");
    assert_eq!(patch, expected);
    assert_eq!(apply(current, &mut patch.clone(), ty(name)).expect("it applies"), result);
}

const SPEC: &str = "core/v1.PodSpec";
const META: &str = "meta/v1.ObjectMeta";

#[test]
fn equal_documents_give_an_empty_patch() {
    let spec = json!({"containers": [{"name": "a", "image": "x"}], "nodeSelector": {"a": "b"}});
    two_way(SPEC, spec.clone(), spec, json!({}));
}

#[test]
fn merged_lists_give_changes_deletions_and_the_order() {
    two_way(
        SPEC,
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}),
        json!({"containers": [{"name": "c", "image": "1"}, {"name": "a", "image": "2"}]}),
        json!({
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [{"name": "c", "image": "1"}, {"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}],
        }),
    );
}

#[test]
fn a_changed_order_alone_is_a_patch() {
    two_way(
        SPEC,
        json!({"containers": [{"name": "a"}, {"name": "b"}]}),
        json!({"containers": [{"name": "b"}, {"name": "a"}]}),
        json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
    );
}

#[test]
fn merged_scalars_give_a_list_of_deletions() {
    two_way(
        META,
        json!({"finalizers": ["a", "b"]}),
        json!({"finalizers": ["c", "a"]}),
        json!({
            "$setElementOrder/finalizers": ["c", "a"],
            "$deleteFromPrimitiveList/finalizers": ["b"],
            "finalizers": ["c"],
        }),
    );
}

#[test]
fn other_lists_are_replaced_and_other_fields_nulled() {
    two_way(
        SPEC,
        json!({"tolerations": [{"key": "a"}], "nodeName": "n", "nodeSelector": {"a": "1", "b": "2"}}),
        json!({"tolerations": [{"key": "b"}], "nodeSelector": {"a": "2"}}),
        json!({"tolerations": [{"key": "b"}], "nodeName": null, "nodeSelector": {"a": "2", "b": null}}),
    );
}

#[test]
fn retained_keys_are_named() {
    two_way(
        "apps/v1.DeploymentSpec",
        json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
        json!({"strategy": {"type": "Recreate"}}),
        json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": null}}),
    );
}

#[test]
fn a_three_way_patch_leaves_the_server_s_items_and_removes_ours() {
    three_way(
        SPEC,
        [
            json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "nodeName": "n"}),
            json!({"containers": [{"name": "a", "image": "2"}]}),
            json!({"containers": [{"name": "a", "image": "1", "tty": true}, {"name": "b", "image": "1"}, {"name": "injected"}], "nodeName": "n", "priority": 0}),
        ],
        json!({
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}],
            "nodeName": null,
        }),
        json!({"containers": [{"name": "a", "image": "2", "tty": true}, {"name": "injected"}], "priority": 0}),
    );
}

#[test]
fn a_three_way_patch_of_an_unchanged_configuration_is_empty() {
    let applied =
        json!({"containers": [{"name": "a", "image": "1", "ports": [{"containerPort": 80}]}]});
    let current = json!({"containers": [{"name": "a", "image": "1", "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {}}], "priority": 0});
    three_way(SPEC, [applied.clone(), applied, current.clone()], json!({}), current);
}

#[test]
fn three_way_deletions_keep_retained_keys_in_step() {
    let volumes = |volume: Value| json!({"volumes": [volume]});
    three_way(
        SPEC,
        [
            volumes(json!({"name": "v", "emptyDir": {}})),
            volumes(json!({"name": "v", "configMap": {"name": "c"}})),
            volumes(json!({"name": "v", "emptyDir": {}})),
        ],
        json!({
            "$setElementOrder/volumes": [{"name": "v"}],
            "volumes": [{"name": "v", "$retainKeys": ["configMap", "name"], "configMap": {"name": "c"}, "emptyDir": null}],
        }),
        volumes(json!({"name": "v", "configMap": {"name": "c"}})),
    );
}

#[test]
fn without_overwriting_foreign_changes_are_a_conflict() {
    let spec = |node: &str, class: &str| json!({"nodeName": node, "priorityClassName": class});
    let run = |overwrite| {
        create_three_way(
            &spec("a", "x"),
            &spec("b", "x"),
            &spec("c", "x"),
            ty(SPEC),
            overwrite,
            &[],
        )
    };
    assert_eq!(run(true), Ok(json!({"nodeName": "b"})));
    assert!(matches!(run(false), Err(PatchError::Conflict { .. })));
    let unrelated =
        create_three_way(&spec("a", "x"), &spec("b", "x"), &spec("a", "y"), ty(SPEC), false, &[]);
    assert!(matches!(unrelated, Err(PatchError::Conflict { .. })), "the patch sets the class back");
}

#[test]
fn a_precondition_stops_a_patch_that_changes_the_kind() {
    let object = |kind: &str| json!({"kind": kind});
    let error = create_three_way(
        &object("A"),
        &object("B"),
        &object("A"),
        ty("core/v1.Pod"),
        true,
        &[Precondition::Field("kind")],
    );
    let expected = PatchError::Precondition { patch: "map[kind:B]".to_owned() };
    assert_eq!(error, Err(expected));
}
