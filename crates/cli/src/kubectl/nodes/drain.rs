//! `drain`: closes a node and evicts its Pods.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::call::Call;
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::kinds::parse_selector;
use super::super::pods::pod_kind;
use super::super::report::{DryRun, DryRunArgs};
use super::super::select::{Item, Select, list_all};
use super::super::time::parse_duration;
use super::super::value::Look;
use super::super::wait::until_gone;
use super::{nodes, refuse_both, set_closed};

/// Between attempts to evict a Pod whose disruption budget is used up, as kubectl does.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Close a node and evict its Pods
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// NODE...
    words: Vec<String>,
    /// Only nodes with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Only Pods with these labels
    #[arg(long)]
    pod_selector: Option<String>,
    /// Also Pods that nobody makes again
    #[arg(long)]
    force: bool,
    /// Seconds that Pods are given to end; -1 for their own
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    grace_period: i64,
    /// Leave Pods of daemon sets
    #[arg(long)]
    ignore_daemonsets: bool,
    /// Also Pods whose emptyDir data will be lost
    #[arg(long)]
    delete_emptydir_data: bool,
    /// How long it may take; 0 is for ever
    #[arg(long, default_value = "0s")]
    timeout: String,
    /// Delete Pods instead of evicting them
    #[arg(long)]
    disable_eviction: bool,
    /// Do not wait for Pods that have been ending for so many seconds
    #[arg(long, default_value_t = 0)]
    skip_wait_for_delete_timeout: i64,
    /// Taken for compatibility
    #[arg(long, default_value_t = 500, hide = true)]
    chunk_size: i64,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Drain) -> Outcome {
    if args.words.is_empty() && args.selector.is_none() {
        return Err(Fault::usage("drain", "USAGE: drain NODE [flags]"));
    }
    refuse_both("drain", &args.words, args.selector.as_deref())?;
    if args.pod_selector.as_deref().is_some_and(|text| parse_selector(text).is_err()) {
        return Err(Fault::refused("--pod-selector=<pod_selector> must be a valid label selector"));
    }
    let dry_run = args.dry_run.parse(ctx)?;
    let limit = parse_duration(&args.timeout).unwrap_or(Duration::ZERO);
    let deadline = (!limit.is_zero()).then(|| Instant::now() + limit);
    let found = nodes(ctx, &args.words, args.selector.as_deref(), false).await?;
    let nodes = found.all_or_fault()?;
    for node in &nodes {
        set_closed(ctx, node, true, dry_run).await?;
    }
    let mut pending = Vec::new();
    let mut faults = Vec::new();
    for node in &nodes {
        match one(ctx, &args, node, dry_run, deadline).await {
            Ok(()) => {
                ctx.line(format!("node/{} drained{}", node.name, dry_run.suffix()))?;
            }
            Err(fault) => {
                ctx.note(format!(
                    "error: unable to drain node \"{}\" due to error: {fault}, continuing command...",
                    node.name
                ));
                pending.push(node.name.clone());
                faults.push(fault);
            }
        }
    }
    if !pending.is_empty() {
        ctx.note("There are pending nodes to be drained:");
        pending.iter().for_each(|name| ctx.note(format!(" {name}")));
    }
    // Even a single one is an aggregate, which is told without `error: `.
    if faults.is_empty() { Ok(()) } else { Err(Fault::Many(vec![Fault::Many(faults)])) }
}

/// What is done with a Pod of the node.
enum Verdict {
    Evict,
    Leave,
    Refuse(&'static str),
}

async fn one(
    ctx: &Ctx,
    args: &Drain,
    node: &Item,
    dry_run: DryRun,
    deadline: Option<Instant>,
) -> Outcome {
    let fields = format!("spec.nodeName={}", node.name);
    let select = Select {
        field_selector: Some(&fields),
        selector: args.pod_selector.as_deref(),
        ..Select::default()
    };
    let kind = pod_kind(ctx).await?;
    let all = list_all(ctx, kind, None, &select).await?;
    let mut evicted = Vec::new();
    let mut refused: Vec<(&str, Vec<String>)> = Vec::new();
    let mut warned: Vec<(&str, Vec<String>)> = Vec::new();
    for pod in all {
        let place = format!("{}/{}", pod.namespace(), pod.name());
        let (verdict, warning) = judge(args, &pod);
        if let Some(warning) = warning {
            push(&mut warned, warning, &place);
        }
        match verdict {
            Verdict::Evict => evicted.push(pod),
            Verdict::Leave => {}
            Verdict::Refuse(why) => push(&mut refused, why, &place),
        }
    }
    if !refused.is_empty() {
        let reasons: Vec<String> = refused
            .iter()
            .map(|(why, pods)| format!("cannot delete {why}: {}", pods.join(", ")))
            .collect();
        return Err(Fault::refused(match reasons.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        }));
    }
    if !warned.is_empty() {
        let parts: Vec<String> =
            warned.iter().map(|(why, pods)| format!("{why}: {}", pods.join(", "))).collect();
        ctx.note(format!("Warning: {}", parts.join("; ")));
    }
    evict_all(ctx, args, &evicted, dry_run, deadline).await
}

