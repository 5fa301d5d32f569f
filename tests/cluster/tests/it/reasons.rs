//! What `get pods` shows in its STATUS column, for every reason that can occur (S22).

use podo_cluster_tests::api::{Lines, MERGE};
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{
    also, condition, container, has_ended, idle, once, pod, shell, waiting,
};
use podo_cluster_tests::{Cluster, PATIENCE, images, until, with_cluster};
use podo_image::build::{Compression, ImageBuilder};
use serde_json::{Value, json};

use crate::image_failures::{Store, is_fit};
use crate::on_cluster;

/// The column as the server's table has it.
pub(crate) fn shown(it: &Cluster, name: &str) -> String {
    let table = it.api.request(
        "GET",
        &format!("{PODS}/{name}"),
        &[("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")],
        "",
    );
    let table = table.json();
    table["rows"][0]["cells"][2].as_str().unwrap_or_default().to_owned()
}

/// Waits until the column shows a text.
#[track_caller]
pub(crate) fn until_shown(it: &Cluster, name: &str, text: &str) {
    until(&format!("pod {name} shows {text}"), PATIENCE, || {
        let now = shown(it, name);
        if now == text { Ok(()) } else { Err(now) }
    });
}

/// Whether the column has shown a text since a version, however short.
#[track_caller]
fn has_shown(it: &Cluster, since: &str, name: &str, text: &str) -> bool {
    let path = format!(
        "{PODS}?watch=true&resourceVersion={since}&fieldSelector=metadata.name%3D{name}&timeoutSeconds=5"
    );
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    it.api.block_on(async {
        let answer = it.api.open("GET", &path, &accept, bytes::Bytes::new()).await.unwrap();
        let mut lines = Lines::new(answer.into_body());
        while let Ok(Some(event)) = lines.next().await {
            if event["object"]["rows"][0]["cells"][2] == text {
                return true;
            }
        }
        false
    })
}

fn with(name: &str, more: Value) -> Value {
    pod(name, json!({"containers": [also(idle("main"), more)]}))
}

#[test]
fn s22_running_completed_error_and_crash_loop_back_off() {
    on_cluster(|it| {
        it.create_pod(&pod("running", json!({"containers": [idle("main")]})));
        it.create_pod(&once("completed", "true"));
        it.create_pod(&once("error", "exit 3"));
        it.create_pod(&pod("loop", json!({"containers": [shell("main", "exit 1")]})));
        for (name, text) in [
            ("running", "Running"),
            ("completed", "Completed"),
            ("error", "Error"),
            ("loop", "CrashLoopBackOff"),
        ] {
            until_shown(it, name, text);
        }
        let seen = it.until("loop", "backs off", |pod| waiting(pod, "main") == "CrashLoopBackOff");
        let message = container(&seen, "main")["state"]["waiting"]["message"].as_str().unwrap();
        let uid = seen["metadata"]["uid"].as_str().unwrap();
        let wanted = format!("s restarting failed container=main pod=loop_default({uid})");
        assert!(message.starts_with("back-off ") && message.ends_with(&wanted), "{message}");
        it.event("loop", "BackOff");
    });
}

#[test]
fn s22_init_counts_init_error_and_init_crash_loop() {
    on_cluster(|it| {
        let spec = |first: &str| json!({"initContainers": [shell("i1", first), shell("i2", "true")], "containers": [idle("main")]});
        it.create_pod(&pod("init", spec("sleep 3600")));
        let mut second = spec("true");
        second["initContainers"][1] = shell("i2", "sleep 3600");
        it.create_pod(&pod("init-second", second));
        it.create_pod(&pod("init-loop", spec("exit 1")));
        let mut never = spec("exit 1");
        never["restartPolicy"] = json!("Never");
        it.create_pod(&pod("init-error", never));
        until_shown(it, "init", "Init:0/2");
        until_shown(it, "init-second", "Init:1/2");
        until_shown(it, "init-loop", "Init:CrashLoopBackOff");
        until_shown(it, "init-error", "Init:Error");
    });
}

#[test]
fn s22_image_reasons() {
    on_cluster(|it| {
        let since = it.version();
        it.create_pod(&with(
            "never",
            json!({"image": "busybox:absent", "imagePullPolicy": "Never"}),
        ));
        it.create_pod(&with("invalid", json!({"image": "Not/A::Name"})));
        it.create_pod(&with("missing", json!({"image": "busybox:absent"})));
        until_shown(it, "never", "ErrImageNeverPull");
        until_shown(it, "invalid", "InvalidImageName");
        it.since(&since, "missing", "fails to pull", |pod| waiting(pod, "main") == "ErrImagePull");
        assert!(has_shown(it, &since, "missing", "ErrImagePull"));
        until_shown(it, "missing", "ImagePullBackOff");
        it.event("never", "ErrImageNeverPull");
        it.event("invalid", "InspectFailed");
        it.event("missing", "Failed");
    });
}

