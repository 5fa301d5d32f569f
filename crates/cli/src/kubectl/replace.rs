//! `replace`: makes objects exactly what files say.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::applied;
use super::call::Call;
use super::context::Ctx;
use super::delete::CascadeArgs;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::record::RecordArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs, ValidateArgs};
use super::select::{Item, Reading};
use super::time::parse_duration;
use super::value::{Look, at_mut};
use super::wait::until_gone;

/// What is said of an object without a name.
const NAMELESS: &str = "resource name may not be empty";
/// How long a deleted object is waited for when `--timeout` is 0, as kubectl does.
const GONE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Make objects exactly what files say
#[derive(Debug, Args)]
pub(crate) struct Replace {
    #[arg(hide = true)]
    words: Vec<String>,
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
    #[command(flatten)]
    cascade: CascadeArgs,
    /// Wait until deleted objects are gone
    #[arg(long)]
    wait: bool,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-replace")]
    field_manager: String,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    validate: ValidateArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Replace) -> Outcome {
    let validation = args.validate.query()?;
    let dry_run = args.dry_run.parse(ctx)?;
    let report = Report::new(&args.report, dry_run)?;
    let policy = args.cascade.policy(ctx)?;
    if args.files.is_empty() {
        return Err(Fault::refused("must specify one of -f and -k"));
    }
    check(&args, dry_run)?;
    if let Some(path) = args.raw {
        return super::files::raw(ctx, &args.files, http::Method::PUT, path).await;
    }
    let reading = Reading { validation, ..Reading::default() };
    if args.force {
        return again(ctx, &args, &report, policy, reading).await;
    }
    let mut visit = args.files.declared(ctx, reading).await?.visit();
    while let Some(mut item) = visit.next() {
        args.keep_configuration(&mut item);
        args.record.mark(ctx, &mut item.object);
        let source = quoted(&item.source);
        let sent = put(ctx, &args, item, dry_run).await;
        match sent.map_err(|fault| fault.context(&format!("error when replacing {source}"))) {
            Ok(object) => report.done(ctx, &object, "replaced")?,
            Err(fault) => visit.failed(fault),
        }
    }
    visit.end()
}

/// Refuses flags that mean nothing together.
fn check(args: &Replace, dry_run: DryRun) -> Outcome {
    let has_timeout = parse_duration(&args.timeout).is_none_or(|timeout| !timeout.is_zero());
    let refused = [
        // A period of 0 is one of 1 here, as only `delete --force` may skip the confirmation of the node.
        (args.grace_period >= 0 && !args.force, "--grace-period must have --force specified"),
        (has_timeout && !args.force, "--timeout must have --force specified"),
        (args.force && dry_run != DryRun::None, "--dry-run can not be used when --force is set"),
    ];
    match refused.iter().find(|(is_so, _)| *is_so) {
        Some((_, why)) => Err(Fault::refused(*why)),
        None => Ok(()),
    }
}

impl Replace {
    /// Writes the configuration into the object if that is wanted, or was before.
    fn keep_configuration(&self, item: &mut Item) {
        if self.save_config || applied::read(&item.object).is_some() {
            applied::write(&mut item.object);
        }
    }
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
    if item.name.is_empty() {
        return Err(Fault::refused(NAMELESS));
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

/// `--force`: deletes all objects, waits until they are gone, and creates them.
async fn again(
    ctx: &Ctx,
    args: &Replace,
    report: &Report,
    policy: &str,
    reading: Reading<'_>,
) -> Outcome {
    let unchecked = Reading { validation: "", ..reading };
    let mut visit = args.files.declared(ctx, unchecked).await?.visit();
    let mut items = Vec::new();
    while let Some(item) = visit.next() {
        match delete(ctx, args, &item, policy).await {
            Err(fault) if !fault.is_not_found() => visit.failed(fault),
            _ => items.push(item),
        }
    }
    visit.end()?;
    if items.is_empty() {
        ctx.line("No resources found")?;
    }
    ctx.flush()?;
    let limit =
        parse_duration(&args.timeout).filter(|limit| !limit.is_zero()).unwrap_or(GONE_TIMEOUT);
    let deadline = Some(Instant::now() + limit);
    for Item { resource, namespace, name, .. } in &items {
        until_gone(ctx, resource, namespace, name, None, deadline).await?;
    }
    let mut visit = args.files.declared(ctx, reading).await?.visit();
    let mut is_nothing = true;
    while let Some(mut item) = visit.next() {
        args.keep_configuration(&mut item);
        args.record.mark(ctx, &mut item.object);
        match create(ctx, args, item).await {
            Ok(object) => {
                is_nothing = false;
                report.done(ctx, &object, "replaced")?;
            }
            Err(fault) => visit.failed(fault),
        }
    }
    visit.end()?;
    if is_nothing {
        return Err(Fault::refused("no objects passed to replace"));
    }
    Ok(())
}

async fn delete(ctx: &Ctx, args: &Replace, item: &Item, policy: &str) -> Outcome {
    if item.name.is_empty() {
        return Err(Fault::refused(NAMELESS));
    }
    let mut options = json!({"propagationPolicy": policy});
    if args.grace_period >= 0 {
        options["gracePeriodSeconds"] = args.grace_period.max(1).into();
    }
    ctx.call(Call::delete(item.path(), &options)).await?;
    if args.report.output.as_deref() == Some("name") {
        return ctx.line(item.label());
    }
    let kind = item.resource.label();
    let place = if item.resource.is_namespaced {
        format!(" from {} namespace", item.namespace)
    } else {
        String::new()
    };
    ctx.line(format!("{kind} {} deleted{place}", quoted(&item.name)))
}

async fn create(ctx: &Ctx, args: &Replace, item: Item) -> Result<Value, Fault> {
    let path = item.resource.collection(Some(&item.namespace));
    ctx.call(query(args, Call::create(path, &item.object), DryRun::None)?).await
}
