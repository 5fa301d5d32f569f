//! kubectl's smaller verbs, `run` with its flags, and every real version (S66 and the verbs around it).

use std::io::{BufRead as _, BufReader};
use std::time::Instant;

use podo_cluster_tests::cluster::{NODE, PODS};
use podo_cluster_tests::host::HOST;
use podo_cluster_tests::kubectl::{of_our_version, real, settled};
use podo_cluster_tests::pods::{container, has_ended, idle, is_ready, pod};
use podo_cluster_tests::{Api, Cluster, skip};
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
        let seen = it.until("of-own", "has ended", has_ended);
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
        // What is in the Pod's shared memory outlives its container: the second run succeeds, and then one waits for its end.
        let script = "[ -e /dev/shm/seen ] || { touch /dev/shm/seen; exit 1; }; trap '' TERM; while [ ! -e /tmp/go ]; do sleep 0.1; done";
        for name in ["listed", "killed"] {
            it.kubectl(&[
                "run",
                name,
                "--image=busybox:1.35",
                "--restart-policy=OnFailure",
                "--host-network",
                "--service-account=robot",
                "--termination-grace-period-seconds=2",
                "--",
                "sh",
                "-c",
                script,
            ])
            .ok();
        }
        let runs_again = |pod: &Value| {
            let status = container(pod, pod["metadata"]["name"].as_str().unwrap_or_default());
            status["restartCount"] == 1 && status["ready"] == true
        };
        let seen = it.until("listed", "runs again", runs_again);
        let spec = &seen["spec"];
        assert_eq!(spec["restartPolicy"], "OnFailure");
        assert_eq!(spec["hostNetwork"], true);
        assert_eq!(spec["serviceAccountName"], "robot");
        assert_eq!(spec["terminationGracePeriodSeconds"], 2);
        assert_eq!(seen["status"]["podIP"], HOST.to_string());
        let namespace = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let inside = it.exec("listed", "listed", "readlink /proc/self/ns/net");
        assert_eq!(inside.trim(), namespace.to_string_lossy());
        let token = "cat /var/run/secrets/kubernetes.io/serviceaccount/token";
        let token = it.exec("listed", "listed", token);
        let robot = Api::with_token(&it.server(), Some(token.trim()));
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let review = robot.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review).ok();
        assert_eq!(review["status"]["userInfo"]["username"], "system:serviceaccount:default:robot");
        it.exec("listed", "listed", "touch /tmp/go");
        let ended = it.until("listed", "has ended", has_ended);
        assert_eq!(ended["status"]["phase"], "Succeeded", "one that succeeds is not run again");
        it.until("killed", "runs again", runs_again);
        let began = Instant::now();
        it.delete_pod("killed");
        let took = began.elapsed().as_secs_f32();
        assert!((1.9..10.0).contains(&took), "two seconds of grace: {took}");
    });
}

#[test]
fn s66_what_run_overrides_is_what_runs() {
    on_cluster(|it| {
        let overrides = r#"--overrides={"spec":{"hostname":"over","terminationGracePeriodSeconds":1,"hostAliases":[{"ip":"192.0.2.9","hostnames":["nine"]}]}}"#;
        let image = "--image=busybox:1.35";
        let merged = ["run", "{}", image, overrides, "--", "sleep", "3600"];
        assert_eq!(same_on_own(it, &merged, ""), "pod/{} created\n");
        let patch = r#"--overrides=[{"op":"add","path":"/spec/containers/0/env","value":[{"name":"A","value":"b"}]}]"#;
        let type_ = "--override-type=json";
        let patched =
            ["run", "{}-json", image, "--restart=Never", type_, patch, "--", "sh", "-c", "echo $A"];
        assert_eq!(same_on_own(it, &patched, ""), "pod/{}-json created\n");
        let real = of_our_version().map(|_| "of-real");
        for name in ["of-own"].into_iter().chain(real) {
            it.until(name, "is ready", is_ready);
            let seen = it.exec(
                name,
                name,
                "hostname; grep nine /etc/hosts; tr '\\0' ' ' < /proc/1/cmdline",
            );
            assert_eq!(seen, "over\n192.0.2.9\tnine\nsleep 3600 ");
            let name = format!("{name}-json");
            it.until(&name, "has ended", has_ended);
            assert_eq!(it.log(&name, ""), "b\n");
        }
    });
}

/// An event as anyone may make one.
fn tell(it: &Cluster, name: &str, message: &str) {
    let about =
        json!({"apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "absent"});
    let now = "2026-01-01T00:00:00Z";
    it.create(
        "/api/v1/namespaces/default/events",
        &json!({"metadata": {"name": name}, "involvedObject": about, "reason": "Told", "type": "Normal",
            "message": message, "count": 1, "firstTimestamp": now, "lastTimestamp": now}),
    );
}

#[test]
fn s68_events_are_shown_as_they_come() {
    on_cluster(|it| {
        tell(it, "before", "was there before");
        let mut told = Vec::new();
        for (name, kubectl) in [("own", Some(it.own())), ("real", of_our_version())] {
            let Some(kubectl) = kubectl else { continue };
            let args = ["events", "--watch", "--for=pod/absent", "--no-headers"];
            let mut child = it.start_kubectl(&kubectl, &args);
            let mut lines =
                BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            // What is there comes first; what comes after it has come by the watch.
            assert!(lines.any(|line| line.contains("was there before")), "{kubectl:?}");
            tell(it, name, &format!("came later for {name}"));
            let line = lines.find(|line| line.ends_with(name)).unwrap();
            told.push(settled(&line.replace(name, "{}")));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let wanted = "<age> Normal Told Pod/absent came later for {}";
        assert!(told.iter().all(|line| line == wanted), "{told:?}");
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
        ] {
            same_on_own(it, &args, "");
        }
        for name in ["of-own", "of-real"] {
            it.until(name, "is gone", Value::is_null);
        }
        same_on_own(it, &["wait", "pod/{}", "--for=delete", "--timeout=20s"], "");
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
