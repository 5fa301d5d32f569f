//! `podo up -f`: applies files, waits until their Pods are ready, and says how to reach them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use podo_api::k8s_openapi::api::core::v1::Pod;
use podo_api::{Value, meta, tree, yaml};
use podo_client::transport::WatchItem;
use podo_client::{Client, Query};
use podo_image::ImageService;

use crate::progress::{self, Step};
use crate::screen;

/// How long all Pods together may take to get ready.
const READY: Duration = Duration::from_secs(300);

/// How long the account of the first namespace may take: milliseconds, if its controller runs.
const ACCOUNT: Duration = Duration::from_secs(60);

/// How long the files may take to be applied.
const APPLIED: Duration = Duration::from_secs(300);

/// Applies the files and waits; the error is a sentence.
pub(crate) async fn apply(
    client: &Client,
    kubeconfig: &Path,
    files: &[PathBuf],
    images: ImageService,
) -> Result<(), String> {
    if files.is_empty() {
        return Ok(());
    }
    tokio::time::timeout(ACCOUNT, wait_for_account(client)).await.unwrap_or_else(|_| {
        Err(format!(
            "the namespace default had no service account after {} s: its controller does not run",
            ACCOUNT.as_secs()
        ))
    })?;
    tokio::time::timeout(APPLIED, kubectl_apply(kubeconfig, files)).await.unwrap_or_else(|_| {
        Err(format!("the files were not applied within {} s", APPLIED.as_secs()))
    })?;
    let mut pods = Vec::new();
    for file in files {
        pods.extend(pods_of(file)?);
    }
    let waiting: Waiting = Arc::default();
    let shown = Arc::clone(&waiting);
    let steps = move || {
        let mut steps = progress::pulls(&images);
        steps.extend(shown.lock().iter().map(|(pod, state)| Step::note(pod, state)));
        steps
    };
    let wait = futures_util::future::try_join_all(
        pods.iter().map(|(namespace, name)| show_when_ready(client, namespace, name, &waiting)),
    );
    match screen::during(tokio::time::timeout(READY, wait), steps).await {
        Ok(result) => result.map(drop),
        Err(_) => Err(unready(&waiting)),
    }
}

/// The Pods that are not ready yet, and what keeps each.
type Waiting = Arc<Mutex<BTreeMap<String, String>>>;

/// The sentence that names them.
fn unready(waiting: &Waiting) -> String {
    let mut text = format!("not everything was ready after {} s:", READY.as_secs());
    for (pod, state) in waiting.lock().iter() {
        // Writing to a string cannot fail.
        let _infallible = write!(text, "\n  {pod}: {state}");
    }
    text
}

/// Nothing can be made in a namespace before its controller gave it an account.
async fn wait_for_account(client: &Client) -> Result<(), String> {
    use podo_api::k8s_openapi::api::core::v1::ServiceAccount;
    let query = Query { namespace: "default".to_owned(), ..Query::fields("metadata.name=default") };
    let list = client.list::<ServiceAccount>(&query).await.map_err(|status| status.to_string())?;
    if !list.items.is_empty() {
        return Ok(());
    }
    let mut events = client
        .watch::<ServiceAccount>(&query, list.revision)
        .await
        .map_err(|status| status.to_string())?;
    while let Some(item) = events.next().await {
        if let WatchItem::Added(_) = item {
            return Ok(());
        }
    }
    Err("the service account controller does not run".to_owned())
}

