//! Who may do what: service accounts from inside containers, RBAC, the node's own API (S47).

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::host::HOST;
use podo_cluster_tests::pods::{also, idle, once, pod};
use podo_cluster_tests::{Api, Cluster, Options, with_cluster};
use serde_json::{Value, json};

use crate::on_cluster;

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";

/// An API that Pods can reach, at the node's address.
fn reachable() -> Options {
    let args = vec!["--listen=0.0.0.0:6443".to_owned(), format!("--tls-san={HOST}")];
    Options { args, ..Options::default() }
}

/// A Pod that runs `podo kubectl` with what every Pod is given.
fn asking(it: &Cluster, name: &str, account: &str, args: &[&str]) -> Value {
    let mut command = vec!["/podo", "kubectl"];
    command.extend(args);
    let env = json!([{"name": "KUBERNETES_SERVICE_HOST", "value": HOST.to_string()},
        {"name": "KUBERNETES_SERVICE_PORT", "value": "6443"}]);
    let mounts = json!([{"name": "podo", "mountPath": "/podo", "readOnly": true}]);
    let mut made = once(name, "");
    let main = also(
        made["spec"]["containers"][0].clone(),
        json!({"command": command, "env": env, "volumeMounts": mounts}),
    );
    made["spec"]["containers"][0] = main;
    made["spec"]["serviceAccountName"] = json!(account);
    made["spec"]["volumes"] =
        json!([{"name": "podo", "hostPath": {"path": it.binary(), "type": "File"}}]);
    made
}

