use std::sync::Arc;

use super::*;
use crate::observed::words::observed;
use serde_json::{Value, json};

fn view(spec: Value) -> PodView {
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec});
    PodView::new(serde_json::from_value(pod).expect("a Pod"))
}

fn container(name: &str) -> Value {
    json!({"name": name, "image": "i"})
}

/// Two init containers, a sidecar between them, two main containers.
fn full() -> Value {
    json!({
        "initContainers": [container("i1"), {"name": "s", "image": "i", "restartPolicy": "Always"}, container("i2")],
        "containers": [container("a"), container("b")]})
}

fn ready_memory() -> Memory {
    let mut memory = Memory::default();
    memory.note_volumes(None, true, Timestamp::default());
    memory
}

fn show(plan: &Plan) -> String {
    let action = match &plan.action {
        None => "-".to_owned(),
        Some(Action::SetUpVolumes) => "volumes".to_owned(),
        Some(Action::StopSandboxes(ids)) => format!("stop {}", ids.join(" ")),
        Some(Action::RunSandbox { attempt }) => format!("sandbox {attempt}"),
        Some(Action::Start { name, restart_count, .. }) => format!("start {name} {restart_count}"),
        Some(Action::Replace { id, .. }) => format!("replace {id}"),
        Some(Action::RemoveAll(all)) => {
            let ids =
                all.iter().map(|one| format!(" {}{}", one.id, if one.is_alive { "!" } else { "" }));
            format!("remove{}", ids.collect::<String>())
        }
        Some(Action::Resize { containers, is_last }) => {
            let names = containers.iter().map(|(name, _)| format!(" {name}"));
            format!("resize{}{}", names.collect::<String>(), if *is_last { "." } else { "" })
        }
        Some(Action::Finish) => "finish".to_owned(),
    };
    let wake = plan.wake_at.map(|at| format!("; wake {}", at.as_seconds())).unwrap_or_default();
    let crashed: Vec<&str> = plan.crashed.iter().map(|(name, _)| name.as_str()).collect();
    let crashed =
        if crashed.is_empty() { String::new() } else { format!("; crashed {}", crashed.join(" ")) };
    format!("{action}{wake}{crashed}")
}

#[track_caller]
fn check_with(spec: Value, lines: &[&str], memory: &Memory, now: i64, expected: &str) {
    check_told(spec, lines, memory, now, json!({}), expected);
}

#[track_caller]
fn check_told(spec: Value, lines: &[&str], memory: &Memory, now: i64, old: Value, expected: &str) {
    let plan = plan(PlanInput {
        pod: &view(spec),
        observed: &observed(lines),
        memory,
        probes: &Probes::default(),
        old: &serde_json::from_value(old).expect("a status"),
        allocation: &Allocation::default(),
        now: Timestamp::from_seconds(now),
    });
    assert_eq!(show(&plan), expected);
}

#[track_caller]
fn check(spec: Value, lines: &[&str], expected: &str) {
    check_with(spec, lines, &ready_memory(), 1000, expected);
}

#[test]
fn first_volumes_then_a_sandbox() {
    check_with(full(), &[], &Memory::default(), 0, "volumes");
    check(full(), &[], "sandbox 0");
}

#[test]
fn init_containers_run_one_after_the_other_and_a_sidecar_stays() {
    check(full(), &["sandbox 0 ready"], "start i1 0");
    check(full(), &["sandbox 0 ready", "i1 running"], "-");
    check(full(), &["sandbox 0 ready", "i1 exited 0 at 9"], "start s 0");
    let up = ["sandbox 0 ready", "i1 exited 0 at 9", "s running"];
    check(full(), &up, "start i2 0");
    let done = ["sandbox 0 ready", "i1 exited 0 at 9", "s running", "i2 exited 0 at 9"];
    check(full(), &done, "start a 0");
    let lines = [&done[..], &["a running"]].concat();
    check(full(), &lines, "start b 0");
    let lines = [&done[..], &["a running", "b running"]].concat();
    check(full(), &lines, "-");
}

#[test]
fn a_sidecar_that_ended_is_started_again_whatever_else_runs() {
    let lines = [
        "sandbox 0 ready",
        "i1 exited 0 at 9",
        "s exited 0 at 9",
        "i2 exited 0 at 9",
        "a running",
        "b running",
    ];
    check(full(), &lines, "start s 1");
}

#[test]
fn a_failed_init_container_is_tried_again_unless_the_policy_says_never() {
    let lines = ["sandbox 0 ready", "i1 exited 1 at 9"];
    check(full(), &lines, "start i1 1");
    let mut never = full();
    never["restartPolicy"] = json!("Never");
    check(never, &lines, "finish");
}

