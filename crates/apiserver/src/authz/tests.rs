//! Rules, roles and bindings, and what URLs ask for.

use serde_json::json;

mod nodes;
mod store;

use super::rbac::{Binding, Roles};
use super::request_info::RequestInfo;
use super::{Attributes, Denial, Opinion, Rule};
use crate::user::User;

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Rule {
    let value = json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    serde_json::from_value(value).expect("a rule")
}

fn binding(kind: &str, role: &str, subjects: &serde_json::Value) -> Binding {
    let value = json!({"roleRef": {"kind": kind, "name": role}, "subjects": subjects});
    serde_json::from_value(value).expect("a binding")
}

fn user(name: &str, groups: &[&str]) -> User {
    User::authenticated(name, groups)
}

/// Roles as the vectors of the recorded server make them, in a namespace `n`.
fn roles() -> Roles {
    let mut roles = Roles::default();
    let mut named = rule(&[""], &["configmaps"], &["get"]);
    named.resource_names = vec!["x".into()];
    let rules = vec![
        rule(&[""], &["pods"], &["get", "list"]),
        named,
        rule(&["apps"], &["deployments/scale"], &["*"]),
    ];
    roles.set_role("n", "r", Some(rules));
    roles.set_role(
        "",
        "nodes",
        Some(vec![rule(&[""], &["nodes"], &["list"]), rule(&["*"], &["*/status"], &["get"])]),
    );
    roles.set_binding(
        "n",
        "b",
        Some(binding("Role", "r", &json!([{"kind": "User", "name": "u"}]))),
    );
    roles.set_binding(
        "n",
        "s",
        Some(binding("Role", "r", &json!([{"kind": "ServiceAccount", "name": "default"}]))),
    );
    roles.set_binding(
        "",
        "c",
        Some(binding("ClusterRole", "nodes", &json!([{"kind": "Group", "name": "g"}]))),
    );
    roles
}

/// What `roles` say to `verb group/resource[/sub] [name] [in namespace]`.
fn ask(
    roles: &Roles,
    user: &User,
    verb: &str,
    group: &str,
    resource: &str,
    name: &str,
    namespace: &str,
) -> Opinion {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes = Attributes {
        verb,
        group,
        resource,
        subresource,
        namespace,
        name,
        ..Attributes::path(user)
    };
    roles.authorize(&attributes, true)
}

#[track_caller]
fn check(question: (&User, &str, &str, &str, &str, &str), is_allowed: bool) {
    let (user, verb, group, resource, name, namespace) = question;
    let opinion = ask(&roles(), user, verb, group, resource, name, namespace);
    assert_eq!(matches!(opinion, Opinion::Allow(_)), is_allowed, "{question:?}: {opinion:?}");
}

#[test]
fn a_role_allows_exactly_what_it_says_and_only_in_its_namespace() {
    let u = user("u", &[]);
    check((&u, "list", "", "pods", "", "n"), true);
    check((&u, "create", "", "pods", "", "n"), false);
    check((&u, "get", "", "configmaps", "x", "n"), true);
    check((&u, "get", "", "configmaps", "y", "n"), false);
    check((&u, "list", "", "configmaps", "", "n"), false);
    check((&u, "get", "apps", "deployments/scale", "d", "n"), true);
    check((&u, "get", "apps", "deployments", "d", "n"), false);
    check((&u, "list", "", "pods", "", "default"), false);
    check((&u, "list", "", "pods", "", ""), false);
}

#[test]
fn groups_and_service_accounts_are_subjects_and_a_cluster_binding_counts_everywhere() {
    let (member, account) = (user("m", &["g"]), user("system:serviceaccount:n:default", &[]));
    check((&member, "list", "", "nodes", "", ""), true);
    check((&member, "list", "", "nodes", "", "n"), true);
    check((&member, "get", "batch", "jobs/status", "j", "n"), true);
    check((&member, "get", "batch", "jobs", "j", "n"), false);
    check((&account, "get", "", "pods", "p", "n"), true);
    check((&user("system:serviceaccount:other:default", &[]), "get", "", "pods", "p", "n"), false);
}

