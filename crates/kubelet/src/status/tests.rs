use super::*;
use crate::observed::words::observed;
use podo_api::Value;
use serde_json::json;

const NOW: i64 = 1_767_225_600;

#[derive(Clone)]
struct Case {
    spec: Value,
    old: Value,
    waiting: BTreeMap<String, Waiting>,
    probes: Probes,
    resize: Resize,
    replaced: BTreeSet<String>,
    verdict: Option<Verdict>,
    is_over: bool,
    holds_node: bool,
    is_deleting: bool,
}

fn case(spec: Value) -> Case {
    Case {
        spec,
        old: json!({}),
        waiting: BTreeMap::new(),
        probes: Probes::default(),
        resize: Resize::default(),
        replaced: BTreeSet::new(),
        verdict: None,
        is_over: false,
        holds_node: false,
        is_deleting: false,
    }
}

fn container(name: &str) -> Value {
    json!({"name": name, "image": "i"})
}

fn one(policy: &str) -> Value {
    json!({"restartPolicy": policy, "containers": [container("a")]})
}

impl Case {
    fn status(&self, lines: &[&str]) -> k8s::PodStatus {
        let mut pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 3},
            "spec": self.spec});
        if self.is_deleting {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        compute(StatusInput {
            pod: &PodView::new(serde_json::from_value(pod).expect("a Pod")),
            observed: &observed(lines),
            waiting: &self.waiting,
            probes: &self.probes,
            resize: &self.resize,
            replaced: &self.replaced,
            old: &serde_json::from_value(self.old.clone()).expect("a status"),
            verdict: self.verdict.as_ref(),
            is_over: self.is_over,
            holds_node: self.holds_node,
            node_ips: &["192.0.2.1".to_owned()],
            runtime: "podo",
            now: Timestamp::from_seconds(NOW),
        })
    }

    fn phase(&self, lines: &[&str]) -> String {
        self.status(lines).phase.expect("one")
    }

    fn conditions(&self, lines: &[&str]) -> Vec<String> {
        let line = |condition: &k8s::PodCondition| {
            let mut words = vec![condition.type_.as_str(), condition.status.as_str()];
            words.extend(condition.reason.as_deref());
            words.extend(condition.message.as_deref());
            words.join(" ")
        };
        self.status(lines).conditions.iter().flatten().map(line).collect()
    }
}

/// A container's status in a line: name, state, lastState, ready, restarts.
fn line(status: &k8s::ContainerStatus) -> String {
    let state = |state: &Option<k8s::ContainerState>| match state {
        Some(k8s::ContainerState { waiting: Some(waiting), .. }) => {
            waiting.reason.clone().unwrap_or_default()
        }
        Some(k8s::ContainerState { running: Some(_), .. }) => "running".to_owned(),
        Some(k8s::ContainerState { terminated: Some(ended), .. }) => {
            format!("{}({})", ended.reason.clone().unwrap_or_default(), ended.exit_code)
        }
        _ => "-".to_owned(),
    };
    format!(
        "{} {} last {} ready {} started {} restarts {}",
        status.name,
        state(&status.state),
        state(&status.last_state),
        status.ready,
        status.started.map_or_else(|| "-".to_owned(), |is| is.to_string()),
        status.restart_count
    )
}

fn mains(status: &k8s::PodStatus) -> Vec<String> {
    status.container_statuses.iter().flatten().map(line).collect()
}

fn inits(status: &k8s::PodStatus) -> Vec<String> {
    status.init_container_statuses.iter().flatten().map(line).collect()
}

