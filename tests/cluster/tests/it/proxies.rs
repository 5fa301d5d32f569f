//! Servers in the cluster through the API server: `pods/proxy`, `services/proxy`, `nodes/proxy`, and evictions.

use std::time::{Duration, Instant};

use podo_cluster_tests::cluster::{NODE, PODS};
use podo_cluster_tests::pods::{also, condition, pod, shell};
use podo_cluster_tests::{Api, Cluster};
use serde_json::{Value, json};

use crate::on_cluster;

const SCRIPT: &str = "mkdir -p /tmp/www/sub && echo root > /tmp/www/index.html && echo deep > /tmp/www/sub/a.txt && exec httpd -f -p 8080 -h /tmp/www";

/// A Pod with a web server, whose address it gives.
fn web(it: &Cluster) -> String {
    let main =
        also(shell("main", SCRIPT), json!({"ports": [{"name": "http", "containerPort": 8080}]}));
    let seen = it.ready(&pod("web", json!({"containers": [main]})));
    let deadline = Instant::now() + Duration::from_secs(10);
    while it.api.get(&format!("{PODS}/web/proxy/")).status != 200 {
        assert!(Instant::now() < deadline, "the server in the Pod does not answer");
    }
    seen["status"]["podIP"].as_str().unwrap().to_owned()
}

fn endpoints(it: &Cluster, address: &str, target: &Value) {
    let subset = json!({"addresses": [{"ip": address, "targetRef": target}], "ports": [{"name": "web", "port": 8080}]});
    let path = "/api/v1/namespaces/default/endpoints";
    let made = json!({"metadata": {"name": "web"}, "subsets": [subset]});
    it.api.delete(&format!("{path}/web"));
    it.create(path, &made);
}

#[test]
fn pods_and_services_are_reached_through_the_api_server() {
    on_cluster(|it| {
        let address = web(it);
        let at = |path: &str| it.api.get(&format!("{PODS}/{path}"));
        assert_eq!(at("web/proxy/").text(), "root\n");
        assert_eq!(at("web:8080/proxy/sub/a.txt?x=y").text(), "deep\n");
        assert_eq!(at("http:web:8080/proxy/sub/../sub/a.txt").text(), "deep\n");
        assert_eq!(at("web/proxy/none").status, 404);
        let moved = at("web/proxy");
        assert_eq!(moved.status, 301);
        assert_eq!(moved.headers["location"], format!("{PODS}/web/proxy/").as_str());
        let folder = at("web/proxy/sub");
        assert_eq!(
            folder.headers["location"],
            format!("{PODS}/web/proxy/sub/").as_str(),
            "{}",
            folder.text()
        );
        let (code, _, message) = at("web:9/proxy/").failure();
        assert_eq!(code, 503);
        assert!(message.starts_with("error trying to reach service: dial tcp"), "{message}");
        assert_eq!(at("https:web:8080/proxy/").status, 503);
        assert_eq!(at("ftp:web:8080/proxy/").failure().2, "invalid pod request \"ftp:web:8080\"");
        let ports = json!([{"name": "web", "port": 80, "targetPort": 8080}]);
        it.create(
            "/api/v1/namespaces/default/services",
            &json!({"metadata": {"name": "web"}, "spec": {"ports": ports}}),
        );
        let service = |id: &str| {
            it.api.get(&format!("/api/v1/namespaces/default/services/{id}/proxy/sub/a.txt"))
        };
        endpoints(it, &address, &json!({"kind": "Pod", "namespace": "default", "name": "web"}));
        for id in ["web:web", "web:80", "http:web:web"] {
            assert_eq!(service(id).text(), "deep\n", "{id}");
        }
        assert_eq!(service("web:81").failure().2, "no service port 81 found for service \"web\"");
        // Endpoints that somebody made up reach nothing.
        let other = "192.0.2.1";
        for (address, target) in [
            (other, json!({"kind": "Pod", "namespace": "default", "name": "web"})),
            (&*address, Value::Null),
        ] {
            endpoints(it, address, &target);
            assert_eq!(
                service("web:web").failure().2,
                "no endpoints available for service \"web:web\""
            );
        }
    });
}

#[test]
fn a_proxy_reaches_neither_the_machine_nor_its_links() {
    on_cluster(|it| {
        it.create(
            "/api/v1/namespaces/default/pods",
            &pod("far", json!({"nodeName": "none", "containers": [shell("main", "")]})),
        );
        for address in ["127.0.0.1", "169.254.169.254", "0.0.0.0"] {
            let status = json!({"status": {"podIP": address, "podIPs": [{"ip": address}]}});
            let patched = it.api.patch(
                &format!("{PODS}/far/status"),
                podo_cluster_tests::api::MERGE,
                &status,
            );
            let (code, _, message) =
                it.api.get(&format!("{PODS}/far:6443/proxy/version")).failure();
            assert_eq!(
                (code, message.as_str()),
                (400, "address not allowed"),
                "{}",
                patched.text()
            );
        }
    });
}

#[test]
fn a_nodes_kubelet_is_reached_by_who_may() {
    on_cluster(|it| {
        let path = format!("/api/v1/nodes/{NODE}/proxy/pods");
        assert_eq!(it.api.get(&path).ok()["kind"], "PodList");
        it.create(
            "/api/v1/namespaces/default/serviceaccounts",
            &json!({"metadata": {"name": "reader"}}),
        );
        let token =
            it.api.post("/api/v1/namespaces/default/serviceaccounts/reader/token", &json!({})).ok();
        let reader = Api::with_token(&it.server(), token["status"]["token"].as_str());
        assert_eq!(reader.get(&path).status, 403);
        let rules = json!([{"apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["get"]}]);
        it.create(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            &json!({"metadata": {"name": "reader"}, "rules": rules}),
        );
        let subjects =
            json!([{"kind": "ServiceAccount", "namespace": "default", "name": "reader"}]);
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"});
        it.create(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            &json!({"metadata": {"name": "reader"}, "roleRef": role, "subjects": subjects}),
        );
        assert_eq!(reader.get(&path).status, 200);
        assert_eq!(reader.request("POST", &path, &[], "").status, 403);
        assert_eq!(reader.request("OPTIONS", &path, &[], "").status, 403);
    });
}

#[test]
fn an_evicted_pod_says_why_it_goes() {
    on_cluster(|it| {
        it.ready(&pod("p", json!({"containers": [shell("main", "exec sleep 3600")], "terminationGracePeriodSeconds": 60})));
        let path = format!("{PODS}/p/eviction");
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 1}});
        let mut watch = it.api.watch(&format!("{PODS}?watch=true&fieldSelector=metadata.name%3Dp"));
        assert_eq!(it.api.post(&path, &body).status, 201);
        loop {
            let event = watch.next_event().unwrap();
            if event["type"] == "DELETED" {
                assert_eq!(
                    condition(&event["object"], "DisruptionTarget")["reason"],
                    "EvictionByEvictionAPI"
                );
                break;
            }
        }
        assert_eq!(it.api.post(&path, &body).status, 404);
    });
}
