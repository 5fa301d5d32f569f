//! `rollout`: how a workload's change goes on, its history, and going back.

mod history;
mod status;

use clap::{Args, Subcommand};
use podo_base::Timestamp;
use serde_json::{Value, json};

use super::call::{Call, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::report::{DryRun, Report, ReportArgs};
use super::select::{Item, Select};
use super::time::now;
use super::value::Look;

/// Follow, undo or restart the change of a workload
#[derive(Debug, Args)]
pub(crate) struct Rollout {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Status(status::Status),
    History(history::History),
    Undo(history::Undo),
    Restart(Change),
    Pause(Change),
    Resume(Change),
}

/// Which workloads.
#[derive(Debug, Args)]
struct Targets {
    /// TYPE NAME... or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
}

/// Change how workloads roll out
#[derive(Debug, Args)]
struct Change {
    #[command(flatten)]
    targets: Targets,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-rollout")]
    field_manager: String,
    #[command(flatten)]
    report: ReportArgs,
}

impl Targets {
    async fn items(&self, ctx: &Ctx) -> Result<Vec<Item>, Fault> {
        if self.words.is_empty() && self.files.is_empty() {
            return Err(Fault::refused("required resource not specified"));
        }
        let select = Select {
            words: &self.words,
            files: Some(&self.files),
            selector: self.selector.as_deref(),
            is_empty_all: true,
            ..Select::default()
        };
        select.all_or_fault(ctx).await
    }
}

pub(crate) async fn run(ctx: &Ctx, args: Rollout) -> Outcome {
    match args.verb {
        Verb::Status(args) => status::run(ctx, args).await,
        Verb::History(args) => history::run(ctx, args).await,
        Verb::Undo(args) => history::undo(ctx, args).await,
        Verb::Restart(args) => change(ctx, args, restart).await,
        Verb::Pause(args) => change(ctx, args, |item| pause(item, true)).await,
        Verb::Resume(args) => change(ctx, args, |item| pause(item, false)).await,
    }
}

/// Sends the patch that `plan` makes for each workload and tells what it says.
async fn change(
    ctx: &Ctx,
    args: Change,
    plan: impl Fn(&Item) -> Result<(Value, &'static str), Fault>,
) -> Outcome {
    let report = Report::new(&args.report, DryRun::None)?;
    let mut faults = Vec::new();
    let items = args.targets.items(ctx).await?;
    if items.is_empty() {
        ctx.note(format!("No resources found in {} namespace.", ctx.namespace()?));
    }
    for item in items {
        let done = async {
            let (patch, message) = plan(&item)?;
            let call = Call::patch(item.path(), STRATEGIC, &patch)
                .query("fieldManager", args.field_manager.clone());
            let object = ctx.call(call).await?;
            report.done(ctx, &object, message)
        };
        if let Err(fault) = done.await {
            faults.push(fault);
        }
    }
    Fault::all(faults)
}

fn restart(item: &Item) -> Result<(Value, &'static str), Fault> {
    if !matches!(item.resource.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet") {
        return Err(unsupported(item, "restarting is not supported"));
    }
    if item.object.b("/spec/paused") {
        return Err(Fault::refused(format!(
            "{} {} can't restart paused deployment (run rollout resume first)",
            item.resource.qualified(),
            quoted(&item.name)
        )));
    }
    let stamp = Timestamp::from_seconds(now().as_seconds()).to_rfc3339();
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": stamp});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    Ok((patch, "restarted"))
}

fn pause(item: &Item, wants_pause: bool) -> Result<(Value, &'static str), Fault> {
    if item.resource.kind != "Deployment" {
        let act =
            if wants_pause { "pausing is not supported" } else { "resuming is not supported" };
        return Err(unsupported(item, act));
    }
    if item.object.b("/spec/paused") == wants_pause {
        let state = if wants_pause { "already" } else { "not" };
        return Err(Fault::refused(format!(
            "{} {} is {state} paused",
            item.resource.qualified(),
            quoted(&item.name)
        )));
    }
    let value: Value = if wants_pause { true.into() } else { Value::Null };
    Ok((json!({"spec": {"paused": value}}), if wants_pause { "paused" } else { "resumed" }))
}

fn unsupported(item: &Item, why: &str) -> Fault {
    Fault::refused(format!("{} {} {why}", item.resource.qualified(), quoted(&item.name)))
}
