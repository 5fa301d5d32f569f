//! kubectl's smaller verbs, `run` with its flags, and every real version (S66 and the verbs around it).

use podo_cluster_tests::cluster::{NODE, PODS};
use podo_cluster_tests::kubectl::{of_our_version, real};
use podo_cluster_tests::pods::{idle, is_ready, pod};
use podo_cluster_tests::skip;
use serde_json::{Value, json};

use crate::kubectl::{same, same_on_own};
use crate::on_cluster;

#[test]
fn s66_run_with_its_flags() {
    on_cluster(|it| {
        let out = same_on_own(
            it,
            &[
                "run",
                "{}",
                "--image=busybox:1.35",
                "--restart=Never",
                "--image-pull-policy=IfNotPresent",
                "--port=8080",
                "--env=A=b",
                "--env=C=d",
                "--labels=app=x,tier=y",
                "--",
                "sh",
                "-c",
                "echo $A $C",
            ],
            "",
        );
        assert_eq!(out, "pod/{} created\n");
        let seen = it.until("of-own", "has ended", podo_cluster_tests::pods::has_ended);
        assert_eq!(it.log("of-own", ""), "b d\n");
        assert_eq!(seen["metadata"]["labels"], json!({"app": "x", "tier": "y"}));
        assert_eq!(
            seen["spec"]["containers"][0]["ports"],
            json!([{"containerPort": 8080, "protocol": "TCP"}])
        );
        if of_our_version().is_some() {
            let theirs = it.api.get(&format!("{PODS}/of-real")).ok();
            let plain = |pod: &Value| {
                let mut spec = pod["spec"].clone();
                spec["containers"][0]["volumeMounts"] = Value::Null;
                spec["containers"][0]["name"] = Value::Null;
                spec["volumes"] = Value::Null;
                spec
            };
            assert_eq!(plain(&seen), plain(&theirs));
        }
        for args in [
            vec![
                "run",
                "{}-a",
                "--image=busybox",
                "--dry-run=client",
                "-o",
                "yaml",
                "--command",
                "--",
                "sleep",
                "1",
            ],
            vec![
                "run",
                "{}-b",
                "--image=busybox",
                "--overrides={\"spec\":{\"hostname\":\"over\"}}",
                "--dry-run=client",
                "-o",
                "json",
            ],
            vec!["run", "{}-c"],
            vec!["run", "UPPER-{}", "--image=busybox"],
            vec!["run", "{}-d", "--image=Not::Valid"],
        ] {
            same_on_own(it, &args, "");
        }
    });
}

#[test]
fn s66_run_takes_the_flags_that_document_001_lists() {
    on_cluster(|it| {
        it.create(
            "/api/v1/namespaces/default/serviceaccounts",
            &json!({"metadata": {"name": "robot"}}),
        );
        it.kubectl(&[
            "run",
            "listed",
            "--image=busybox:1.35",
            "--restart-policy=OnFailure",
            "--host-network",
            "--service-account=robot",
            "--termination-grace-period-seconds=5",
            "--",
            "true",
        ])
        .ok();
        let spec = it.api.get(&format!("{PODS}/listed")).ok()["spec"].clone();
        assert_eq!(spec["restartPolicy"], "OnFailure");
        assert_eq!(spec["hostNetwork"], true);
        assert_eq!(spec["serviceAccountName"], "robot");
        assert_eq!(spec["terminationGracePeriodSeconds"], 5);
    });
}

#[test]
fn s68_label_annotate_patch_and_wait() {
    on_cluster(|it| {
        for name in ["of-own", "of-real"] {
            it.ready(&pod(name, json!({"containers": [idle("main")]})));
        }
        for args in [
            vec!["label", "pod", "{}", "a=b"],
            vec!["label", "pod", "{}", "a=c"],
            vec!["label", "pod", "{}", "a=c", "--overwrite"],
            vec!["label", "pod", "{}", "a-"],
            vec!["label", "pod", "{}", "bad key=x"],
            vec!["annotate", "pod", "{}", "note=some text"],
            vec!["annotate", "pod", "{}", "note-"],
            vec!["patch", "pod", "{}", "-p", "{\"metadata\":{\"labels\":{\"p\":\"q\"}}}"],
            vec![
                "patch",
                "pod",
                "{}",
                "--type=merge",
                "-p",
                "{\"metadata\":{\"labels\":{\"p\":null}}}",
            ],
            vec![
                "patch",
                "pod",
                "{}",
                "--type=json",
                "-p",
                "[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"j\":\"k\"}}]",
            ],
            vec!["patch", "pod", "{}", "-p", "{\"spec\":{\"restartPolicy\":\"Never\"}}"],
            vec!["patch", "pod", "{}", "-p", "not json"],
            vec!["wait", "pod/{}", "--for=condition=Ready", "--timeout=5s"],
            vec!["wait", "pod/{}", "--for=jsonpath={.status.phase}=Running", "--timeout=5s"],
            vec!["wait", "pod/{}", "--for=condition=None", "--timeout=1s"],
            vec!["get", "pod", "{}", "--show-labels", "--no-headers"],
            vec!["delete", "pod", "{}", "--wait=false"],
            vec!["wait", "pod/{}", "--for=delete", "--timeout=20s"],
        ] {
            same_on_own(it, &args, "");
        }
    });
}