#[test]
fn the_phase_follows_the_main_containers_and_the_policy() {
    let two = |policy: &str| {
        case(json!({"restartPolicy": policy, "containers": [container("a"), container("b")]}))
    };
    for (policy, a, b, expected) in [
        ("Always", "a running", "b running", "Running"),
        ("Always", "a exited 0 at 9", "b running", "Running"),
        ("Always", "a exited 0 at 9", "b exited 0 at 9", "Running"),
        ("Always", "a exited 1 at 9", "b exited 1 at 9", "Running"),
        ("OnFailure", "a exited 0 at 9", "b exited 0 at 9", "Succeeded"),
        ("OnFailure", "a exited 1 at 9", "b exited 0 at 9", "Running"),
        ("Never", "a exited 0 at 9", "b exited 0 at 9", "Succeeded"),
        ("Never", "a exited 1 at 9", "b exited 0 at 9", "Failed"),
        ("Never", "a exited 1 at 9", "b running", "Running"),
    ] {
        let found = two(policy).phase(&["sandbox 0 ready", a, b]);
        assert_eq!(found, expected, "{policy} {a} {b}");
    }
    assert_eq!(two("Always").phase(&["sandbox 0 ready", "a running"]), "Pending");
    assert_eq!(two("Always").phase(&[]), "Pending");
}

#[test]
fn a_final_phase_is_told_only_when_nothing_of_the_pod_may_run() {
    let spec = json!({"restartPolicy": "Never", "containers": [container("a")],
        "initContainers": [{"name": "s", "image": "i", "restartPolicy": "Always"}]});
    let mut case = case(spec);
    case.old = json!({"phase": "Running"});
    case.holds_node = true;
    let lines = ["sandbox 0 ready", "s running", "a exited 0 at 9"];
    assert_eq!(case.phase(&lines), "Running");
    let lines = ["sandbox 0 ready", "s exited 0 at 9", "a exited 0 at 9"];
    case.is_over = true;
    assert_eq!(case.phase(&lines), "Running", "its ports and amounts are not given back yet");
    case.holds_node = false;
    assert_eq!(case.phase(&lines), "Succeeded");
    case.old = json!({"phase": "Failed", "reason": "Evicted", "message": "m"});
    let status = case.status(&lines);
    assert_eq!(
        (status.phase.as_deref(), status.reason.as_deref()),
        (Some("Failed"), Some("Evicted"))
    );
}

#[test]
fn conditions_of_a_pod_that_begins_to_run() {
    let case = case(json!({"containers": [container("a"), container("b")],
        "initContainers": [container("i")]}));
    assert_eq!(
        case.conditions(&[]),
        [
            "PodReadyToStartContainers False",
            "Initialized False ContainersNotInitialized containers with incomplete status: [i]",
            "Ready False ContainersNotReady containers with unready status: [a b]",
            "ContainersReady False ContainersNotReady containers with unready status: [a b]",
            "PodScheduled True",
        ]
    );
    assert_eq!(
        case.conditions(&["sandbox 0 ready", "i exited 0 at 9", "a running", "b running"]),
        [
            "PodReadyToStartContainers True",
            "Initialized True",
            "Ready True",
            "ContainersReady True",
            "PodScheduled True"
        ]
    );
}

#[test]
fn conditions_of_a_pod_that_is_over() {
    let mut done = case(one("Never"));
    done.is_over = true;
    assert_eq!(
        done.conditions(&["sandbox 0 lost", "a exited 0 at 9"]),
        [
            "PodReadyToStartContainers False",
            "Initialized True PodCompleted",
            "Ready False PodCompleted",
            "ContainersReady False PodCompleted",
            "PodScheduled True",
        ]
    );
    assert_eq!(
        done.conditions(&["sandbox 0 lost", "a exited 1 at 9"])[2..4],
        ["Ready False PodFailed", "ContainersReady False PodFailed"]
    );
}