fn push(groups: &mut Vec<(&'static str, Vec<String>)>, why: &'static str, place: &str) {
    match groups.iter_mut().find(|(own, _)| *own == why) {
        Some((_, pods)) => pods.push(place.to_owned()),
        None => groups.push((why, vec![place.to_owned()])),
    }
}

fn judge(args: &Drain, pod: &Value) -> (Verdict, Option<&'static str>) {
    let annotations = pod.at("/metadata/annotations");
    let has_ended = matches!(pod.s("/status/phase"), "Succeeded" | "Failed");
    if annotations.is_some_and(|map| map.get("kubernetes.io/config.mirror").is_some()) {
        return (Verdict::Leave, None); // A static Pod: only its node's files end it.
    }
    let owner = pod.list("/metadata/ownerReferences").iter().find(|owner| owner.b("/controller"));
    let mut warning = None;
    if owner.is_some_and(|owner| owner.s("/kind") == "DaemonSet") && !has_ended {
        if !args.ignore_daemonsets {
            return (
                Verdict::Refuse("DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"),
                None,
            );
        }
        return (Verdict::Leave, Some("ignoring DaemonSet-managed Pods"));
    }
    let has_data = pod.list("/spec/volumes").iter().any(|volume| volume.has("/emptyDir"));
    if has_data && !has_ended {
        if !args.delete_emptydir_data {
            return (
                Verdict::Refuse("Pods with local storage (use --delete-emptydir-data to override)"),
                None,
            );
        }
        warning = Some("deleting Pods with local storage");
    }
    if owner.is_none() && !has_ended {
        if !args.force {
            return (
                Verdict::Refuse("Pods that declare no controller (use --force to override)"),
                None,
            );
        }
        warning = Some("deleting Pods that declare no controller");
    }
    (Verdict::Evict, warning)
}

async fn evict_all(
    ctx: &Ctx,
    args: &Drain,
    pods: &[Value],
    dry_run: DryRun,
    deadline: Option<Instant>,
) -> Outcome {
    if dry_run == DryRun::Client {
        return pods.iter().try_for_each(|pod| {
            ctx.line(format!("evicting pod {}/{} (dry run)", pod.namespace(), pod.name()))
        });
    }
    for pod in pods {
        evict(ctx, args, pod, dry_run, deadline).await?;
    }
    if dry_run != DryRun::None {
        return Ok(());
    }
    let kind = pod_kind(ctx).await?;
    for pod in pods {
        let uid = Some(pod.s("/metadata/uid"));
        until_gone(ctx, kind, pod.namespace(), pod.name(), uid, deadline).await?;
        let done = if args.disable_eviction { "deleted" } else { "evicted" };
        ctx.line(format!("pod/{} {done}", pod.name()))?;
        ctx.flush()?;
    }
    Ok(())
}

async fn evict(
    ctx: &Ctx,
    args: &Drain,
    pod: &Value,
    dry_run: DryRun,
    deadline: Option<Instant>,
) -> Outcome {
    let place = format!("{}/{}", pod.namespace(), pod.name());
    let path = format!("/api/v1/namespaces/{}/pods/{}", pod.namespace(), pod.name());
    let mut options = json!({});
    if args.grace_period >= 0 {
        options["gracePeriodSeconds"] = args.grace_period.into();
    }
    if dry_run == DryRun::Server {
        options["dryRun"] = json!(["All"]);
    }
    let eviction = json!({
        "kind": "Eviction", "apiVersion": "policy/v1",
        "metadata": {"name": pod.name(), "namespace": pod.namespace()}, "deleteOptions": options,
    });
    loop {
        let verb = if args.disable_eviction { "deleting" } else { "evicting" };
        ctx.line(format!("{verb} pod {place}"))?;
        ctx.flush()?;
        let call = if args.disable_eviction {
            Call::delete(&path, &options)
        } else {
            Call::post(format!("{path}/eviction"), &eviction)
        };
        match ctx.call(call).await {
            Ok(_) => return Ok(()),
            Err(fault) if fault.is_not_found() => return Ok(()),
            Err(fault) if fault.reason() == "TooManyRequests" => {
                ctx.note(format!(
                    "error when evicting pods/\"{}\" -n \"{}\" (will retry after 5s): {fault}",
                    pod.name(),
                    pod.namespace()
                ));
                if deadline.is_some_and(|deadline| Instant::now() + TRY_AGAIN > deadline) {
                    return Err(Fault::refused(format!(
                        "error when evicting pods/\"{}\" -n \"{}\": global timeout reached",
                        pod.name(),
                        pod.namespace()
                    )));
                }
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(fault) => {
                return Err(fault.context(&format!(
                    "error when evicting pods/\"{}\" -n \"{}\"",
                    pod.name(),
                    pod.namespace()
                )));
            }
        }
    }
}
