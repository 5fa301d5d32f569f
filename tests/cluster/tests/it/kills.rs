//! `kill -9` of the server at random moments, under writers, with Pods running: nothing acknowledged is lost, no revision is used
//! twice, no watch misses or repeats an event, and no container is lost or restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use podo_cluster_tests::api::{JSON, Lines};
use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{container, idle, is_ready, pod, restarts};
use podo_cluster_tests::{Api, Cluster};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{number, on_cluster};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const OURS: &str = "labelSelector=test%3Dkills";

/// What the writers and the watcher have seen.
#[derive(Default)]
struct Seen {
    /// Acknowledged writes: name to its last round and revision.
    written: BTreeMap<String, (u64, u64)>,
    /// Every revision of an acknowledged write.
    revisions: BTreeSet<u64>,
    /// How many writes were acknowledged.
    count: u64,
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Creates its object and replaces it again and again; returns what was acknowledged.
async fn write(api: Api, index: usize, stop: Arc<AtomicBool>) -> Result<Seen, String> {
    let name = format!("w{index}");
    let mut seen = Seen::default();
    let mut round = 0;
    while !stop.load(Ordering::Acquire) {
        round += 1;
        let object = json!({"metadata": {"name": name, "labels": {"test": "kills"}}, "data": {"round": round.to_string()}});
        let (method, path) = if seen.count == 0 {
            ("POST", MAPS.to_owned())
        } else {
            ("PUT", format!("{MAPS}/{name}"))
        };
        let sent =
            api.call(method, &path, &[("content-type", JSON)], Bytes::from(object.to_string()));
        let answer = tokio::time::timeout(Duration::from_secs(5), sent).await;
        let Ok(Ok(answer)) = answer else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        match answer.status {
            200 | 201 => {
                let version = revision(&answer.json());
                if !seen.revisions.insert(version) {
                    return Err(format!("revision {version} was given twice to {name}"));
                }
                let last = seen.written.insert(name.clone(), (round, version));
                if last.is_some_and(|(_, before)| before >= version) {
                    return Err(format!("{name} went back from {last:?} to {version}"));
                }
                seen.count += 1;
            }
            // It was made by a request whose answer was lost.
            409 if method == "POST" => seen.count += 1,
            status if status >= 500 || status == 429 => {}
            status => return Err(format!("{method} {path}: {status} {}", answer.text())),
        }
    }
    Ok(seen)
}

/// Follows all objects over every restart, from the revision where it stopped; returns revision and round of each event by name.
async fn follow(
    api: Api,
    from: u64,
    until: Arc<AtomicU64>,
) -> Result<BTreeMap<u64, (String, u64)>, String> {
    let mut events = BTreeMap::new();
    let mut last = from;
    loop {
        let path =
            format!("{MAPS}?watch=true&{OURS}&allowWatchBookmarks=true&resourceVersion={last}");
        let opened =
            tokio::time::timeout(Duration::from_secs(5), api.open("GET", &path, &[], Bytes::new()));
        let opened = opened.await.ok().and_then(Result::ok);
        let Some(answer) = opened.filter(|answer| answer.status().is_success()) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let mut lines = Lines::new(answer.into_body());
        loop {
            let end = until.load(Ordering::Acquire);
            if end > 0 && last >= end {
                return Ok(events);
            }
            let Ok(next) = tokio::time::timeout(Duration::from_millis(200), lines.next()).await
            else {
                continue;
            };
            let Ok(Some(event)) = next else { break };
            let version = revision(&event["object"]);
            match event["type"].as_str() {
                Some("BOOKMARK") => {}
                Some("ADDED" | "MODIFIED") if version > last => {
                    let name =
                        event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                    let round = event["object"]["data"]["round"]
                        .as_str()
                        .and_then(|text| text.parse().ok());
                    events.insert(version, (name, round.unwrap_or(0)));
                }
                _ => return Err(format!("after {last}: {event}")),
            }
            last = last.max(version);
        }
    }
}

fn ids(it: &Cluster, count: usize) -> Vec<Value> {
    (0..count)
        .map(|index| {
            let seen = it.api.get(&format!("{PODS}/p{index}")).ok();
            assert_eq!(restarts(&seen, "main"), 0, "{:#}", seen["status"]);
            container(&seen, "main")["containerID"].clone()
        })
        .collect()
}

/// A random number below a bound.
fn below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut bytes)
        .unwrap();
    u64::from_le_bytes(bytes) % bound
}

#[test]
fn kill_nine_under_load_loses_nothing() {
    let (kills, writers, pods) = (
        number("PODO_TEST_KILLS", 10),
        number("PODO_TEST_WRITERS", 16),
        number("PODO_TEST_PODS", 8),
    );
    on_cluster(|it| {
        for index in 0..pods {
            it.create_pod(&pod(&format!("p{index}"), json!({"containers": [idle("main")]})));
        }
        for index in 0..pods {
            it.until(&format!("p{index}"), "is ready", is_ready);
        }
        let before = ids(it, pods);
        let from = it.api.get(MAPS).ok();
        let load = it.api.clone();
        let (stop, end) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut tasks, mut watcher) = (JoinSet::new(), JoinSet::new());
        load.block_on(async {
            for index in 0..writers {
                tasks.spawn(write(load.clone(), index, Arc::clone(&stop)));
            }
            watcher.spawn(follow(load.clone(), revision(&from), Arc::clone(&end)));
        });
        for _ in 0..kills {
            load.block_on(async { tokio::time::sleep(Duration::from_millis(below(400))).await });
            it.kill();
            it.restart();
        }
        load.block_on(async { tokio::time::sleep(Duration::from_millis(300)).await });
        stop.store(true, Ordering::Release);
        let mut all = Seen::default();
        let finished = load.block_on(async { tasks.join_all().await });
        for seen in finished {
            let seen = seen.unwrap();
            all.count += seen.count;
            for version in seen.revisions {
                assert!(
                    all.revisions.insert(version),
                    "revision {version} was given to two writers"
                );
            }
            all.written.extend(seen.written);
        }
        let list = it.api.get(&format!("{MAPS}?{OURS}")).ok();
        end.store(
            list["items"].as_array().unwrap().iter().map(revision).max().unwrap_or(1),
            Ordering::Release,
        );
        let events = load.block_on(async { watcher.join_all().await }).remove(0).unwrap();
        check(&list, &all, &events);
        for index in 0..pods {
            it.until(&format!("p{index}"), "is ready", is_ready);
        }
        assert_eq!(ids(it, pods), before, "containers were lost or restarted");
        podo_cluster_tests::note(&format!(
            "{kills} kills, {} acknowledged writes, {} events",
            all.count,
            events.len()
        ));
    });
}

fn check(list: &Value, all: &Seen, events: &BTreeMap<u64, (String, u64)>) {
    let stored: BTreeMap<&str, u64> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let round = item["data"]["round"].as_str().unwrap().parse().unwrap();
            (item["metadata"]["name"].as_str().unwrap(), round)
        })
        .collect();
    assert!(!all.written.is_empty());
    for (name, (round, _)) in &all.written {
        // A later write may have been stored without its answer having come.
        assert!(
            stored.get(name.as_str()).is_some_and(|now| now >= round),
            "{name} {round}: {stored:?}"
        );
    }
    for version in &all.revisions {
        assert!(events.contains_key(version), "the watch missed revision {version}");
    }
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, round) in events.values() {
        let before = last.insert(name, *round);
        assert!(
            before.is_none_or(|before| before < *round),
            "{name} went from {before:?} to {round}"
        );
    }
}
