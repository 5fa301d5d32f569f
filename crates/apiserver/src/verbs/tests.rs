//! Writers that meet, and what becomes of objects that are on their way out.

use futures_util::future::join_all;
use podo_api::{Reason, Value};
use podo_registry::Verb;
use serde_json::json;

use crate::authz::testing::{RBAC, World, admin, kind, target, with_namespace};
use crate::call::{Body, Outcome};
use crate::encoding::PatchKind;

use super::*;

fn pod(metadata: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default", "uid": "up"},
        "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30, "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running"},
    });
    for (field, value) in metadata.as_object().into_iter().flatten() {
        pod["metadata"][field] = value.clone();
    }
    (kind("", "pods").default)(&mut pod);
    pod
}

fn map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p", "namespace": "default"}})
}

async fn does(world: &World, verb: Verb, resource: &str, body: Body) -> Result<Value, Status> {
    let mut call = World::call(&admin(), verb, target("", resource, "default", "p"), Value::Null);
    call.body = body;
    Ok(match world.api.execute(call).await? {
        Outcome::Object { object, .. } => object.value(),
        Outcome::Status(status) => json!(status.code),
        other => panic!("{other:?}"),
    })
}

async fn patch(world: &World, resource: &str, patch: Value) -> Result<Value, Status> {
    let body = Body::Patch(PatchKind::Merge, patch.to_string().into());
    does(world, Verb::Patch, resource, body).await
}

async fn read(world: &World, resource: &str) -> Option<Value> {
    does(world, Verb::Get, resource, Body::EMPTY).await.ok()
}

#[tokio::test]
async fn patches_that_meet_are_all_applied_and_none_is_told_of_the_others() {
    let world = with_namespace();
    for resource in ["configmaps", "pods", "pods/status"] {
        let (plural, _) = resource.split_once('/').unwrap_or((resource, ""));
        world.put("", plural, &if plural == "pods" { pod(json!({})) } else { map() });
        let patches = (0..20).map(|index| {
            let label = json!({"metadata": {"annotations": {format!("a{index}"): "x"}}});
            patch(&world, resource, label)
        });
        for answer in join_all(patches).await {
            answer.unwrap_or_else(|status| panic!("{resource}: {status}"));
        }
        let seen = read(&world, plural).await.expect("there");
        assert_eq!(seen["metadata"]["annotations"].as_object().map(serde_json::Map::len), Some(20));
    }
}

#[tokio::test]
async fn of_writers_that_name_the_version_one_wins() {
    let world = with_namespace();
    world.put("", "configmaps", &map());
    let old = read(&world, "configmaps").await.expect("there");
    let version = old["metadata"]["resourceVersion"].clone();
    let patches = (0..5).map(|index| {
        let change =
            json!({"metadata": {"resourceVersion": version}, "data": {"a": index.to_string()}});
        patch(&world, "configmaps", change)
    });
    let answers = join_all(patches).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(Status::is_conflict));
    let puts = (0..5).map(|index| {
        let mut new = old.clone();
        new["data"] = json!({"b": index.to_string()});
        new["metadata"]["resourceVersion"] = Value::Null;
        does(&world, Verb::Update, "configmaps", Body::Tree(new))
    });
    assert!(join_all(puts).await.iter().all(Result::is_ok), "without a version all win");
}

