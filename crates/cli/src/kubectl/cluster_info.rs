//! `cluster-info`: where the cluster is reached, and `cluster-info dump`: what there is to look at when something is wrong with it.

use std::fs;
use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome, quoted};
use super::kinds::schema_of;
use super::print::{Output, ShowArgs, json as json_text};
use super::select::{Select, list_all};
use super::value::Look;

/// The namespace of what the cluster itself runs.
const SYSTEM: &str = "kube-system";

/// What is dumped of each namespace, as file names and kinds. The Pods come last: their logs follow them.
const OF_NAMESPACE: [(&str, &str, &str); 7] = [
    ("events", "v1", "Event"),
    ("replication-controllers", "v1", "ReplicationController"),
    ("services", "v1", "Service"),
    ("daemonsets", "apps/v1", "DaemonSet"),
    ("deployments", "apps/v1", "Deployment"),
    ("replicasets", "apps/v1", "ReplicaSet"),
    ("pods", "v1", "Pod"),
];

/// Show where the control plane is
#[derive(Debug, Args)]
pub(crate) struct ClusterInfo {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[arg(hide = true)]
    _words: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Dump(Dump),
}

/// Show nodes, objects and logs
#[derive(Debug, Args)]
struct Dump {
    /// A folder for files of all that; - for standard output
    #[arg(long, default_value = "", hide_default_value = true)]
    output_directory: String,
    /// These namespaces instead of kube-system and the current one
    #[arg(long, value_delimiter = ',')]
    namespaces: Vec<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// json, yaml, ...
    #[arg(short, long, default_value = "json")]
    output: String,
    /// How long to wait for a Pod
    #[arg(long, hide = true)]
    pod_running_timeout: Option<String>,
    #[arg(hide = true)]
    _words: Vec<String>,
}

pub(crate) async fn run(ctx: &Ctx, args: ClusterInfo) -> Outcome {
    match args.verb {
        Some(Verb::Dump(args)) => dump(ctx, &args).await,
        None => places(ctx).await,
    }
}

async fn places(ctx: &Ctx) -> Outcome {
    let base = ctx.client().await?.base_url();
    ctx.line(format!("Kubernetes control plane is running at {base}"))?;
    let discovery = ctx.discovery().await?;
    let services = discovery.by_kind("v1", "Service").ok_or_else(|| {
        Fault::refused(format!("the server doesn't have a resource type {}", quoted("services")))
    })?;
    let select =
        Select { selector: Some("kubernetes.io/cluster-service=true"), ..Select::default() };
    for service in list_all(ctx, services, Some(SYSTEM), &select).await? {
        let name = service.name();
        let label = service.at("/metadata/labels").and_then(|map| map.get("kubernetes.io/name"));
        let shown = label.and_then(Value::as_str).unwrap_or(name);
        let port = service.list("/spec/ports").first().map_or(String::new(), |port| {
            match port.s("/name") {
                "" => port.i("/port").to_string(),
                port => port.to_owned(),
            }
        });
        let port = if port.is_empty() { port } else { format!(":{port}") };
        ctx.line(format!(
            "{shown} is running at {base}/api/v1/namespaces/{SYSTEM}/services/{name}{port}/proxy"
        ))?;
    }
    ctx.line("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.")
}

/// Lists of a kind that the server does not serve are left out.
async fn dump(ctx: &Ctx, args: &Dump) -> Outcome {
    let output = &Output::parse_plain(Some(&args.output), None)?;
    write_list(ctx, args, output, None, ("nodes", "v1", "Node")).await?;
    for namespace in namespaces(ctx, args).await? {
        let mut pods = Vec::new();
        for list in OF_NAMESPACE {
            pods = write_list(ctx, args, output, Some(&namespace), list).await?;
        }
        for pod in &pods {
            write_logs(ctx, args, &namespace, pod).await?;
        }
    }
    if is_stream(args) {
        return Ok(());
    }
    ctx.line(format!("Cluster info dumped to {}", args.output_directory))
}

async fn namespaces(ctx: &Ctx, args: &Dump) -> Result<Vec<String>, Fault> {
    if args.all_namespaces {
        let kind = ctx.discovery().await?.require("namespaces")?;
        let all = list_all(ctx, kind, None, &Select::default()).await?;
        return Ok(all.iter().map(|namespace| namespace.name().to_owned()).collect());
    }
    if args.namespaces.is_empty() {
        return Ok(vec![SYSTEM.to_owned(), ctx.namespace()?]);
    }
    Ok(args.namespaces.clone())
}

/// Writes a list of all objects of a kind and returns them.
async fn write_list(
    ctx: &Ctx,
    args: &Dump,
    output: &Output,
    namespace: Option<&str>,
    (file, api_version, kind): (&str, &str, &str),
) -> Result<Vec<Value>, Fault> {
    let Some(resource) = ctx.discovery().await?.by_kind(api_version, kind) else {
        return Ok(Vec::new());
    };
    let mut list = ctx.call(Call::get(resource.collection(namespace))).await?;
    let mut items = match list["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    for fields in items.iter_mut().filter_map(Value::as_object_mut) {
        fields.remove("kind");
        fields.remove("apiVersion");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    }
    let text = match output {
        Output::Json => format!("{}\n", json_text::pretty_list(&list, &items, schema_of(resource))),
        Output::Name => {
            return Err(Fault::refused(format!(
                "list types are not supported by name printing: *v1.{kind}List"
            )));
        }
        _ => {
            list["items"] = if items.is_empty() { Value::Null } else { items.clone().into() };
            output.object(&list, ShowArgs::default(), namespace.is_none() || !is_stream(args))?
        }
    };
    let ending = if matches!(output, Output::Json | Output::Yaml) { &args.output } else { "txt" };
    let name = format!("{file}.{ending}");
    write(ctx, args, &namespace.map_or(name.clone(), |place| format!("{place}/{name}")), &text)?;
    Ok(items)
}

async fn write_logs(ctx: &Ctx, args: &Dump, namespace: &str, pod: &Value) -> Outcome {
    let mut text = Vec::new();
    let groups = ["/spec/initContainers", "/spec/containers"];
    for container in groups.iter().flat_map(|group| pod.list(group)) {
        let what = format!(
            "logs for container {} of pod {namespace}/{}",
            container.s("/name"),
            pod.name()
        );
        text.extend(format!("==== START {what} ====\n").into_bytes());
        let path = format!("/api/v1/namespaces/{namespace}/pods/{}/log", pod.name());
        let call = Call::get(path).accept("*/*").query("container", container.s("/name"));
        match ctx.fetch(call).await {
            Ok(log) => text.extend(log),
            Err(fault) => text.extend(format!("Request log error: {fault}\n").into_bytes()),
        }
        text.extend(format!("==== END {what} ====\n").into_bytes());
    }
    write(ctx, args, &format!("{namespace}/{}/logs.txt", pod.name()), text)
}

fn is_stream(args: &Dump) -> bool {
    matches!(args.output_directory.as_str(), "" | "-")
}

/// To standard output, or to a file of the folder.
fn write(ctx: &Ctx, args: &Dump, name: &str, text: impl AsRef<[u8]>) -> Outcome {
    if is_stream(args) {
        return ctx.out(text);
    }
    let path = Path::new(&args.output_directory).join(name);
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .map_err(Fault::io(format!("write {}", path.display())))
}
