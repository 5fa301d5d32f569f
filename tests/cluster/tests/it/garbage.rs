//! The garbage collector: what goes with its owners, what stays, and deletions that wait for dependents or leave them.

use std::time::Duration;

use podo_cluster_tests::Cluster;
use podo_cluster_tests::cluster::{NODE, PODS};
use podo_cluster_tests::patience::pause;
use podo_cluster_tests::pods::{container, idle, pod};
use serde_json::{Value, json};

use crate::on_cluster;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const MERGE: &str = "application/merge-patch+json";
const HOLD: &str = "podo.test/hold";
const INVALID: &str = "OwnerRefInvalidNamespace";

/// In which nobody does anything about a Pod that waits.
const QUIET: Duration = Duration::from_secs(2);

/// A reference to an owner; a blocking one where `blocks` says so.
fn reference(owner: &Value, blocks: bool) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks,
    })
}

/// A reference to an object of the same kind and name with another UID.
fn stale(owner: &Value) -> Value {
    let mut stale = reference(owner, false);
    stale["uid"] = "6e36b2f0-8d0c-4e57-9f4e-0123456789ab".into();
    stale
}

fn map(it: &Cluster, name: &str, owners: &[Value]) -> Value {
    it.create(MAPS, &json!({"metadata": {"name": name, "ownerReferences": owners}}))
}

fn held_map(it: &Cluster, name: &str, owners: &[Value]) -> Value {
    let metadata = json!({"name": name, "ownerReferences": owners, "finalizers": [HOLD]});
    it.create(MAPS, &json!({"metadata": metadata}))
}

#[track_caller]
fn is_gone(it: &Cluster, name: &str) {
    it.api.wait(MAPS, name, "is gone", Value::is_null);
}

#[track_caller]
fn is_there(it: &Cluster, name: &str) -> Value {
    let map = it.api.get(&format!("{MAPS}/{name}")).ok();
    assert!(map["metadata"]["deletionTimestamp"].is_null(), "{map}");
    map
}

#[track_caller]
fn has_owners(it: &Cluster, name: &str, owners: &[&str]) {
    it.api.wait(MAPS, name, &format!("has the owners {owners:?}"), |map| {
        let empty = Vec::new();
        let references = map["metadata"]["ownerReferences"].as_array().unwrap_or(&empty);
        !map.is_null() && references.iter().map(|owner| &owner["name"]).eq(owners)
    });
}

/// Once something that was garbage from the start is gone, the collector has looked at all that was there before.
#[track_caller]
fn after_a_collection(it: &Cluster, name: &str) {
    let node = it.api.get(&format!("/api/v1/nodes/{NODE}")).ok();
    map(it, name, &[stale(&node)]);
    is_gone(it, name);
}

#[test]
fn what_a_pod_owns_goes_with_it_and_what_others_own_too_stays() {
    on_cluster(|it| {
        let owner = it.ready(&pod("owner", json!({"containers": [idle("main")]})));
        let node = it.api.get(&format!("/api/v1/nodes/{NODE}")).ok();
        map(it, "owned", &[reference(&owner, true)]);
        map(it, "shared", &[reference(&owner, true), reference(&node, false)]);
        map(it, "of-a-former-pod", &[stale(&owner)]);
        map(it, "of-both", &[stale(&owner), reference(&node, false)]);
        is_gone(it, "of-a-former-pod");
        has_owners(it, "of-both", &[NODE]);
        after_a_collection(it, "first");
        is_there(it, "owned");
        it.kubectl(&["delete", "pod", "owner"]).ok();
        is_gone(it, "owned");
        has_owners(it, "shared", &[NODE]);
        after_a_collection(it, "second");
        is_there(it, "shared");
    });
}

#[test]
fn chains_go_as_a_whole() {
    on_cluster(|it| {
        let mut owner = map(it, "link-0", &[]);
        for index in 1..=20 {
            owner = map(it, &format!("link-{index}"), &[reference(&owner, true)]);
        }
        it.kubectl(&["delete", "configmap", "link-0"]).ok();
        for index in 0..=20 {
            is_gone(it, &format!("link-{index}"));
        }
        let mut owner = map(it, "chain-0", &[]);
        for index in 1..=5 {
            owner = map(it, &format!("chain-{index}"), &[reference(&owner, true)]);
        }
        it.kubectl(&["delete", "configmap", "chain-0", "--cascade=foreground"]).ok();
        for index in 0..=5 {
            assert_eq!(it.api.get(&format!("{MAPS}/chain-{index}")).status, 404);
        }
    });
}