#[tokio::test]
async fn updates_that_create_the_same_object_all_succeed() {
    let world = with_namespace();
    let puts = (0..5).map(|index| {
        let role = json!({"metadata": {"name": "p", "labels": {"by": index.to_string()}}});
        let target = target(RBAC, "roles", "default", "p");
        world.api.execute(World::call(&admin(), Verb::Update, target, role))
    });
    for answer in join_all(puts).await {
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test]
async fn an_update_that_names_a_life_makes_no_new_object() {
    let world = with_namespace();
    for (group, plural) in [("", "configmaps"), (RBAC, "roles")] {
        let object = json!({"metadata": {"name": "p", "uid": "gone"}});
        let call =
            World::call(&admin(), Verb::Update, target(group, plural, "default", "p"), object);
        let refused = world.api.execute(call).await.expect_err("refused");
        assert_eq!(refused.code, 409, "{refused}");
        assert!(
            refused.message.ends_with("UID in precondition: gone, UID in object meta: "),
            "{refused}"
        );
    }
    let role = json!({"metadata": {"name": "p", "resourceVersion": "7"}});
    let call = World::call(&admin(), Verb::Update, target(RBAC, "roles", "default", "p"), role);
    world.api.execute(call).await.expect("made");
}

#[tokio::test]
async fn a_patch_refers_to_an_owner_once() {
    let world = with_namespace();
    world.put("", "configmaps", &map());
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u"});
    let owners = json!({"metadata": {"ownerReferences": [owner, owner]}});
    let seen = patch(&world, "configmaps", owners).await.expect("patched");
    assert_eq!(seen["metadata"]["ownerReferences"], json!([owner]));
}

#[tokio::test]
async fn a_deletion_wins_over_writers_and_finishes_what_a_stopped_server_left() {
    let world = with_namespace();
    world.put("", "pods", &pod(json!({})));
    let body = || Body::Tree(json!({"gracePeriodSeconds": 0}));
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    let (deleted, ..) = tokio::join!(
        does(&world, Verb::Delete, "pods", body()),
        patch(&world, "pods", label.clone()),
        patch(&world, "pods/status", json!({"status": {"message": "x"}})),
        patch(&world, "pods", label),
    );
    deleted.expect("deleted");
    assert_eq!(read(&world, "pods").await, None);
    let left =
        json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0});
    world.put("", "pods", &pod(left));
    does(&world, Verb::Delete, "pods", body()).await.expect("deleted");
    assert_eq!(read(&world, "pods").await, None);
}

fn eviction(options: Value) -> Body {
    Body::Tree(json!({"metadata": {"name": "p"}, "deleteOptions": options}))
}

#[tokio::test]
async fn an_eviction_marks_and_deletes_and_heeds_its_options() {
    let world = with_namespace();
    world.put("", "pods", &pod(json!({})));
    let evict =
        async |options| does(&world, Verb::Create, "pods/eviction", eviction(options)).await;
    assert_eq!(evict(json!({"dryRun": ["All"]})).await, Ok(json!(201)));
    let seen = read(&world, "pods").await.expect("there");
    assert_eq!(
        (&seen["metadata"]["deletionTimestamp"], &seen["status"]["conditions"]),
        (&Value::Null, &Value::Null)
    );
    for preconditions in [json!({"uid": "other"}), json!({"resourceVersion": "1"})] {
        let status = evict(json!({"preconditions": preconditions})).await.expect_err("refused");
        assert_eq!(status.reason(), Reason::Conflict, "{status}");
    }
    assert_eq!(read(&world, "pods").await, Some(seen.clone()), "what was refused left no trace");
    let version = seen["metadata"]["resourceVersion"].clone();
    let options = json!({"preconditions": {"uid": "up", "resourceVersion": version}});
    assert_eq!(evict(options).await, Ok(json!(201)));
    let seen = read(&world, "pods").await.expect("there");
    assert_eq!(seen["metadata"]["deletionGracePeriodSeconds"], 30);
    let condition = &seen["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["reason"]),
        (&json!("DisruptionTarget"), &json!("True"), &json!("EvictionByEvictionAPI"))
    );
    assert_eq!(evict(json!({"gracePeriodSeconds": 0})).await, Ok(json!(201)));
    assert_eq!(read(&world, "pods").await, None);
    let bad = evict(json!({"propagationPolicy": "Sideways"})).await.expect_err("refused");
    assert_eq!(bad.reason(), Reason::Invalid);
}

