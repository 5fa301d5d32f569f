use std::sync::Arc;

use podo_api::{Object, Value, schema};
use serde_json::json;

use crate::{PodInfo, Snapshot, schedule};

fn object(ty: &str, value: &Value) -> Arc<Object> {
    let ty = schema::builtin().get(ty).expect("known");
    Arc::new(Object::new(value, ty, Box::default()))
}

pub(crate) fn node(name: &str, extra: Value) -> Arc<Object> {
    let mut value = json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": name},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "3"}}});
    merge(&mut value, extra);
    object("core/v1.Node", &value)
}

pub(crate) fn pod(name: &str, spec: Value) -> PodInfo {
    let mut value = json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "n", "uid": name}, "spec": {"containers": [{"name": "c"}]}});
    merge(&mut value["spec"], spec);
    PodInfo::of(&object("core/v1.Pod", &value))
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

pub(crate) fn requests(cpu: &str, memory: &str) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]})
}

#[track_caller]
fn check(nodes: &[Arc<Object>], placed: &[(&str, PodInfo)], pod: &PodInfo, expected: &str) {
    let mut snapshot = Snapshot::default();
    for node in nodes {
        snapshot.set_node(node);
    }
    for (node, pod) in placed {
        snapshot.place(PodInfo { node_name: (*node).into(), ..pod.clone() });
    }
    let text = match schedule(&snapshot, pod, 0) {
        Ok(node) => node.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(text, expected);
}

const HOPELESS: &str = "Preemption is not helpful for scheduling.";

#[test]
fn without_nodes_nothing_fits() {
    check(&[], &[], &pod("p", json!({})), "no nodes available to schedule pods");
}

#[test]
fn a_pod_goes_where_its_node_selector_says() {
    let nodes = [node("a", json!({})), node("b", json!({"metadata": {"labels": {"gpu": "true"}}}))];
    check(&nodes, &[], &pod("p", json!({"nodeSelector": {"gpu": "true"}})), "b");
    let expected = format!(
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/2 nodes are available: 2 {HOPELESS}"
    );
    check(&nodes, &[], &pod("p", json!({"nodeSelector": {"gpu": "false"}})), &expected);
}

/// The thousandths of a CPU that a Pod counts for which asks for, was given and has so much.
fn counted(asks: &str, given: &str, has: &str, reason: &str) -> i64 {
    let told = json!({"name": "c", "allocatedResources": {"cpu": given}, "resources": {"requests": {"cpu": has}}});
    let conditions = json!([{"type": "PodResizePending", "status": "True", "reason": reason}]);
    let of = |spec: Value, status: Value| {
        let mut value = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "namespace": "n", "uid": "p"},
            "spec": spec, "status": status});
        value["status"]["conditions"] = conditions.clone();
        PodInfo::of(&object("core/v1.Pod", &value)).requests.cpu_milli
    };
    let one = of(requests(asks, "1Gi"), json!({"containerStatuses": [told]}));
    let whole = json!({"containers": [{"name": "c"}], "resources": {"requests": {"cpu": asks}}});
    let mut status = told.clone();
    status.as_object_mut().expect("an object").remove("name");
    assert_eq!(of(whole, status), one, "a Pod as a whole");
    one
}

#[test]
fn a_pod_that_is_resized_counts_for_the_most_of_what_it_asks_for_was_given_and_has() {
    assert_eq!(counted("1", "500m", "250m", "Deferred"), 1000);
    assert_eq!(counted("100m", "500m", "250m", ""), 500);
    assert_eq!(counted("100m", "250m", "500m", ""), 500);
    assert_eq!(counted("100", "250m", "500m", "Infeasible"), 500, "never given");
}

#[test]
fn a_pod_goes_where_its_requests_fit() {
    let nodes = [node("a", json!({})), node("b", json!({}))];
    let placed = [("a", pod("x", requests("1500m", "1Gi")))];
    check(&nodes, &placed, &pod("p", requests("1", "1Gi")), "b");
    let both =
        [("a", pod("x", requests("1500m", "1Gi"))), ("b", pod("y", requests("1500m", "3584Mi")))];
    check(
        &nodes,
        &both,
        &pod("p", requests("1", "1Gi")),
        "0/2 nodes are available: 1 Insufficient memory, 2 Insufficient cpu. no new claims to deallocate, preemption: 0/2 nodes are available: 2 No \
         preemption victims found for incoming pod.",
    );
}

#[test]
fn an_init_container_that_needs_more_counts_and_a_sidecar_adds() {
    let spec = json!({
        "initContainers": [
            {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "200m"}}},
            {"name": "i", "resources": {"requests": {"cpu": "1"}}},
        ],
        "containers": [{"name": "c", "resources": {"requests": {"cpu": "300m"}}}],
    });
    assert_eq!(pod("p", spec).requests.cpu_milli, 1200);
}

#[test]
fn a_node_takes_only_so_many_pods() {
    let placed = ["x", "y", "z"].map(|name| ("a", pod(name, json!({}))));
    check(
        &[node("a", json!({}))],
        &placed,
        &pod("p", json!({})),
        "0/1 nodes are available: 1 Too many pods. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for \
         incoming pod.",
    );
}

