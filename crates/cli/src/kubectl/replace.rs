//! `replace`: makes objects exactly what files say.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::applied;
use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs, ValidateArgs};
use super::select::{Item, Reading};
use super::time::parse_duration;
use super::value::{Look, at_mut};
use super::wait::until_gone;

/// How long a deleted object is waited for when `--timeout` is 0, as kubectl does.
const GONE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Make objects exactly what files say
#[derive(Debug, Args)]
pub(crate) struct Replace {
    #[command(flatten)]
    files: FileArgs,
    /// Delete the objects and create them again
    #[arg(long)]
    force: bool,
    /// Seconds that a deleted object is given to end
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    grace_period: i64,
    /// How long to wait for the deletion
    #[arg(long, default_value = "0s")]
    timeout: String,
    /// Keep the configuration for a later apply
    #[arg(long)]
    save_config: bool,
    /// A subresource to replace
    #[arg(long)]
    subresource: Option<String>,
    /// A path of the server to put the file to instead
    #[arg(long)]
    raw: Option<String>,
    /// background, foreground or orphan; with --force
    #[arg(long, default_value = "background")]
    cascade: String,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-replace")]
    field_manager: String,
    #[command(flatten)]
    validate: ValidateArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Replace) -> Outcome {
    if args.files.is_empty() {
        return Err(Fault::refused("must specify --filename to replace"));
    }
    let dry_run = args.dry_run.parse()?;
    let report = Report::new(&args.report, dry_run)?;
    if let Some(path) = args.raw {
        return super::files::raw(ctx, &args.files, http::Method::PUT, path).await;
    }
    let reading = Reading { validation: args.validate.query()?, ..Reading::default() };
    let mut visit = args.files.declared(ctx, reading).await?.visit();
    while let Some(mut item) = visit.next() {
        if args.save_config || applied::read(&item.object).is_some() {
            applied::write(&mut item.object);
        }
        let source = quoted(&item.source);
        let replaced = if args.force {
            again(ctx, &args, &item).await
        } else {
            let sent = put(ctx, &args, item, dry_run).await;
            sent.map_err(|fault| fault.context(&format!("error when replacing {source}")))
        };
        match replaced {
            Ok(object) => report.done(ctx, &object, "replaced")?,
            Err(fault) => visit.failed(fault),
        }
    }
    visit.end()
}

fn query(args: &Replace, call: Call, dry_run: DryRun) -> Result<Call, Fault> {
    Ok(call
        .query("dryRun", dry_run.query())
        .query("fieldManager", args.field_manager.clone())
        .query("fieldValidation", args.validate.query()?))
}

async fn put(ctx: &Ctx, args: &Replace, mut item: Item, dry_run: DryRun) -> Result<Value, Fault> {
    if dry_run == DryRun::Client {
        return Ok(item.object);
    }
    let mut path = item.path();
    if let Some(subresource) = &args.subresource {
        path = format!("{path}/{subresource}");
    }
    if item.object.s("/metadata/resourceVersion").is_empty() {
        // Without a version the server takes the object as it is; some kinds insist on one.
        if let Ok(current) = ctx.call(Call::get(item.path())).await {
            let version = current.s("/metadata/resourceVersion");
            at_mut(&mut item.object, &["metadata"])["resourceVersion"] = version.into();
        }
    }
    ctx.call(query(args, Call::put(path, &item.object), dry_run)?).await
}

async fn again(ctx: &Ctx, args: &Replace, item: &Item) -> Result<Value, Fault> {
    let policy = match args.cascade.as_str() {
        "foreground" => "Foreground",
        "orphan" => "Orphan",
        _ => "Background",
    };
    let mut options = json!({"propagationPolicy": policy});
    if args.grace_period >= 0 {
        options["gracePeriodSeconds"] = args.grace_period.into();
    }
    let limit =
        parse_duration(&args.timeout).filter(|limit| !limit.is_zero()).unwrap_or(GONE_TIMEOUT);
    let deadline = Instant::now() + limit;
    match ctx.call(Call::delete(item.path(), &options)).await {
        Ok(_) => {
            let kind = item.resource.label();
            let place = if item.resource.is_namespaced {
                format!(" from {} namespace", item.namespace)
            } else {
                String::new()
            };
            if args.report.output.is_none() {
                ctx.line(format!("{kind} \"{}\" deleted{place}", item.name))?;
            }
            until_gone(ctx, &item.resource, &item.namespace, &item.name, None, Some(deadline))
                .await?;
        }
        Err(fault) if fault.is_not_found() => {}
        Err(fault) => return Err(fault),
    }
    let mut object = item.object.clone();
    super::value::object_mut(at_mut(&mut object, &["metadata"])).remove("resourceVersion");
    let path = item.resource.collection(Some(&item.namespace));
    ctx.call(query(args, Call::post(path, &object), DryRun::None)?).await
}
