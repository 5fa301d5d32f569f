//! Lists of ten thousand Pods in each encoding.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::{Api, Options, with_cluster};
use serde_json::{Value, json};

use crate::load;
use crate::table::{Table, median};

const PODS_TOTAL: u64 = 10_000;
const RUNS: usize = 7;
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Measures the group.
pub(crate) fn measure(podo: &Path, table: &mut Table) {
    let args = vec!["--no-scheduler".to_owned()];
    let options =
        Options { has_registry: false, binary: Some(podo.to_owned()), args, ..Options::default() };
    with_cluster(options, |it| {
        load::all(&it.api, 32, PODS_TOTAL, |index| {
            ("POST", PODS.to_owned(), waiting(&format!("pod-{index}")).to_string().into())
        });
        let (json, json_bytes) = list(&it.api, "application/json");
        let (protobuf, protobuf_bytes) = list(&it.api, PROTOBUF);
        let (rows, _) = list(&it.api, TABLE);
        let measured = format!(
            "{json:.0} / {protobuf:.0} / {rows:.0} ms ({:.1} / {:.1} MB)",
            json_bytes / 1e6,
            protobuf_bytes / 1e6
        );
        table.row(
            "LIST 10,000 Pods JSON / protobuf / Table",
            measured,
            "≤ 25 / 15 / 25 ms",
            "365 / 170 / 145 ms (21 / 11.8 MB)",
        );
    });
}

/// A Pod that nobody starts, of a usual size.
fn waiting(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": "bench", "tier": "none"}}, "spec": {"containers": [
        {"name": "main", "image": "docker.io/library/busybox:1.35", "command": ["sleep", "3600"],
         "env": [{"name": "A", "value": "one"}, {"name": "B", "value": "two"}], "ports": [{"containerPort": 8080}],
         "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}]}})
}

/// Milliseconds until the last byte, and how many bytes they were. They are counted, not kept: what keeping them costs is not the
/// server's.
fn list(api: &Api, accept: &str) -> (f64, f64) {
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..RUNS {
        let began = Instant::now();
        bytes = api.block_on(length(api, accept));
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let bytes = bytes as f64;
    (median(&mut times), bytes)
}

async fn length(api: &Api, accept: &str) -> usize {
    let answer = api.open("GET", PODS, &[("accept", accept)], Bytes::new()).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 200);
    let (mut body, mut length) = (answer.into_body(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.expect("the whole body");
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    length
}
