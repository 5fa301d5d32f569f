//! All containers of a Pod made anew, since one of them ended as its rule says.

use super::*;

fn condition(pod: &Value) -> &str {
    let conditions = pod["status"]["conditions"].as_array();
    let mut all = conditions.into_iter().flatten();
    let found = all.find(|one| one["type"] == "AllContainersRestarting");
    found.and_then(|one| one["status"].as_str()).unwrap_or("none")
}

fn spec() -> Value {
    let mut trigger = container("a");
    trigger["restartPolicyRules"] = json!([{"action": "RestartAllContainers",
        "exitCodes": {"operator": "In", "values": [42]}}]);
    json!({"restartPolicy": "Never", "initContainers": [container("i")],
        "containers": [trigger, container("b")]})
}

#[tokio::test(start_paused = true)]
async fn every_container_is_ended_at_once_removed_and_made_anew_in_the_same_sandbox() {
    let mut node = node().await;
    node.cri.script("i", &[0, 0]);
    node.put(spec());
    let began = node.running().await;
    assert_eq!(condition(&began), "False");
    let told = node.wait(|pod| condition(pod) == "True");
    node.cri.exit("a", 42, true);
    told.await;
    let anew = node
        .wait(|pod| {
            let both = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
            condition(pod) == "False"
                && restarts(pod) == 1
                && both.clone().count() == 2
                && both.clone().all(|one| one["state"]["running"].is_object())
        })
        .await;
    let removed = ["remove container"; 3];
    let calls = node.cri.calls();
    assert_eq!(calls[..4], ["sandbox 0", "start i", "start a", "start b"]);
    assert_eq!(calls[4], "stop b 0");
    assert_eq!(calls[5..8], removed);
    assert_eq!(calls[8..], ["start i", "start a", "start b"]);
    assert_eq!(anew["status"]["phase"], "Running");
    assert_eq!(anew["status"]["podIP"], began["status"]["podIP"]);
    let init = &anew["status"]["initContainerStatuses"][0];
    assert_eq!(init["restartCount"], 1);
    let last = &init["lastState"]["terminated"];
    assert_eq!(
        (&last["reason"], &last["exitCode"]),
        (&json!("RestartingAllContainers"), &json!(137))
    );
    node.stop().await;
    node.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_it_again_and_again_waits_longer_each_time() {
    let node = node().await;
    node.cri.script("i", &[0, 0, 0, 0]);
    node.put(spec());
    node.running().await;
    let mut took = Vec::new();
    for count in 1..=3 {
        let began = tokio::time::Instant::now();
        node.cri.exit("a", 42, true);
        node.wait(|pod| restarts(pod) == count && is_running(pod)).await;
        took.push(began.elapsed().as_secs());
    }
    assert_eq!(took, [0, 10, 20]);
}
