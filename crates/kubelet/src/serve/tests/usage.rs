//! What things use.

use super::*;

#[tokio::test]
async fn the_summary_tells_node_pods_and_containers() {
    let mut fixture = Fixture::start().await;
    let (code, text) = fixture.get("/stats/summary").await;
    assert_eq!(code, 200, "{text}");
    let summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["node"]["nodeName"], "n");
    assert!(summary["node"]["memory"]["workingSetBytes"].as_u64().unwrap() > 1 << 20);
    assert!(summary["node"]["cpu"]["usageCoreNanoSeconds"].as_u64().unwrap() > 0);
    let pod = &summary["pods"][0];
    assert_eq!(pod["podRef"], serde_json::json!({"name": "p", "namespace": "default", "uid": "u"}));
    assert_eq!(pod["containers"][0]["cpu"]["usageCoreNanoSeconds"], 1_500_000_000_u64);
    assert_eq!(pod["containers"][0]["memory"]["time"], "2023-11-14T22:13:20Z");
    fixture.stop().await;
}

#[tokio::test]
async fn metrics_count_what_was_asked_and_what_runs() {
    let mut fixture = Fixture::start().await;
    fixture.get("/healthz").await;
    let (_, text) = fixture.get("/metrics").await;
    for row in [
        "kubelet_running_pods 1",
        "kubelet_running_containers{container_state=\"running\"} 1",
        "kubelet_http_requests_total{path=\"healthz\",verb=\"get\",code=\"200\"} 1",
        "kubelet_streams 0",
    ] {
        assert!(text.lines().any(|line| line == row), "{row} in\n{text}");
    }
    let (_, text) = fixture.get("/metrics/resource").await;
    for row in [
        "pod_memory_working_set_bytes{namespace=\"default\",pod=\"p\"} 4096 1700000000000",
        "container_cpu_usage_seconds_total{container=\"c\",namespace=\"default\",pod=\"p\"} 1.500000000 1700000000000",
    ] {
        assert!(text.lines().any(|line| line == row), "{row} in\n{text}");
    }
    fixture.stop().await;
}
