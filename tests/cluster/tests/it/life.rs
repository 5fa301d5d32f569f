//! Restarts, init containers, limits, termination (S23, S25, S28, S31, S48's grace period).

use std::time::{Duration, Instant};

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{
    also, container, has_ended, idle, is_ready, once, pod, restarts, shell, waiting,
};
use podo_cluster_tests::{Cluster, PATIENCE, leaks, until};
use serde_json::{Value, json};

use crate::on_cluster;
use crate::pods::kill_pause;

#[test]
fn s23_restart_policies() {
    on_cluster(|it| {
        let with_policy = |name: &str, policy: &str, script: &str| {
            pod(name, json!({"restartPolicy": policy, "containers": [shell("main", script)]}))
        };
        it.create_pod(&with_policy("always", "Always", "exit 0"));
        it.create_pod(&with_policy("on-failure", "OnFailure", "[ -e /proc/1 ] && exit 4"));
        assert_eq!(
            it.ended(&with_policy("on-success", "OnFailure", "exit 0"))["status"]["phase"],
            "Succeeded"
        );
        let never = it.ended(&with_policy("never", "Never", "exit 4"));
        assert_eq!((restarts(&never, "main"), &never["status"]["phase"]), (0, &json!("Failed")));
        let seen = it.until("always", "is started again", |pod| restarts(pod, "main") > 0);
        assert_eq!(container(&seen, "main")["lastState"]["terminated"]["reason"], "Completed");
        let seen = it.until("on-failure", "is started again", |pod| restarts(pod, "main") > 0);
        assert_eq!(container(&seen, "main")["lastState"]["terminated"]["exitCode"], 4);
    });
}

#[test]
fn s23_back_off_begins_at_ten_seconds_and_doubles() {
    on_cluster(|it| {
        it.create_pod(&pod("back-off", json!({"containers": [shell("main", "exit 1")]})));
        let waits = |pod: &Value| {
            let message =
                container(pod, "main")["state"]["waiting"]["message"].as_str().unwrap_or_default();
            message.split(' ').nth(1).unwrap_or_default().to_owned()
        };
        let first = it.until("back-off", "waits", |pod| waits(pod) == "10s");
        assert_eq!(restarts(&first, "main"), 1, "the first restart is at once: {first:#}");
        let began = Instant::now();
        let second = it.until("back-off", "waits longer", |pod| waits(pod) == "20s");
        assert_eq!(restarts(&second, "main"), 2);
        let waited = began.elapsed();
        assert!(waited > Duration::from_secs(8) && waited < Duration::from_secs(13), "{waited:?}");
    });
}

#[test]
fn s25_init_containers_run_in_order_each_to_success() {
    on_cluster(|it| {
        let shared = |container: Value| {
            also(container, json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))
        };
        let first =
            shared(shell("first", "echo first >> /v/order; sleep 1; echo first-done >> /v/order"));
        // The second one fails once and is tried again.
        let second = shared(shell(
            "second",
            "echo second >> /v/order; [ -e /v/again ] || { touch /v/again; exit 1; }",
        ));
        let main = shared(shell("main", "cat /v/order"));
        let spec = json!({
            "restartPolicy": "OnFailure", "initContainers": [first, second], "containers": [main],
            "volumes": [{"name": "v", "emptyDir": {}}]});
        assert_eq!(it.output(&pod("order", spec)), "first\nfirst-done\nsecond\nsecond\n");
        let seen = it.api.get(&format!("{PODS}/order")).ok();
        assert_eq!((restarts(&seen, "first"), restarts(&seen, "second")), (0, 1));
        assert_eq!(container(&seen, "second")["state"]["terminated"]["reason"], "Completed");
        assert_eq!(container(&seen, "second")["ready"], true);
    });
}

#[test]
fn s25_ordinary_init_containers_may_carry_no_probe_and_no_hook() {
    on_cluster(|it| {
        let command = json!({"exec": {"command": ["true"]}});
        for (field, value) in [
            ("livenessProbe", command.clone()),
            ("readinessProbe", command.clone()),
            ("startupProbe", command.clone()),
            ("lifecycle", json!({"postStart": command})),
            ("lifecycle", json!({"preStop": command})),
        ] {
            let init = also(shell("init", "true"), json!({field: value}));
            let made = pod(
                "refused",
                json!({"initContainers": [init.clone()], "containers": [idle("main")]}),
            );
            let (code, _, text) = it.api.post(PODS, &made).failure();
            let wanted = format!(
                "spec.initContainers[0].{field}: Forbidden: may not be set for init containers without restartPolicy=Always"
            );
            assert!(code == 422 && text.contains(&wanted), "{text}");
            let sidecar = also(init, json!({"restartPolicy": "Always"}));
            let made =
                pod("refused", json!({"initContainers": [sidecar], "containers": [idle("main")]}));
            it.api.post(&format!("{PODS}?dryRun=All"), &made).ok();
        }
    });
}

