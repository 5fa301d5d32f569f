//! The load generator: clients with connections of their own that send one request after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use podo_cluster_tests::Api;
use podo_cluster_tests::api::JSON;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Sends requests from `clients` connections for a while; `request` makes method, path and body of the n-th of all. Returns the number
/// of successes a second.
pub(crate) fn per_second(
    api: &Api,
    clients: usize,
    time: Duration,
    request: impl Fn(u64) -> (&'static str, String, Bytes) + Send + Sync + 'static,
) -> f64 {
    let (request, count, done) =
        (Arc::new(request), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let connections: Vec<Api> = (0..clients).map(|_| api.again()).collect();
    let began = Instant::now();
    api.block_on(async {
        let mut tasks = JoinSet::new();
        for connection in connections {
            let (request, count, done) =
                (Arc::clone(&request), Arc::clone(&count), Arc::clone(&done));
            tasks.spawn(async move {
                while began.elapsed() < time {
                    let (method, path, body) = request(count.fetch_add(1, Ordering::Relaxed));
                    send(&connection, method, &path, body).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        tasks.join_all().await;
    });
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
    let done = done.load(Ordering::Relaxed) as f64;
    done / began.elapsed().as_secs_f64()
}

/// Sends all of a number of requests, as many at a time as there are clients.
pub(crate) fn all(
    api: &Api,
    clients: usize,
    number: u64,
    request: impl Fn(u64) -> (&'static str, String, Bytes) + Send + Sync + 'static,
) {
    let (request, count) = (Arc::new(request), Arc::new(AtomicU64::new(0)));
    let connections: Vec<Api> = (0..clients).map(|_| api.again()).collect();
    api.block_on(async {
        let mut tasks = JoinSet::new();
        for connection in connections {
            let (request, count) = (Arc::clone(&request), Arc::clone(&count));
            tasks.spawn(async move {
                loop {
                    let index = count.fetch_add(1, Ordering::Relaxed);
                    if index >= number {
                        return;
                    }
                    let (method, path, body) = request(index);
                    send(&connection, method, &path, body).await;
                }
            });
        }
        tasks.join_all().await;
    });
}

/// A request that must succeed.
pub(crate) async fn send(api: &Api, method: &str, path: &str, body: Bytes) {
    let answer = api.call(method, path, &[("content-type", JSON)], body).await.expect("an answer");
    assert!(
        (200..300).contains(&answer.status),
        "{method} {path}: {} {}",
        answer.status,
        answer.text()
    );
}

/// A ConfigMap of one kilobyte.
pub(crate) fn config_map(name: &str) -> Bytes {
    json!({"metadata": {"name": name}, "data": {"text": "x".repeat(900)}}).to_string().into()
}

/// A Pod of the built-in image, which needs no registry.
pub(crate) fn hello(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [
        {"name": "hello", "image": "podo.local/hello", "imagePullPolicy": "Never"}]}})
}