/// Runs our own kubectl in this process, on a thread of its own.
async fn kubectl_apply(kubeconfig: &Path, files: &[PathBuf]) -> Result<(), String> {
    let mut args: Vec<OsString> =
        ["kubectl", "--kubeconfig"].into_iter().map(OsString::from).collect();
    args.push(kubeconfig.into());
    args.push("apply".into());
    for file in files {
        args.push("-f".into());
        args.push(file.into());
    }
    let defaults = podo_cli::Defaults { kubeconfig: kubeconfig.to_owned() };
    let run = tokio::task::spawn_blocking(move || {
        podo_cli::run(args, defaults, podo_cli::Streams::process())
    });
    match run.await {
        Ok(0) => Ok(()),
        Ok(_) => Err("the files could not be applied".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Namespaces and names of the Pods that a file declares.
fn pods_of(file: &Path) -> Result<Vec<(String, String)>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let mut pods = Vec::new();
    for document in yaml::documents(&text) {
        let (_, document) = document.map_err(|error| error.to_string())?;
        let value = yaml::to_json(document.as_bytes()).map_err(|error| error.to_string())?;
        if tree::str_at(&value, &["kind"]) == "Pod" {
            let namespace = meta::namespace(&value);
            let namespace = if namespace.is_empty() { "default" } else { namespace };
            pods.push((namespace.to_owned(), meta::name(&value).to_owned()));
        }
    }
    Ok(pods)
}

/// Waits until a Pod is ready and says so; until then it is among those that are waited for.
async fn show_when_ready(
    client: &Client,
    namespace: &str,
    name: &str,
    waiting: &Waiting,
) -> Result<(), String> {
    let place =
        if namespace == "default" { String::new() } else { format!(" in namespace {namespace}") };
    let pod = format!("pod/{name}{place}");
    // Whether that was all.
    let look = |object: &Value| {
        let line = reached(object);
        match &line {
            Some(line) => {
                waiting.lock().remove(&pod);
                crate::say(line);
            }
            None => {
                waiting.lock().insert(pod.clone(), state(object));
            }
        }
        line.is_some()
    };
    let query =
        Query { namespace: namespace.to_owned(), ..Query::fields(format!("metadata.name={name}")) };
    let list = client.list::<Pod>(&query).await.map_err(|status| status.to_string())?;
    if list.items.iter().any(|object| look(&object.value())) {
        return Ok(());
    }
    let mut events =
        client.watch::<Pod>(&query, list.revision).await.map_err(|status| status.to_string())?;
    while let Some(item) = events.next().await {
        let object = match item {
            WatchItem::Added(object) | WatchItem::Modified(object) => object,
            WatchItem::Deleted(_) => return Err(format!("pod {name} was deleted")),
            WatchItem::Bookmark(_) => continue,
            WatchItem::Error(status) => return Err(status.to_string()),
        };
        if look(&object.value()) {
            return Ok(());
        }
    }
    Err(format!("the watch of pod {name} ended"))
}

/// What keeps a Pod from being ready, in words.
fn state(pod: &Value) -> String {
    let with_message = |reason: &str, message: &str| match message {
        "" => format!("waiting ({reason})"),
        message => format!("waiting ({reason}: {message})"),
    };
    for condition in tree::items_at(pod, &["status", "conditions"]) {
        let text = |field| tree::str_at(condition, &[field]);
        if text("type") == "PodScheduled" && text("status") == "False" {
            return with_message(text("reason"), text("message"));
        }
    }
    let statuses = ["initContainerStatuses", "containerStatuses"];
    let containers = statuses.iter().flat_map(|list| tree::items_at(pod, &["status", list]));
    for container in containers {
        let reason = tree::str_at(container, &["state", "waiting", "reason"]);
        // Until its turn comes a container only waits for those before it.
        if !reason.is_empty() && reason != "PodInitializing" {
            return with_message(reason, tree::str_at(container, &["state", "waiting", "message"]));
        }
    }
    match tree::str_at(pod, &["status", "phase"]) {
        "" | "Pending" => "waiting".to_owned(),
        phase => format!("{phase}, not ready"),
    }
}

/// What to tell of a Pod that is ready or has succeeded; `None` of any other.
fn reached(pod: &Value) -> Option<String> {
    let conditions = tree::items_at(pod, &["status", "conditions"]);
    let is_ready = conditions.iter().any(|condition| {
        tree::str_at(condition, &["type"]) == "Ready"
            && tree::str_at(condition, &["status"]) == "True"
    });
    let phase = tree::str_at(pod, &["status", "phase"]);
    if !is_ready && phase != "Succeeded" {
        return None;
    }
    let ip = tree::str_at(pod, &["status", "podIP"]);
    let mut line = format!("pod/{} {phase} {ip}", meta::name(pod));
    for container in tree::items_at(pod, &["spec", "containers"]) {
        for port in tree::items_at(container, &["ports"]) {
            let number = tree::int_at(port, &["containerPort"]).unwrap_or(0);
            // Writing to a string cannot fail.
            let _infallible = write!(line, "\n  curl http://{ip}:{number}");
        }
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_pod_is_told_by_what_stands_in_its_way_first() {
        for (status, expected) in [
            ("{}", "waiting"),
            (r#"{"phase": "Pending"}"#, "waiting"),
            (r#"{"phase": "Running"}"#, "Running, not ready"),
            (r#"{"phase": "Failed"}"#, "Failed, not ready"),
            (
                r#"{"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                    "reason": "Unschedulable", "message": "0/1 nodes are available"}]}"#,
                "waiting (Unschedulable: 0/1 nodes are available)",
            ),
            (
                r#"{"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}],
                    "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}"#,
                "waiting (ContainerCreating)",
            ),
            (
                r#"{"phase": "Pending",
                    "initContainerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}],
                    "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}]}"#,
                "waiting (ErrImagePull: no)",
            ),
        ] {
            let pod = format!(r#"{{"status": {status}}}"#);
            assert_eq!(state(&serde_json::from_str(&pod).expect("JSON")), expected, "{status}");
        }
    }
}