#[test]
fn s22_containers_that_cannot_be_configured_or_started() {
    on_cluster(|it| {
        let since = it.version();
        let missing_map = json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]});
        it.create_pod(&with("unconfigured", missing_map));
        it.create_pod(&with("not-root", json!({"securityContext": {"runAsNonRoot": true}})));
        it.create_pod(&with("no-command", json!({"command": ["/does/not/exist"]})));
        let once_only = with("no-command-once", json!({"command": ["/does/not/exist"]}));
        let mut once_only = once_only;
        once_only["spec"]["restartPolicy"] = json!("Never");
        it.create_pod(&once_only);
        until_shown(it, "unconfigured", "CreateContainerConfigError");
        until_shown(it, "not-root", "CreateContainerConfigError");
        let seen = it.until("unconfigured", "waits", |pod| !waiting(pod, "main").is_empty());
        assert_eq!(
            container(&seen, "main")["state"]["waiting"]["message"],
            "configmap \"none\" not found"
        );
        it.since(&since, "no-command", "cannot run", |pod| {
            waiting(pod, "main") == "RunContainerError"
        });
        assert!(has_shown(it, &since, "no-command", "RunContainerError"));
        until_shown(it, "no-command", "CrashLoopBackOff");
        until_shown(it, "no-command-once", "StartError");
        let ended = it.until("no-command-once", "has ended", has_ended);
        let state = &container(&ended, "main")["state"]["terminated"];
        assert_eq!(
            (&state["reason"], &state["exitCode"]),
            (&json!("StartError"), &json!(128)),
            "{state}"
        );
        // What was missing is made: the Pod goes on by itself.
        it.create(
            "/api/v1/namespaces/default/configmaps",
            &json!({"metadata": {"name": "none"}, "data": {"a": "b"}}),
        );
        it.until("unconfigured", "is ready", podo_cluster_tests::pods::is_ready);
    });
}

#[test]
fn s22_containers_that_cannot_be_made() {
    if !is_fit("an image that says nothing to run") {
        return;
    }
    let store = Store::new();
    let image = ImageBuilder::new().layer(images::busybox_layer().unwrap(), Compression::Gzip);
    let image = image.config(images::config(&[], &[])).build().unwrap();
    store.add(&[("nothing", image)], |_| {});
    with_cluster(store.options(), |it| {
        let mut made = with("unmade", json!({"image": "nothing:1"}));
        made["spec"]["containers"][0].as_object_mut().unwrap().remove("command");
        it.create_pod(&made);
        until_shown(it, "unmade", "CreateContainerError");
        let seen = it.until("unmade", "waits", |pod| !waiting(pod, "main").is_empty());
        let message = container(&seen, "main")["state"]["waiting"]["message"].as_str().unwrap();
        assert!(message.ends_with("no command specified"), "{message}");
        let event = it.event("unmade", "Failed");
        let text = event["message"].as_str().unwrap();
        assert!(text.starts_with("Error: ") && text.ends_with("no command specified"), "{text}");
    });
}

#[test]
fn s22_out_of_memory_is_told_apart() {
    on_cluster(|it| {
        let mut made = once("hungry", "a=x; while :; do a=$a$a; done");
        made["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "16Mi"}});
        let ended = it.ended(&made);
        let state = &container(&ended, "main")["state"]["terminated"];
        assert_eq!(
            (&state["reason"], &state["exitCode"]),
            (&json!("OOMKilled"), &json!(137)),
            "{state}"
        );
        assert_eq!(shown(it, "hungry"), "OOMKilled");
    });
}

#[test]
fn s22_terminating_and_scheduling_gated() {
    on_cluster(|it| {
        let mut slow = pod(
            "slow",
            json!({"containers": [shell("main", "trap '' TERM; while :; do sleep 1; done")]}),
        );
        slow["spec"]["terminationGracePeriodSeconds"] = json!(3);
        it.ready(&slow);
        it.api.delete(&format!("{PODS}/slow")).ok();
        assert_eq!(shown(it, "slow"), "Terminating");
        it.until("slow", "is gone", Value::is_null);
        it.create_pod(&pod("gated", json!({"schedulingGates": [{"name": "example.com/wait"}], "containers": [idle("main")]})));
        until_shown(it, "gated", "SchedulingGated");
        let seen = it.until("gated", "says so", |pod| !condition(pod, "PodScheduled").is_null());
        assert_eq!(condition(&seen, "PodScheduled")["reason"], "SchedulingGated");
        let patch = json!({"spec": {"schedulingGates": null}});
        it.api.patch(&format!("{PODS}/gated"), MERGE, &patch).ok();
        it.until("gated", "is ready", podo_cluster_tests::pods::is_ready);
    });
}

#[test]
fn s22_a_pod_past_its_deadline_fails() {
    on_cluster(|it| {
        // It is given a deadline when it runs, so that it has run by then.
        it.ready(&pod("late", json!({"containers": [idle("main")]})));
        let deadline = json!({"spec": {"activeDeadlineSeconds": 1}});
        it.api.patch(&format!("{PODS}/late"), MERGE, &deadline).ok();
        let ended = it.until("late", "ended", has_ended);
        let status = &ended["status"];
        assert_eq!(
            (&status["phase"], &status["reason"]),
            (&json!("Failed"), &json!("DeadlineExceeded")),
            "{status:#}"
        );
        assert_eq!(
            status["message"],
            "Pod was active on the node longer than the specified deadline"
        );
        let end = |pod: &Value| container(pod, "main")["state"]["terminated"].clone();
        assert_ne!(end(&ended)["reason"], "ContainerStatusUnknown", "it ran");

        let absent = json!({"image": "busybox:absent", "imagePullPolicy": "Never"});
        let spec = json!({"activeDeadlineSeconds": 1, "containers": [also(idle("main"), absent)]});
        let never = end(&it.ended(&pod("never-began", spec)));
        assert_eq!(
            (&never["reason"], &never["exitCode"], &never["message"]),
            (
                &json!("ContainerStatusUnknown"),
                &json!(137),
                &json!("The container could not be located when the pod was terminated")
            )
        );
    });
}