#[test]
fn s28_qos_classes_and_limits_in_the_kernel() {
    on_cluster(|it| {
        let resources = |name: &str, resources: Value| {
            pod(name, json!({"containers": [also(idle("main"), json!({"resources": resources}))]}))
        };
        let guaranteed = json!({"limits": {"cpu": "250m", "memory": "48Mi"}});
        let seen = it.ready(&resources("guaranteed", guaranteed));
        assert_eq!(seen["status"]["qosClass"], "Guaranteed");
        let burstable = it.ready(&resources("burstable", json!({"requests": {"cpu": "100m"}})));
        assert_eq!(burstable["status"]["qosClass"], "Burstable");
        assert_eq!(it.ready(&resources("effort", json!({})))["status"]["qosClass"], "BestEffort");
        let limits = limits_of(it, &seen);
        assert!(limits.iter().any(|limit| limit == "50331648"), "48 MiB: {limits:?}");
        assert!(
            limits.iter().any(|limit| limit == "25000" || limit == "25000 100000"),
            "a quarter: {limits:?}"
        );
        // In shares of v1, or as a weight of v2.
        for (class, shares, weight) in [("burstable", "102", "17"), ("besteffort", "2", "1")] {
            let path = format!("kubepods/{class}");
            let found = cgroup_files(it, &["cpu.shares", "cpu.weight"], |of| of.ends_with(&path));
            assert!(found.iter().any(|one| one == shares || one == weight), "{class}: {found:?}");
        }
    });
}

/// The limits that stand in the cgroups of a Pod's container, on either kind of hierarchy.
pub(crate) fn limits_of(it: &Cluster, pod: &Value) -> Vec<String> {
    let id = container(pod, "main")["containerID"]
        .as_str()
        .unwrap()
        .trim_start_matches("podo://")
        .to_owned();
    let files = ["memory.limit_in_bytes", "memory.max", "cpu.cfs_quota_us", "cpu.max"];
    cgroup_files(it, &files, |folder| folder.to_string_lossy().contains(&id))
}

/// What stands in files of those cgroups of the instance that are meant.
fn cgroup_files(
    it: &Cluster,
    files: &[&str],
    is_meant: impl Fn(&std::path::Path) -> bool,
) -> Vec<String> {
    let mut texts = Vec::new();
    for root in leaks::cgroups(&it.instance()) {
        walk(&root, &mut |folder| {
            if is_meant(folder) {
                texts.extend(
                    files.iter().filter_map(|file| std::fs::read_to_string(folder.join(file)).ok()),
                );
            }
        });
    }
    texts.into_iter().map(|text| text.trim().to_owned()).collect()
}

fn walk(folder: &std::path::Path, visit: &mut impl FnMut(&std::path::Path)) {
    visit(folder);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), visit);
        }
    }
}

