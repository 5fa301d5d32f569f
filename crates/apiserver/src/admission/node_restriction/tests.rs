//! What nodes may write.

use podo_registry::Verb;
use serde_json::json;

use super::*;
use crate::authz::testing::{World, node, target, world};

/// What node `a` is told who does something to an object: nothing if it may.
fn does(
    world: &World,
    operation: Operation,
    resource: &str,
    namespace: &str,
    objects: (&Value, Option<&Value>),
) -> String {
    let (value, old) = objects;
    let group = if resource.starts_with("leases") { "coordination.k8s.io" } else { "" };
    let name = match operation {
        Operation::Create if !resource.contains('/') => "",
        _ => meta::name(old.unwrap_or(value)),
    };
    let call = World::call(
        &node("a"),
        Verb::Create,
        target(group, resource, namespace, name),
        Value::Null,
    );
    let request = Request::new(&world.api, &call, operation, false);
    let denied =
        validate(&request, value, old).err().map(|status| status.message).unwrap_or_default();
    denied.split_once(" is forbidden: ").map_or(denied.clone(), |(_, why)| why.to_owned())
}

fn node_object(change: impl Fn(&mut Value)) -> Value {
    let mut node = json!({"metadata": {"name": "a", "uid": "ua", "labels": {"kubernetes.io/os": "linux"}}, "spec": {}});
    change(&mut node);
    node
}

#[test]
fn a_node_changes_only_itself_and_neither_taints_nor_owners_nor_others_labels() {
    let world = world();
    let old = node_object(|_| {});
    let update = |change: &dyn Fn(&mut Value)| {
        does(&world, Operation::Update, "nodes", "", (&node_object(change), Some(&old)))
    };
    assert_eq!(
        update(&|node| node["metadata"]["labels"]["kubernetes.io/arch"] = json!("amd64")),
        ""
    );
    assert_eq!(
        update(&|node| node["spec"]["taints"] = json!([{"key": "k", "effect": "NoSchedule"}])),
        "node \"a\" is not allowed to modify taints"
    );
    assert_eq!(
        update(&|node| node["metadata"]["ownerReferences"] = json!([{"kind": "Node", "name": "b"}])),
        "node \"a\" is not allowed to modify ownerReferences"
    );
    assert_eq!(
        update(&|node| node["metadata"]["labels"]["node-role.kubernetes.io/x"] = json!("")),
        "is not allowed to modify labels: node-role.kubernetes.io/x"
    );
    let other = json!({"metadata": {"name": "b"}});
    let words = "node \"a\" is not allowed to modify node \"b\"";
    assert_eq!(does(&world, Operation::Create, "nodes", "", (&other, None)), words);
    assert_eq!(does(&world, Operation::Update, "nodes", "", (&other, Some(&other))), words);
    let labelled = node_object(|node| node["metadata"]["labels"]["x.k8s.io/y"] = json!("1"));
    assert_eq!(
        does(&world, Operation::Create, "nodes", "", (&labelled, None)),
        "node \"a\" is not allowed to set the following labels: x.k8s.io/y"
    );
}

