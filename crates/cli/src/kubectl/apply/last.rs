//! `apply view-last-applied` and `set-last-applied`.

use clap::Args;
use serde_json::{Value, json};

use super::super::applied;
use super::super::call::{Call, MERGE};
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::files::FileArgs;
use super::super::print::json as json_text;
use super::super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::super::select::{Item, Select};
use super::super::value::Look;

/// Show the configuration that was applied last
#[derive(Debug, Args)]
pub(super) struct View {
    /// TYPE NAME or TYPE/NAME
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// yaml or json
    #[arg(short, long, default_value = "yaml")]
    output: String,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// All of the kind
    #[arg(long)]
    all: bool,
}

/// Set the configuration that was applied last to what files say
#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Make the annotation if there is none
    #[arg(long)]
    create_annotation: bool,
}

pub(super) async fn view(ctx: &Ctx, args: View) -> Outcome {
    let select = Select {
        words: &args.words,
        files: Some(&args.files),
        selector: args.selector.as_deref(),
        is_all: args.all,
        ..Select::default()
    };
    for item in select.all_or_fault(ctx).await? {
        let Some(applied) = applied::read(&item.object) else {
            return Err(missing(&item));
        };
        match args.output.as_str() {
            "json" => ctx.line(json_text::pretty(&applied).replace("    ", "  "))?,
            "yaml" => ctx.out(podo_api::yaml::from_json(&applied))?,
            other => {
                return Err(Fault::refused(format!(
                    "Unexpected -o output mode: {other}, the flag 'output' must be one of yaml|json"
                )));
            }
        }
    }
    Ok(())
}

fn missing(item: &Item) -> Fault {
    Fault::refused(format!(
        "no last-applied-configuration annotation found on resource: {}",
        item.name
    ))
}

pub(super) async fn set(ctx: &Ctx, args: Set) -> Outcome {
    let dry_run = args.dry_run.parse()?;
    let report = Report::new(&args.report, dry_run)?;
    let select = Select { files: Some(&args.files), is_local: true, ..Select::default() };
    for mut item in select.all_or_fault(ctx).await? {
        let current = ctx.call(Call::get(item.path())).await?;
        if applied::read(&current).is_none() && !args.create_annotation {
            return Err(missing(&item));
        }
        applied::write(&mut item.object);
        let text: &Value = &item.object["metadata"]["annotations"][applied::KEY];
        let patch = json!({"metadata": {"annotations": {applied::KEY: text}}});
        let mut object = current;
        if dry_run != DryRun::Client {
            let call = Call::patch(item.path(), MERGE, &patch).query("dryRun", dry_run.query());
            object = ctx.call(call.query("fieldManager", "kubectl-last-applied")).await?;
        }
        debug_assert!(!object.name().is_empty(), "an object of the server has a name");
        report.done(ctx, &object, "configured")?;
    }
    Ok(())
}