#[test]
fn s28_a_cpu_limit_throttles() {
    on_cluster(|it| {
        let script = "timeout 3 sh -c 'while :; do :; done'; awk '{print $14 + $15 + $16 + $17}' /proc/self/stat; times";
        let mut made = once("throttled", script);
        made["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "100m"}});
        let log = it.output(&made);
        // `times` ends with the children's user and system time: a tenth of three seconds, not all of it.
        let line = log.lines().last().unwrap();
        let user = line.split_whitespace().next().unwrap();
        let seconds: f64 = user.trim_start_matches("0m").trim_end_matches('s').parse().unwrap();
        assert!(seconds < 1.5, "{log}");
    });
}

#[test]
fn s31_a_termination_message_from_its_file_or_from_the_log() {
    on_cluster(|it| {
        let file =
            it.ended(&once("file", "echo -n 'from the file' > /dev/termination-log; exit 1"));
        assert_eq!(container(&file, "main")["state"]["terminated"]["message"], "from the file");
        let fallback = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
        let mut made = once("log", "echo to the log; exit 1");
        made["spec"]["containers"][0] =
            also(made["spec"]["containers"][0].clone(), fallback.clone());
        let log = it.ended(&made);
        assert_eq!(container(&log, "main")["state"]["terminated"]["message"], "to the log\n");
        let mut made = once("log-success", "echo to the log");
        made["spec"]["containers"][0] = also(made["spec"]["containers"][0].clone(), fallback);
        let success = it.ended(&made);
        assert!(container(&success, "main")["state"]["terminated"]["message"].is_null());
        let mut made = once("elsewhere", "echo -n there > /tmp/message");
        made["spec"]["containers"][0]["terminationMessagePath"] = json!("/tmp/message");
        let elsewhere = it.ended(&made);
        assert_eq!(container(&elsewhere, "main")["state"]["terminated"]["message"], "there");
    });
}

/// The last words of containers of a Pod that has ended.
fn last_words(pod: &Value, names: &[&str]) -> Vec<String> {
    let message = |name: &&str| {
        let ended = &container(pod, name)["state"]["terminated"];
        ended["message"].as_str().unwrap_or_default().to_owned()
    };
    names.iter().map(message).collect()
}

#[test]
fn s31_what_is_told_of_last_words_is_bounded() {
    on_cluster(|it| {
        let failing = |name: &str, script: &str| {
            let more = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
            also(shell(name, &format!("{script}; exit 1")), more)
        };
        let alone = |container: Value| {
            let spec = json!({"restartPolicy": "Never", "containers": [container]});
            let name = format!("pod-{}", container["name"].as_str().unwrap());
            it.create_pod(&pod(&name, spec))
        };
        let lines = alone(failing("lines", "for i in $(seq 200); do echo $i; done"));
        let bytes =
            alone(failing("bytes", "for i in $(seq 100 199); do printf '%100d\\n' $i; done"));
        let words = "{ head -c 9000 /dev/zero | tr '\\0' x; echo end; } > /dev/termination-log";
        let file = alone(failing("file", words));
        let names = ["first", "second", "third", "fourth"];
        let containers = names.map(|name| failing(name, words));
        let init = shell("init", words);
        it.create_pod(&pod(
            "five",
            json!({"restartPolicy": "Never", "initContainers": [init], "containers": containers}),
        ));
        let ended = |name: &str, container: &str| {
            last_words(&it.until(name, "has ended", has_ended), &[container]).remove(0)
        };
        let last_80: String = (121..=200).map(|line| format!("{line}\n")).collect();
        assert_eq!(ended(&lines, "lines"), last_80);
        let all: String = (100..200).map(|line| format!("{line:100}\n")).collect();
        assert_eq!(ended(&bytes, "bytes"), all[all.len() - 2048..]);
        assert_eq!(ended(&file, "file"), format!("{}end\n", "x".repeat(4092)));
        // Five containers share 12 KiB.
        let seen = it.until("five", "has ended", has_ended);
        let mut told = last_words(&seen, &names);
        told.extend(last_words(&seen, &["init"]));
        assert!(told.iter().all(|words| *words == "x".repeat(12 * 1024 / 5)), "{told:?}");
    });
}

#[test]
fn s48_the_grace_period_is_kept_and_ends_with_a_kill() {
    on_cluster(|it| {
        let mut stubborn = pod(
            "stubborn",
            json!({"containers": [shell("main", "trap '' TERM; while :; do sleep 1; done")]}),
        );
        stubborn["spec"]["terminationGracePeriodSeconds"] = json!(2);
        it.ready(&stubborn);
        let mut polite = pod("polite", json!({"containers": [idle("main")]}));
        polite["spec"]["terminationGracePeriodSeconds"] = json!(30);
        it.ready(&polite);
        let began = Instant::now();
        it.delete_pod("polite");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "a Pod that ends on TERM is not waited for"
        );
        let began = Instant::now();
        it.delete_pod("stubborn");
        let took = began.elapsed();
        assert!(took > Duration::from_millis(1900) && took < Duration::from_secs(8), "{took:?}");
    });
}

#[test]
fn s22_a_deleted_pod_shows_how_its_containers_ended_before_it_goes() {
    on_cluster(|it| {
        let script = "trap 'exit 9' TERM; echo set; while :; do sleep 100 & wait; done";
        it.ready(&pod("leaving", json!({"containers": [shell("main", script)]})));
        // Before, the first process of a container is not to be ended by a TERM.
        until("the trap is set", PATIENCE, || match it.log("leaving", "main").as_str() {
            "set\n" => Ok(()),
            other => Err(other.to_owned()),
        });
        let mut watch =
            it.api.watch(&format!("{PODS}?watch=true&fieldSelector=metadata.name%3Dleaving"));
        it.api.delete(&format!("{PODS}/leaving")).ok();
        let mut codes = Vec::new();
        loop {
            let event = watch.next_event().unwrap();
            codes.push(
                container(&event["object"], "main")["state"]["terminated"]["exitCode"].as_i64(),
            );
            if event["type"] == "DELETED" {
                break;
            }
        }
        assert!(codes.contains(&Some(9)), "{codes:?}");
    });
}