#[test]
fn taints_keep_pods_away_that_do_not_tolerate_them() {
    let taint = json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}});
    let nodes = [node("a", taint)];
    let expected = format!(
        "0/1 nodes are available: 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/1 nodes are available: 1 {HOPELESS}"
    );
    check(&nodes, &[], &pod("p", json!({})), &expected);
    check(
        &nodes,
        &[],
        &pod("p", json!({"tolerations": [{"key": "k", "operator": "Exists"}]})),
        "a",
    );
    check(&nodes, &[], &pod("p", json!({"tolerations": [{"key": "k", "value": "v"}]})), "a");
    check(&nodes, &[], &pod("p", json!({"tolerations": [{"key": "k", "value": "w"}]})), &expected);
}

#[test]
fn a_cordoned_node_takes_nothing_new() {
    let expected = format!(
        "0/1 nodes are available: 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/1 nodes are available: 1 {HOPELESS}"
    );
    check(
        &[node("a", json!({"spec": {"unschedulable": true}}))],
        &[],
        &pod("p", json!({})),
        &expected,
    );
}

#[test]
fn required_node_affinity_is_any_of_its_terms() {
    let nodes = [node("a", json!({"metadata": {"labels": {"size": "5"}}})), node("b", json!({}))];
    let with = |term: Value| {
        let required = json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "no", "operator": "Exists"}]}, term]});
        pod(
            "p",
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}),
        )
    };
    let expression = |operator: &str, values: Value| {
        with(json!({"matchExpressions": [{"key": "size", "operator": operator, "values": values}]}))
    };
    check(&nodes, &[], &expression("Gt", json!(["4"])), "a");
    check(&nodes, &[], &expression("In", json!(["5", "6"])), "a");
    check(&nodes, &[], &expression("NotIn", json!(["5"])), "b");
    check(
        &nodes,
        &[],
        &with(
            json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}),
        ),
        "b",
    );
}

#[test]
fn two_pods_with_the_same_host_port_go_to_different_nodes() {
    let nodes = [node("a", json!({})), node("b", json!({}))];
    let port =
        json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
    let placed = [("a", pod("x", port.clone()))];
    check(&nodes, &placed, &pod("p", port), "b");
}

#[test]
fn pods_that_ask_for_nothing_spread_as_well() {
    let nodes = [node("a", json!({})), node("b", json!({}))];
    check(&nodes, &[("a", pod("one", json!({})))], &pod("p", json!({})), "b");
    check(&nodes, &[("b", pod("one", json!({})))], &pod("p", json!({})), "a");
}

#[test]
fn huge_pages_that_a_whole_pod_asks_for_are_counted() {
    let pages = json!({"status": {"allocatable": {"hugepages-2Mi": "4Mi"}}});
    let asks =
        |amount: &str| pod("p", json!({"resources": {"requests": {"hugepages-2Mi": amount}}}));
    check(&[node("a", pages.clone())], &[], &asks("4Mi"), "a");
    check(
        &[node("a", pages)],
        &[],
        &asks("6Mi"),
        &format!(
            "0/1 nodes are available: 1 Insufficient hugepages-2Mi. no new claims to deallocate, preemption: 0/1 nodes are available: 1 {HOPELESS}"
        ),
    );
}

#[test]
fn pods_spread_to_the_emptier_node() {
    let nodes = [node("a", json!({})), node("b", json!({}))];
    let placed = [("a", pod("x", requests("500m", "1Gi")))];
    check(&nodes, &placed, &pod("p", requests("100m", "100Mi")), "b");
}

fn wish(weight: i64, key: &str, value: &str) -> Value {
    let expression = json!({"key": key, "operator": "In", "values": [value]});
    json!({"weight": weight, "preference": {"matchExpressions": [expression]}})
}

fn preferring(wishes: &[Value]) -> Value {
    json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": wishes}}})
}

#[test]
fn a_preferred_node_is_chosen_although_others_have_more_room() {
    let labelled = |name: &str, key: &str, value: &str| {
        node(name, json!({"metadata": {"labels": {key: value}}}))
    };
    let nodes = [labelled("a", "disk", "ssd"), labelled("b", "gpu", "yes"), node("c", json!({}))];
    let busy = pod("busy", requests("1", "1Gi"));
    let (disk, gpu) = (wish(1, "disk", "ssd"), wish(80, "gpu", "yes"));
    let is_placed = |at: &str, wishes: &[Value], expected: &str| {
        check(&nodes, &[(at, busy.clone())], &pod("p", preferring(wishes)), expected);
    };
    is_placed("a", std::slice::from_ref(&disk), "a");
    is_placed("a", &[disk.clone(), gpu.clone()], "b");
    is_placed("b", &[disk, gpu], "b");
    // What is preferred nowhere, or asks for nothing, counts for nothing: then room decides.
    is_placed("a", &[wish(100, "zone", "x"), json!({"weight": 100, "preference": {}})], "b");
    let by_name = json!({"weight": 5, "preference": {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c"]}]}});
    is_placed("c", &[by_name], "c");
}

#[test]
fn taints_that_would_rather_not_have_a_pod_are_counted() {
    let tainted = |name: &str, keys: &[&str]| {
        let taints: Vec<Value> =
            keys.iter().map(|key| json!({"key": key, "effect": "PreferNoSchedule"})).collect();
        node(name, json!({"spec": {"taints": taints}}))
    };
    let nodes = [tainted("a", &["x", "y"]), tainted("b", &["z"])];
    check(&nodes, &[], &pod("p", json!({})), "b");
    let tolerant = json!({"tolerations": [{"key": "x", "operator": "Exists"}, {"key": "y", "operator": "Exists"}]});
    check(&nodes, &[], &pod("p", tolerant), "a");
}
