//! One hundred watchers: how many events they are given a second, and how long after the write.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use podo_cluster_tests::{Api, Options, with_cluster};
use serde_json::json;
use tokio::task::JoinSet;

use crate::load;
use crate::table::{Table, median, quantile};
use crate::writes::MAPS;

const WATCHERS: usize = 100;
/// Writes of the fan-out: each becomes an event for every watcher.
const WRITES: u64 = 5_000;
/// Writes of the latency run, and how long after one another they are.
const PACED: u64 = 500;
const PERIOD: Duration = Duration::from_millis(20);
/// The field that carries the moment of the write.
const STAMP: &[u8] = b"\"stamp\":\"";

/// Measures the group.
pub(crate) fn measure(podo: &Path, table: &mut Table) {
    let options =
        Options { has_registry: false, binary: Some(podo.to_owned()), ..Options::default() };
    with_cluster(options, |it| {
        let rate = fan_out(&it.api);
        table.row(
            "watch fan-out, 100 watchers, events/s delivered",
            format!("{rate:.0}"),
            "≥ 400 k",
            "49 k",
        );
        let mut late = latency(&it.api);
        let (p50, p99) = (median(&mut late), quantile(&mut late, 0.99));
        table.row(
            "write → 100 watchers at 50 writes/s, p50 / p99",
            format!("{p50:.2} / {p99:.2} ms"),
            "≤ 0.8 / 3 ms",
            "3.2 / 13–35 ms",
        );
    });
}

fn version(api: &Api) -> String {
    let list = api.get(&format!("{MAPS}?limit=1")).ok();
    list["metadata"]["resourceVersion"].as_str().expect("a list has a version").to_owned()
}

/// Opens the watches and hands each of their frames to `take`, until it says that this watcher has had enough.
fn watchers(
    api: &Api,
    selector: &str,
    take: impl Fn(&[u8]) -> bool + Clone + Send + 'static,
) -> JoinSet<()> {
    let path =
        format!("{MAPS}?watch=true&resourceVersion={}&labelSelector={selector}", version(api));
    let mut tasks = JoinSet::new();
    for _ in 0..WATCHERS {
        let (connection, take) = (api.again(), take.clone());
        let opened =
            api.block_on(connection.open("GET", &path, &[], Bytes::new())).expect("a watch");
        assert_eq!(opened.status().as_u16(), 200);
        let mut body = opened.into_body();
        api.block_on(async {
            tasks.spawn(async move {
                let _connection = connection;
                while let Some(Ok(frame)) = body.frame().await {
                    if frame.data_ref().is_some_and(|data| take(data)) {
                        return;
                    }
                }
                panic!("the watch ended");
            });
        });
    }
    tasks
}

fn lines(data: &[u8]) -> u64 {
    data.split(|byte| *byte == b'\n').count() as u64 - 1
}

fn fan_out(api: &Api) -> f64 {
    let total = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&total);
    let all = WRITES * WATCHERS as u64;
    let done = Arc::new(tokio::sync::Notify::new());
    let tell = Arc::clone(&done);
    let tasks = watchers(api, "run%3Dfan-out", move |data| {
        let before = counter.fetch_add(lines(data), Ordering::Relaxed);
        if before + lines(data) >= all {
            tell.notify_one();
        }
        false
    });
    let began = Instant::now();
    load::all(api, 16, WRITES, |index| {
        let object = json!({"metadata": {"name": format!("fan-{index}"), "labels": {"run": "fan-out"}}, "data": {"text": "x".repeat(100)}});
        ("POST", MAPS.to_owned(), object.to_string().into())
    });
    api.in_time(Duration::from_secs(60), async {
        done.notified().await;
        Ok(())
    })
    .unwrap_or_else(|error| {
        panic!("{} of {all} events came: {error}", total.load(Ordering::Relaxed))
    });
    drop(tasks);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 events")]
    let all = all as f64;
    all / began.elapsed().as_secs_f64()
}

/// Milliseconds from the moment before each write was sent to its event at each watcher.
fn latency(api: &Api) -> Vec<f64> {
    let epoch = Instant::now();
    let (sender, receiver) = std::sync::mpsc::sync_channel(WATCHERS * 1000);
    let mut tasks = watchers(api, "run%3Dlatency", move |data| {
        let now = epoch.elapsed();
        for at in stamps(data) {
            let late = now.as_secs_f64() * 1000.0 - at;
            // The receiver takes all of them at the end; there is room for every one.
            sender.try_send(late).expect("room for all");
        }
        stamps(data)
            .last()
            .is_some_and(|_| lines(data) > 0 && data.windows(4).any(|part| part == b"last"))
    });
    api.block_on(async {
        let mut ticks = tokio::time::interval(PERIOD);
        for index in 0..PACED {
            ticks.tick().await;
            let name = if index + 1 == PACED { "last".to_owned() } else { format!("paced-{index}") };
            let stamp = format!("{:.4}", epoch.elapsed().as_secs_f64() * 1000.0);
            let object = json!({"metadata": {"name": name, "labels": {"run": "latency"}}, "data": {"stamp": stamp}});
            load::send(api, "POST", MAPS, object.to_string().into()).await;
        }
        while tasks.join_next().await.is_some() {}
    });
    receiver.try_iter().collect()
}

/// The moments in the events of a frame.
fn stamps(data: &[u8]) -> impl Iterator<Item = f64> + '_ {
    let starts = data.windows(STAMP.len()).enumerate().filter(|(_, part)| *part == STAMP);
    starts.filter_map(move |(at, _)| {
        let rest = data.get(at + STAMP.len()..)?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
    })
}
