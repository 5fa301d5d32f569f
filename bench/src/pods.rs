//! Pods one by one and many at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::{Cluster, Options, Watch, images, with_cluster};
use serde_json::{Value, json};

use crate::load;
use crate::table::{Table, median, quantile};

/// Pods that are made and deleted one after the other.
const SINGLE: usize = 60;
/// The first ones warm everything up.
const WARM: usize = 5;
/// Rounds of many Pods at once.
const ROUNDS: usize = 3;

/// Measures the group.
pub(crate) fn measure(podo: &Path, table: &mut Table) {
    let has_registry = images::missing().is_none();
    let options = Options { has_registry, binary: Some(podo.to_owned()), ..Options::default() };
    with_cluster(options, |it| {
        let (mut created, mut deleted) = single(it, has_registry);
        let (p50, p99) = (median(&mut created), quantile(&mut created, 0.99));
        table.row(
            "Pod create → Running seen by watch, p50 / p99",
            format!("{p50:.1} / {p99:.1} ms"),
            "≤ 25 / 80 ms",
            "482 / 555 ms",
        );
        let gone = median(&mut deleted);
        table.row(
            "Pod delete (exits on TERM) → gone, p50",
            format!("{gone:.1} ms"),
            "≤ 40 ms",
            "531 ms",
        );
        let mut fifty: Vec<f64> = (0..ROUNDS).map(|_| at_once(it, 50)).collect();
        let mut hundred: Vec<f64> = (0..ROUNDS).map(|_| at_once(it, 100)).collect();
        let measured = format!("{:.2} / {:.2} s", median(&mut fifty), median(&mut hundred));
        table.row(
            "50 / 100 Pods at once → all Running",
            measured,
            "≤ 0.6 / 1.2 s",
            "6.3 / 17.7 s (Deployment)",
        );
    });
}

/// A Pod that ends at once on TERM; of the built-in image where there is no registry.
fn polite(name: &str, has_registry: bool) -> Value {
    if !has_registry {
        return load::hello(name);
    }
    let script = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done";
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [
        {"name": "main", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]}]}})
}

fn single(it: &Cluster, has_registry: bool) -> (Vec<f64>, Vec<f64>) {
    let (mut created, mut deleted) = (Vec::new(), Vec::new());
    let mut watch = it.api.watch(&format!("{PODS}?watch=true&resourceVersion=0"));
    for index in 0..SINGLE + WARM {
        let name = format!("one-{index}");
        let began = Instant::now();
        it.api.post(PODS, &polite(&name, has_registry)).ok();
        until_event(&mut watch, &name, |event| event["object"]["status"]["phase"] == "Running");
        let running = began.elapsed().as_secs_f64() * 1000.0;
        let began = Instant::now();
        it.api.delete(&format!("{PODS}/{name}")).ok();
        until_event(&mut watch, &name, |event| event["type"] == "DELETED");
        if index >= WARM {
            created.push(running);
            deleted.push(began.elapsed().as_secs_f64() * 1000.0);
        }
    }
    (created, deleted)
}

fn until_event(watch: &mut Watch, name: &str, is_it: impl Fn(&Value) -> bool) {
    loop {
        let event = watch.next_event().expect("the watch goes on");
        if event["object"]["metadata"]["name"] == name && is_it(&event) {
            return;
        }
    }
}

/// Seconds from the first request until all Pods were seen running.
fn at_once(it: &Cluster, number: u64) -> f64 {
    let mut watch = it.api.watch(&format!("{PODS}?watch=true&resourceVersion=0"));
    let began = Instant::now();
    let writer = it.api.clone();
    let load = std::thread::spawn(move || {
        load::all(&writer, 16, number, |index| {
            ("POST", PODS.to_owned(), load::hello(&format!("many-{index}")).to_string().into())
        });
    });
    let mut running = BTreeSet::new();
    while (running.len() as u64) < number {
        let event = watch.next_event().expect("the watch goes on");
        if event["object"]["status"]["phase"] == "Running" && event["type"] != "DELETED" {
            running.insert(
                event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            );
        }
    }
    let taken = began.elapsed().as_secs_f64();
    load.join().expect("the load generator does not fail");
    remove_all(it);
    taken
}

/// Deletes all Pods at once and waits until they are gone.
pub(crate) fn remove_all(it: &Cluster) {
    let list = it.api.get(PODS).ok();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let mut watch = it.api.watch(&format!("{PODS}?watch=true&resourceVersion={version}"));
    let mut left: BTreeSet<String> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned()))
        .collect();
    it.api.request("DELETE", &format!("{PODS}?gracePeriodSeconds=1"), &[], Bytes::new()).ok();
    while !left.is_empty() {
        let event = watch.next_event().expect("the watch goes on");
        if event["type"] == "DELETED" {
            left.remove(event["object"]["metadata"]["name"].as_str().unwrap_or_default());
        }
    }
}