#[test]
fn readiness_gates_are_asked_and_conditions_of_others_stay() {
    let mut case = case(json!({"containers": [container("a")],
        "readinessGates": [{"conditionType": "x/one"}, {"conditionType": "x/two"}]}));
    case.old = json!({"conditions": [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"},
        {"type": "x/one", "status": "False"}]});
    let lines = ["sandbox 0 ready", "a running"];
    assert_eq!(
        case.conditions(&lines)[..4],
        [
            "x/one False",
            "PodReadyToStartContainers True",
            "Initialized True",
            "Ready False ReadinessGatesNotReady the status of pod readiness gate \"x/one\" is not \"True\", but False, corresponding condition of pod readiness gate \"x/two\" does not exist.",
        ]
    );
    let conditions = case.status(&lines).conditions.expect("some");
    let scheduled = conditions.iter().find(|one| one.type_ == "PodScheduled").expect("one");
    let since = scheduled.last_transition_time.as_ref().expect("a time").0.to_string();
    assert_eq!((since.as_str(), scheduled.observed_generation), ("2020-01-01T00:00:00Z", Some(3)));
}

#[test]
fn containers_wait_for_init_containers_and_say_why() {
    let mut case =
        case(json!({"containers": [container("a")], "initContainers": [container("i")]}));
    let status = case.status(&["sandbox 0 ready", "i running"]);
    assert_eq!(mains(&status), ["a PodInitializing last - ready false started false restarts 0"]);
    assert_eq!(inits(&status), ["i running last - ready false started true restarts 0"]);
    let status = case.status(&["sandbox 0 ready", "i exited 0 at 9"]);
    assert_eq!(inits(&status), ["i Completed(0) last - ready true started false restarts 0"]);
    case.spec = one("Always");
    assert_eq!(
        mains(&case.status(&[])),
        ["a ContainerCreating last - ready false started false restarts 0"]
    );
}

#[test]
fn a_container_that_waits_for_its_next_start_shows_its_end_as_its_last_state() {
    let mut case = case(one("Always"));
    let lines = ["sandbox 0 ready", "a exited 1 at 5", "a#1 exited 2 at 9"];
    assert_eq!(
        mains(&case.status(&lines)),
        ["a Error(2) last Error(1) ready false started false restarts 1"]
    );
    let waiting = Waiting { reason: "CrashLoopBackOff".to_owned(), message: "back-off".to_owned() };
    case.waiting.insert("a".to_owned(), waiting);
    assert_eq!(
        mains(&case.status(&lines)),
        ["a CrashLoopBackOff last Error(2) ready false started false restarts 1"]
    );
    assert_eq!(case.phase(&lines), "Running");
    let running = ["sandbox 0 ready", "a exited 1 at 5", "a#1 running"];
    assert_eq!(
        mains(&case.status(&running)),
        ["a running last Error(1) ready true started true restarts 1"]
    );
    case.spec = one("Never");
    assert_eq!(
        mains(&case.status(&["sandbox 0 ready", "a exited 128 at 5"])),
        ["a Error(128) last - ready false started false restarts 0"],
    );
}

#[test]
fn what_never_began_ends_with_its_pod() {
    const NEVER: &str = "a ContainerStatusUnknown(137) last - ready false started false restarts 0";
    let mut case = case(one("Always"));
    let waiting = |reason: &str| Waiting { reason: reason.to_owned(), message: String::new() };
    case.old = json!({"phase": "Pending"});
    case.waiting.insert("a".to_owned(), waiting("ImagePullBackOff"));
    (case.is_over, case.holds_node) = (true, true);
    assert_eq!(
        mains(&case.status(&["sandbox 0 lost"])),
        ["a ImagePullBackOff last - ready false started false restarts 0"],
        "it is not over yet"
    );
    case.holds_node = false;
    let status = case.status(&["sandbox 0 lost"]);
    assert_eq!((status.phase.as_deref(), mains(&status)), (Some("Failed"), vec![NEVER.to_owned()]));
    let ended = status.container_statuses.clone().expect("some")[0].state.clone().expect("one");
    assert_eq!(
        ended.terminated.expect("ended").message.as_deref(),
        Some("The container could not be located when the pod was terminated")
    );
    case.old = serde_json::to_value(&status).expect("JSON");
    assert_eq!(case.status(&["sandbox 0 lost"]), status, "it stays so");
}