fn bind(it: &Cluster, account: &str) {
    it.create(
        ROLES,
        &json!({"metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "get"]}]}),
    );
    it.create(
        BINDINGS,
        &json!({"metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "default"}]}),
    );
}

#[test]
fn s47_from_inside_a_container_a_bound_account_lists_pods_and_nothing_else() {
    with_cluster(reachable(), |it| {
        it.create(
            "/api/v1/namespaces/default/serviceaccounts",
            &json!({"metadata": {"name": "lister"}}),
        );
        bind(it, "lister");
        it.create(
            "/api/v1/namespaces/default/secrets",
            &json!({"metadata": {"name": "hidden"}, "stringData": {"key": "value"}}),
        );
        let log = it.output(&asking(it, "lists", "lister", &["get", "pods", "--no-headers"]));
        assert!(log.starts_with("lists "), "{log}");
        for (name, account, args, why) in [
            (
                "secrets",
                "lister",
                &["get", "secrets", "-n", "default"][..],
                "User \"system:serviceaccount:default:lister\" cannot list resource \"secrets\" in API group \"\" in the namespace \"default\"",
            ),
            (
                "elsewhere",
                "lister",
                &["get", "pods", "-n", "kube-system"],
                "cannot list resource \"pods\" in API group \"\" in the namespace \"kube-system\"",
            ),
            (
                "unbound",
                "default",
                &["get", "pods", "-n", "default"],
                "User \"system:serviceaccount:default:default\" cannot list resource \"pods\"",
            ),
            (
                "secret",
                "lister",
                &["get", "secret", "hidden", "-n", "default"],
                "cannot get resource \"secrets\" in API group \"\" in the namespace \"default\"",
            ),
            (
                "deletes",
                "lister",
                &["delete", "pod", "lists", "-n", "default"],
                "cannot delete resource \"pods\" in API group \"\" in the namespace \"default\"",
            ),
            (
                "creates",
                "lister",
                &["run", "more", "--image=busybox", "-n", "default"],
                "cannot create resource \"pods\" in API group \"\" in the namespace \"default\"",
            ),
        ] {
            let ended = it.ended(&asking(it, name, account, args));
            assert_eq!(ended["status"]["phase"], "Failed");
            let log = it.log(name, "");
            assert!(log.contains("Error from server (Forbidden)") && log.contains(why), "{log}");
        }
        assert_eq!(it.api.get(&format!("{PODS}/lists")).status, 200);
        assert_eq!(it.api.get(&format!("{PODS}/more")).status, 404);
    });
}

#[test]
fn s47_a_pods_token_dies_with_the_pod() {
    with_cluster(reachable(), |it| {
        it.ready(&pod("short", json!({"containers": [idle("main")]})));
        let token =
            it.exec("short", "main", "cat /var/run/secrets/kubernetes.io/serviceaccount/token");
        let own = Api::with_token(&it.server(), Some(token.trim()));
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let info = own.post(path, &review).ok()["status"]["userInfo"].clone();
        assert_eq!(info["username"], "system:serviceaccount:default:default");
        assert_eq!(info["extra"]["authentication.kubernetes.io/pod-name"], json!(["short"]));
        it.delete_pod("short");
        assert_eq!(own.post(path, &review).status, 401);
    });
}

#[test]
fn s47_a_pod_without_a_token_has_none_and_a_forged_one_is_refused() {
    on_cluster(|it| {
        let mut made = once("bare", "ls /var/run/secrets/kubernetes.io 2>&1; true");
        made["spec"]["automountServiceAccountToken"] = json!(false);
        assert!(it.output(&made).contains("No such file"));
        let token = it.kubectl(&["create", "token", "default"]).ok();
        let token = token.trim();
        assert_eq!(Api::with_token(&it.server(), Some(token)).get("/api").status, 200);
        let (head, signature) = token.rsplit_once('.').unwrap();
        let mut parts = head.split('.');
        let header = parts.next().unwrap();
        let claims = parts.next().unwrap();
        for forged in [
            format!("{head}."),
            format!("{head}.{}", signature.chars().rev().collect::<String>()),
            format!("eyJhbGciOiJub25lIn0.{claims}."),
            format!("{header}.{}.{signature}", claims.replace('a', "b")),
        ] {
            assert_eq!(
                Api::with_token(&it.server(), Some(&forged)).get("/api").status,
                401,
                "{forged}"
            );
        }
    });
}

#[test]
fn the_nodes_own_api_answers_nobody_without_a_name_and_a_right() {
    on_cluster(|it| {
        let node = format!("https://{HOST}:{}", it.options.ports.1);
        let anonymous = Api::with_token(&node, None);
        for path in [
            "/pods",
            "/containerLogs/default/x/y",
            "/metrics",
            "/exec/default/x/y?command=sh",
            "/runningpods/",
        ] {
            let status = anonymous.get(path).status;
            assert!(status == 401 || status == 403, "{path}: {status}");
        }
        let token = it.kubectl(&["create", "token", "default"]).ok();
        let weak = Api::with_token(&node, Some(token.trim()));
        for path in ["/pods", "/containerLogs/default/x/y"] {
            let status = weak.get(path).status;
            assert!(status == 401 || status == 403, "{path}: {status}");
        }
    });
}

#[test]
fn anonymous_requests_see_health_and_version_only() {
    on_cluster(|it| {
        let anonymous = Api::with_token(&it.server(), None);
        for path in ["/healthz", "/livez", "/readyz", "/version"] {
            assert_eq!(anonymous.get(path).status, 200, "{path}");
        }
        let (code, _, message) = anonymous.get("/api/v1/pods").failure();
        assert_eq!(
            (code, message.as_str()),
            (
                403,
                "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope"
            )
        );
        assert_eq!(
            Api::with_token(&it.server(), Some("nonsense")).get("/version").failure().0,
            401
        );
    });
}

#[test]
fn of_custom_kinds_there_is_an_empty_list_for_those_who_may_read_it() {
    on_cluster(|it| {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let list = it.api.get(path).ok();
        assert_eq!(
            (&list["kind"], &list["items"]),
            (&json!("CustomResourceDefinitionList"), &json!([]))
        );
        let anonymous = Api::with_token(&it.server(), None);
        assert_eq!(anonymous.get(path).failure().0, 403);
        for other in [format!("{path}/x"), format!("{path}?watch=true")] {
            assert_eq!(it.api.get(&other).status, 404, "{other}");
        }
        assert_eq!(it.api.post(path, &json!({})).status, 404);
        assert_eq!(it.api.get("/apis/apiextensions.k8s.io").status, 404, "it is not in discovery");
    });
}

#[test]
fn nobody_grants_more_than_he_has() {
    on_cluster(|it| {
        it.create(
            "/api/v1/namespaces/default/serviceaccounts",
            &json!({"metadata": {"name": "clerk"}}),
        );
        let rules = json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["get", "list", "create", "update"]}]);
        it.create(ROLES, &json!({"metadata": {"name": "clerk"}, "rules": rules}));
        it.create(
            BINDINGS,
            &json!({"metadata": {"name": "clerk"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "clerk"},
            "subjects": [{"kind": "ServiceAccount", "name": "clerk", "namespace": "default"}]}),
        );
        let token = it.kubectl(&["create", "token", "clerk"]).ok();
        let clerk = Api::with_token(&it.server(), Some(token.trim()));
        let wide = json!({"metadata": {"name": "wide"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
        let (code, _, message) = clerk.post(ROLES, &wide).failure();
        assert!(
            code == 403
                && message.contains("is attempting to grant RBAC permissions not currently held"),
            "{message}"
        );
        let admin = json!({"metadata": {"name": "admin"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "clerk", "namespace": "default"}]});
        assert_eq!(clerk.post(BINDINGS, &admin).failure().0, 403);
    });
}
