//! Plug-ins that look beyond the object, through the whole pipeline.

use std::time::Duration;

use podo_api::{Status, Value};
use serde_json::json;

use crate::authz::testing::{World, admin, target, with_namespace};

const SCHEDULING: &str = "scheduling.k8s.io";

fn account(name: &str, annotations: Value, secrets: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "default", "uid": "ua", "annotations": annotations}, "secrets": secrets})
}

async fn pod(world: &World, metadata: Value, spec: Value) -> Result<Value, Status> {
    let mut pod = json!({"metadata": metadata, "spec": spec});
    pod["metadata"]["name"] = "p".into();
    pod["spec"]["containers"] = json!([{"name": "c", "image": "i"}]);
    world.create(&admin(), target("", "pods", "default", ""), pod).await
}

#[track_caller]
fn refused(answer: Result<Value, Status>, why: &str) {
    let status = answer.expect_err("refused");
    assert_eq!(status.code, 403, "{status}");
    assert!(status.message.ends_with(why), "{status}");
}

async fn class(world: &World, name: &str, is_default: bool) -> Result<Value, Status> {
    let class = json!({"metadata": {"name": name}, "value": 7, "globalDefault": is_default});
    world.create(&admin(), target(SCHEDULING, "priorityclasses", "", ""), class).await
}

#[tokio::test]
async fn there_is_one_default_priority() {
    let world = with_namespace();
    world.put("", "serviceaccounts", &account("default", json!({}), json!([])));
    class(&world, "first", true).await.expect("made");
    class(&world, "other", false).await.expect("made");
    let why = "PriorityClass first is already marked as default. Only one default can exist";
    refused(class(&world, "second", true).await, why);
    let made = pod(&world, json!({}), json!({})).await.expect("made");
    assert_eq!(made["spec"]["priorityClassName"], "first");
    assert_eq!(made["spec"]["priority"], 7);
}

#[tokio::test]
async fn overhead_is_for_a_class_to_say() {
    let world = with_namespace();
    world.put("", "serviceaccounts", &account("default", json!({}), json!([])));
    let answer = pod(&world, json!({}), json!({"overhead": {"cpu": "1"}})).await;
    refused(
        answer,
        "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
    );
}

#[tokio::test]
async fn an_account_bounds_the_secrets_of_its_pods() {
    let world = with_namespace();
    let bounds = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    world.put("", "serviceaccounts", &account("bound", bounds, json!([{"name": "own"}])));
    let spec = |secret: &str| json!({"serviceAccountName": "bound", "volumes": [{"name": "v", "secret": {"secretName": secret}}]});
    let why = "volume with secret.secretName=\"other\" is not allowed because service account bound does not reference that secret";
    refused(pod(&world, json!({}), spec("other")).await, why);
    pod(&world, json!({}), spec("own")).await.expect("made");
}

#[tokio::test]
async fn a_mirror_pod_refers_to_no_secret() {
    let world = with_namespace();
    let mirror = || json!({"annotations": {"kubernetes.io/config.mirror": "x"}});
    let with = |source: Value| json!({"nodeName": "n", "volumes": [source]});
    let secret = json!({"name": "v", "secret": {"secretName": "s"}});
    refused(pod(&world, mirror(), with(secret)).await, "a mirror pod may not reference secrets");
    let token =
        json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}});
    let why = "a mirror pod may not use ServiceAccountToken volume projections";
    refused(pod(&world, mirror(), with(token)).await, why);
    pod(&world, mirror(), json!({"nodeName": "n"})).await.expect("made");
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_the_account_of_a_new_namespace() {
    let world = with_namespace();
    let made = pod(&world, json!({}), json!({}));
    let account = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.put("", "serviceaccounts", &account("default", json!({}), json!([])));
    };
    let (made, ()) = tokio::join!(made, account);
    assert_eq!(made.expect("made")["spec"]["serviceAccountName"], "default");
    let named = pod(&world, json!({}), json!({"serviceAccountName": "none"})).await;
    refused(
        named,
        "error looking up service account default/none: serviceaccount \"none\" not found",
    );
}

#[tokio::test]
async fn a_pod_gets_the_zone_of_its_node() {
    let world = with_namespace();
    world.put("", "serviceaccounts", &account("default", json!({}), json!([])));
    let labels = json!({"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r", "other": "o"});
    world.put("", "nodes", &json!({"metadata": {"name": "n", "labels": labels}}));
    let own = json!({"labels": {"topology.kubernetes.io/zone": "own"}});
    let made = pod(&world, own, json!({"nodeName": "n"})).await.expect("made");
    let expected =
        json!({"topology.kubernetes.io/zone": "own", "topology.kubernetes.io/region": "r"});
    assert_eq!(made["metadata"]["labels"], expected);
    world.remove("", "pods", "default", "p");
    pod(&world, json!({}), json!({})).await.expect("made");
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let call = World::call(
        &admin(),
        podo_registry::Verb::Create,
        target("", "pods/binding", "default", "p"),
        binding,
    );
    world.api.execute(call).await.expect("bound");
    let get = World::call(
        &admin(),
        podo_registry::Verb::Get,
        target("", "pods", "default", "p"),
        Value::Null,
    );
    let crate::call::Outcome::Object { object, .. } = world.api.execute(get).await.expect("there")
    else {
        panic!("an object")
    };
    assert_eq!(
        object.value()["metadata"]["labels"],
        json!({"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"})
    );
}
