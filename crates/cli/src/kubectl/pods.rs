//! From what a user names to a Pod and a container of it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::call::Call;
use super::context::Ctx;
use super::discovery::Resource;
use super::discovery::split_version;
use super::fault::{Fault, Outcome, quoted};
use super::kinds::parse_selector;
use super::select::{Pick, Select, list_all, picks};
use super::time::parse_duration;
use super::value::{Look, pairs};
use super::wait::{Seen, Watched};

/// The annotation that names a Pod's container for logs and exec (KEP-2227).
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The kinds with Pods behind them.
const WORKLOADS: [&str; 7] = [
    "Service",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
];

/// The kind Pod, as the server serves it.
pub(crate) async fn pod_kind(ctx: &Ctx) -> Result<&Resource, Fault> {
    ctx.discovery().await?.require("pods")
}

/// All containers with what they are: nothing, ` (ephem)` or ` (init)`.
fn containers(pod: &Value) -> Vec<(&str, &'static str)> {
    let groups = [
        ("/spec/containers", ""),
        ("/spec/ephemeralContainers", " (ephem)"),
        ("/spec/initContainers", " (init)"),
    ];
    let names = groups.into_iter().flat_map(|(pointer, mark)| {
        pod.list(pointer).iter().map(move |container| (container.s("/name"), mark))
    });
    names.collect()
}

/// The names of all containers, for messages.
pub(crate) fn container_names(pod: &Value) -> String {
    let names: Vec<String> =
        containers(pod).iter().map(|(name, mark)| format!("{name}{mark}")).collect();
    names.join(", ")
}

/// The container that is meant: the named one, the one of the annotation, or the first, which is said.
pub(crate) fn container<'a>(
    ctx: &Ctx,
    pod: &'a Value,
    name: Option<&str>,
    is_quiet: bool,
) -> Result<&'a Value, Fault> {
    let all = ["/spec/containers", "/spec/ephemeralContainers", "/spec/initContainers"];
    let annotation = pod.at("/metadata/annotations").and_then(|map| map.get(DEFAULT_CONTAINER));
    let name = name.filter(|name| !name.is_empty()).or(annotation.and_then(Value::as_str));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        let mut found = all.iter().flat_map(|pointer| pod.list(pointer));
        return found.find(|container| container.s("/name") == name).ok_or_else(|| {
            Fault::refused(format!(
                "container {name} is not valid for pod {} out of: {}",
                pod.name(),
                container_names(pod)
            ))
        });
    }
    let Some(first) = pod.list("/spec/containers").first() else {
        return Err(Fault::refused(format!(
            "pod {}/{} does not have any containers",
            pod.namespace(),
            pod.name()
        )));
    };
    if let Some(note) = defaulted(pod, name).filter(|_| !is_quiet) {
        ctx.note(note);
    }
    Ok(first)
}

/// What is said of a container that nobody has named, if there are others.
pub(crate) fn defaulted(pod: &Value, name: Option<&str>) -> Option<String> {
    let annotation = pod.at("/metadata/annotations").and_then(|map| map.get(DEFAULT_CONTAINER));
    let name = name.filter(|name| !name.is_empty()).or(annotation.and_then(Value::as_str));
    let first = pod.list("/spec/containers").first()?;
    let is_told = name.is_none_or(str::is_empty) && containers(pod).len() > 1;
    is_told.then(|| {
        let first = quoted(first.s("/name"));
        format!("Defaulted container {first} out of: {}", container_names(pod))
    })
}

/// The Go type of an object, as it is named in errors.
pub(crate) fn go_type(object: &Value) -> String {
    let (_, version) = split_version(object.s("/apiVersion"));
    format!("*{version}.{}", object.s("/kind"))
}

/// Whether there are Pods behind an object, by its kind.
pub(crate) fn is_workload(object: &Value) -> bool {
    WORKLOADS.contains(&object.s("/kind"))
}

/// The label selector of the Pods behind an object.
pub(crate) fn selector_of(object: &Value) -> Result<String, Fault> {
    let text = match object.s("/kind") {
        "Service" | "ReplicationController" => {
            let selector = object.at("/spec/selector");
            if selector.is_none_or(|map| map.as_object().is_none_or(serde_json::Map::is_empty)) {
                let name = object.name();
                return Err(Fault::refused(format!(
                    "invalid service '{name}': Service is defined without a selector"
                )));
            }
            pairs(selector, "")
        }
        kind if WORKLOADS.contains(&kind) => {
            let selector =
                podo_api::selector::label::Selector::from_value(object.at("/spec/selector"));
            selector.map_err(|error| Fault::refused(error.to_string()))?.to_string()
        }
        _ => {
            return Err(Fault::refused(format!(
                "selector for {} not implemented",
                go_type(object)
            )));
        }
    };
    parse_selector(&text).map(|_parsed| text)
}