#[test]
fn the_pods_policy_says_who_is_started_again() {
    let spec = |policy: &str| json!({"restartPolicy": policy, "containers": [container("a"), container("b")]});
    let one_done = ["sandbox 0 ready", "a exited 0 at 9", "b running"];
    let one_failed = ["sandbox 0 ready", "a exited 1 at 9", "b running"];
    check(spec("Always"), &one_done, "start a 1");
    check(spec("OnFailure"), &one_done, "-");
    check(spec("OnFailure"), &one_failed, "start a 1");
    check(spec("Never"), &one_failed, "-");
    check(spec("Never"), &["sandbox 0 ready", "a exited 1 at 9", "b exited 0 at 9"], "finish");
    check(spec("OnFailure"), &["sandbox 0 ready", "a exited 0 at 9", "b exited 0 at 9"], "finish");
}

#[test]
fn restarts_wait_twice_as_long_each_time_and_start_over_after_a_good_time() {
    let spec = || json!({"containers": [container("a")]});
    let hash = labels::hash(&view(spec()).spec.containers[0]);
    let mut memory = ready_memory();
    let mut now = 100;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let ended = Timestamp::from_seconds(now);
        let wait =
            memory.restart_wait("a", &hash, ended, ended).map_or(0, |(wait, _)| wait.as_secs());
        waits.push(wait);
        now += i64::try_from(wait).expect("short");
        memory.note_restart("a", &hash, ended, Timestamp::from_seconds(now));
    }
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    let line = format!("a#8 exited 1 at {now}");
    let lines = ["sandbox 0 ready", line.as_str()];
    let expected = format!("-; wake {}; crashed a", now + 300);
    check_with(spec(), &lines, &memory, now, &expected);
    let later = now + 601;
    let line = format!("a#8 exited 1 at {later}");
    check_with(spec(), &["sandbox 0 ready", line.as_str()], &memory, later, "start a 9");
}

#[test]
fn a_container_that_waits_says_so_as_upstream_does() {
    let pod = view(json!({"containers": [container("a")]}));
    let mut memory = ready_memory();
    let at = Timestamp::from_seconds(100);
    memory.note_restart("a", &labels::hash(&pod.spec.containers[0]), at, at);
    let plan = plan(PlanInput {
        pod: &pod,
        observed: &observed(&["sandbox 0 ready", "a#1 exited 1 at 100"]),
        memory: &memory,
        probes: &Probes::default(),
        old: &k8s::PodStatus::default(),
        allocation: &Allocation::default(),
        now: Timestamp::from_seconds(101),
    });
    let (_, waiting) = &plan.crashed[0];
    assert_eq!(waiting.reason, "CrashLoopBackOff");
    assert_eq!(waiting.message, "back-off 10s restarting failed container=a pod=p_n(u)");
}

#[test]
fn a_lost_sandbox_is_made_again_and_everything_in_it_begins_anew() {
    let lost = [
        "sandbox 0 lost",
        "i1 exited 0 at 9",
        "s exited 137 at 9",
        "i2 exited 0 at 9",
        "a exited 137 at 9",
        "b exited 137 at 9",
    ];
    check(full(), &lost, "stop s0");
    let mut memory = ready_memory();
    memory.stopped.insert("s0".to_owned());
    check_with(full(), &lost, &memory, 1000, "sandbox 1");
    let anew = [&lost[..], &["sandbox 1 ready"]].concat();
    check_with(full(), &anew, &memory, 1000, "start i1 1");
}

#[test]
fn a_container_whose_image_was_changed_is_replaced() {
    let spec = || json!({"containers": [container("a"), container("b")]});
    check(spec(), &["sandbox 0 ready", "a running old", "b running"], "replace a-0");
    check(spec(), &["sandbox 0 ready", "a created", "b running"], "replace a-0");
    // An init container goes on as it began, and what ended before is not made anew for it.
    let mut init = spec();
    init["initContainers"] = json!([container("i")]);
    init["restartPolicy"] = json!("Never");
    check(init.clone(), &["sandbox 0 ready", "i running old"], "-");
    let ended = ["sandbox 0 ready", "i exited 0 at 9", "a exited 0 at 9 old", "b running"];
    check(init, &ended, "-");
}