#[test]
fn an_allowance_names_the_binding_the_role_and_the_subject() {
    let reason = |user: &User, resource: &str, namespace: &str| match ask(
        &roles(),
        user,
        "list",
        "",
        resource,
        "",
        namespace,
    ) {
        Opinion::Allow(reason) => reason,
        Opinion::None(reason) => panic!("denied: {reason}"),
    };
    assert_eq!(
        reason(&user("u", &[]), "pods", "n"),
        "RBAC: allowed by RoleBinding \"b/n\" of Role \"r\" to User \"u\""
    );
    assert_eq!(
        reason(&user("system:serviceaccount:n:default", &[]), "pods", "n"),
        "RBAC: allowed by RoleBinding \"s/n\" of Role \"r\" to ServiceAccount \"default/n\""
    );
    assert_eq!(
        reason(&user("m", &["g"]), "nodes", ""),
        "RBAC: allowed by ClusterRoleBinding \"c\" of ClusterRole \"nodes\" to Group \"g\""
    );
}

#[test]
fn a_binding_whose_role_is_missing_is_told_but_hides_no_other() {
    let mut roles = roles();
    let subjects = json!([{"kind": "User", "name": "u"}]);
    roles.set_binding("", "dangling", Some(binding("ClusterRole", "x", &subjects)));
    let u = user("u", &[]);
    assert!(matches!(ask(&roles, &u, "list", "", "pods", "", "n"), Opinion::Allow(_)));
    let denied = ask(&roles, &u, "list", "", "secrets", "", "n");
    let reason = "RBAC: clusterrole.rbac.authorization.k8s.io \"x\" not found";
    assert_eq!(denied, Opinion::None(reason.to_owned()));
}

#[test]
fn a_binding_that_changes_or_goes_is_forgotten_under_its_old_subjects() {
    let mut roles = roles();
    let subjects = json!([{"kind": "User", "name": "v"}]);
    roles.set_binding("n", "b", Some(binding("Role", "r", &subjects)));
    assert!(matches!(ask(&roles, &user("u", &[]), "list", "", "pods", "", "n"), Opinion::None(_)));
    assert!(matches!(ask(&roles, &user("v", &[]), "list", "", "pods", "", "n"), Opinion::Allow(_)));
    roles.set_binding("n", "b", None);
    assert!(matches!(ask(&roles, &user("v", &[]), "list", "", "pods", "", "n"), Opinion::None(_)));
}

#[test]
fn urls_are_matched_whole_or_by_what_they_begin_with() {
    let value = json!({"nonResourceURLs": ["/metrics", "/logs/*"], "verbs": ["get"]});
    let rule: Rule = serde_json::from_value(value).expect("a rule");
    let user = user("u", &[]);
    let allows =
        |verb, path| Attributes { verb, path, ..Attributes::path(&user) }.is_allowed_by(&rule);
    assert!(allows("get", "/metrics") && allows("get", "/logs/x/y") && allows("get", "/logs/"));
    assert!(!allows("post", "/metrics") && !allows("get", "/metrics/x") && !allows("get", "/logs"));
}

#[test]
fn what_is_missing_is_told_by_resource_and_in_order() {
    let held = [rule(&[""], &["pods"], &["get"]), rule(&["*"], &["*/scale"], &["*"])];
    let wanted = [
        rule(&[""], &["secrets"], &["get"]),
        rule(&["", "apps"], &["pods", "deployments/scale"], &["delete", "get"]),
    ];
    let missing = Rule::describe(&Rule::missing(&held, &wanted));
    let expected = "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n\
                    {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}\n\
                    {APIGroups:[\"apps\"], Resources:[\"pods\"], Verbs:[\"delete\" \"get\"]}";
    assert_eq!(missing, expected);
}