#[test]
fn an_end_is_given_up_to_the_last_container_that_ever_began() {
    let mut case = case(json!({"containers": [container("a")],
        "initContainers": [container("i"), container("j")]}));
    case.is_over = true;
    let never = |name: &str, reason: &str| {
        format!("{name} {reason} last - ready false started false restarts 0")
    };
    let initializing = "PodInitializing";
    let unseen = "ContainerStatusUnknown(137)";
    let status = case.status(&[]);
    assert_eq!(inits(&status), [never("i", unseen), never("j", initializing)]);
    assert_eq!(mains(&status), [never("a", initializing)]);
    let lines = ["sandbox 0 lost", "i exited 0 at 9", "j exited 0 at 9"];
    assert_eq!(mains(&case.status(&lines)), [never("a", unseen)]);
    let status = case.status(&["sandbox 0 lost", "i exited 0 at 9", "j exited 1 at 9"]);
    assert_eq!(mains(&status), [never("a", initializing)]);
    case.spec["initContainers"][1]["restartPolicy"] = json!("Always");
    assert_eq!(mains(&case.status(&lines)), [never("a", unseen)], "the sidecar has run");
}

#[test]
fn a_container_that_waited_is_not_shown_twice_when_its_pod_is_deleted() {
    let mut case = case(one("Always"));
    let waiting = Waiting { reason: "CrashLoopBackOff".to_owned(), message: "m".to_owned() };
    case.waiting.insert("a".to_owned(), waiting);
    let lines = ["sandbox 0 ready", "a exited 1 at 5"];
    case.old = serde_json::to_value(case.status(&lines)).expect("JSON");
    case.is_deleting = true;
    let ended = ["a Error(1) last - ready false started false restarts 0"];
    assert_eq!(mains(&case.status(&lines)), ended);
    case.is_over = true;
    assert_eq!(mains(&case.status(&lines)), ended);
    let lines = ["sandbox 0 ready", "a exited 1 at 5", "a#1 exited 2 at 9"];
    assert_eq!(
        mains(&case.status(&lines)),
        ["a Error(2) last Error(1) ready false started false restarts 1"]
    );
}

#[test]
fn probes_hold_back_readiness() {
    let mut case = case(one("Always"));
    let lines = ["sandbox 0 ready", "a running"];
    case.probes.not_ready.push("a".to_owned());
    assert_eq!(
        mains(&case.status(&lines)),
        ["a running last - ready false started true restarts 0"]
    );
    case.probes.not_started.push("a".to_owned());
    assert_eq!(
        mains(&case.status(&lines)),
        ["a running last - ready false started false restarts 0"]
    );
}

#[test]
fn a_container_that_the_runtime_has_forgotten_is_not_forgotten() {
    let mut case = case(one("Always"));
    case.old = json!({"phase": "Running", "containerStatuses": [{"name": "a", "image": "i", "imageID": "i@x",
        "ready": true, "restartCount": 4, "containerID": "podo://x", "state": {"running": {}}}]});
    for is_deleting in [false, true] {
        case.is_deleting = is_deleting;
        let status = case.status(&[]);
        assert_eq!(
            mains(&status),
            [
                "a ContainerCreating last ContainerStatusUnknown(137) ready false started false restarts 4"
            ]
        );
        assert_eq!(status.phase.as_deref(), Some("Running"));
    }
}

