//! What nodes may read: what leads to them over the Pods that they run.

use podo_api::Value;
use serde_json::json;

use crate::authz::Attributes;
use crate::authz::testing::{World, node, world};

fn pod(name: &str, node: &str, change: impl Fn(&mut Value)) -> Value {
    let mut pod = json!({
        "metadata": {"name": name, "namespace": "n", "uid": name},
        "spec": {
            "nodeName": node, "serviceAccountName": "account", "imagePullSecrets": [{"name": "pull"}],
            "containers": [{"name": "c", "image": "i", "env": [
                {"name": "E", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}},
            ]}],
            "volumes": [
                {"name": "a", "secret": {"secretName": "used"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "map"}}]}},
                {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
                {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}},
            ],
        },
    });
    change(&mut pod);
    pod
}

/// What a node is told: nothing if it may, else the reason.
fn ask(world: &World, who: &str, verb: &str, resource: &str, name: &str) -> String {
    let user = node(who);
    let (namespace, resource) = resource.split_once(':').unwrap_or(("n", resource));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let (name, field_selector) = name.split_once('?').unwrap_or((name, ""));
    let of = Attributes {
        verb,
        resource,
        subresource,
        namespace,
        name,
        field_selector,
        ..Attributes::path(&user)
    };
    let denied = world.may(&of).err().unwrap_or_default();
    let reason =
        denied.split_once(" at the cluster scope: ").or_else(|| denied.rsplit_once("\": "));
    reason.map_or(denied.clone(), |(_, reason)| reason.to_owned())
}

const UNRELATED: &str = "no relationship found between node 'a' and this object";

#[test]
fn a_node_reads_what_its_pods_refer_to_and_nothing_else() {
    let world = world();
    world.put("", "pods", &pod("p", "a", |_| {}));
    world.put(
        "",
        "pods",
        &pod("q", "b", |pod| pod["spec"]["volumes"][0]["secret"]["secretName"] = json!("other")),
    );
    for (resource, name) in [
        ("secrets", "used"),
        ("secrets", "env"),
        ("secrets", "pull"),
        ("configmaps", "map"),
        ("persistentvolumeclaims", "claim"),
        ("persistentvolumeclaims", "p-e"),
        ("serviceaccounts", "account"),
        ("pods", "p"),
    ] {
        assert_eq!(ask(&world, "a", "get", resource, name), "", "{resource} {name}");
    }
    for (resource, name) in
        [("secrets", "other"), ("configmaps", "used"), ("pods", "q"), ("m:secrets", "used")]
    {
        assert_eq!(ask(&world, "a", "get", resource, name), UNRELATED, "{resource} {name}");
    }
    assert_eq!(ask(&world, "b", "get", "secrets", "other"), "");
    assert_eq!(ask(&world, "a", "list", "secrets", ""), "No Object name found");
    assert_eq!(
        ask(&world, "a", "update", "secrets", "used"),
        "can only read resources of this type"
    );
}

#[test]
fn what_a_pod_comes_to_refer_to_counts_and_what_goes_with_it_does_not() {
    let world = world();
    world.put("", "pods", &pod("p", "a", |_| {}));
    assert_eq!(ask(&world, "a", "get", "secrets", "late"), UNRELATED);
    let container =
        json!({"name": "debug", "image": "i", "envFrom": [{"secretRef": {"name": "late"}}]});
    world.put(
        "",
        "pods",
        &pod("p", "a", |pod| pod["spec"]["ephemeralContainers"] = json!([container])),
    );
    assert_eq!(ask(&world, "a", "get", "secrets", "late"), "");
    // Another Pod of the same name.
    world.put("", "pods", &pod("p", "a", |pod| pod["metadata"]["uid"] = json!("other")));
    assert_eq!(ask(&world, "a", "get", "secrets", "late"), UNRELATED);
    world.remove("", "pods", "n", "p");
    assert_eq!(ask(&world, "a", "get", "secrets", "used"), UNRELATED);
}

#[test]
fn a_mirror_pod_grants_its_node_nothing_but_itself() {
    let world = world();
    let mirror = |pod: &mut Value| {
        pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    };
    world.put("", "pods", &pod("p", "a", mirror));
    assert_eq!(ask(&world, "a", "get", "secrets", "used"), UNRELATED);
    assert_eq!(ask(&world, "a", "get", "pods", "p"), "");
}

#[test]
fn lists_are_of_a_nodes_own_pods_and_nodes_read_themselves_only() {
    let world = world();
    let selector = "can only list/watch pods with spec.nodeName field selector";
    assert_eq!(ask(&world, "a", "list", "pods", "?spec.nodeName=a"), "");
    assert_eq!(ask(&world, "a", "watch", "pods", "?spec.nodeName=b"), selector);
    assert_eq!(ask(&world, "a", "list", "pods", "?spec.nodeName!=a"), selector);
    assert_eq!(ask(&world, "a", "list", "pods", ""), selector);
    assert_eq!(ask(&world, "a", "get", ":nodes", "a"), "");
    let words = "node 'a' cannot read 'b', only its own Node object";
    assert_eq!(ask(&world, "a", "get", ":nodes", "b"), words);
    assert_eq!(
        ask(&world, "a", "watch", ":nodes", ""),
        "node 'a' cannot read all nodes, only its own Node object"
    );
    assert_eq!(ask(&world, "a", "patch", ":nodes/status", "a"), "");
    let denied = ask(&world, "a", "delete", ":nodes", "a");
    assert!(denied.ends_with("at the cluster scope"), "{denied}");
    assert_eq!(ask(&world, "a", "list", "services", ""), "");
    assert!(!ask(&world, "a", "create", "services", "").is_empty());
}

#[test]
fn tokens_are_of_the_accounts_of_a_nodes_pods() {
    let world = world();
    world.put("", "pods", &pod("p", "a", |_| {}));
    assert_eq!(ask(&world, "a", "create", "serviceaccounts/token", "account"), "");
    assert_eq!(ask(&world, "a", "create", "serviceaccounts/token", "default"), UNRELATED);
    let words = "can only create tokens for individual service accounts";
    assert_eq!(ask(&world, "a", "create", "serviceaccounts/token", ""), words);
}

#[test]
fn who_only_calls_itself_a_node_is_none() {
    let world = world();
    world.put("", "pods", &pod("p", "a", |_| {}));
    let pretender = crate::user::User::authenticated("system:node:a", &[]);
    let of = Attributes {
        verb: "get",
        resource: "secrets",
        namespace: "n",
        name: "used",
        ..Attributes::path(&pretender)
    };
    assert!(world.may(&of).is_err());
}
