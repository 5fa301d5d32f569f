//! `/metrics` and `/metrics/resource`: counters of the node agent, and what everything uses, as Prometheus reads them.
//!
//! Holds     one row for each route, method and code that occurred: their number is bounded by the product of the three.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use parking_lot::Mutex;
use podo_api::Status;
use podo_cri::v1;

use super::handler::Server;
use super::reply::{self, Response};
use super::summary::{sandboxes, value};

/// The type of Prometheus' text format.
const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
    streams: AtomicU64,
}

/// A stream that is counted while it lives.
#[derive(Debug)]
pub(super) struct StreamCount(Arc<Server>);

impl StreamCount {
    /// Counts a stream.
    pub(super) fn new(server: &Arc<Server>) -> Self {
        server.metrics.streams.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(server))
    }
}

impl Drop for StreamCount {
    fn drop(&mut self) {
        self.0.metrics.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub(super) fn count_request(&self, route: &'static str, verb: &'static str, code: u16) {
        *self.requests.lock().entry((route, verb, code)).or_default() += 1;
    }
}

/// Metrics of the node agent.
pub(super) async fn agent(server: &Arc<Server>) -> Result<Response, Status> {
    let sandboxes = sandboxes(server).await?;
    let containers: usize = sandboxes
        .iter()
        .filter_map(|sandbox| sandbox.linux.as_ref())
        .map(|linux| linux.containers.len())
        .sum();
    let mut out = String::new();
    head(
        &mut out,
        "kubelet_running_pods",
        "gauge",
        "Number of pods that have a running pod sandbox",
    );
    row(&mut out, "kubelet_running_pods", &[], sandboxes.len());
    head(&mut out, "kubelet_running_containers", "gauge", "Number of containers currently running");
    row(&mut out, "kubelet_running_containers", &[("container_state", "running")], containers);
    head(
        &mut out,
        "kubelet_http_requests_total",
        "counter",
        "Number of the http requests received since the server started",
    );
    for ((route, verb, code), count) in server.metrics.requests.lock().iter() {
        let code = code.to_string();
        row(
            &mut out,
            "kubelet_http_requests_total",
            &[("path", route), ("verb", verb), ("code", &code)],
            count,
        );
    }
    head(
        &mut out,
        "kubelet_streams",
        "gauge",
        "Number of open exec, attach and port-forward connections",
    );
    row(&mut out, "kubelet_streams", &[], server.metrics.streams.load(Ordering::Relaxed));
    Ok(reply::with_type(TEXT_FORMAT, out))
}

/// What node, Pods and containers use (Kubernetes v1.36 `/metrics/resource`, which metrics-server reads).
pub(super) async fn resources(server: &Arc<Server>) -> Result<Response, Status> {
    let usage = server.usage.read(server.node.now()).await;
    let sandboxes = sandboxes(server).await?;
    let mut out = String::new();
    let millis = usage.at.as_micros() / 1_000;
    head(
        &mut out,
        "node_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the node in core-seconds",
    );
    timed_row(&mut out, "node_cpu_usage_seconds_total", &[], &seconds(usage.cpu_nanos), millis);
    head(
        &mut out,
        "node_memory_working_set_bytes",
        "gauge",
        "Current working set of the node in bytes",
    );
    timed_row(
        &mut out,
        "node_memory_working_set_bytes",
        &[],
        &usage.working_set().to_string(),
        millis,
    );
    pod_rows(&mut out, &sandboxes);
    container_rows(&mut out, &sandboxes);
    head(
        &mut out,
        "resource_scrape_error",
        "gauge",
        "1 if there was an error while getting container metrics, 0 otherwise",
    );
    row(&mut out, "resource_scrape_error", &[], 0);
    Ok(reply::with_type(TEXT_FORMAT, out))
}

fn pod_rows(out: &mut String, sandboxes: &[v1::PodSandboxStats]) {
    let each = |out: &mut String, name: &str, read: fn(&v1::LinuxPodSandboxStats) -> Sample| {
        for (metadata, linux) in named(sandboxes) {
            let labels =
                [("namespace", metadata.namespace.as_str()), ("pod", metadata.name.as_str())];
            sample_row(out, name, &labels, read(linux));
        }
    };
    head(
        out,
        "pod_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the pod in core-seconds",
    );
    each(out, "pod_cpu_usage_seconds_total", |linux| cpu_sample(linux.cpu.as_ref()));
    head(out, "pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes");
    each(out, "pod_memory_working_set_bytes", |linux| memory_sample(linux.memory.as_ref()));
}

fn container_rows(out: &mut String, sandboxes: &[v1::PodSandboxStats]) {
    let each = |out: &mut String, name: &str, read: fn(&v1::ContainerStats) -> Sample| {
        for (metadata, linux) in named(sandboxes) {
            for container in &linux.containers {
                let attributes = container
                    .attributes
                    .as_ref()
                    .and_then(|attributes| attributes.metadata.as_ref());
                let container_name = attributes.map_or("", |attributes| attributes.name.as_str());
                let labels = [
                    ("container", container_name),
                    ("namespace", metadata.namespace.as_str()),
                    ("pod", metadata.name.as_str()),
                ];
                sample_row(out, name, &labels, read(container));
            }
        }
    };
    head(
        out,
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
    );
    each(out, "container_cpu_usage_seconds_total", |container| cpu_sample(container.cpu.as_ref()));
    head(
        out,
        "container_memory_working_set_bytes",
        "gauge",
        "Current working set of the container in bytes",
    );
    each(out, "container_memory_working_set_bytes", |container| {
        memory_sample(container.memory.as_ref())
    });
}

/// A value and the nanoseconds since 1970 when it was taken.
type Sample = Option<(String, i64)>;

fn cpu_sample(cpu: Option<&v1::CpuUsage>) -> Sample {
    cpu.and_then(|cpu| Some((seconds(value(cpu.usage_core_nano_seconds.as_ref())?), cpu.timestamp)))
}

fn memory_sample(memory: Option<&v1::MemoryUsage>) -> Sample {
    memory.and_then(|memory| {
        Some((value(memory.working_set_bytes.as_ref())?.to_string(), memory.timestamp))
    })
}

fn named(
    sandboxes: &[v1::PodSandboxStats],
) -> impl Iterator<Item = (&v1::PodSandboxMetadata, &v1::LinuxPodSandboxStats)> {
    sandboxes.iter().filter_map(|sandbox| {
        Some((sandbox.attributes.as_ref()?.metadata.as_ref()?, sandbox.linux.as_ref()?))
    })
}

fn seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _infallible = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample_row(out: &mut String, name: &str, labels: &[(&str, &str)], sample: Sample) {
    if let Some((value, nanos)) = sample {
        timed_row(out, name, labels, &value, nanos / 1_000_000);
    }
}

fn timed_row(out: &mut String, name: &str, labels: &[(&str, &str)], value: &str, millis: i64) {
    row(out, name, labels, format_args!("{value} {millis}"));
}

fn row(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    out.push_str(name);
    for (index, (label, value)) in labels.iter().enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _infallible = write!(out, "{label}=\"{value}\"");
    }
    if !labels.is_empty() {
        out.push('}');
    }
    let _infallible = writeln!(out, " {value}");
}