#[test]
fn addresses_are_the_sandboxs_and_are_told_on_after_it_is_gone() {
    let mut case = case(one("Always"));
    let status = case.status(&["sandbox 0 ready", "a running"]);
    assert_eq!(status.host_ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.42.0.7"));
    case.old = json!({"podIP": "10.42.0.7", "podIPs": [{"ip": "10.42.0.7"}]});
    assert_eq!(case.status(&[]).pod_ip.as_deref(), Some("10.42.0.7"));
    case.spec["hostNetwork"] = json!(true);
    case.old = json!({});
    assert_eq!(case.status(&["sandbox 0 ready"]).pod_ip.as_deref(), Some("192.0.2.1"));
}

#[test]
fn a_restart_has_no_waiting_in_between() {
    let case = case(one("Always"));
    let ended = case.status(&["sandbox 0 ready", "a exited 1 at 9"]);
    let made = case.status(&["sandbox 0 ready", "a exited 1 at 9", "a created"]);
    assert_eq!(mains(&made), mains(&ended));
    let first = case.status(&["sandbox 0 ready", "a created"]);
    assert_ne!(mains(&first), mains(&ended));
}

#[test]
fn what_is_made_anew_is_not_told_to_have_ended_for_good() {
    let mut case = case(one("Never"));
    case.old = serde_json::to_value(case.status(&["sandbox 0 ready", "a running"])).expect("JSON");
    let ended = ["sandbox 0 ready", "a exited 0 at 9"];
    let told = |case: &Case, lines: &[&str]| mains(&case.status(lines));
    let over = "a Completed(0) last - ready false started false restarts 0";
    assert_eq!(told(&case, &ended), [over]);
    case.replaced.insert("a-0".to_owned());
    let between = "a running last - ready false started false restarts 0";
    assert_eq!(told(&case, &ended), [between]);
    assert_eq!(case.phase(&ended), "Running");
    let again = "a running last Completed(0) ready true started true restarts 1";
    assert_eq!(told(&case, &[&ended[..], &["a#1 running"]].concat()), [again]);
    case.is_over = true;
    assert_eq!(told(&case, &ended), [over]);
}

#[test]
fn a_verdict_goes_before_everything_once_nothing_runs() {
    let mut case = case(one("Always"));
    case.old = json!({"phase": "Running"});
    let (reason, message) = ("DeadlineExceeded".to_owned(), "m".to_owned());
    case.verdict = Some(Verdict { reason, message });
    case.holds_node = true;
    let status = case.status(&["sandbox 0 ready", "a running"]);
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Running"), None));
    (case.is_over, case.holds_node) = (true, false);
    let status = case.status(&["sandbox 0 lost", "a exited 143 at 9"]);
    assert_eq!(status.reason.as_deref(), Some("DeadlineExceeded"));
    assert_eq!(status.phase.as_deref(), Some("Failed"));
}

#[test]
fn mounts_and_ids_are_told_as_upstream_does() {
    let case = case(json!({"containers": [{"name": "a", "image": "i",
        "resources": {"requests": {"cpu": "1"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w", "readOnly": true}]}]}));
    let status = case.status(&["sandbox 0 ready", "a running"]);
    let value = serde_json::to_value(&status.container_statuses.expect("some")[0]).expect("JSON");
    assert_eq!(value["containerID"], "podo://a-0");
    assert_eq!(value["imageID"], "i@sha256:0");
    assert_eq!(value["allocatedResources"], json!({"cpu": "1"}));
    assert_eq!(
        value["volumeMounts"],
        json!([{"name": "v", "mountPath": "/v"},
            {"name": "w", "mountPath": "/w", "readOnly": true, "recursiveReadOnly": "Disabled"}])
    );
    let waiting = case.status(&["sandbox 0 ready"]).container_statuses.expect("some");
    assert_eq!(json!(waiting[0].volume_mounts), value["volumeMounts"], "before it begins");
}

#[test]
fn read_only_is_recursive_where_that_is_possible() {
    let mount = json!({"name": "v", "mountPath": "/v", "readOnly": true, "recursiveReadOnly": "IfPossible"});
    let case = case(json!({"containers": [{"name": "a", "image": "i", "volumeMounts": [mount]}]}));
    let status = case.status(&["sandbox 0 ready", "a running"]);
    let value = serde_json::to_value(&status.container_statuses.expect("some")[0]).expect("JSON");
    assert_eq!(value["volumeMounts"][0]["recursiveReadOnly"], "Enabled");
}

#[test]
fn main_containers_are_told_by_name_and_init_containers_in_their_order() {
    let all = json!([container("web"), container("app")]);
    let case = case(json!({"initContainers": [container("z"), container("b")], "containers": all}));
    let status = case.status(&["sandbox 0 ready"]);
    let names = |list: &Option<Vec<k8s::ContainerStatus>>| -> String {
        list.iter().flatten().map(|status| format!("{} ", status.name)).collect()
    };
    assert_eq!(names(&status.container_statuses), "app web ");
    assert_eq!(names(&status.init_container_statuses), "z b ");
}

#[test]
fn a_sidecar_that_has_yet_to_stop_keeps_its_pod_running() {
    let sidecar = json!({"name": "s", "image": "i", "restartPolicy": "Always"});
    let case = case(
        json!({"restartPolicy": "Never", "initContainers": [sidecar], "containers": [container("a")]}),
    );
    assert_eq!(case.phase(&["sandbox 0 ready", "s running", "a exited 0 at 9"]), "Running");
    assert_eq!(case.phase(&["sandbox 0 ready", "s exited 0 at 9", "a exited 0 at 9"]), "Succeeded");
}

#[test]
fn a_patch_says_only_what_has_changed_and_for_whom() {
    let mut case = case(one("Always"));
    let lines = ["sandbox 0 ready", "a running"];
    let old = case.status(&[]);
    case.old = serde_json::to_value(&old).expect("JSON");
    let new = case.status(&lines);
    let patch = writer::patch("u", &old, &new).expect("a patch").expect("a change");
    assert_eq!(patch["metadata"], json!({"uid": "u"}));
    assert_eq!(patch["status"]["phase"], "Running");
    assert_eq!(patch["status"].get("hostIP"), None);
    assert_eq!(writer::patch("u", &new, &new), Ok(None));
}

#[test]
fn containers_that_are_removed_to_be_made_anew_are_shown_so_and_counted_once() {
    let mut trigger = container("a");
    trigger["restartPolicyRules"] = json!([{"action": "RestartAllContainers",
        "exitCodes": {"operator": "In", "values": [42]}}]);
    let mut case = case(json!({"restartPolicy": "Never", "containers": [trigger, container("b")]}));
    let told = |case: &mut Case, lines: &[&str]| {
        let status = case.status(lines);
        case.old = serde_json::to_value(&status).expect("JSON");
        let condition = case.conditions(lines).pop().expect("one");
        let phase = status.phase.clone().expect("one");
        (phase, condition, mains(&status))
    };
    let none = "AllContainersRestarting False".to_owned();
    let lines = ["sandbox 0 ready", "a running", "b running"];
    assert_eq!(told(&mut case, &lines).1, none);
    let lines = ["sandbox 0 ready", "a exited 42 at 9", "b running"];
    let (phase, condition, _) = told(&mut case, &lines);
    assert_eq!(
        (phase.as_str(), condition.as_str()),
        (
            "Running",
            "AllContainersRestarting True RestartAllContainersStarted container exited with restart policy rule"
        )
    );
    let lines = ["sandbox 0 ready", "a exited 42 at 9"];
    let line = |name: &str, reason: &str| {
        format!(
            "{name} {reason} last RestartingAllContainers(137) ready false started false restarts 1"
        )
    };
    let removed = "RestartingAllContainers";
    assert_eq!(told(&mut case, &lines).2[1], line("b", removed));
    let all = |reason: &str| vec![line("a", reason), line("b", reason)];
    let lines = ["sandbox 0 ready"];
    assert_eq!(told(&mut case, &lines), ("Pending".to_owned(), none.clone(), all(removed)));
    let creating = all("ContainerCreating");
    assert_eq!(told(&mut case, &lines), ("Pending".to_owned(), none, creating));
    let lines = ["sandbox 0 ready", "a#1 running", "b#1 running"];
    assert_eq!(
        told(&mut case, &lines).2[0],
        "a running last RestartingAllContainers(137) ready true started true restarts 1"
    );
}
