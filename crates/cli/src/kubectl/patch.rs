//! `patch`.

use clap::Args;
use serde_json::Value;

use super::call::{Call, JSON_PATCH, MERGE, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome, go_text, quoted};
use super::files::FileArgs;
use super::kinds::schema_of;
use super::overrides;
use super::record::RecordArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::select::{Item, Select};

/// Change fields of objects
#[derive(Debug, Args)]
pub(crate) struct Patch {
    /// TYPE NAME or TYPE/NAME
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// The patch, as JSON or YAML
    #[arg(short, long)]
    patch: Option<String>,
    /// A file with the patch
    #[arg(long)]
    patch_file: Option<String>,
    /// strategic, merge or json
    #[arg(long, default_value = "strategic")]
    r#type: String,
    /// A subresource to patch
    #[arg(long)]
    subresource: Option<String>,
    /// Change the files' objects only, send nothing
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    record: RecordArgs,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-patch")]
    field_manager: String,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Patch) -> Outcome {
    let dry_run = args.dry_run.parse(ctx)?;
    let given = args.patch.as_ref().filter(|text| !text.is_empty());
    let text = match (given, &args.patch_file) {
        (Some(text), None) => text.clone(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|source| {
            Fault::refused(format!("unable to read patch file: open {path}: {}", go_text(&source)))
        })?,
        (Some(_), Some(_)) => {
            return Err(Fault::refused("cannot specify --patch and --patch-file together"));
        }
        (None, None) => {
            return Err(Fault::refused(
                "must specify --patch or --patch-file containing the contents of the patch",
            ));
        }
    };
    if args.local && !args.words.is_empty() {
        return Err(Fault::refused("cannot specify --local and server resources"));
    }
    if args.local && dry_run == DryRun::Server {
        return Err(Fault::refused(
            "cannot specify --local and --dry-run=server - did you mean --dry-run=client?",
        ));
    }
    let kind = match args.r#type.to_lowercase().as_str() {
        "strategic" => STRATEGIC,
        "merge" => MERGE,
        "json" => JSON_PATCH,
        other => {
            return Err(Fault::refused(format!(
                "--type must be one of [json merge strategic], not {}",
                quoted(other)
            )));
        }
    };
    let patch = as_json(&text).map_err(|why| {
        // As in kubectl, the text of a file is not repeated.
        let text = args.patch.as_deref().unwrap_or_default();
        Fault::refused(format!("unable to parse {}: {why}", quoted(text)))
    })?;
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Fault::refused(super::select::NOTHING_NAMED));
    }
    // Kubectl v1.36 does not tell a dry run of a patch from a real one.
    let report = Report::new(&args.report, DryRun::None)?;
    let select = Select {
        words: &args.words,
        files: Some(&args.files),
        is_offline: args.local,
        ..Select::default()
    };
    let found = select.found(ctx).await?;
    if found.is_empty() {
        return Err(Fault::refused("no objects passed to patch"));
    }
    let mut visit = found.visit();
    while let Some(item) = visit.next() {
        match one(ctx, &args, &item, kind, &patch, dry_run).await {
            Ok(object) => {
                let message = if object == item.object { "patched (no change)" } else { "patched" };
                report.done(ctx, &object, message)?;
            }
            Err(fault) => visit.failed(fault),
        }
    }
    visit.end()
}

async fn one(
    ctx: &Ctx,
    args: &Patch,
    item: &Item,
    kind: &'static str,
    patch: &str,
    dry_run: DryRun,
) -> Result<Value, Fault> {
    if args.local || dry_run == DryRun::Client {
        return local(item, kind, patch);
    }
    let mut path = item.path();
    if let Some(subresource) = &args.subresource {
        path = format!("{path}/{subresource}");
    }
    let call = Call::patch(path, kind, &Value::Null)
        .body(patch.as_bytes().to_vec())
        .query("dryRun", dry_run.query())
        .query("fieldManager", args.field_manager.clone());
    match ctx.call(call).await {
        Err(fault) if fault.reason() == "UnsupportedMediaType" => Err(Fault::refused(format!(
            "{kind} is not supported by {}/{}, Kind={}: {fault}",
            item.resource.group, item.resource.version, item.resource.kind
        ))),
        Ok(object) => Ok(args.record.patch(ctx, item.path()).await.unwrap_or(object)),
        Err(fault) => Err(fault),
    }
}

/// A text as JSON: one that begins as an object of JSON is taken as it is, be it broken, as kubectl does.
fn as_json(text: &str) -> Result<String, String> {
    if text.trim_start().starts_with('{') {
        return Ok(text.to_owned());
    }
    let read = podo_api::yaml::to_json(text.as_bytes());
    read.map(|value| value.to_string()).map_err(|error| error.to_string())
}

fn local(item: &Item, kind: &'static str, patch: &str) -> Result<Value, Fault> {
    let object = item.object.clone();
    let kind = match kind {
        JSON_PATCH => "json",
        STRATEGIC => "strategic",
        _ => "merge",
    };
    let ty = schema_of(&item.resource);
    if ty.is_none() && kind == "strategic" {
        let (version, own) = (item.resource.api_version(), &item.resource.kind);
        return Err(Fault::refused(format!(
            "strategic merge patch is not supported for {version}, Kind={own} locally, try --type merge"
        )));
    }
    overrides::patched(object, patch, kind, ty)
}
