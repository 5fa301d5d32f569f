//! `top`: what nodes and Pods use now, from the metrics API.

use clap::{Args, Subcommand};
use podo_api::quantity::Quantity;
use serde_json::Value;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::tabs::Tabs;
use super::value::{Look, shown};

const API: &str = "/apis/metrics.k8s.io/v1beta1";

/// Show what nodes and Pods use
#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "nodes", alias = "no")]
    Node(Which),
    #[command(alias = "pods", alias = "po")]
    Pod(Which),
}

/// Show what they use
#[derive(Debug, Args)]
struct Which {
    name: Option<String>,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Each container
    #[arg(long)]
    containers: bool,
    /// cpu or memory
    #[arg(long)]
    sort_by: Option<String>,
    /// No headers
    #[arg(long)]
    no_headers: bool,
    /// The sum of all Pods
    #[arg(long)]
    sum: bool,
    /// Shares of the capacity instead of the allocatable amount
    #[arg(long)]
    show_capacity: bool,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    use_protocol_buffers: bool,
}

/// An amount of each.
#[derive(Clone, Copy, Default)]
struct Usage {
    milli_cpu: i64,
    bytes: i64,
}

impl Usage {
    fn of(usage: &Value) -> Self {
        let amount = |name: &str| -> Quantity {
            usage.get(name).map(shown).and_then(|text| text.parse().ok()).unwrap_or(Quantity::ZERO)
        };
        Self { milli_cpu: amount("cpu").milli_value(), bytes: amount("memory").value() }
    }

    fn add(&mut self, other: Self) {
        self.milli_cpu += other.milli_cpu;
        self.bytes += other.bytes;
    }

    fn cells(self) -> String {
        format!("{}m\t{}Mi", self.milli_cpu, self.bytes >> 20)
    }
}

pub(crate) async fn run(ctx: &Ctx, args: Top) -> Outcome {
    let (Verb::Node(which) | Verb::Pod(which)) = &args.verb;
    let selector = which.selector.as_deref().unwrap_or_default();
    if which.name.is_some() && !selector.is_empty() {
        return Err(Fault::refused("only one of NAME or selector can be provided"));
    }
    if !matches!(which.sort_by.as_deref(), None | Some("" | "cpu" | "memory")) {
        return Err(Fault::refused("--sort-by accepts only cpu or memory"));
    }
    let discovery = ctx.discovery().await?;
    let is_served = discovery.group_versions().iter().any(|one| one.starts_with("metrics.k8s.io/"));
    if !is_served {
        return Err(Fault::refused("Metrics API not available"));
    }
    match args.verb {
        Verb::Node(args) => nodes(ctx, args).await,
        Verb::Pod(args) => pods(ctx, args).await,
    }
}

async fn metrics(ctx: &Ctx, args: &Which, collection: String) -> Result<Vec<Value>, Fault> {
    if let Some(name) = &args.name {
        return Ok(vec![ctx.call(Call::get(format!("{collection}/{name}"))).await?]);
    }
    let call =
        Call::get(collection).query("labelSelector", args.selector.clone().unwrap_or_default());
    Ok(ctx.call(call).await?.list("/items").to_vec())
}

fn sort(args: &Which, rows: &mut [(String, Usage)]) {
    match args.sort_by.as_deref() {
        None | Some("") => rows.sort_by(|(a, _), (b, _)| a.cmp(b)),
        Some("cpu") => rows.sort_by_key(|(_, usage)| std::cmp::Reverse(usage.milli_cpu)),
        Some(_) => rows.sort_by_key(|(_, usage)| std::cmp::Reverse(usage.bytes)),
    }
}

async fn nodes(ctx: &Ctx, args: Which) -> Outcome {
    let found = metrics(ctx, &args, format!("{API}/nodes")).await?;
    let mut rows: Vec<(String, Usage)> =
        found.iter().map(|one| (one.name().to_owned(), Usage::of(&one["usage"]))).collect();
    if rows.is_empty() {
        return Err(Fault::refused("metrics not available yet"));
    }
    sort(&args, &mut rows);
    let mut tabs = Tabs::table();
    if !args.no_headers {
        tabs.push("NAME\tCPU(cores)\tCPU(%)\tMEMORY(bytes)\tMEMORY(%)\n");
    }
    let field = if args.show_capacity { "capacity" } else { "allocatable" };
    for (name, usage) in rows {
        let node = ctx.call(Call::get(format!("/api/v1/nodes/{name}"))).await?;
        let whole = Usage::of(&node["status"][field]);
        let percent = |part: i64, whole: i64| {
            if whole == 0 { "<unknown>".into() } else { format!("{}%", part * 100 / whole) }
        };
        tabs.push(&format!(
            "{name}\t{}m\t{}\t{}Mi\t{}\n",
            usage.milli_cpu,
            percent(usage.milli_cpu, whole.milli_cpu),
            usage.bytes >> 20,
            percent(usage.bytes, whole.bytes)
        ));
    }
    ctx.out(tabs.finish())
}

async fn pods(ctx: &Ctx, args: Which) -> Outcome {
    let collection = if args.all_namespaces {
        format!("{API}/pods")
    } else {
        format!("{API}/namespaces/{}/pods", ctx.namespace()?)
    };
    let found = metrics(ctx, &args, collection).await?;
    if found.is_empty() {
        if args.all_namespaces {
            ctx.note("No resources found");
        } else {
            ctx.note(format!("No resources found in {} namespace.", ctx.namespace()?));
        }
        return Ok(());
    }
    let mut rows: Vec<(String, Usage)> = Vec::new();
    let mut total = Usage::default();
    for pod in &found {
        let head = if args.all_namespaces {
            format!("{}\t{}", pod.namespace(), pod.name())
        } else {
            pod.name().to_owned()
        };
        let mut whole = Usage::default();
        for container in pod.list("/containers") {
            let own = Usage::of(&container["usage"]);
            whole.add(own);
            if args.containers {
                rows.push((format!("{head}\t{}", container.s("/name")), own));
            }
        }
        total.add(whole);
        if !args.containers {
            rows.push((head, whole));
        }
    }
    sort(&args, &mut rows);
    let mut tabs = Tabs::table();
    if !args.no_headers {
        let namespace = if args.all_namespaces { "NAMESPACE\t" } else { "" };
        let name = if args.containers { "POD\tNAME" } else { "NAME" };
        tabs.push(&format!("{namespace}{name}\tCPU(cores)\tMEMORY(bytes)\n"));
    }
    rows.iter().for_each(|(head, usage)| tabs.push(&format!("{head}\t{}\n", usage.cells())));
    if args.sum {
        let empty = "\t".repeat(usize::from(args.all_namespaces) + usize::from(args.containers));
        tabs.push(&format!("{empty}\t________\t________\n{empty}\t{}\n", total.cells()));
    }
    ctx.out(tabs.finish())
}