#[test]
fn a_container_that_could_not_be_started_does_not_hold_up_the_next() {
    let mut memory = ready_memory();
    let now = Timestamp::from_seconds(1000);
    let waiting = Waiting { reason: "ErrImagePull".to_owned(), message: String::new() };
    memory.note_failed("a", waiting, Timestamp::from_seconds(1010), None, now);
    let spec = json!({"containers": [container("a"), container("b")]});
    check_with(spec, &["sandbox 0 ready"], &memory, 1000, "start b 0; wake 1010");
}

#[test]
fn an_ephemeral_container_is_started_once_even_while_the_pod_does_not_get_on() {
    let mut spec = full();
    spec["ephemeralContainers"] = json!([container("debug")]);
    check(spec.clone(), &["sandbox 0 ready", "i1 running"], "start debug 0");
    check(spec.clone(), &["sandbox 0 ready", "i1 running", "debug exited 1 at 9"], "-");
    let anew = ["sandbox 0 lost", "debug exited 1 at 9", "sandbox 1 ready", "i1 running"];
    let mut memory = ready_memory();
    memory.stopped.insert("s0".to_owned());
    check_with(spec, &anew, &memory, 1000, "-");
}

#[track_caller]
fn check_count(lines: &[&str], status: Value, expected: &str) {
    let mut known = json!({"name": "a", "image": "i", "imageID": "", "ready": false});
    known.as_object_mut().expect("an object").extend(status.as_object().expect("fields").clone());
    let old = serde_json::from_value(json!({"containerStatuses": [known]})).expect("a status");
    let mut observed = observed(lines);
    observed.know_unstarted(&old);
    let plan = plan(PlanInput {
        pod: &view(json!({"containers": [container("a")]})),
        observed: &observed,
        memory: &ready_memory(),
        probes: &Probes::default(),
        old: &old,
        allocation: &Allocation::default(),
        now: Timestamp::from_seconds(1000),
    });
    assert_eq!(show(&plan), expected);
}

#[test]
fn what_the_server_has_counted_goes_on_after_the_runtime_has_forgotten() {
    let ran = json!({"restartCount": 4, "containerID": "podo://x", "state": {"running": {}}});
    check_count(&["sandbox 0 ready"], ran, "start a 5");
}

#[test]
fn a_container_that_was_made_and_never_started_is_no_restart() {
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let made = json!({"restartCount": 0, "containerID": "podo://x", "state": waiting.clone()});
    check_count(&["sandbox 0 ready", "a created"], made.clone(), "replace a-0");
    check_count(&["sandbox 0 ready"], made, "start a 0");
    // In the sandbox before.
    let none = json!({"restartCount": 0, "state": waiting.clone()});
    check_count(&["sandbox 0 lost", "a created", "sandbox 1 ready"], none, "start a 0");
    let again = json!({"restartCount": 1, "containerID": "podo://y", "state": waiting,
        "lastState": {"terminated": {"exitCode": 1}}});
    check_count(&["sandbox 0 ready", "a exited 1 at 9"], again, "start a 1");
}

#[test]
fn after_a_restart_of_the_machine_only_what_the_server_was_told_to_run_counts() {
    let lost = ["sandbox 0 lost", "a lost", "sandbox 1 ready"];
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let made = json!({"restartCount": 0, "containerID": "podo://a-0", "state": waiting.clone()});
    check_count(&lost, made, "start a 0");
    let untold = json!({"restartCount": 0, "state": waiting.clone()});
    check_count(&lost, untold, "start a 0");
    let ran = json!({"restartCount": 0, "containerID": "podo://a-0", "state": {"running": {}}});
    check_count(&lost, ran, "start a 1");
    // As it is told after the restart.
    let end = json!({"terminated": {"exitCode": 255, "containerID": "podo://a-0"}});
    let ended = json!({"restartCount": 0, "containerID": "podo://a-0", "state": end.clone()});
    check_count(&lost, ended, "start a 1");
    let waits = json!({"restartCount": 0, "state": waiting.clone(), "lastState": end});
    check_count(&lost, waits, "start a 1");
    // One that was to come after another that had ended.
    let again = ["sandbox 0 lost", "a#1 exited 1 at 9", "a#2 lost", "sandbox 1 ready"];
    let before = json!({"terminated": {"exitCode": 1, "containerID": "podo://a-1"}});
    let second = json!({"restartCount": 2, "containerID": "podo://a-2", "state": waiting, "lastState": before});
    check_count(&again, second, "start a 2");
}

