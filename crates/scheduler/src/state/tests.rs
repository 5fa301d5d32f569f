//! Scenarios: events and tries, one a line; what each try comes to stands behind it.

use std::time::Duration;

use podo_api::Value;
use serde_json::json;

use super::*;
use crate::tests::{node, pod, requests};

struct World {
    state: State,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { state: State::default(), now: Instant::now() }
    }

    fn node(&mut self, name: &str, extra: Value) {
        self.state.node_changed(name, Some(&node(name, extra)), self.now);
    }

    fn pod(&mut self, name: &str, spec: Value) {
        let pod = ours(pod(name, spec));
        self.state.pod_changed(None, pod, self.now);
    }

    fn after(&mut self, wait: Duration) -> &mut Self {
        self.now += wait;
        self
    }

    /// What is decided until there is nothing to do.
    fn decided(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Step::Act(pod, decision) = self.state.step(self.now) {
            all.push(match decision {
                Ok(node) => format!("{} on {node}", pod.name),
                Err(_) => format!("{} nowhere", pod.name),
            });
            assert!(all.len() < 100, "a Pod is tried for ever");
        }
        all
    }
}

fn ours(pod: PodInfo) -> PodInfo {
    PodInfo { scheduler_name: NAME.into(), ..pod }
}

fn not_ready() -> Value {
    json!({"spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}})
}

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn a_pod_is_placed_at_once_when_its_node_gets_ready_however_often_the_node_spoke_before() {
    let mut world = World::new();
    world.pod("p", json!({}));
    assert_eq!(world.decided(), ["p nowhere"]);
    world.node("a", not_ready());
    assert_eq!(world.decided(), [""; 0], "it cannot run there");
    for beat in 0..50 {
        let mut said = not_ready();
        said["status"]["conditions"] = json!([{"type": "Ready", "lastHeartbeatTime": beat}]);
        world.after(MOMENT).node("a", said);
        assert_eq!(world.decided(), [""; 0], "a heartbeat is no reason to try");
    }
    world.after(MOMENT).node("a", json!({}));
    assert_eq!(world.decided(), ["p on a"]);
}

#[test]
fn only_a_change_that_lets_a_pod_run_is_a_reason_to_try_it_again() {
    let mut world = World::new();
    world.node("a", json!({}));
    world.pod("large", requests("8", "1Gi"));
    world.pod("gpu", json!({"nodeSelector": {"gpu": "true"}}));
    assert_eq!(world.decided(), ["large nowhere", "gpu nowhere"]);
    world.node("a", json!({"metadata": {"labels": {"zone": "1"}}}));
    assert_eq!(world.decided(), [""; 0]);
    world.node("a", json!({"status": {"allocatable": {"cpu": "9"}}}));
    assert_eq!(world.decided(), ["large on a"]);
    world.node(
        "b",
        json!({"metadata": {"labels": {"gpu": "true"}}, "spec": {"unschedulable": true}}),
    );
    assert_eq!(world.decided(), [""; 0]);
    world.node("b", json!({"metadata": {"labels": {"gpu": "true"}}}));
    assert_eq!(world.decided(), ["gpu on b"]);
}

#[test]
fn a_pod_that_goes_or_shrinks_makes_room_for_those_that_fit_then() {
    let mut world = World::new();
    world.node("a", json!({}));
    world.pod("first", requests("1500m", "1Gi"));
    assert_eq!(world.decided(), ["first on a"]);
    world.pod("second", requests("1", "1Gi"));
    world.pod("third", requests("2", "1Gi"));
    assert_eq!(world.decided(), ["second nowhere", "third nowhere"]);
    let bound = |spec| PodInfo { node_name: "a".into(), ..ours(pod("first", spec)) };
    world.state.pod_changed(None, bound(requests("1500m", "1Gi")), world.now);
    assert_eq!(world.decided(), [""; 0], "what was assumed is true");
    world.state.pod_changed(None, bound(requests("1", "1Gi")), world.now);
    assert_eq!(world.decided(), ["second on a"]);
    world.state.pod_gone("first", world.now);
    assert_eq!(world.decided(), [""; 0]);
    world.state.pod_gone("second", world.now);
    assert_eq!(world.decided(), ["third on a"]);
}

#[test]
fn behind_a_line_a_pod_with_hope_waits_for_its_back_off() {
    let mut world = World::new();
    world.pod("p", json!({}));
    assert_eq!(world.decided(), ["p nowhere"]);
    world.node("a", json!({}));
    world.pod("q", json!({}));
    assert_eq!(world.decided(), ["q on a", "p on a"]);
}

#[test]
fn a_binding_that_failed_is_tried_again_after_its_back_off_alone() {
    let mut world = World::new();
    world.node("a", json!({}));
    world.pod("p", json!({}));
    for wait in [1, 2, 4, 8, 10, 10] {
        let Step::Act(pod, Ok(_)) = world.state.step(world.now) else { panic!("not placed") };
        world.state.not_bound(*pod, false, world.now);
        world.node("b", json!({"metadata": {"labels": {"n": wait.to_string()}}}));
        assert_eq!(world.decided(), [""; 0]);
        world.after(Duration::from_millis(1000 * wait - 1));
        assert_eq!(world.decided(), [""; 0]);
        world.after(MOMENT);
    }
    let Step::Act(pod, Ok(_)) = world.state.step(world.now) else { panic!("not placed") };
    world.state.not_bound(*pod, true, world.now);
    assert!(matches!(world.state.step(world.now), Step::Wait(None)), "it is gone");
}

#[test]
fn a_pod_that_somebody_else_bound_counts_where_it_is() {
    let mut world = World::new();
    world.node("a", json!({}));
    world.pod("p", requests("2", "1Gi"));
    let Step::Act(tried, Ok(_)) = world.state.step(world.now) else { panic!("not placed") };
    let bound = PodInfo { node_name: "a".into(), ..(*tried).clone() };
    world.state.pod_changed(Some(&tried), bound, world.now);
    world.state.not_bound(*tried, true, world.now);
    world.pod("q", requests("1", "1Gi"));
    assert_eq!(world.decided(), ["q nowhere"]);
}

#[test]
fn a_change_that_nobody_saw_costs_the_time_of_a_sweep() {
    let mut world = World::new();
    world.pod("p", json!({}));
    assert_eq!(world.decided(), ["p nowhere"]);
    let Step::Wait(Some(due)) = world.state.step(world.now) else { panic!("waits for ever") };
    assert_eq!(due, world.now + crate::queue::SWEEP);
    world.after(crate::queue::SWEEP);
    assert_eq!(world.decided(), ["p nowhere"]);
}

#[test]
fn what_is_said_of_a_pod_is_no_reason_to_try_it_and_a_new_spec_is() {
    let mut world = World::new();
    world.node("a", json!({}));
    world.pod("p", json!({"nodeSelector": {"gpu": "true"}}));
    assert_eq!(world.decided(), ["p nowhere"]);
    let old = ours(pod("p", json!({"nodeSelector": {"gpu": "true"}})));
    let told = PodInfo { unschedulable: Some("nowhere".into()), ..old.clone() };
    world.state.pod_changed(Some(&old), told.clone(), world.now);
    assert_eq!(world.decided(), [""; 0]);
    world.state.pod_changed(Some(&told), ours(pod("p", json!({}))), world.now);
    assert_eq!(world.decided(), ["p on a"]);
}
