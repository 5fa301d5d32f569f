//! Workers in a whole node agent, on a runtime and an API server in memory, in paused time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use podo_api::Value;
use podo_base::{Clock, Tasks};
use podo_client::Client;
use podo_cri::Cri;
use serde_json::json;

use crate::testing::{FakeCri, FakeServer, NoMounts, TokioClock};
use crate::{Kubelet, KubeletConfig, KubeletHandle, LogRequest};

mod qos_cgroups;
mod refresh;
mod resize;
mod restart_all;

/// No wait of a test is as long as this, in the test's own time.
const PATIENCE: Duration = Duration::from_secs(3600);

struct Node {
    dir: Arc<tempfile::TempDir>,
    clock: Arc<dyn Clock>,
    cri: Arc<FakeCri>,
    server: Arc<FakeServer>,
    client: Client,
    handle: KubeletHandle,
    cgroups: Arc<qos_cgroups::SeenCgroups>,
    tasks: Option<Tasks>,
}

async fn launch(
    dir: &tempfile::TempDir,
    clock: &Arc<dyn Clock>,
    cri: &Arc<FakeCri>,
    client: &Client,
    cgroups: &Arc<qos_cgroups::SeenCgroups>,
) -> (KubeletHandle, Tasks) {
    let ip = IpAddr::from([192, 0, 2, 1]);
    let (root, logs) = (dir.path().join("root"), dir.path().join("logs"));
    let mut config = KubeletConfig::new("node-1", ip, root, logs);
    config.max_pods = 3;
    let kubelet = Kubelet::with_mounter(
        config,
        client.clone(),
        Arc::clone(cri) as Arc<dyn Cri>,
        Arc::clone(clock),
        Arc::new(NoMounts::default()),
    );
    let kubelet = kubelet.await.expect("started");
    let kubelet = kubelet.with_cgroups(Arc::clone(cgroups) as Arc<dyn crate::ClassCgroups>);
    let handle = kubelet.handle();
    let mut tasks = Tasks::new("test");
    let stop = tasks.stop_signal();
    tasks.spawn("kubelet", async move {
        kubelet.run(stop).await.expect("ended as asked");
    });
    (handle, tasks)
}

async fn node() -> Node {
    let dir = Arc::new(tempfile::tempdir().expect("a folder"));
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let cri = FakeCri::new(Arc::clone(&clock));
    cri.add_image("i:1");
    let (server, client) = FakeServer::new();
    let service = json!({"metadata": {"namespace": "default", "name": "kubernetes"},
        "spec": {"clusterIP": "10.43.0.1", "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]}});
    server.put("services", service);
    let cgroups = Arc::default();
    let (handle, tasks) = launch(&dir, &clock, &cri, &client, &cgroups).await;
    Node { dir, clock, cri, server, client, handle, cgroups, tasks: Some(tasks) }
}

fn container(name: &str) -> Value {
    json!({"name": name, "image": "i:1", "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log"})
}

fn pod(name: &str, mut spec: Value) -> Value {
    spec["nodeName"] = json!("node-1");
    json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"namespace": "n", "name": name, "generation": 1, "labels": {"app": "web"}},
        "spec": spec, "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True",
            "lastTransitionTime": "2020-01-01T00:00:00Z"}]}})
}

fn reason(pod: &Value) -> &str {
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str().unwrap_or("")
}

fn restarts(pod: &Value) -> i64 {
    pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(-1)
}

fn is_running(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["state"].get("running").is_some()
}

impl Node {
    fn put(&self, spec: Value) {
        self.server.put("pods", pod("p", spec));
    }