#[tokio::test]
async fn nothing_is_evicted_or_bound_where_a_namespace_ends() {
    let world = with_namespace();
    world.put("", "pods", &pod(json!({})));
    let ending =
        json!({"metadata": {"name": "default", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    world.put("", "namespaces", &ending);
    let binding = Body::Tree(json!({"metadata": {"name": "p"}, "target": {"name": "n"}}));
    for (resource, body) in [("pods/eviction", eviction(json!({}))), ("pods/binding", binding)] {
        let status = does(&world, Verb::Create, resource, body).await.expect_err("refused");
        assert!(status.message.ends_with("because it is being terminated"), "{status}");
    }
}

#[tokio::test]
async fn times_beyond_all_dates_are_taken_for_the_last() {
    let world = with_namespace();
    world.put("", "pods", &pod(json!({})));
    let delete = async |seconds: i64| {
        does(&world, Verb::Delete, "pods", Body::Tree(json!({"gracePeriodSeconds": seconds}))).await
    };
    let marked = delete(i64::MAX).await.expect("marked");
    assert_eq!(marked["metadata"]["deletionTimestamp"], "9999-12-30T22:00:00Z");
    let marked = delete(30).await.expect("marked");
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
}

fn watch_with(world: &World, options: &[(&str, &str)]) -> Result<Outcome, Status> {
    let mut call =
        World::call(&admin(), Verb::Watch, target("", "pods", "default", ""), Value::Null);
    for (name, value) in options {
        call.options = call.options.with(name, *value);
    }
    watch::watch(&world.api, &call)
}

#[tokio::test]
async fn a_watch_of_any_length_begins_but_none_from_a_version_that_never_was() {
    let world = with_namespace();
    assert!(watch_with(&world, &[("timeoutSeconds", "9223372036854775807")]).is_ok());
    for initial in ["", "true"] {
        let mut options = vec![("resourceVersion", "1000000")];
        if !initial.is_empty() {
            options
                .extend([("sendInitialEvents", initial), ("resourceVersionMatch", "NotOlderThan")]);
        }
        let status = watch_with(&world, &options).expect_err("refused");
        assert_eq!(status.code, 504, "{status}");
        assert!(
            status.message.starts_with("Timeout: Too large resource version: 1000000"),
            "{status}"
        );
    }
}

#[tokio::test]
async fn pages_go_on_only_from_where_one_was() {
    use base64::Engine as _;
    let world = with_namespace();
    let token = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let list = async |name: &str, value: &str| {
        let target = target("", "configmaps", "default", "");
        let mut call = World::call(&admin(), Verb::List, target, Value::Null);
        call.options = call.options.with(name, value);
        world.api.execute(call).await.map(|_| ()).map_err(|status| status.message)
    };
    let prefix = "invalid continue token: continue key is not valid: ";
    let zero = token(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#);
    let why = "incorrect encoded start resourceVersion (version meta.k8s.io/v1)";
    assert_eq!(list("continue", &zero).await, Err(format!("{prefix}{why}")));
    let far = "99999999999999999999";
    let why = format!("strconv.ParseInt: parsing \"{far}\": value out of range");
    assert_eq!(list("limit", far).await, Err(why));
}

#[tokio::test]
async fn a_page_does_not_leave_its_namespace() {
    use base64::Engine as _;
    let world = with_namespace();
    for namespace in ["a", "b", "c"] {
        let mut map = map();
        map["metadata"]["namespace"] = json!(namespace);
        world.put("", "configmaps", &map);
    }
    for start in ["", "a", "../", "b/a", "b/z", "c/"] {
        let token = format!(r#"{{"v":"meta.k8s.io/v1","rv":-1,"start":"{start}"}}"#);
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
        let mut call =
            World::call(&admin(), Verb::List, target("", "configmaps", "b", ""), Value::Null);
        call.options = call.options.with("continue", token);
        let Outcome::List(list) = world.api.execute(call).await.expect("listed") else {
            panic!("a list was expected");
        };
        assert!(list.items.iter().all(|item| &*item.namespace == "b"), "{start}");
    }
}