#[test]
fn all_containers_are_made_anew_when_one_ends_as_its_rule_says() {
    let rules = json!([{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}]);
    let mut spec = full();
    spec["restartPolicy"] = json!("Never");
    spec["containers"][0]["restartPolicyRules"] = rules;
    let lines = [
        "sandbox 0 ready",
        "i1 exited 0 at 9",
        "s running",
        "i2 exited 0 at 9",
        "a exited 1 at 9",
        "a#1 exited 42 at 1000",
        "b running",
    ];
    let mut memory = ready_memory();
    let told =
        |is: &str| json!({"conditions": [{"type": "AllContainersRestarting", "status": is}]});
    let check = |lines: &[&str], memory: &Memory, old: Value, expected: &str| {
        check_told(spec.clone(), lines, memory, 1000, old, expected);
    };
    check(&lines, &memory, told("False"), "-");
    let removal = "remove b-0! a-0 i2-0 s-0! i1-0 a-1";
    check(&lines, &memory, told("True"), removal);
    let hash = labels::hash(&view(spec.clone()).spec.containers[0]);
    let (before, at) = (Timestamp::from_seconds(900), Timestamp::from_seconds(990));
    memory.note_restart("a", &hash, before, at);
    check(&lines, &memory, told("True"), "-; wake 1010");
    let memory = ready_memory();
    check(&lines[..1], &memory, told("True"), "-");
    check(&lines[..1], &memory, told("False"), "start i1 0");
    let removed = json!({"terminated": {"exitCode": 137, "reason": "RestartingAllContainers"}});
    let mut old = told("False");
    old["initContainerStatuses"] = json!([{"name": "i1", "image": "i", "imageID": "", "ready": false,
        "restartCount": 3, "state": {"waiting": {"reason": "PodInitializing"}}, "lastState": removed}]);
    check(&lines[..1], &memory, old, "start i1 3");
}

#[test]
fn what_was_stopped_to_be_made_anew_is_started_whatever_its_policy_and_without_a_wait() {
    let mut memory = ready_memory();
    memory.replaced.insert("a-0".to_owned());
    let at = Timestamp::from_seconds(999);
    for policy in ["Never", "OnFailure", "Always"] {
        let spec = json!({"restartPolicy": policy, "containers": [container("a")]});
        let hash = labels::hash(&view(spec.clone()).spec.containers[0]);
        memory.note_restart("a", &hash, at, at);
        check_with(spec, &["sandbox 0 ready", "a exited 0 at 999"], &memory, 1000, "start a 1");
    }
}

#[track_caller]
fn check_resize(spec: &Value, lines: &[&str], memory: &Memory, expected: &str) {
    let old = Arc::new(view(spec.clone()));
    let mut wanted = spec.clone();
    for container in wanted["containers"].as_array_mut().expect("a list") {
        container["resources"] = json!({"requests": {"cpu": "2"}});
    }
    let wanted = view(wanted);
    let allocation = Allocation::of(&old).raised(&wanted, &old);
    let plan = plan(PlanInput {
        pod: &wanted,
        observed: &observed(lines),
        memory,
        probes: &Probes::default(),
        old: &k8s::PodStatus::default(),
        allocation: &allocation,
        now: Timestamp::from_seconds(1000),
    });
    assert_eq!(show(&plan), expected);
}

#[test]
fn a_resize_changes_what_runs_and_restarts_in_between_what_cannot_be_changed() {
    let asks = |name: &str, policy: &str| {
        json!({"name": name, "image": "i", "resources": {"requests": {"cpu": "1"}},
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": policy}]})
    };
    let (kept, other) = (asks("a", "NotRequired"), asks("b", "RestartContainer"));
    let running = ["sandbox 0 ready", "a running", "b running"];
    let mut memory = ready_memory();
    check_resize(&json!({"containers": [kept]}), &running[..2], &memory, "resize a.");
    let both = json!({"containers": [kept, other]});
    check_resize(&both, &running, &memory, "resize a");
    let single = json!({"containers": [other]});
    let lines = [running[0], running[2]];
    check_resize(&single, &lines, &memory, "resize");
    memory.is_widened = true;
    check_resize(&single, &lines, &memory, "replace b-0");
    memory.replaced.insert("b-0".to_owned());
    check_resize(&single, &["sandbox 0 ready", "b exited 143 at 999"], &memory, "start b 1");
}

#[test]
fn what_has_ended_or_waits_does_not_hold_a_resize_up() {
    let spec = json!({"containers": [container("a")], "restartPolicy": "Always"});
    let mut memory = ready_memory();
    let hash = labels::hash(&view(spec.clone()).spec.containers[0]);
    let at = Timestamp::from_seconds(999);
    memory.note_restart("a", &hash, at, at);
    check_resize(&spec, &["sandbox 0 ready", "a exited 1 at 999"], &memory, "resize.");
}