fn mirror(change: impl Fn(&mut Value)) -> Value {
    let owner =
        json!({"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "ua", "controller": true});
    let mut pod = json!({
        "metadata": {
            "name": "m", "namespace": "n", "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [owner],
        },
        "spec": {"nodeName": "a", "containers": [{"name": "c", "image": "i"}]},
    });
    change(&mut pod);
    pod
}

#[test]
fn a_mirror_pod_is_the_nodes_own_and_refers_to_nothing() {
    let world = world();
    world.put("", "nodes", &node_object(|_| {}));
    let create = |change: &dyn Fn(&mut Value)| {
        does(&world, Operation::Create, "pods", "n", (&mirror(change), None))
    };
    assert_eq!(create(&|_| {}), "");
    let owner = "node \"a\" can only create pods with an owner reference set to itself";
    for (change, words) in [
        (
            (|pod| pod["metadata"]["annotations"] = json!({})) as fn(&mut Value),
            "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"a\" can only create mirror pods",
        ),
        (
            |pod| pod["spec"]["nodeName"] = json!("b"),
            "node \"a\" can only create pods with spec.nodeName set to itself",
        ),
        (|pod| pod["metadata"]["ownerReferences"] = json!([]), owner),
        (|pod| pod["metadata"]["ownerReferences"][0]["name"] = json!("b"), owner),
        (
            |pod| pod["metadata"]["ownerReferences"][0]["uid"] = json!("x"),
            "node a UID mismatch: expected x got ua",
        ),
        (
            |pod| pod["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = json!(true),
            "node \"a\" must not set blockOwnerDeletion on an owner reference",
        ),
        (
            |pod| pod["spec"]["serviceAccountName"] = json!("x"),
            "node \"a\" can not create pods that reference a service account",
        ),
        (
            |pod| {
                pod["spec"]["initContainers"] =
                    json!([{"name": "i", "envFrom": [{"secretRef": {"name": "s"}}]}]);
            },
            "node \"a\" can not create pods that reference secrets",
        ),
        (
            |pod| pod["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "m"}}]),
            "node \"a\" can not create pods that reference configmaps",
        ),
        (
            |pod| {
                pod["spec"]["volumes"] =
                    json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
            },
            "node \"a\" can not create pods that reference persistentvolumeclaims",
        ),
        (
            |pod| {
                pod["spec"]["resourceClaims"] =
                    json!([{"name": "d", "resourceClaimTemplateName": "t"}]);
            },
            "node \"a\" can not create pods that reference resourceclaims",
        ),
    ] {
        assert_eq!(create(&change), words);
    }
}

#[test]
fn a_node_tells_the_status_of_its_own_pods_only_and_deletes_no_others() {
    let world = world();
    let pod = |node: &str| json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": node}});
    let (own, other) = (pod("a"), pod("b"));
    let mut running = own.clone();
    running["status"] = json!({"phase": "Running"});
    assert_eq!(does(&world, Operation::Update, "pods/status", "n", (&running, Some(&own))), "");
    let words = "node \"a\" can only update pod status for pods with spec.nodeName set to itself";
    assert_eq!(does(&world, Operation::Update, "pods/status", "n", (&other, Some(&other))), words);
    running["metadata"]["labels"] = json!({"a": "b"});
    let words = "node \"a\" cannot update labels through pod status";
    assert_eq!(does(&world, Operation::Update, "pods/status", "n", (&running, Some(&own))), words);
    let mut claimed = own.clone();
    claimed["status"] = json!({"resourceClaimStatuses": [{"name": "d", "resourceClaimName": "x"}]});
    let words = "node \"a\" cannot update resource claim statues";
    assert_eq!(does(&world, Operation::Update, "pods/status", "n", (&claimed, Some(&own))), words);
    assert_eq!(does(&world, Operation::Delete, "pods", "n", (&Value::Null, Some(&own))), "");
    let words = "node \"a\" can only delete pods with spec.nodeName set to itself";
    assert_eq!(does(&world, Operation::Delete, "pods", "n", (&Value::Null, Some(&other))), words);
    let words =
        "unexpected operation \"UPDATE\", node \"a\" can only create and delete mirror pods";
    assert_eq!(does(&world, Operation::Update, "pods", "n", (&own, Some(&own))), words);
    let words = "unexpected pod subresource \"exec\", only 'status' and 'eviction' are allowed";
    assert_eq!(
        does(&world, Operation::Connect, "pods/exec", "n", (&Value::Null, Some(&own))),
        words
    );
}

#[test]
fn a_lease_has_the_nodes_name_and_its_place() {
    let world = world();
    let lease = |name: &str| json!({"metadata": {"name": name}});
    let create = |namespace: &str, name: &str| {
        does(&world, Operation::Create, "leases", namespace, (&lease(name), None))
    };
    assert_eq!(create("kube-node-lease", "a"), "");
    let words = "can only access node lease with the same name as the requesting node";
    assert_eq!(create("kube-node-lease", "b"), words);
    assert_eq!(
        create("n", "a"),
        "can only access leases in the \"kube-node-lease\" system namespace"
    );
}

#[test]
fn a_token_is_of_a_pod_that_the_node_runs_and_for_whom_the_pod_names() {
    let world = world();
    let source =
        |audience: &str| json!({"serviceAccountToken": {"path": "t", "audience": audience}});
    let volumes = json!([{"name": "v", "projected": {"sources": [source(""), source("vault")]}}]);
    for (name, node) in [("p", "a"), ("q", "b")] {
        let spec = json!({"nodeName": node, "volumes": volumes});
        world.put(
            "",
            "pods",
            &json!({"metadata": {"name": name, "namespace": "n", "uid": "u"}, "spec": spec}),
        );
    }
    let ask = |pod: &str, uid: &str, audiences: &[&str]| {
        let reference = json!({"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid});
        let request = json!({"metadata": {"name": "s"}, "spec": {"audiences": audiences, "boundObjectRef": reference}});
        does(&world, Operation::Create, "serviceaccounts/token", "n", (&request, None))
    };
    assert_eq!(ask("p", "u", &[crate::authz::testing::ISSUER]), "");
    assert_eq!(ask("p", "u", &["vault"]), "");
    assert_eq!(ask("p", "u", &["other"]), "audience \"other\" not found in pod spec volume");
    assert_eq!(ask("p", "u", &["a", "b"]), "node may only request 0 or 1 audiences");
    assert_eq!(ask("p", "", &[]), "node requested token with a pod binding without a uid");
    assert_eq!(
        ask("q", "u", &[]),
        "node requested token bound to a pod scheduled on a different node"
    );
    let unbound = json!({"metadata": {"name": "s"}, "spec": {}});
    let words = "node requested token not bound to a pod";
    assert_eq!(
        does(&world, Operation::Create, "serviceaccounts/token", "n", (&unbound, None)),
        words
    );
}