/// The Pods behind an object, best first; if there are none, waits until one is there.
pub(crate) async fn behind(
    ctx: &Ctx,
    object: &Value,
    limit: Duration,
    order: impl Fn(&Value) -> (i64, i64, i64, String),
) -> Result<Vec<Value>, Fault> {
    let selector = selector_of(object)?;
    let pods = pod_kind(ctx).await?;
    let select = Select { selector: Some(&selector), ..Select::default() };
    let namespace = object.namespace();
    let mut found = list_all(ctx, pods, Some(namespace), &select).await?;
    if found.is_empty() {
        let call = Call::get(pods.collection(Some(namespace)))
            .query("labelSelector", selector.clone())
            .query("watch", "true");
        let watched = async {
            let mut lines = ctx.lines(call).await?;
            while let Some((kind, pod)) = lines.event().await? {
                if kind != "DELETED" && kind != "BOOKMARK" {
                    return Ok(pod);
                }
            }
            Err(Fault::refused("timed out waiting for the condition"))
        };
        let timed_out = || Fault::refused("timed out waiting for the condition");
        let first =
            tokio::time::timeout(limit, watched).await.map_err(|_elapsed| timed_out())??;
        found.push(first);
    }
    found.sort_by_key(|pod| order(pod));
    Ok(found)
}

/// Whether the Pod's condition Ready holds.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = pod.list("/status/conditions").iter();
    conditions.clone().any(|c| c.s("/type") == "Ready" && c.s("/status") == "True")
}

/// Pods with a node first, then running, ready, restarted least, oldest: those worth attaching to or reading.
pub(crate) fn most_alive(pod: &Value) -> (i64, i64, i64, String) {
    let phase = match pod.s("/status/phase") {
        "Running" => 0,
        "Pending" => 2,
        _ => 1,
    };
    let restarts = pod.list("/status/containerStatuses").iter().map(|s| s.i("/restartCount")).max();
    let unready = i64::from(!is_ready(pod));
    let lone = i64::from(pod.s("/spec/nodeName").is_empty());
    (
        lone * 10 + phase,
        unready,
        restarts.unwrap_or(0),
        pod.s("/metadata/creationTimestamp").to_owned(),
    )
}

/// How long is waited for a Pod to run: more than nothing.
pub(crate) fn running_timeout(command: &str, text: &str) -> Result<Duration, Fault> {
    parse_duration(text)
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| Fault::usage(command, "--pod-running-timeout must be higher than zero"))
}

/// The Pod that `POD`, `TYPE/NAME` or `TYPE NAME` means.
pub(crate) async fn attachable(
    ctx: &Ctx,
    words: &[String],
    limit: Duration,
) -> Result<Value, Fault> {
    let words = match words {
        [one] if !one.contains('/') => vec!["pods".to_owned(), one.clone()],
        other => other.to_vec(),
    };
    let mut found = picks(ctx, &words).await?;
    let (Some(Pick { resource, names, .. }), true) = (found.pop(), found.is_empty()) else {
        return Err(Fault::refused("expected one resource"));
    };
    let [name] = names.as_slice() else {
        return Err(Fault::refused("expected one resource"));
    };
    let object = ctx.object(&resource, &ctx.namespace()?, name).await?;
    if resource.kind == "Pod" {
        return Ok(object);
    }
    if !is_workload(&object) {
        let kind = go_type(&object);
        return Err(Fault::refused(format!(
            "cannot attach to {kind}: selector for {kind} not implemented"
        )));
    }
    let found = behind(ctx, &object, limit, most_alive).await?;
    found.into_iter().next().ok_or_else(|| Fault::refused("no pod found"))
}

/// Refuses a Pod that has ended.
pub(crate) fn refuse_completed(pod: &Value, act: &str) -> Outcome {
    let phase = pod.s("/status/phase");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Fault::refused(format!(
            "cannot {act} a container in a completed pod; current phase is {phase}"
        )));
    }
    Ok(())
}

/// Waits until `judge` is content with a Pod.
pub(crate) async fn until(
    ctx: &Ctx,
    pod: &Value,
    deadline: Option<Instant>,
    judge: impl FnMut(&Value) -> Result<Seen, Fault>,
) -> Result<Value, Fault> {
    let resource = pod_kind(ctx).await?;
    let watched = Watched { ctx, resource, namespace: pod.namespace(), name: pod.name() };
    watched.until(deadline, judge).await
}
