use super::*;
use crate::observed::words::observed;
use crate::status::Waiting;
use serde_json::{Value, json};

struct Life {
    machine: Machine,
    pod: Value,
    old: Value,
    is_gone: bool,
    is_told: bool,
}

fn life(spec: Value) -> Life {
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec});
    let mut machine = Machine::new();
    machine.memory.note_volumes(None, true, Timestamp::default());
    Life { machine, pod, old: json!({}), is_gone: false, is_told: true }
}

fn show(command: &Command) -> String {
    match command {
        Command::Act(action) => {
            format!("{action:?}").split([' ', '(']).next().unwrap_or("").to_owned()
        }
        Command::Refresh => "refresh".to_owned(),
        Command::Abandon => "abandon".to_owned(),
        Command::Stop { name, grace, .. } => format!("stop {name} {grace}"),
        Command::CleanUp { .. } => "clean up".to_owned(),
        Command::Remove { .. } => "remove".to_owned(),
        Command::Confirm => "confirm".to_owned(),
        Command::TellBackOff { name } => format!("tell back-off {name}"),
        Command::TellPullBackOff { name } => format!("tell pull back-off {name}"),
        Command::TellDeadline(_) => "tell deadline".to_owned(),
    }
}

impl Life {
    fn step(&mut self, now: i64, lines: &[&str]) -> String {
        let pod = PodView::new(serde_json::from_value(self.pod.clone()).expect("a Pod"));
        let commands = self.machine.step(View {
            pod: &pod,
            observed: &observed(lines),
            probes: &Probes::default(),
            old: &serde_json::from_value(self.old.clone()).expect("a status"),
            allocation: &Allocation::default(),
            is_gone: self.is_gone,
            is_told: self.is_told,
            now: Timestamp::from_seconds(now),
        });
        commands.iter().map(show).collect::<Vec<_>>().join(", ")
    }

    fn delete(&mut self, grace: i64) {
        self.pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
    }

    fn apply(&mut self, outcome: Outcome) {
        self.machine.apply(outcome, Timestamp::from_seconds(1000));
    }
}

#[test]
fn a_failed_pull_is_told_as_back_off_after_a_while_and_once() {
    let mut life = life(json!({"containers": [{"name": "a", "image": "i"}]}));
    let waiting = |reason: &str| Waiting { reason: reason.into(), message: String::new() };
    let (failed, later) = (waiting("ErrImagePull"), waiting("ImagePullBackOff"));
    let at = Timestamp::from_seconds;
    life.machine.memory.note_failed("a", failed, at(110), Some(later.clone()), at(100));
    assert_eq!(life.step(101, &["sandbox 0 ready"]), "");
    assert_eq!(life.step(102, &["sandbox 0 ready"]), "tell pull back-off a");
    assert_eq!(life.machine.memory.waiting["a"], later);
    assert_eq!(life.step(103, &["sandbox 0 ready"]), "");
}

