//! `/stats/summary`: what the node, its Pods and their containers use (Kubernetes v1.36 `stats/v1alpha1`).

use std::sync::Arc;

use podo_api::{Reason, Status, Value};
use podo_base::Timestamp;
use podo_cri::v1;
use serde_json::{Map, json};

use super::handler::Server;
use super::node_usage::Usage;
use super::reply::{self, Response};

/// Answers with what everything uses.
pub(super) async fn summary(server: &Arc<Server>) -> Result<Response, Status> {
    let usage = server.usage.read(server.node.now()).await;
    let sandboxes = sandboxes(server).await?;
    let pods: Vec<Value> = sandboxes.iter().map(pod).collect();
    let summary = json!({"node": node(server.node.node_name(), &usage), "pods": pods});
    Ok(reply::json(summary.to_string()))
}

/// What ready sandboxes use.
pub(super) async fn sandboxes(server: &Server) -> Result<Vec<v1::PodSandboxStats>, Status> {
    let answer = server.node.sandbox_stats().await;
    answer.map_err(|error| Status::failure(Reason::InternalError, error.message()))
}

fn node(name: &str, usage: &Usage) -> Value {
    let at = usage.at.to_rfc3339();
    let mut cpu = json!({"time": at, "usageCoreNanoSeconds": usage.cpu_nanos});
    if let Some(rate) = usage.cpu_rate {
        cpu["usageNanoCores"] = rate.into();
    }
    json!({
        "nodeName": name,
        "startTime": usage.booted_at.to_rfc3339(),
        "cpu": cpu,
        "memory": {
            "time": at,
            "availableBytes": usage.memory_available,
            "usageBytes": usage.memory_used,
            "workingSetBytes": usage.working_set(),
            "rssBytes": usage.memory_anonymous,
        },
    })
}

fn pod(stats: &v1::PodSandboxStats) -> Value {
    let metadata = stats
        .attributes
        .as_ref()
        .and_then(|attributes| attributes.metadata.clone())
        .unwrap_or_default();
    let linux = stats.linux.clone().unwrap_or_default();
    let containers: Vec<Value> = linux.containers.iter().map(container).collect();
    let mut pod = Map::new();
    pod.insert(
        "podRef".into(),
        json!({"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid}),
    );
    pod.insert("containers".into(), containers.into());
    put(&mut pod, "cpu", linux.cpu.as_ref().map(cpu));
    put(&mut pod, "memory", linux.memory.as_ref().map(memory));
    put(&mut pod, "network", linux.network.as_ref().map(network));
    let processes =
        linux.process.as_ref().and_then(|process| value(process.process_count.as_ref()));
    put(&mut pod, "process_stats", processes.map(|count| json!({"process_count": count})));
    pod.into()
}

fn container(stats: &v1::ContainerStats) -> Value {
    let metadata = stats
        .attributes
        .as_ref()
        .and_then(|attributes| attributes.metadata.clone())
        .unwrap_or_default();
    let mut container = Map::from_iter([("name".to_owned(), metadata.name.into())]);
    put(&mut container, "cpu", stats.cpu.as_ref().map(cpu));
    put(&mut container, "memory", stats.memory.as_ref().map(memory));
    let layer = stats.writable_layer.as_ref().map(|layer| {
        let mut files = timed(layer.timestamp);
        put(&mut files, "usedBytes", value(layer.used_bytes.as_ref()).map(Value::from));
        put(&mut files, "inodesUsed", value(layer.inodes_used.as_ref()).map(Value::from));
        files.into()
    });
    put(&mut container, "rootfs", layer);
    container.into()
}

fn cpu(usage: &v1::CpuUsage) -> Value {
    let mut cpu = timed(usage.timestamp);
    put(&mut cpu, "usageNanoCores", value(usage.usage_nano_cores.as_ref()).map(Value::from));
    put(
        &mut cpu,
        "usageCoreNanoSeconds",
        value(usage.usage_core_nano_seconds.as_ref()).map(Value::from),
    );
    cpu.into()
}

fn memory(usage: &v1::MemoryUsage) -> Value {
    let mut memory = timed(usage.timestamp);
    for (name, number) in [
        ("availableBytes", usage.available_bytes.as_ref()),
        ("usageBytes", usage.usage_bytes.as_ref()),
        ("workingSetBytes", usage.working_set_bytes.as_ref()),
        ("rssBytes", usage.rss_bytes.as_ref()),
        ("pageFaults", usage.page_faults.as_ref()),
        ("majorPageFaults", usage.major_page_faults.as_ref()),
    ] {
        put(&mut memory, name, value(number).map(Value::from));
    }
    memory.into()
}

fn network(usage: &v1::NetworkUsage) -> Value {
    let mut network = timed(usage.timestamp);
    if let Some(default) = &usage.default_interface {
        network.extend(interface(default));
    }
    let interfaces: Vec<Value> =
        usage.interfaces.iter().map(|usage| interface(usage).into()).collect();
    network.insert("interfaces".into(), interfaces.into());
    network.into()
}

fn interface(usage: &v1::NetworkInterfaceUsage) -> Map<String, Value> {
    let mut interface = Map::from_iter([("name".to_owned(), usage.name.clone().into())]);
    for (name, number) in [
        ("rxBytes", usage.rx_bytes.as_ref()),
        ("rxErrors", usage.rx_errors.as_ref()),
        ("txBytes", usage.tx_bytes.as_ref()),
        ("txErrors", usage.tx_errors.as_ref()),
    ] {
        put(&mut interface, name, value(number).map(Value::from));
    }
    interface
}

fn timed(nanos: i64) -> Map<String, Value> {
    Map::from_iter([("time".to_owned(), Timestamp::from_micros(nanos / 1_000).to_rfc3339().into())])
}

fn put(map: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value);
    }
}

/// A number of the runtime's.
pub(super) fn value(number: Option<&v1::UInt64Value>) -> Option<u64> {
    number.map(|number| number.value)
}