    #[track_caller]
    fn wait(&self, is_so: impl Fn(&Value) -> bool) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let wait = self.server.wait("pods", "n", "p", is_so);
            tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| {
                let last = self.server.get("pods", "n", "p");
                panic!("{caller}: last seen: {last:#}; calls: {:?}", self.cri.calls())
            })
        }
    }

    async fn running(&self) -> Value {
        self.wait(|pod| pod["status"]["phase"] == "Running" && is_running(pod)).await
    }

    fn events(&self) -> Vec<String> {
        let mut events: Vec<(String, String)> = self
            .server
            .all("events")
            .iter()
            .filter(|event| event["involvedObject"]["kind"] == "Pod")
            .map(|event| {
                let text = |field: &str| event[field].as_str().unwrap_or("").to_owned();
                (
                    event["metadata"]["name"].to_string(),
                    format!("{} {}", text("reason"), text("message")),
                )
            })
            .collect();
        events.sort();
        events.into_iter().map(|(_, text)| text).collect()
    }

    async fn stop(&mut self) {
        let tasks = self.tasks.take().expect("it runs");
        tasks.stop(Duration::from_secs(60)).await;
    }

    async fn start_again(&mut self) {
        let Self { dir, clock, cri, client, cgroups, .. } = self;
        let (handle, tasks) = launch(dir, clock, cri, client, cgroups).await;
        self.handle = handle;
        self.tasks = Some(tasks);
    }

    fn status_writes(&self) -> usize {
        self.server.writes().iter().filter(|write| *write == "patch pods/status p").count()
    }

    fn assert_sound(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        let repairs = self.handle.repairs();
        let counts = [&repairs.orphans, &repairs.missed_events, &repairs.lost_streams];
        assert_eq!(
            counts.map(|count| count.load(Relaxed)),
            [0, 0, 0],
            "something had to be repaired"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_starts_quickly_is_written_once() {
    let mut node = node().await;
    node.put(
        json!({"containers": [container("a"), container("b")], "terminationGracePeriodSeconds": 7}),
    );
    let pod = node.running().await;
    let status = &pod["status"];
    assert_eq!(node.status_writes(), 1);
    assert_eq!(node.cri.calls(), ["sandbox 0", "start a", "start b"]);
    let types: Vec<&str> = status["conditions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["type"].as_str())
        .collect();
    assert_eq!(
        types,
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
    );
    assert_eq!(status["podIP"], "10.42.0.7");
    assert_eq!(status["containerStatuses"][1]["ready"], true);
    assert_eq!(status["qosClass"], "BestEffort");

    let config = node.cri.config("a").expect("made");
    let env = |name: &str| {
        let found = config.envs.iter().find(|one| one.key == name);
        found.map(|one| String::from_utf8_lossy(&one.value).into_owned())
    };
    assert_eq!(env("KUBERNETES_SERVICE_HOST").as_deref(), Some("10.43.0.1"));
    let paths: Vec<&str> =
        config.mounts.iter().map(|mount| mount.container_path.as_str()).collect();
    assert_eq!(paths, ["/etc/hosts", "/dev/termination-log"]);
    let hosts = std::fs::read_to_string(&config.mounts[0].host_path).expect("written");
    assert!(hosts.ends_with("10.42.0.7\tp\n"), "{hosts}");
    let sandbox = node.cri.sandbox_config().expect("made");
    let dns = sandbox.dns_config.expect("given");
    assert_eq!(dns.servers, ["10.43.0.10"]);
    assert_eq!(sandbox.linux.expect("given").cgroup_parent, "/kubepods/besteffort/poduid-p");

    node.stop().await;
    let mut events = node.events();
    events.sort();
    assert_eq!(
        events,
        [
            "Created Container created",
            "Created Container created",
            "Pulled Container image \"i:1\" already present on machine and can be accessed by the pod",
            "Pulled Container image \"i:1\" already present on machine and can be accessed by the pod",
            "Started Container started",
            "Started Container started",
        ]
    );
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_ends_leaves_nothing_and_goes() {
    let node = node().await;
    node.put(json!({"containers": [container("a")]}));
    node.running().await;
    node.server.delete_pod("n", "p", 30);
    node.wait(Value::is_null).await;
    assert_eq!(
        node.cri.calls(),
        ["sandbox 0", "start a", "stop a 30", "stop sandbox", "remove sandbox"]
    );
    let writes = node.server.writes();
    assert_eq!(writes.last().map(String::as_str), Some("delete pods p"));
    let before = &writes[writes.len() - 2];
    assert_eq!(before, "patch pods/status p", "the final status comes before the end");
    let left = std::fs::read_dir(node.dir.path().join("root/pods")).expect("there").count();
    assert_eq!(left, 0);
    assert!(!node.dir.path().join("logs/pods/n_p_uid-p").exists());
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn a_container_that_takes_no_notice_is_killed_at_the_end_of_its_grace_period() {
    let node = node().await;
    node.cri.deafen("a");
    node.put(json!({"containers": [container("a")]}));
    node.running().await;
    let begin = node.clock.now();
    node.server.delete_pod("n", "p", 20);
    node.wait(Value::is_null).await;
    assert_eq!(node.clock.now().since(begin).as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_keeps_ending_waits_longer_each_time() {
    let node = node().await;
    node.cri.script("a", &[1, 1, 1, 1]);
    node.put(json!({"containers": [container("a")]}));
    let begin = node.clock.now();
    let pod = node.wait(|pod| reason(pod) == "CrashLoopBackOff").await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"],
        "back-off 10s restarting failed container=a pod=p_n(uid-p)"
    );
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"], "Error");
    let pod = node.wait(|pod| restarts(pod) == 4 && is_running(pod)).await;
    // At once, then after 10, 20 and 40 seconds.
    assert_eq!(node.clock.now().since(begin).as_secs(), 70);
    assert_eq!(pod["status"]["containerStatuses"][0]["ready"], true);
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_over_is_told_so_and_keeps_its_containers_for_their_logs() {
    let node = node().await;
    node.cri.script("a", &[0]);
    node.put(json!({"restartPolicy": "Never", "containers": [container("a")]}));
    let pod = node.wait(|pod| pod["status"]["phase"] == "Succeeded").await;
    let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&state["reason"], &state["exitCode"]), (&json!("Completed"), &json!(0)));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(node.cri.calls(), ["sandbox 0", "start a", "stop sandbox"]);
    assert!(!node.server.get("pods", "n", "p").is_null());
    node.server.delete_pod("n", "p", 30);
    node.wait(Value::is_null).await;
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn init_containers_and_sidecars_come_first_in_order() {
    let node = node().await;
    node.cri.script("i1", &[1, 0]);
    node.cri.script("i2", &[0]);
    let mut sidecar = container("s");
    sidecar["restartPolicy"] = json!("Always");
    node.put(json!({"initContainers": [container("i1"), sidecar, container("i2")],
        "containers": [container("a")]}));
    let pod = node.running().await;
    assert_eq!(
        node.cri.calls(),
        ["sandbox 0", "start i1", "start i1", "start s", "start i2", "start a"]
    );
    let inits = &pod["status"]["initContainerStatuses"];
    assert_eq!((&inits[0]["restartCount"], &inits[0]["ready"]), (&json!(1), &json!(true)));
    assert_eq!((&inits[1]["started"], &inits[1]["ready"]), (&json!(true), &json!(true)));
    node.server.delete_pod("n", "p", 30);
    node.wait(Value::is_null).await;
    let calls = node.cri.calls();
    assert_eq!(calls[6..8], ["stop a 30", "stop s 30"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_config_map_holds_a_container_back_until_it_is_there() {
    let node = node().await;
    let mut a = container("a");
    a["env"] = json!([{"name": "V", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]);
    node.put(json!({"containers": [a]}));
    let pod = node.wait(|pod| reason(pod) == "CreateContainerConfigError").await;
    let message = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"];
    assert_eq!(message, "configmap \"m\" not found");
    let begin = node.clock.now();
    node.server.put(
        "configmaps",
        json!({"metadata": {"namespace": "n", "name": "m"}, "data": {"k": "v"}}),
    );
    node.running().await;
    let waited = node.clock.now().since(begin);
    assert!(waited < Duration::from_secs(1), "its coming is told, not looked for: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_mounted_config_map_is_kept_current() {
    let node = node().await;
    let map =
        |text: &str| json!({"metadata": {"namespace": "n", "name": "m"}, "data": {"k": text}});
    node.server.put("configmaps", map("old"));
    let mut a = container("a");
    a["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    node.put(json!({"containers": [a], "volumes": [{"name": "v", "configMap": {"name": "m"}}]}));
    node.running().await;
    let config = node.cri.config("a").expect("made");
    let file = std::path::Path::new(&config.mounts[0].host_path).join("k");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "old");
    node.server.put("configmaps", map("new"));
    let begin = node.clock.now();
    while std::fs::read_to_string(&file).expect("there") != "new" {
        assert!(node.clock.now().since(begin) < Duration::from_secs(2), "it is told in time");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_is_tried_again_after_its_back_off() {
    let mut node = node().await;
    let mut a = container("a");
    a["image"] = json!("x");
    node.put(json!({"containers": [a, container("b")]}));
    let begin = node.clock.now();
    let pod = node.wait(|pod| reason(pod) == "ErrImagePull").await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"],
        "x:latest: not found"
    );
    let pod = node.wait(|pod| reason(pod) == "ImagePullBackOff").await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"],
        "Back-off pulling image \"x\": ErrImagePull: x:latest: not found"
    );
    assert_eq!(pod["status"]["phase"], "Pending");
    let second = pod["status"]["containerStatuses"][1]["state"].get("running");
    assert!(second.is_some(), "the next container does not wait for it");
    node.cri.add_pullable("x:latest");
    node.running().await;
    assert_eq!(node.clock.now().since(begin).as_secs(), 10);
    node.stop().await;
    let events = node.events();
    let has = |text: &str| events.iter().any(|event| event == text);
    assert!(has("Failed Failed to pull image \"x\": x:latest: not found"), "{events:?}");
    assert!(has("Failed Error: ErrImagePull"), "{events:?}");
    assert!(has("Pulling Pulling image \"x\""), "{events:?}");
    assert!(
        has(
            "Pulled Successfully pulled image \"x\" in 0s (0s including waiting). Image size: 1234 bytes."
        ),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_image_that_must_not_be_pulled_is_told_to_be_missing() {
    let node = node().await;
    let mut a = container("a");
    a["image"] = json!("x:1");
    a["imagePullPolicy"] = json!("Never");
    node.put(json!({"containers": [a]}));
    let pod = node.wait(|pod| reason(pod) == "ErrImageNeverPull").await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"],
        "Container image \"x:1\" is not present with pull policy of Never"
    );
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_the_node_agent_is_away_is_seen_when_it_is_back() {
    let mut node = node().await;
    node.put(json!({"containers": [container("a"), container("b")]}));
    node.running().await;
    node.stop().await;
    node.cri.exit("a", 3, false);
    node.start_again().await;
    let pod = node.wait(|pod| restarts(pod) == 1 && is_running(pod)).await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(last["exitCode"], 3);
    assert_eq!(node.cri.calls(), ["sandbox 0", "start a", "start b", "start a"]);
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn after_the_machine_has_started_anew_pods_are_made_again_and_restarts_counted_on() {
    let node = node().await;
    node.put(json!({"containers": [container("a")]}));
    node.running().await;
    node.cri.lose_sandboxes();
    let pod = node.wait(|pod| restarts(pod) == 1 && is_running(pod)).await;
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(node.cri.calls(), ["sandbox 0", "start a", "stop sandbox", "sandbox 1", "start a"]);
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_cannot_be_made_is_tried_again_and_told() {
    let mut node = node().await;
    node.cri.fail("sandbox", 2, "no addresses left");
    node.put(json!({"containers": [container("a")]}));
    node.running().await;
    node.stop().await;
    let events = node.events();
    let text = "FailedCreatePodSandBox Failed to create pod sandbox: no addresses left";
    assert!(events.iter().any(|event| event == text), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_does_not_fit_is_refused_and_holds_nothing() {
    let node = node().await;
    node.put(json!({"nodeSelector": {"gpu": "true"}, "containers": [container("a")]}));
    let pod = node.wait(|pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "NodeAffinity");
    assert_eq!(
        pod["status"]["message"],
        "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    );
    assert_eq!(node.cri.calls(), [""; 0]);
    node.server.delete_pod("n", "p", 30);
    node.wait(Value::is_null).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_not_refused_for_a_label_that_only_the_scheduler_has_seen_yet() {
    let node = node().await;
    node.server.wait("nodes", "", "node-1", |node| !node.is_null()).await;
    node.server.change_untold("nodes", "node-1", |node| {
        node["metadata"]["labels"]["gpu"] = json!("true");
    });
    node.put(json!({"nodeSelector": {"gpu": "true"}, "containers": [container("a")]}));
    node.running().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asked_for_is_removed_and_counted() {
    let mut node = node().await;
    node.put(json!({"containers": [container("a")]}));
    node.running().await;
    node.stop().await;
    node.server.remove("pods", "n", "p");
    node.start_again().await;
    let gone = node.cri.called("remove sandbox", 1);
    tokio::time::timeout(PATIENCE, gone).await.expect("removed");
    assert_eq!(node.cri.calls()[2..4], ["stop a 30", "stop sandbox"]);
    let orphans = &node.handle.repairs().orphans;
    assert_eq!(orphans.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_no_event_told_is_found_and_counted() {
    let node = node().await;
    node.put(json!({"containers": [container("a")]}));
    node.running().await;
    node.cri.exit("a", 1, false);
    node.wait(|pod| restarts(pod) == 1 && is_running(pod)).await;
    let missed = &node.handle.repairs().missed_events;
    assert_eq!(missed.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_could_not_be_written_is_written_again() {
    let node = node().await;
    node.server.fail("patch pods/status p", 3);
    node.put(json!({"containers": [container("a")]}));
    node.running().await;
    assert_eq!(node.status_writes(), 4);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(node.status_writes(), 4, "what is told is told");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_lives_too_long_fails() {
    let node = node().await;
    node.put(json!({"activeDeadlineSeconds": 60, "containers": [container("a")]}));
    node.running().await;
    let pod = node.wait(|pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    assert_eq!(
        pod["status"]["message"],
        "Pod was active on the node longer than the specified deadline"
    );
    let seconds = node.clock.now().as_seconds() - TokioClock::BEGIN_SECONDS;
    assert!((60..=61).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_the_same_name_is_another_pod() {
    let node = node().await;
    node.put(json!({"containers": [container("a")]}));
    node.running().await;
    node.server.remove("pods", "n", "p");
    let mut other = pod("p", json!({"containers": [container("b")]}));
    other["metadata"]["uid"] = json!("uid-other");
    node.server.put("pods", other);
    node.wait(|pod| pod["metadata"]["uid"] == "uid-other" && is_running(pod)).await;
    let gone = node.cri.called("remove sandbox", 1);
    tokio::time::timeout(PATIENCE, gone).await.expect("removed");
    assert!(is_running(&node.server.get("pods", "n", "p")));
}

#[tokio::test(start_paused = true)]
async fn the_node_is_registered_and_its_lease_is_renewed() {
    let node = node().await;
    let wait = node.server.wait("leases", "kube-node-lease", "node-1", |lease| !lease.is_null());
    let lease = tokio::time::timeout(PATIENCE, wait).await.expect("made");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 40);
    let first = lease["spec"]["renewTime"].clone();
    let wait = node
        .server
        .wait("nodes", "", "node-1", |node| node["status"]["conditions"][3]["status"] == "True");
    let found = tokio::time::timeout(PATIENCE, wait).await.expect("registered");
    assert_eq!(found["metadata"]["labels"]["kubernetes.io/hostname"], "node-1");
    let info = &found["status"]["nodeInfo"];
    assert_eq!(info["kubeletVersion"], "v1.36.2");
    assert_eq!(info["containerRuntimeVersion"], "podo://0.0.0");
    assert_eq!(found["status"]["addresses"][0]["address"], "192.0.2.1");
    assert_eq!(found["status"]["capacity"]["pods"], "3");
    let version = found["metadata"]["resourceVersion"].clone();
    tokio::time::sleep(Duration::from_secs(25)).await;
    let lease = node.server.get("leases", "kube-node-lease", "node-1");
    assert_ne!(lease["spec"]["renewTime"], first);
    let found = node.server.get("nodes", "", "node-1");
    assert_eq!(
        found["metadata"]["resourceVersion"], version,
        "what has not changed is not written"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_came_before_its_node_is_adopted() {
    let node = node().await;
    let wait = node.server.wait("leases", "kube-node-lease", "node-1", |lease| !lease.is_null());
    tokio::time::timeout(PATIENCE, wait).await.expect("made");
    let wait = node.server.wait("nodes", "", "node-1", |node| !node.is_null());
    let found = tokio::time::timeout(PATIENCE, wait).await.expect("registered");
    node.server.change_untold("leases", "node-1", |lease| {
        lease["metadata"]["ownerReferences"] = json!([]);
    });
    let wait = node.server.wait("leases", "kube-node-lease", "node-1", |lease| {
        lease["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]
    });
    tokio::time::timeout(Duration::from_secs(25), wait).await.expect("adopted");
}

#[tokio::test(start_paused = true)]
async fn a_log_is_refused_with_the_reason_while_its_container_waits() {
    let node = node().await;
    let mut a = container("a");
    a["image"] = json!("x:1");
    node.put(json!({"containers": [a, container("b")]}));
    node.wait(|pod| {
        reason(pod) == "ErrImagePull"
            && pod["status"]["containerStatuses"][1]["state"]["running"].is_object()
    })
    .await;
    let log = async |container: &str, previous: bool| {
        let request = LogRequest {
            namespace: "n".to_owned(),
            pod: "p".to_owned(),
            container: container.to_owned(),
            previous,
            ..LogRequest::default()
        };
        node.handle.logs(request).await.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(
        log("a", false).await,
        Err("container \"a\" in pod \"p\" is waiting to start: image can't be pulled".to_owned())
    );
    assert_eq!(
        log("b", true).await,
        Err("previous terminated container \"b\" in pod \"p\" not found".to_owned())
    );
    let found = node.handle.find("n", "p", "b").expect("it runs");
    assert_eq!(found.pod_uid, "uid-p");
    let error = node.handle.find("n", "p", "a").expect_err("it does not").to_string();
    assert_eq!(error, "container not found (\"a\")");
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_image_changes_is_made_anew() {
    let node = node().await;
    node.cri.add_image("i:2");
    node.put(json!({"containers": [container("a")]}));
    let mut pod = node.running().await;
    pod["spec"]["containers"][0]["image"] = json!("i:2");
    node.server.put("pods", pod);
    node.wait(|pod| restarts(pod) == 1 && is_running(pod)).await;
    assert_eq!(node.cri.calls()[2..], ["stop a 30", "start a"]);
    assert_eq!(node.cri.config("a").expect("made").image.expect("given").image, "i:2");
}

#[tokio::test(start_paused = true)]
async fn more_pods_than_the_node_takes_are_refused() {
    let node = node().await;
    for name in ["p1", "p2", "p3"] {
        node.server.put("pods", pod(name, json!({"containers": [container("a")]})));
        let wait = node.server.wait("pods", "n", name, is_running);
        tokio::time::timeout(PATIENCE, wait).await.expect("it runs");
    }
    node.put(json!({"containers": [container("a")]}));
    let pod = node.wait(|pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "OutOfpods");
}