#[test]
fn s68_the_cluster_and_who_one_is() {
    on_cluster(|it| {
        for args in [
            vec!["api-resources"],
            vec!["api-resources", "--namespaced=false", "-o", "name"],
            vec!["api-resources", "--api-group=rbac.authorization.k8s.io", "-o", "wide"],
            vec!["auth", "whoami"],
            vec!["auth", "can-i", "create", "pods"],
            vec!["auth", "can-i", "get", "secrets", "--as=system:serviceaccount:default:default"],
            vec!["auth", "can-i", "--list", "--as=system:serviceaccount:default:default"],
            vec!["config", "view"],
            vec!["config", "current-context"],
            vec!["config", "get-contexts"],
            vec!["get", "node", NODE, "-o", "jsonpath={.status.nodeInfo.operatingSystem}"],
            vec!["nosuch"],
            vec!["get", "pods", "--nosuch"],
        ] {
            same(it, &args);
        }
        let version = it.kubectl(&["version"]).ok();
        assert!(version.contains("Server Version: v1.36"), "{version}");
        it.ready(&pod("seen", json!({"containers": [idle("main")]})));
        it.event("seen", "Started");
        let events = same(it, &["events", "--for", "pod/seen"]);
        assert!(
            events.contains("Started container main") || events.contains("Container started"),
            "{events}"
        );
    });
}

/// Kubectls of these versions ask for `/openapi/v2` before they explain or validate anything.
const READ_OPENAPI_V2: &[&str] = &["1.27", "1.28"];

#[test]
fn every_real_version_of_kubectl_works() {
    each_works(|version| !READ_OPENAPI_V2.contains(&version));
}

#[test]
fn real_versions_of_kubectl_that_read_openapi_v2_work() {
    each_works(|version| READ_OPENAPI_V2.contains(&version));
}

#[track_caller]
fn each_works(is_meant: impl Fn(&str) -> bool + Send) {
    let mut all = real();
    all.retain(|(version, _)| is_meant(version));
    if all.is_empty() {
        return skip("real kubectls", "there is none on this machine");
    }
    on_cluster(|it| {
        for (version, kubectl) in all {
            let name = format!("v{}", version.replace(['.', '_'], "-"));
            let run = |args: &[&str], input: &str| it.run(&kubectl, args, input).ok();
            let manifest = pod(&name, json!({"containers": [idle("main")]})).to_string();
            assert_eq!(
                run(&["apply", "-f", "-"], &manifest),
                format!("pod/{name} created\n"),
                "{version}"
            );
            it.until(&name, "is ready", is_ready);
            assert!(run(&["get", "pods"], "").contains(&name), "{version}");
            assert_eq!(run(&["exec", &name, "--", "echo", "hi"], ""), "hi\n", "{version}");
            assert_eq!(run(&["exec", "-i", &name, "--", "cat"], "through"), "through", "{version}");
            assert_eq!(run(&["logs", &name], ""), "", "{version}");
            assert!(run(&["describe", "pod", &name], "").contains("Started"), "{version}");
            assert!(run(&["explain", "pod.spec"], "").contains("containers"), "{version}");
            let from_v2 = ["explain", "pod", "--recursive", "--output=plaintext-openapiv2"];
            assert!(run(&from_v2, "").contains("containerPort\t<integer>"), "{version}");
            let failed = it.run(&kubectl, &["exec", &name, "--", "sh", "-c", "exit 7"], "");
            assert_eq!(failed.code, 7, "{version}: {failed:?}");
            run(&["delete", "pod", &name], "");
            let item = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
            let list = json!({"apiVersion": "v1", "kind": "List", "items": [item]}).to_string();
            for outcome in ["created", "unchanged"] {
                let expected = format!("configmap/{name} {outcome}\n");
                assert_eq!(run(&["apply", "-f", "-"], &list), expected, "{version}");
            }
        }
    });
}
