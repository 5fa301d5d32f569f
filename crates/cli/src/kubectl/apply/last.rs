//! `apply view-last-applied` and `set-last-applied`.

use clap::Args;
use serde_json::json;

use super::super::applied;
use super::super::call::{Call, MERGE};
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::files::FileArgs;
use super::super::print::json as json_text;
use super::super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::super::select::{NOTHING_NAMED, Select};

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
    #[arg(hide = true)]
    words: Vec<String>,
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
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Fault::refused(NOTHING_NAMED));
    }
    let select = Select {
        words: &args.words,
        files: Some(&args.files),
        selector: args.selector.as_deref(),
        is_all: args.all,
        is_empty_all: ctx.explicit_namespace().is_some(),
        ..Select::default()
    };
    // An object without a configuration is passed over.
    for item in select.found(ctx).await?.first_fault()? {
        let Some(applied) = applied::read(&item.object) else { continue };
        match args.output.as_str() {
            "json" => ctx.line(json_text::pretty(&applied).replace("    ", "  "))?,
            "yaml" => ctx.out(podo_api::yaml::from_json(&applied))?,
            other => {
                return Err(Fault::usage(
                    "apply view-last-applied",
                    format!(
                        "Unexpected -o output mode: {other}, the flag 'output' must be one of yaml|json"
                    ),
                ));
            }
        }
    }
    Ok(())
}

pub(super) async fn set(ctx: &Ctx, args: Set) -> Outcome {
    let dry_run = args.dry_run.parse(ctx)?;
    let report = Report::new(&args.report, dry_run)?;
    // Words are taken and say nothing: as in kubectl, the files are then missed.
    let Set { words: _, .. } = &args;
    if args.files.is_empty() {
        return Err(Fault::refused(NOTHING_NAMED));
    }
    let select = Select { files: Some(&args.files), is_lazy: true, ..Select::default() };
    let mut changes = Vec::new();
    for item in select.found(ctx).await?.first_fault()? {
        let current = ctx.call(Call::get(item.path())).await?;
        let applied = applied::read(&current);
        if applied.is_none() && !args.create_annotation {
            return Err(Fault::refused(format!(
                "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command with --create-annotation",
                item.name
            )));
        }
        if applied.as_ref() == Some(&item.object) {
            ctx.line(format!("set-last-applied {}: no changes required.", item.name))?;
        } else {
            changes.push((item, current));
        }
    }
    for (item, mut object) in changes {
        let text = json_text::compact(&item.object) + "\n";
        let patch = json!({"metadata": {"annotations": {applied::KEY: text}}});
        if dry_run != DryRun::Client {
            let call = Call::patch(item.path(), MERGE, &patch).query("dryRun", dry_run.query());
            object = ctx.call(call).await?;
        }
        report.done(ctx, &object, "configured")?;
    }
    Ok(())
}