#[test]
fn all_objects_are_not_covered_by_some_and_urls_not_by_resources() {
    let mut named = rule(&[""], &["pods"], &["get"]);
    named.resource_names = vec!["a".into(), "b".into()];
    let mut one = named.clone();
    one.resource_names = vec!["b".into()];
    let all = rule(&[""], &["pods"], &["get"]);
    assert!(Rule::missing(std::slice::from_ref(&named), std::slice::from_ref(&one)).is_empty());
    assert_eq!(Rule::missing(std::slice::from_ref(&named), std::slice::from_ref(&all)).len(), 1);
    assert!(Rule::missing(&[all], &[named]).is_empty());
    let url: Rule = serde_json::from_value(json!({"nonResourceURLs": ["/x"], "verbs": ["get"]}))
        .expect("a rule");
    assert_eq!(Rule::missing(&[rule(&["*"], &["*"], &["*"])], std::slice::from_ref(&url)).len(), 1);
    let line = Rule::describe(&[url]);
    assert_eq!(line, "{NonResourceURLs:[\"/x\"], Verbs:[\"get\"]}");
}

#[test]
fn a_denial_says_who_may_not_do_what_where_and_escapes_html() {
    let user = user("<b>", &[]);
    let attributes = Attributes {
        verb: "get",
        group: "apps",
        resource: "deployments",
        subresource: "scale",
        name: "x",
        namespace: "n",
        ..Attributes::path(&user)
    };
    assert_eq!(
        Denial::new(&attributes, "because").status().message,
        "deployments.apps \"x\" is forbidden: User \"&lt;b&gt;\" cannot get resource \"deployments/scale\" in API group \
         \"apps\" in the namespace \"n\": because"
    );
    let path = Attributes { verb: "get", path: "/metrics", ..Attributes::path(&user) };
    let status = Denial::new(&path, "").status();
    assert_eq!(status.message, "forbidden: User \"&lt;b&gt;\" cannot get path \"/metrics\"");
    assert_eq!((status.code, status.details.is_some()), (403, true));
}

/// What a URL asks for: `verb group/version resource[/sub] name @namespace`, or `verb path`.
#[track_caller]
fn asks(method: &str, url: &str, expected: &str) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let pairs: Vec<(&str, &str)> =
        query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let option = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let method = method.parse().expect("a method");
    let info = RequestInfo::new(&method, path, &option);
    let shown = if info.is_resource {
        let slash = if info.subresource.is_empty() { "" } else { "/" };
        format!(
            "{} {}/{} {}{slash}{} {}@{}",
            info.verb,
            info.group,
            info.version,
            info.resource,
            info.subresource,
            info.name,
            info.namespace
        )
    } else {
        format!("{} {}", info.verb, info.path)
    };
    assert_eq!(shown, expected, "{method} {url}");
}

#[test]
fn a_url_is_read_by_its_shape() {
    asks("GET", "/api/v1/namespaces/n/pods", "list /v1 pods @n");
    asks("GET", "/api/v1/namespaces/n/pods?watch=1", "watch /v1 pods @n");
    asks("GET", "/api/v1/watch/namespaces/n/pods", "watch /v1 pods @n");
    asks("GET", "/api/v1/namespaces/n/pods/p/log", "get /v1 pods/log p@n");
    asks("GET", "/api/v1/namespaces/n", "get /v1 namespaces n@n");
    asks("PUT", "/api/v1/namespaces/n/finalize", "update /v1 namespaces/finalize n@n");
    asks("GET", "/api/v1/nodes/x/proxy/y", "get /v1 nodes/proxy x@");
    asks(
        "DELETE",
        "/apis/apps/v1/namespaces/n/deployments",
        "deletecollection apps/v1 deployments @n",
    );
    asks("GET", "/apis/none.example/v1/foos", "list none.example/v1 foos @");
    asks("GET", "/api/v1/configmaps?fieldSelector=metadata.name=x", "list /v1 configmaps x@");
    asks("GET", "/apis/apps/v1", "get /apis/apps/v1");
    asks("POST", "/logs/x", "post /logs/x");
    asks("GET", "/", "get /");
}