fn two_sidecars() -> Value {
    let sidecar = |name: &str| json!({"name": name, "image": "i", "restartPolicy": "Always"});
    json!({"initContainers": [sidecar("s1"), sidecar("s2")],
        "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]})
}

#[test]
fn main_containers_end_together_and_sidecars_after_them_the_last_first() {
    let mut life = life(two_sidecars());
    life.delete(30);
    let all = ["sandbox 0 ready", "s1 running", "s2 running", "a running", "b running"];
    assert_eq!(life.step(1000, &all), "stop b 30, stop a 30");
    let lines = ["sandbox 0 ready", "s1 running", "s2 running", "a running", "b exited 0 at 1001"];
    assert_eq!(life.step(1005, &lines), "");
    let lines =
        ["sandbox 0 ready", "s1 running", "s2 running", "a exited 0 at 1010", "b exited 0 at 1001"];
    assert_eq!(life.step(1010, &lines), "stop s2 20");
    let lines = [
        "sandbox 0 ready",
        "s1 running",
        "s2 exited 0 at 1039",
        "a exited 0 at 1010",
        "b exited 0 at 1001",
    ];
    assert_eq!(life.step(1039, &lines), "stop s1 2");
    let over = [
        "sandbox 0 ready",
        "s1 exited 0 at 1040",
        "s2 exited 0 at 1039",
        "a exited 0 at 1010",
        "b exited 0 at 1001",
    ];
    assert_eq!(life.step(1040, &over), "clean up");
    assert_eq!(life.step(1040, &over), "");
}

#[test]
fn a_deleted_pod_is_removed_and_then_confirmed_once_its_status_is_told() {
    let mut life = life(json!({"containers": [{"name": "a", "image": "i"}]}));
    let over = ["sandbox 0 lost", "a exited 0 at 9"];
    life.delete(30);
    assert_eq!(life.step(1000, &over), "clean up");
    life.apply(Outcome::CleanedUp { is_ok: true });
    assert_eq!(life.step(1000, &over), "remove");
    life.apply(Outcome::Removed { is_ok: true });
    life.is_told = false;
    assert_eq!(life.step(1000, &[]), "");
    life.is_told = true;
    assert_eq!(life.step(1000, &[]), "confirm");
    assert!(!life.machine.has_ended());
    life.is_gone = true;
    assert_eq!(life.step(1000, &[]), "");
    assert!(life.machine.has_ended());
}

#[test]
fn a_pod_that_is_over_rests_until_it_is_deleted() {
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]});
    let mut life = life(spec);
    let over = ["sandbox 0 ready", "a exited 1 at 9"];
    assert_eq!(life.step(1000, &over), "clean up");
    life.apply(Outcome::CleanedUp { is_ok: true });
    assert_eq!(life.step(1000, &over), "");
    assert!(life.machine.is_released());
    life.delete(30);
    assert_eq!(life.step(1001, &over), "remove");
}

#[test]
fn a_pod_that_is_gone_without_a_word_is_killed() {
    let mut life = life(
        json!({"terminationGracePeriodSeconds": 5, "containers": [{"name": "a", "image": "i"}]}),
    );
    life.is_gone = true;
    assert_eq!(life.step(1000, &["sandbox 0 ready", "a running"]), "stop a 5");
}

#[test]
fn a_shorter_grace_period_makes_containers_hurry() {
    let mut life = life(json!({"containers": [{"name": "a", "image": "i"}]}));
    let lines = ["sandbox 0 ready", "a running"];
    life.delete(30);
    assert_eq!(life.step(1000, &lines), "stop a 30");
    assert_eq!(life.step(1001, &lines), "");
    life.delete(0);
    assert_eq!(life.step(1002, &lines), "stop a 1");
}

#[test]
fn a_pull_is_given_up_but_a_sandbox_in_the_making_is_awaited() {
    let spec = || json!({"containers": [{"name": "a", "image": "i"}]});
    let mut starting = life(spec());
    assert_eq!(starting.step(1000, &["sandbox 0 ready"]), "Start");
    starting.delete(30);
    assert_eq!(starting.step(1001, &["sandbox 0 ready"]), "abandon, clean up");
    let mut making = life(spec());
    assert_eq!(making.step(1000, &[]), "RunSandbox");
    making.delete(30);
    assert_eq!(making.step(1001, &[]), "");
    making.apply(Outcome::Sandbox);
    assert_eq!(making.step(1001, &["sandbox 0 ready"]), "clean up");
}

#[test]
fn a_pod_that_lives_too_long_is_ended_and_told_so_once() {
    let mut life =
        life(json!({"activeDeadlineSeconds": 60, "containers": [{"name": "a", "image": "i"}]}));
    life.old = json!({"phase": "Running", "startTime": "1970-01-01T00:16:40Z"});
    let lines = ["sandbox 0 ready", "a running"];
    assert_eq!(life.step(1059, &lines), "");
    assert_eq!(life.machine.wake_at(), Some(Timestamp::from_seconds(1060)));
    assert_eq!(life.step(1060, &lines), "tell deadline, stop a 30");
    assert_eq!(life.step(1061, &lines), "");
    assert_eq!(life.machine.verdict().expect("one").reason, "DeadlineExceeded");
}

#[test]
fn what_could_not_be_stopped_is_tried_again_after_a_while() {
    let mut life = life(json!({"containers": [{"name": "a", "image": "i"}]}));
    let lines = ["sandbox 0 ready", "a running"];
    life.delete(30);
    assert_eq!(life.step(1000, &lines), "stop a 30");
    life.apply(Outcome::Stopped { id: "a-0".to_owned(), is_ok: false });
    assert_eq!(life.step(1000, &lines), "");
    assert_eq!(life.step(1001, &lines), "stop a 30");
}