#[test]
fn a_deletion_that_leaves_dependents_takes_their_reference_away() {
    on_cluster(|it| {
        let node = it.api.get(&format!("/api/v1/nodes/{NODE}")).ok();
        let owner = map(it, "owner", &[]);
        let owning_pod = it.ready(&pod("pod", json!({"containers": [idle("main")]})));
        map(it, "left", &[reference(&owner, true)]);
        map(it, "left-to-the-node", &[reference(&owner, true), reference(&node, false)]);
        map(it, "left-by-the-pod", &[reference(&owning_pod, true)]);
        it.kubectl(&["delete", "configmap", "owner", "--cascade=orphan"]).ok();
        it.kubectl(&["delete", "pod", "pod", "--cascade=orphan"]).ok();
        assert_eq!(it.api.get(&format!("{MAPS}/owner")).status, 404);
        assert_eq!(it.api.get(&format!("{PODS}/pod")).status, 404);
        has_owners(it, "left", &[]);
        has_owners(it, "left-to-the-node", &[NODE]);
        has_owners(it, "left-by-the-pod", &[]);
        after_a_collection(it, "garbage");
        for name in ["left", "left-to-the-node", "left-by-the-pod"] {
            is_there(it, name);
        }
    });
}

#[test]
fn a_deletion_in_the_foreground_waits_for_what_blocks_it() {
    on_cluster(|it| {
        let owner = map(it, "owner", &[]);
        held_map(it, "blocking", &[reference(&owner, true)]);
        held_map(it, "other", &[reference(&owner, false)]);
        it.kubectl(&["delete", "configmap", "owner", "--cascade=foreground", "--wait=false"]).ok();
        for name in ["blocking", "other"] {
            it.api.wait(MAPS, name, "is deleted", |map| {
                !map["metadata"]["deletionTimestamp"].is_null()
            });
        }
        after_a_collection(it, "garbage");
        let owner = it.api.get(&format!("{MAPS}/owner")).ok();
        assert_eq!(owner["metadata"]["finalizers"], json!(["foregroundDeletion"]));
        let let_go = json!({"metadata": {"finalizers": null}});
        it.api.patch(&format!("{MAPS}/blocking"), MERGE, &let_go).ok();
        is_gone(it, "blocking");
        is_gone(it, "owner");
        let other = it.api.get(&format!("{MAPS}/other")).ok();
        assert_eq!(other["metadata"]["finalizers"], json!([HOLD]));
        it.api.patch(&format!("{MAPS}/other"), MERGE, &let_go).ok();
        is_gone(it, "other");
    });
}

#[test]
fn a_deletion_in_the_foreground_ends_after_one_that_takes_its_owner_for_something_else() {
    on_cluster(|it| {
        let owner = map(it, "owner", &[]);
        let mut other = reference(&owner, true);
        (other["apiVersion"], other["kind"]) = ("example.com/v1".into(), "Unknown".into());
        map(it, "blocks", &[other]);
        it.kubectl(&["delete", "configmap", "owner", "--cascade=foreground", "--wait=false"]).ok();
        after_a_collection(it, "first");
        it.api.get(&format!("{MAPS}/owner")).ok();
        it.api.delete(&format!("{MAPS}/blocks")).ok();
        is_gone(it, "owner");
    });
}

#[test]
fn a_circle_in_the_foreground_ends() {
    on_cluster(|it| {
        let one = map(it, "one", &[]);
        let two = map(it, "two", &[reference(&one, true)]);
        let three = map(it, "three", &[reference(&two, true)]);
        let closed = json!({"metadata": {"ownerReferences": [reference(&three, true)]}});
        it.api.patch(&format!("{MAPS}/one"), MERGE, &closed).ok();
        let own = map(it, "own", &[]);
        let closed = json!({"metadata": {"ownerReferences": [reference(&own, true)]}});
        it.api.patch(&format!("{MAPS}/own"), MERGE, &closed).ok();
        it.kubectl(&["delete", "configmap", "one", "own", "--cascade=foreground"]).ok();
        for name in ["one", "two", "three", "own"] {
            is_gone(it, name);
        }
    });
}

