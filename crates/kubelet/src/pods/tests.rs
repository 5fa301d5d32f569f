use super::*;
use serde_json::json;

fn pod(name: &str, priority: i32, cpu: &str) -> Arc<PodView> {
    let value = json!({"metadata": {"name": name, "namespace": "n", "uid": name},
        "spec": {"priority": priority, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
    Arc::new(PodView::new(serde_json::from_value(value).expect("a Pod")))
}

/// A node of two CPUs with Pods of a quarter and one that takes the rest.
fn full() -> Registry {
    let amounts = [("cpu", "2"), ("pods", "9")];
    let amounts = amounts.map(|(name, text)| (name.to_owned(), text.parse().expect("a quantity")));
    let registry = Registry::new(amounts.into());
    for (name, cpu) in [("a", "250m"), ("b", "250m"), ("rest", "1500m")] {
        let pod = pod(name, 0, cpu);
        registry.add(&pod).expect("new");
        let offer = NodeOffer { allocatable: registry.allocatable.clone(), ..NodeOffer::default() };
        registry.admit(&pod, &offer).expect("it fits");
    }
    registry
}

fn fits(registry: &Registry, pod: &PodView) -> bool {
    registry.resize(pod).is_ok()
}

#[test]
fn room_is_kept_for_who_is_more_important_though_another_asks_first() {
    let registry = full();
    let (a, b) = (pod("a", 0, "1"), pod("b", 10, "1"));
    assert!(!fits(&registry, &a) && !fits(&registry, &b));
    registry.hold(&pod("rest", 0, "750m"));
    assert!(!fits(&registry, &a));
    assert!(fits(&registry, &b));
}

#[test]
fn of_equals_who_has_waited_longer_comes_first() {
    let registry = full();
    let (a, b) = (pod("a", 0, "1"), pod("b", 0, "1"));
    assert!(!fits(&registry, &b) && !fits(&registry, &a) && !fits(&registry, &b));
    registry.hold(&pod("rest", 0, "750m"));
    assert!(!fits(&registry, &a));
    assert!(fits(&registry, &b));
}

#[test]
fn room_that_is_no_longer_wanted_is_kept_no_longer() {
    let registry = full();
    let (a, b) = (pod("a", 0, "1"), pod("b", 10, "1"));
    assert!(!fits(&registry, &a) && !fits(&registry, &b));
    registry.hold(&pod("rest", 0, "750m"));
    registry.withdraw("b");
    assert!(fits(&registry, &a));
}

#[test]
fn what_a_pod_has_counts_until_it_has_less() {
    let registry = full();
    assert!(fits(&registry, &pod("rest", 0, "500m")));
    assert!(!fits(&registry, &pod("a", 0, "1")), "it has not given anything back yet");
    registry.hold(&pod("rest", 0, "500m"));
    assert!(fits(&registry, &pod("a", 0, "1")));
}
