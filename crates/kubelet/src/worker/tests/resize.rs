//! Pods that get more or less while they run (KEP-1287).

use super::*;

fn asks(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": "1", "memory": memory}})
}

fn one(resources: Value, policy: Value) -> Value {
    let mut one = container("a");
    one["resources"] = resources;
    one["resizePolicy"] = policy;
    json!({"containers": [one]})
}

fn requests(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["resources"]["requests"]
}

fn condition<'a>(pod: &'a Value, type_: &str) -> &'a Value {
    let mut all = pod["status"]["conditions"].as_array().into_iter().flatten();
    all.find(|one| one["type"] == type_).unwrap_or(&Value::Null)
}

fn is_resizing(pod: &Value) -> bool {
    ["PodResizePending", "PodResizeInProgress"].iter().any(|type_| !condition(pod, type_).is_null())
}

impl Node {
    /// Writes other resources, as the API server does.
    fn resize(&self, name: &str, list: &str, resources: Value) {
        let mut pod = self.server.get("pods", "n", name);
        pod["spec"][list][0]["resources"] = resources;
        pod["metadata"]["generation"] =
            json!(pod["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        self.server.put("pods", pod);
    }

    async fn wait_for(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let wait = self.server.wait("pods", "n", name, is_so);
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| {
            panic!("{:#}; {:?}", self.server.get("pods", "n", name), self.cri.calls())
        })
    }

    fn updates(&self) -> Vec<String> {
        self.cri.calls().into_iter().filter(|call| call.starts_with("update")).collect()
    }

    /// Whole CPUs that Pods may use.
    async fn cpus(&self) -> i64 {
        let has_status = |node: &Value| !node["status"]["allocatable"].is_null();
        let node = self.server.wait("nodes", "", "node-1", has_status).await;
        let text = node["status"]["allocatable"]["cpu"].as_str().unwrap_or_default().to_owned();
        text.parse().expect("whole CPUs")
    }

    fn resize_events(&self) -> Vec<String> {
        let events = self.events().into_iter().filter(|event| event.starts_with("Resize"));
        events.map(|event| event.split(' ').next().unwrap_or("").to_owned()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_pod_is_given_more_and_less_where_it_runs() {
    let mut node = node().await;
    node.put(one(asks("250m", "64Mi"), json!([])));
    node.running().await;
    node.resize("p", "containers", asks("500m", "128Mi"));
    let pod = node.wait(|pod| requests(pod)["cpu"] == "500m" && !is_resizing(pod)).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["allocatedResources"]["memory"], "128Mi");
    assert_eq!(pod["status"]["containerStatuses"][0]["resources"]["limits"]["memory"], "128Mi");
    assert_eq!((restarts(&pod), pod["status"]["observedGeneration"].as_i64()), (0, Some(2)));
    let more = ["update pod 512 100000 128Mi", "update a 512 100000 128Mi"];
    assert_eq!(node.updates(), more);
    node.resize("p", "containers", asks("100m", "32Mi"));
    let pod = node.wait(|pod| requests(pod)["memory"] == "32Mi" && !is_resizing(pod)).await;
    assert_eq!(restarts(&pod), 0);
    let less =
        ["update pod 512 100000 128Mi", "update a 102 100000 32Mi", "update pod 102 100000 32Mi"];
    assert_eq!(node.updates()[2..], less);
    node.stop().await;
    let mut events = node.resize_events();
    events.sort();
    assert_eq!(events, ["ResizeCompleted", "ResizeCompleted", "ResizeStarted", "ResizeStarted"]);
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_memory_is_not_lowered_below_what_is_used() {
    let mut node = node().await;
    node.put(one(asks("250m", "128Mi"), json!([])));
    node.running().await;
    node.cri.use_memory("a", 100 << 20);
    node.resize("p", "containers", asks("250m", "64Mi"));
    let pod = node.wait(|pod| condition(pod, "PodResizeInProgress")["reason"] == "Error").await;
    let text = "cannot decrease memory limits: [attempting to set pod memory limit (67108864) below current usage (104857600), attempting to set container \"a\" memory limit (67108864) below current usage (104857600)]";
    assert_eq!(condition(&pod, "PodResizeInProgress")["message"], text);
    assert_eq!(condition(&pod, "PodResizeInProgress")["observedGeneration"], 2);
    assert_eq!(requests(&pod)["memory"], "128Mi", "what it has");
    assert_eq!(pod["status"]["containerStatuses"][0]["allocatedResources"]["memory"], "64Mi");
    assert_eq!(node.updates(), [] as [&str; 0]);
    node.cri.use_memory("a", 50 << 20);
    node.wait(|pod| requests(pod)["memory"] == "64Mi" && !is_resizing(pod)).await;
    node.stop().await;
    let mut events = node.resize_events();
    events.sort();
    assert_eq!(events, ["ResizeCompleted", "ResizeError", "ResizeStarted"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_policy_says_so_is_started_anew_at_once() {
    let node = node().await;
    let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    node.put(one(asks("250m", "64Mi"), policy));
    node.running().await;
    let began = node.clock.now();
    for (count, memory) in [(1, "32Mi"), (2, "128Mi")] {
        node.resize("p", "containers", asks("250m", memory));
        node.wait(|pod| restarts(pod) == count && is_running(pod) && !is_resizing(pod)).await;
    }
    assert!(node.clock.now().since(began) < Duration::from_secs(5), "no back-off");
    let calls = node.cri.calls();
    let expected = [
        "update pod 256 100000 64Mi",
        "stop a 30",
        "start a",
        "update pod 256 100000 32Mi",
        "update pod 256 100000 128Mi",
        "stop a 30",
        "start a",
    ];
    assert_eq!(calls[2..], expected);
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn what_never_fits_the_node_is_told_and_changes_nothing() {
    let mut node = node().await;
    node.put(one(asks("250m", "64Mi"), json!([])));
    node.running().await;
    node.resize("p", "containers", asks("1000", "64Mi"));
    let pod = node.wait(|pod| !condition(pod, "PodResizePending").is_null()).await;
    let pending = condition(&pod, "PodResizePending");
    let capacity = node.cpus().await * 1000;
    let text =
        format!("Node didn't have enough capacity: cpu, requested: 1000000, capacity: {capacity}");
    assert_eq!((&pending["reason"], &pending["message"]), (&json!("Infeasible"), &json!(text)));
    assert_eq!((&pending["status"], &pending["observedGeneration"]), (&json!("True"), &json!(2)));
    assert_eq!(requests(&pod)["cpu"], "250m");
    assert_eq!(pod["status"]["containerStatuses"][0]["allocatedResources"]["cpu"], "250m");
    node.resize("p", "containers", asks("250m", "64Mi"));
    node.wait(|pod| !is_resizing(pod)).await;
    assert_eq!(node.updates(), [] as [&str; 0]);
    node.stop().await;
    assert_eq!(node.resize_events(), ["ResizeInfeasible"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_now_is_given_when_there_is_room_the_more_important_first() {
    let node = node().await;
    let all = node.cpus().await * 1000;
    let milli = |amount: i64| asks(&format!("{amount}m"), "16Mi");
    for (name, amount, priority) in [("p", 100, 0), ("q", 100, 10), ("big", all - 300, 0)] {
        let mut spec = one(milli(amount), json!([]));
        spec["priority"] = json!(priority);
        node.server.put("pods", pod(name, spec));
        node.wait_for(name, is_running).await;
    }
    node.resize("p", "containers", milli(all - 200));
    let seen = node.wait(|pod| !condition(pod, "PodResizePending").is_null()).await;
    let text = format!(
        "Node didn't have enough resource: cpu, requested: {}, used: {}, capacity: {all}",
        all - 200,
        all - 200
    );
    let pending = condition(&seen, "PodResizePending");
    assert_eq!((&pending["reason"], &pending["message"]), (&json!("Deferred"), &json!(text)));
    node.resize("q", "containers", milli(all - 200));
    node.wait_for("q", |pod| !condition(pod, "PodResizePending").is_null()).await;
    node.server.delete_pod("n", "big", 1);
    let wanted = format!("{}m", all - 200);
    node.wait_for("q", |pod| requests(pod)["cpu"] == wanted.as_str() && !is_resizing(pod)).await;
    assert_eq!(requests(&node.server.get("pods", "n", "p"))["cpu"], "100m");
    node.resize("q", "containers", milli(100));
    node.wait(|pod| requests(pod)["cpu"] == wanted.as_str() && !is_resizing(pod)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_pod_was_given_is_known_after_the_node_agent_starts_anew() {
    let mut node = node().await;
    node.put(one(asks("250m", "64Mi"), json!([])));
    node.running().await;
    node.stop().await;
    node.resize("p", "containers", asks("1000", "64Mi"));
    node.start_again().await;
    let pod = node.wait(|pod| !condition(pod, "PodResizePending").is_null()).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["allocatedResources"]["cpu"], "250m");
    node.cri.fail("update", 1, "not now");
    node.resize("p", "containers", asks("500m", "64Mi"));
    let pod = node.wait(|pod| condition(pod, "PodResizeInProgress")["reason"] == "Error").await;
    assert_eq!(requests(&pod)["cpu"], "250m");
    node.stop().await;
    node.start_again().await;
    let pod = node.wait(|pod| requests(pod)["cpu"] == "500m" && !is_resizing(pod)).await;
    assert_eq!(restarts(&pod), 0);
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_is_resized_as_well() {
    let node = node().await;
    let mut sidecar = container("s");
    sidecar["restartPolicy"] = json!("Always");
    sidecar["resources"] = asks("250m", "64Mi");
    node.put(json!({"initContainers": [sidecar], "containers": [container("a")]}));
    node.running().await;
    node.resize("p", "initContainers", asks("500m", "64Mi"));
    let status = |pod: &Value| pod["status"]["initContainerStatuses"][0].clone();
    let pod = node
        .wait(|pod| status(pod)["resources"]["requests"]["cpu"] == "500m" && !is_resizing(pod))
        .await;
    assert_eq!(status(&pod)["allocatedResources"]["cpu"], "500m");
    assert_eq!(node.updates()[1], "update s 512 100000 64Mi");
}

#[tokio::test(start_paused = true)]
async fn a_pod_as_a_whole_is_resized_with_the_containers_that_share_it() {
    let node = node().await;
    node.put(json!({"resources": asks("250m", "64Mi"), "containers": [container("a")]}));
    node.running().await;
    let mut pod = node.server.get("pods", "n", "p");
    pod["spec"]["resources"] = asks("500m", "128Mi");
    pod["metadata"]["generation"] = json!(2);
    node.server.put("pods", pod);
    let is_resized = |pod: &Value| pod["status"]["resources"]["requests"]["cpu"] == "500m";
    let pod = node.wait(|pod| is_resized(pod) && !is_resizing(pod)).await;
    assert_eq!(pod["status"]["allocatedResources"]["memory"], "128Mi");
    let expected = ["update pod 512 100000 128Mi", "update a 1024 100000 128Mi"];
    assert_eq!(node.updates(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_shows_a_limit_shows_the_new_one() {
    let node = node().await;
    let mut spec = one(asks("250m", "64Mi"), json!([]));
    let field = json!({"containerName": "a", "resource": "limits.memory"});
    let item = json!({"path": "memory", "resourceFieldRef": field});
    spec["volumes"] = json!([{"name": "v", "downwardAPI": {"items": [item]}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    node.put(spec);
    node.running().await;
    let config = node.cri.config("a").expect("made");
    let mount = config.mounts.iter().find(|mount| mount.container_path == "/v").expect("there");
    let shown = || std::fs::read_to_string(std::path::Path::new(&mount.host_path).join("memory"));
    assert_eq!(shown().expect("a file"), (64 << 20).to_string());
    node.resize("p", "containers", asks("250m", "128Mi"));
    node.wait(|pod| requests(pod)["memory"] == "128Mi" && !is_resizing(pod)).await;
    assert_eq!(shown().expect("a file"), (128 << 20).to_string());
}