#[test]
fn owners_out_of_reach_are_told_of_and_what_nobody_can_decide_stays() {
    on_cluster(|it| {
        const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
        it.create("/api/v1/namespaces", &json!({"metadata": {"name": "far"}}));
        let owner =
            it.create("/api/v1/namespaces/far/configmaps", &json!({"metadata": {"name": "owner"}}));
        let role = json!({"metadata": {"name": "too-wide", "ownerReferences": [reference(&owner, false)]}});
        it.create(ROLES, &role);
        map(it, "too-far", &[reference(&owner, false)]);
        let mut unknown = stale(&owner);
        unknown["apiVersion"] = "nobody.example/v1".into();
        map(it, "unknown", &[unknown]);
        is_gone(it, "too-far");
        let event = it.event("too-far", INVALID);
        let uid = owner["metadata"]["uid"].as_str().unwrap();
        assert_eq!(
            event["message"],
            format!(
                "ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: {uid}] does not exist in namespace \"default\""
            )
        );
        assert_eq!(event["source"]["component"], "garbage-collector-controller");
        it.event("too-wide", INVALID);
        it.api.delete("/api/v1/namespaces/far/configmaps/owner").ok();
        after_a_collection(it, "garbage");
        is_there(it, "unknown");
        it.api.get(&format!("{ROLES}/too-wide")).ok();
        it.api.get("/api/v1/namespaces/far").ok();
    });
}

#[test]
fn a_namespace_of_owners_and_dependents_ends() {
    on_cluster(|it| {
        const FULL: &str = "/api/v1/namespaces/full/configmaps";
        it.create("/api/v1/namespaces", &json!({"metadata": {"name": "full"}}));
        let owner = it.create(FULL, &json!({"metadata": {"name": "owner"}}));
        for index in 0..50 {
            let name = format!("owned-{index}");
            it.create(
                FULL,
                &json!({"metadata": {"name": name, "ownerReferences": [reference(&owner, true)]}}),
            );
        }
        let foreground = json!({"propagationPolicy": "Foreground"});
        it.create(FULL, &json!({"metadata": {"name": "also"}}));
        it.api
            .request(
                "DELETE",
                &format!("{FULL}/owner"),
                &[("content-type", "application/json")],
                foreground.to_string(),
            )
            .ok();
        it.kubectl(&["delete", "namespace", "full"]).ok();
        assert_eq!(it.api.get("/api/v1/namespaces/full").status, 404);
    });
}

#[test]
fn after_a_kill_nothing_with_a_living_owner_is_deleted_and_everything_else_is() {
    on_cluster(|it| {
        let owner = it.ready(&pod("owner", json!({"containers": [idle("main")]})));
        let node = it.api.get(&format!("/api/v1/nodes/{NODE}")).ok();
        let first = map(it, "first", &[reference(&owner, true)]);
        map(it, "second", &[reference(&first, true)]);
        map(it, "of-the-node", &[reference(&node, false)]);
        let going = map(it, "going", &[]);
        for index in 0..30 {
            map(it, &format!("garbage-{index}"), &[reference(&going, true)]);
        }
        let blocked = map(it, "blocked", &[]);
        held_map(it, "blocking", &[reference(&blocked, true)]);
        it.kubectl(&["delete", "configmap", "blocked", "--cascade=foreground", "--wait=false"])
            .ok();
        for _ in 0..3 {
            it.kill();
            it.restart();
            after_a_collection(it, "garbage");
            for name in ["first", "second", "of-the-node", "going", "garbage-0", "garbage-29"] {
                is_there(it, name);
            }
        }
        it.api.delete(&format!("{MAPS}/going")).ok();
        it.kill();
        it.restart();
        for index in 0..30 {
            is_gone(it, &format!("garbage-{index}"));
        }
        it.api.get(&format!("{MAPS}/blocked")).ok();
        it.api
            .patch(&format!("{MAPS}/blocking"), MERGE, &json!({"metadata": {"finalizers": null}}))
            .ok();
        is_gone(it, "blocked");
        for name in ["first", "second", "of-the-node"] {
            is_there(it, name);
        }
    });
}

#[test]
fn a_pod_that_has_ended_waits_quietly_for_what_blocks_it() {
    on_cluster(|it| {
        let owner = it.ready(&pod("owner", json!({"containers": [idle("main")]})));
        held_map(it, "blocking", &[reference(&owner, true)]);
        it.kubectl(&["delete", "pod", "owner", "--cascade=foreground", "--wait=false"]).ok();
        it.until("owner", "has ended", |pod| {
            !container(pod, "main")["state"]["terminated"].is_null()
        });
        pause(QUIET);
        let version =
            it.api.get(&format!("{PODS}/owner")).ok()["metadata"]["resourceVersion"].clone();
        pause(QUIET);
        let owner = it.api.get(&format!("{PODS}/owner")).ok();
        assert_eq!(owner["metadata"]["resourceVersion"], version, "nobody writes it: {owner}");
        assert_eq!(owner["metadata"]["finalizers"], json!(["foregroundDeletion"]));
        let let_go = json!({"metadata": {"finalizers": null}});
        it.api.patch(&format!("{MAPS}/blocking"), MERGE, &let_go).ok();
        it.until("owner", "is gone", Value::is_null);
    });
}