#[test]
fn a_container_in_its_back_off_is_told_once_per_wait() {
    let mut life = life(json!({"containers": [{"name": "a", "image": "i"}]}));
    assert_eq!(life.step(1000, &["sandbox 0 ready", "a exited 1 at 1000"]), "Start");
    life.apply(Outcome::Started { name: "a".to_owned(), failure: None });
    let lines = ["sandbox 0 ready", "a exited 1 at 1000", "a#1 exited 1 at 1002"];
    assert_eq!(life.step(1002, &lines), "tell back-off a");
    assert_eq!(life.step(1003, &lines), "");
    assert_eq!(life.step(1012, &lines), "Start");
}

/// A pull that hangs: what runs meanwhile gets its new token, and a Pod that is deleted waits for that and not for the pull.
#[test]
fn volumes_are_refreshed_while_a_container_is_being_started() {
    let mut life = life(
        json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "never comes"}]}),
    );
    let at = |seconds| Some(Timestamp::from_seconds(seconds));
    life.machine.memory.note_volumes(at(2000), true, Timestamp::from_seconds(1000));
    let lines = ["sandbox 0 ready", "a running"];
    assert_eq!(life.step(1000, &lines), "Start");
    assert_eq!(life.step(1999, &lines), "");
    assert_eq!(life.machine.wake_at(), at(2000));
    assert_eq!(life.step(2000, &lines), "refresh");
    assert_eq!(life.step(2000, &lines), "", "one at a time");
    life.apply(Outcome::Volumes { refresh_at: at(3000), is_ok: true });
    assert_eq!(life.step(2001, &lines), "", "the start goes on");
    life.machine.sources_changed();
    assert_eq!(life.step(2002, &lines), "refresh");
    // It fails, and is tried again.
    life.machine
        .apply(Outcome::Volumes { refresh_at: None, is_ok: false }, Timestamp::from_seconds(2002));
    assert_eq!(life.step(2002, &lines), "");
    assert_eq!(life.step(2003, &lines), "refresh");
    life.delete(30);
    assert_eq!(life.step(2004, &lines), "", "volumes are not taken down while they are made");
    life.apply(Outcome::Volumes { refresh_at: None, is_ok: true });
    assert_eq!(life.step(2005, &lines), "abandon, stop a 30");
}

#[test]
fn a_start_that_ends_during_a_refresh_is_followed_by_the_next_after_it() {
    let container = |name: &str| json!({"name": name, "image": "i"});
    let mut life = life(json!({"containers": [container("a"), container("b")]}));
    let lines = ["sandbox 0 ready"];
    assert_eq!(life.step(1000, &lines), "Start");
    life.machine.sources_changed();
    assert_eq!(life.step(1001, &lines), "refresh");
    life.apply(Outcome::Started { name: "a".into(), failure: None });
    let lines = ["sandbox 0 ready", "a running"];
    assert_eq!(life.step(1002, &lines), "");
    life.apply(Outcome::Volumes { refresh_at: None, is_ok: true });
    assert_eq!(life.step(1003, &lines), "Start");
}

#[test]
fn a_change_that_is_told_while_volumes_are_set_up_is_not_lost() {
    let mut life = life(json!({"containers": [{"name": "a", "image": "i"}]}));
    let done = || Outcome::Volumes { refresh_at: None, is_ok: true };
    life.machine.memory = Memory::default();
    let lines = ["sandbox 0 ready", "a running"];
    assert_eq!(life.step(1000, &lines), "SetUpVolumes");
    for again in [1000, 2000] {
        life.machine.sources_changed();
        life.machine.apply(done(), Timestamp::from_seconds(again));
        assert_eq!(life.step(again, &lines), "", "not in the way of what comes next");
        assert!(life.machine.wake_at() < Some(Timestamp::from_seconds(again + 1)));
        assert_eq!(life.step(again + 1, &lines), "SetUpVolumes");
    }
    life.machine.apply(done(), Timestamp::from_seconds(3000));
    assert_eq!(life.step(3001, &lines), "");
    assert_eq!(life.machine.wake_at(), None, "nothing has changed since");
}
