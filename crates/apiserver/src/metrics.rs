//! `/metrics` in the text form of Prometheus, under upstream's names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use parking_lot::Mutex;

use crate::http::{Response, respond};
use crate::server::Server;

/// The upper bounds of the request duration histogram, in seconds (a part of upstream's buckets).
const BUCKETS: [f64; 12] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 10.0, 60.0];

/// What a request is counted under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestKey {
    pub(crate) verb: &'static str,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) subresource: &'static str,
    pub(crate) scope: &'static str,
    pub(crate) code: u16,
}

#[derive(Debug, Default, Clone)]
struct Histogram {
    counts: [u64; BUCKETS.len()],
    total: u64,
    seconds: f64,
}

/// What the server counts. The keys are bounded by the kinds, verbs and codes that there are.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<RequestKey, Histogram>>,
}

impl Metrics {
    /// Counts a request.
    pub(crate) fn record(&self, key: RequestKey, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let mut requests = self.requests.lock();
        let histogram = requests.entry(key).or_default();
        histogram.total += 1;
        histogram.seconds += seconds;
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            histogram.counts[bucket] += 1;
        }
    }
}

/// The answer to `/metrics`.
pub(crate) fn serve(server: &Server) -> Response {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _infallible = requests(&server.metrics, &mut out).and_then(|()| store(server, &mut out));
    in_text(out)
}

/// An answer in the text form of Prometheus.
pub(crate) fn in_text(text: String) -> Response {
    let media_type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    respond(200, text.into_bytes(), media_type, false)
}

fn requests(metrics: &Metrics, out: &mut String) -> std::fmt::Result {
    let requests = metrics.requests.lock().clone();
    writeln!(out, "# HELP apiserver_request_total Requests that were answered.")?;
    writeln!(out, "# TYPE apiserver_request_total counter")?;
    for (key, histogram) in &requests {
        writeln!(
            out,
            "apiserver_request_total{{code=\"{}\",component=\"apiserver\",dry_run=\"\",{}}} {}",
            key.code,
            labels(key),
            histogram.total
        )?;
    }
    writeln!(out, "# HELP apiserver_request_duration_seconds How long requests took.")?;
    writeln!(out, "# TYPE apiserver_request_duration_seconds histogram")?;
    for (key, histogram) in &requests {
        let labels = labels(key);
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(histogram.counts) {
            below += count;
            writeln!(
                out,
                "apiserver_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {below}"
            )?;
        }
        writeln!(
            out,
            "apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {}",
            histogram.total
        )?;
        writeln!(out, "apiserver_request_duration_seconds_sum{{{labels}}} {}", histogram.seconds)?;
        writeln!(out, "apiserver_request_duration_seconds_count{{{labels}}} {}", histogram.total)?;
    }
    Ok(())
}

fn labels(key: &RequestKey) -> String {
    format!(
        "group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
        key.group, key.resource, key.scope, key.subresource, key.verb, key.version
    )
}

fn store(server: &Server, out: &mut String) -> std::fmt::Result {
    writeln!(out, "# TYPE apiserver_storage_objects gauge")?;
    for kind in podo_registry::KINDS {
        let bucket = kind.bucket();
        if let Ok(snapshot) = server.api.store.snapshot(&bucket, None) {
            let count = snapshot.count(&podo_store::Range::all(&bucket));
            writeln!(out, "apiserver_storage_objects{{resource=\"{bucket}\"}} {count}")?;
        }
    }
    let resident = resident_bytes().unwrap_or(0);
    writeln!(
        out,
        "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {resident}"
    )
}

/// Resident memory of this process (`proc_pid_statm(5)`); pages of 4 KiB.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
