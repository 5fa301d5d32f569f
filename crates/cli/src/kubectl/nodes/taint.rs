//! `taint`.

use clap::Args;
use serde_json::{Value, json};

use super::super::call::{Call, MERGE};
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::super::select::{Item, Select};
use super::super::value::Look;
use super::with_taints;

/// Change the taints of nodes
#[derive(Debug, Args)]
pub(crate) struct Taint {
    /// nodes NAME..., then KEY[=VALUE]:EFFECT or KEY[:EFFECT]-
    words: Vec<String>,
    /// Change effects that are there already
    #[arg(long)]
    overwrite: bool,
    /// All nodes
    #[arg(long)]
    all: bool,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-taint")]
    field_manager: String,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// What is asked of one taint.
struct Wanted {
    key: String,
    value: String,
    effect: String,
    is_removal: bool,
}

pub(crate) async fn run(ctx: &Ctx, args: Taint) -> Outcome {
    let is_change = |word: &String| word.contains(['=', ':']) || word.ends_with('-');
    let first = args.words.iter().position(is_change).unwrap_or(args.words.len());
    let (words, changes) = args.words.split_at(first);
    let wanted: Vec<Wanted> = changes.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
    if words.is_empty() {
        return Err(Fault::refused(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    if wanted.is_empty() {
        return Err(Fault::refused("at least one taint update is required"));
    }
    let dry_run = args.dry_run.parse()?;
    let report = Report::new(&args.report, dry_run)?;
    let select =
        Select { words, selector: args.selector.as_deref(), is_all: args.all, ..Select::default() };
    let mut visit = select.found(ctx).await?.visit();
    while let Some(item) = visit.next() {
        if let Err(fault) = one(ctx, &args, &wanted, &report, dry_run, &item).await {
            visit.failed(fault);
        }
    }
    visit.end()
}

fn parse(text: &str) -> Result<Wanted, Fault> {
    let (text, is_removal) = match text.strip_suffix('-') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (pair, effect) = text.rsplit_once(':').unwrap_or((text, ""));
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let is_effect = matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute");
    let is_any = is_removal && effect.is_empty();
    if !is_effect && !is_any {
        return Err(Fault::refused(format!(
            "invalid taint effect: {effect}, unsupported taint effect"
        )));
    }
    Ok(Wanted { key: key.into(), value: value.into(), effect: effect.into(), is_removal })
}

async fn one(
    ctx: &Ctx,
    args: &Taint,
    wanted: &[Wanted],
    report: &Report,
    dry_run: DryRun,
    item: &Item,
) -> Outcome {
    let mut taints = item.object.list("/spec/taints").to_vec();
    let (mut has_added, mut has_removed) = (false, false);
    for one in wanted {
        let is_same = |taint: &Value| {
            taint.s("/key") == one.key
                && (one.effect.is_empty() || taint.s("/effect") == one.effect)
        };
        let at = taints.iter().position(is_same);
        if one.is_removal {
            if at.is_none() {
                return Err(Fault::refused(format!(
                    "taint \"{}{}\" not found",
                    one.key,
                    if one.effect.is_empty() { String::new() } else { format!(":{}", one.effect) }
                )));
            }
            taints.retain(|taint| !is_same(taint));
            has_removed = true;
            continue;
        }
        let mut fresh = json!({"key": one.key, "effect": one.effect});
        if !one.value.is_empty() {
            fresh["value"] = one.value.clone().into();
        }
        match at {
            Some(_) if !args.overwrite => {
                return Err(Fault::refused(format!(
                    "node {} already has {} taint(s) with same effect(s) and --overwrite is false",
                    item.name, one.key
                )));
            }
            Some(at) => taints[at] = fresh,
            None => taints.insert(0, fresh),
        }
        has_added = true;
    }
    let mut object = with_taints(&item.object, taints.clone());
    if dry_run != DryRun::Client {
        let mut patch = json!({"spec": {"taints": taints}});
        if patch["spec"]["taints"] == json!([]) {
            patch["spec"]["taints"] = Value::Null;
        }
        let call = Call::patch(item.path(), MERGE, &patch)
            .query("dryRun", dry_run.query())
            .query("fieldManager", args.field_manager.clone());
        object = ctx.call(call).await?;
    }
    let message = match (has_added, has_removed) {
        (true, true) => "modified",
        (false, true) => "untainted",
        _ => "tainted",
    };
    report.done(ctx, &object, message)
}
