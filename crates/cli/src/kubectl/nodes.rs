//! `cordon`, `uncordon`, `drain` and `taint`.

mod drain;
mod taint;

use clap::Args;
use serde_json::{Value, json};

use super::call::{Call, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::report::{DryRun, DryRunArgs};
use super::select::{Found, Item, Select};
use super::value::{Look, at_mut};

pub(crate) use self::drain::{Drain, run as drain};
pub(crate) use self::taint::{Taint, run as taint};

/// Keep Pods from a node, or let them come again
#[derive(Debug, Args)]
pub(crate) struct Cordon {
    /// NODE...
    words: Vec<String>,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// Sets or clears `spec.unschedulable`.
pub(crate) async fn cordon(ctx: &Ctx, args: Cordon, is_closed: bool) -> Outcome {
    let dry_run = args.dry_run.parse(ctx)?;
    let verb = if is_closed { "cordon" } else { "uncordon" };
    refuse_both(verb, &args.words, args.selector.as_deref())?;
    if args.words.is_empty() && args.selector.is_none() {
        return Err(Fault::usage(verb, format!("USAGE: {verb} NODE [flags]")));
    }
    let mut faults = Vec::new();
    let found = nodes(ctx, &args.words, args.selector.as_deref(), false).await?;
    for node in found.all_or_fault()? {
        if let Err(fault) = set_closed(ctx, &node, is_closed, dry_run).await {
            faults.push(fault);
        }
    }
    Fault::all(faults)
}

/// The nodes of these names or labels, or all.
async fn nodes(
    ctx: &Ctx,
    names: &[String],
    selector: Option<&str>,
    is_all: bool,
) -> Result<Found, Fault> {
    let named = |name: &String| {
        if name.contains('/') { name.clone() } else { format!("nodes/{name}") }
    };
    let words: Vec<String> = match names {
        [] => vec!["nodes".into()],
        names => names.iter().map(named).collect(),
    };
    Select { words: &words, selector, is_all, ..Select::default() }.found(ctx).await
}

/// Refuses names beside a selector.
fn refuse_both(verb: &str, names: &[String], selector: Option<&str>) -> Outcome {
    if names.is_empty() || selector.is_none_or(str::is_empty) {
        return Ok(());
    }
    Err(Fault::usage(verb, "cannot specify both a node name and a --selector option"))
}

async fn set_closed(ctx: &Ctx, node: &Item, is_closed: bool, dry_run: DryRun) -> Outcome {
    let verb = if is_closed { "cordoned" } else { "uncordoned" };
    if node.object.b("/spec/unschedulable") == is_closed {
        return ctx.line(format!("node/{} already {verb}{}", node.name, dry_run.suffix()));
    }
    if dry_run != DryRun::Client {
        let value: Value = if is_closed { true.into() } else { Value::Null };
        let patch = json!({"spec": {"unschedulable": value}});
        let call = Call::patch(node.path(), STRATEGIC, &patch).query("dryRun", dry_run.query());
        ctx.call(call).await?;
    }
    ctx.line(format!("node/{} {verb}{}", node.name, dry_run.suffix()))
}

/// The object with another list of taints.
fn with_taints(object: &Value, taints: Vec<Value>) -> Value {
    let mut object = object.clone();
    at_mut(&mut object, &["spec"])["taints"] = Value::Array(taints);
    object
}