#[test]
fn s25_a_pod_waits_for_its_init_containers_with_the_right_reason() {
    on_cluster(|it| {
        it.create_pod(&pod(
            "waits",
            json!({"initContainers": [shell("init", "sleep 2")], "containers": [idle("main")]}),
        ));
        it.until("waits", "initializes", |pod| {
            container(pod, "init")["state"]["running"].is_object()
                && waiting(pod, "main") == "PodInitializing"
        });
        it.until("waits", "is ready", is_ready);
        assert!(!has_ended(&it.api.get(&format!("{PODS}/waits")).ok()));
    });
}

#[test]
fn s23_s25_one_container_may_have_all_of_its_pod_begun_anew() {
    on_cluster(|it| {
        let volume = json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]});
        let init = also(shell("first", "echo init >> /v/log"), volume.clone());
        let rule = json!({"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}});
        let asks = json!({"restartPolicy": "Never", "restartPolicyRules": [rule]});
        let script = "[ -f /v/asked ] && exec sleep 3600; until grep -q other /v/log; do sleep 0.1; done; touch /v/asked; exit 42";
        let main = also(also(shell("main", script), volume.clone()), asks);
        let other = also(shell("other", "echo other >> /v/log; exec sleep 3600"), volume);
        let spec = json!({
            "restartPolicy": "Never", "initContainers": [init], "containers": [main, other],
            "volumes": [{"name": "v", "emptyDir": {}}],
        });
        it.create_pod(&pod("all", spec));
        let seen = it.until("all", "runs anew", |pod| {
            is_ready(pod) && restarts(pod, "main") == 1 && restarts(pod, "other") == 1
        });
        assert_eq!(restarts(&seen, "first"), 1, "{seen:#}");
        assert_eq!(seen["status"]["phase"], "Running");
        assert_eq!(it.exec("all", "other", "cat /v/log"), "init\nother\ninit\nother\n");
    });
}

#[test]
fn s23_a_container_whose_image_changes_is_made_anew_whatever_its_policy() {
    on_cluster(|it| {
        let version = it.version();
        let main = also(idle("main"), json!({"image": "busybox:1.35"}));
        let spec = json!({"restartPolicy": "Never", "containers": [main, once_ended("done")]});
        it.create_pod(&pod("changed", spec));
        it.until("changed", "runs", |pod| {
            container(pod, "main")["ready"] == true
                && container(pod, "done")["state"]["terminated"].is_object()
        });
        for name in ["main", "done"] {
            it.kubectl(&["set", "image", "pod/changed", &format!("{name}=busybox")]).ok();
        }
        let seen = it.until("changed", "runs the other image", |pod| {
            restarts(pod, "main") == 1 && container(pod, "main")["ready"] == true
        });
        assert_eq!(container(&seen, "main")["image"], "docker.io/library/busybox:latest");
        assert_eq!(restarts(&seen, "done"), 0, "what has ended stays so: {seen:#}");
        assert_eq!(seen["status"]["phase"], "Running");
        let has_failed = it.since(&version, "changed", "was told of", |pod| {
            matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
                || restarts(pod, "main") == 1
        });
        assert_eq!(has_failed["status"]["phase"], "Running", "it never was over");
    });
}

fn once_ended(name: &str) -> Value {
    also(shell(name, "true"), json!({"image": "busybox:1.35"}))
}

#[test]
fn s68_an_ephemeral_container_never_runs_a_second_time() {
    on_cluster(|it| {
        let before = it.ready(&pod("looked-at", json!({"containers": [idle("main")]})));
        it.kubectl(&["debug", "looked-at", "--image=busybox", "-c", "look", "--", "true"]).ok();
        let ended = |pod: &Value| {
            pod["status"]["ephemeralContainerStatuses"][0]["state"]["terminated"].clone()
        };
        let seen = it.until("looked-at", "was looked at", |pod| ended(pod).is_object());
        kill_pause(it);
        let again =
            it.until("looked-at", "runs again", |pod| restarts(pod, "main") == 1 && is_ready(pod));
        assert_ne!(again["status"]["podIP"], before["status"]["podIP"]);
        assert_eq!(ended(&again), ended(&seen));
    });
}
