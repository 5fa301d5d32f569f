//! Nobody gives what it does not have.

use podo_api::Value;
use serde_json::json;

use super::*;
use crate::authz::testing::{RBAC, World, target, user, world};
use crate::user::User;
use podo_registry::Verb;

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

/// A user `u` who has these rules in a namespace `n`.
fn with_rules(rules: &[Value]) -> World {
    let world = world();
    world.put(
        RBAC,
        "roles",
        &json!({"metadata": {"name": "own", "namespace": "n"}, "rules": rules}),
    );
    let own = json!({"apiGroup": RBAC, "kind": "Role", "name": "own"});
    let subject = json!({"kind": "User", "apiGroup": RBAC, "name": "u"});
    world.put(RBAC, "rolebindings", &json!({"metadata": {"name": "own", "namespace": "n"}, "roleRef": own, "subjects": [subject]}));
    let pods = rule(&[""], &["pods"], &["get", "list"]);
    world.put(RBAC, "clusterroles", &json!({"metadata": {"name": "pods"}, "rules": [pods]}));
    world
}

/// What a user is told who writes an object of a kind: nothing if it may.
fn write(world: &World, who: &User, plural: &str, value: &Value, old: Option<&Value>) -> String {
    let namespace = if plural.starts_with("cluster") { "" } else { "n" };
    let call = World::call(who, Verb::Create, target(RBAC, plural, namespace, ""), Value::Null);
    let operation = if old.is_some() { Operation::Update } else { Operation::Create };
    let request = Request::new(&world.api, &call, operation, false);
    validate(&request, value, old)
        .err()
        .map(|status| format!("{} {}", status.code, status.message))
        .unwrap_or_default()
}

fn u() -> User {
    user("u", &[])
}

fn role(rules: &[Value]) -> Value {
    json!({"metadata": {"name": "new", "namespace": "n"}, "rules": rules})
}

fn binding(kind: &str, name: &str) -> Value {
    json!({"metadata": {"name": "new", "namespace": "n"}, "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name}})
}

#[test]
fn a_role_gives_only_what_its_writer_has() {
    let world = with_rules(&[rule(&[""], &["pods"], &["get"])]);
    let own = role(&[rule(&[""], &["pods"], &["get"])]);
    assert_eq!(write(&world, &u(), "roles", &own, None), "");
    let more =
        role(&[rule(&[""], &["pods"], &["delete", "get"]), rule(&[""], &["secrets"], &["get"])]);
    let words = "403 roles.rbac.authorization.k8s.io \"new\" is forbidden: user \"u\" (groups=[\"system:authenticated\"]) is \
                 attempting to grant RBAC permissions not currently held:\n\
                 {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n\
                 {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}";
    assert_eq!(write(&world, &u(), "roles", &more, None), words);
    assert_eq!(write(&world, &user("root", &["system:masters"]), "roles", &more, None), "");
    // What is had in a namespace is not had in the cluster.
    assert!(write(&world, &u(), "clusterroles", &own, None).starts_with("403"));
}

#[test]
fn a_role_of_more_than_can_be_compared_is_refused_at_once() {
    let world = with_rules(&[rule(&[""], &["pods"], &["get"])]);
    let many: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let mut vast =
        json!({"apiGroups": many, "resources": many, "verbs": many, "resourceNames": many});
    let told = write(&world, &u(), "roles", &role(&[vast.clone()]), None);
    assert!(told.starts_with("403 ") && told.contains("more than 100000 single things"), "{told}");
    vast["verbs"] = json!(["get"]);
    let all = with_rules(&[rule(&["*"], &["*"], &["get"])]);
    assert_eq!(write(&all, &u(), "roles", &role(&[vast]), None), "");
}

#[test]
fn escalate_and_bind_lift_the_check_for_what_they_name() {
    let mut bind = rule(&[RBAC], &["clusterroles"], &["bind"]);
    bind["resourceNames"] = json!(["pods"]);
    let world = with_rules(&[bind]);
    assert_eq!(write(&world, &u(), "rolebindings", &binding("ClusterRole", "pods"), None), "");
    assert!(
        write(&world, &u(), "roles", &role(&[rule(&["*"], &["*"], &["*"])]), None)
            .starts_with("403")
    );
    let world = with_rules(&[rule(&[RBAC], &["roles"], &["escalate"])]);
    assert_eq!(write(&world, &u(), "roles", &role(&[rule(&["*"], &["*"], &["*"])]), None), "");
    assert!(
        write(&world, &u(), "rolebindings", &binding("ClusterRole", "pods"), None)
            .starts_with("403")
    );
}

#[test]
fn a_binding_gives_only_what_its_writer_has_and_only_of_a_role_that_is_there() {
    let world = with_rules(&[rule(&[""], &["pods"], &["get"])]);
    assert_eq!(write(&world, &u(), "rolebindings", &binding("Role", "own"), None), "");
    let denied = write(&world, &u(), "rolebindings", &binding("ClusterRole", "pods"), None);
    assert!(
        denied.ends_with("{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}"),
        "{denied}"
    );
    let missing = write(&world, &u(), "rolebindings", &binding("ClusterRole", "none"), None);
    assert_eq!(missing, "404 rolebindings.rbac.authorization.k8s.io \"none\" not found");
}

#[test]
fn only_who_may_do_everything_makes_a_sum_of_roles() {
    let all = [rule(&["*"], &["*"], &["*"])];
    let world = with_rules(&all);
    let sum =
        json!({"metadata": {"name": "new"}, "aggregationRule": {"clusterRoleSelectors": [{}]}});
    let denied = write(&world, &u(), "clusterroles", &sum, None);
    assert!(
        denied.ends_with("must have cluster-admin privileges to use the aggregationRule"),
        "{denied}"
    );
}

#[test]
fn the_garbage_collector_may_touch_owners_of_what_it_could_not_write() {
    let world = with_rules(&[]);
    let old = role(&[rule(&["*"], &["*"], &["*"])]);
    let mut new = old.clone();
    new["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    assert_eq!(write(&world, &u(), "roles", &new, Some(&old)), "");
    new["metadata"]["labels"] = json!({"a": "b"});
    assert!(write(&world, &u(), "roles", &new, Some(&old)).starts_with("403"));
}
