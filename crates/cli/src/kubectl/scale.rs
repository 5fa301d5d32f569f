//! `scale`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::{Call, MERGE};
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::record::RecordArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::select::{Item, NOTHING_NAMED, Select};
use super::time::parse_duration;
use super::value::{Look, at_mut};
use super::wait::{Seen, Watched};

/// Set the number of Pods
#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// TYPE NAME... or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// How many Pods
    #[arg(long, required = true, allow_hyphen_values = true)]
    replicas: i64,
    /// Only if there are so many
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    current_replicas: i64,
    /// Only if the object is of this version
    #[arg(long)]
    resource_version: Option<String>,
    /// How long to wait until it is so; 0 does not wait
    #[arg(long, default_value = "0s")]
    timeout: String,
    /// All of the kind
    #[arg(long)]
    all: bool,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Scale) -> Outcome {
    if args.replicas < 0 {
        return Err(Fault::refused(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        ));
    }
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Fault::refused(NOTHING_NAMED));
    }
    let limit = parse_duration(&args.timeout).unwrap_or(Duration::ZERO);
    let dry_run = args.dry_run.parse(ctx)?;
    let report = Report::new(&args.report, dry_run)?;
    let select = Select {
        words: &args.words,
        files: Some(&args.files),
        selector: args.selector.as_deref(),
        is_all: args.all,
        ..Select::default()
    };
    let (items, fault) = select.found(ctx).await?.infos();
    if items.is_empty() {
        return Err(fault.unwrap_or_else(|| Fault::refused("no objects passed to scale")));
    }
    if args.resource_version.is_some() && items.len() > 1 {
        return Err(Fault::refused("cannot use --resource-version with multiple resources"));
    }
    for item in items {
        let mut object = item.object.clone();
        at_mut(&mut object, &["spec"])["replicas"] = args.replicas.into();
        if dry_run != DryRun::Client {
            one(ctx, &args, &item, dry_run).await?;
            args.record.patch(ctx, item.path()).await;
            if !limit.is_zero() && dry_run == DryRun::None {
                settled(ctx, &item, args.replicas, Instant::now() + limit).await?;
            }
        }
        report.done(ctx, &object, "scaled")?;
    }
    fault.map_or(Ok(()), Err)
}

async fn one(ctx: &Ctx, args: &Scale, item: &Item, dry_run: DryRun) -> Outcome {
    let path = format!("{}/scale", item.path());
    if args.current_replicas == -1 && args.resource_version.is_none() {
        let patch = json!({"spec": {"replicas": args.replicas}});
        ctx.call(Call::patch(path, MERGE, &patch).query("dryRun", dry_run.query())).await?;
        return Ok(());
    }
    let mut scale = ctx.call(Call::get(&path)).await?;
    let current = scale.i("/spec/replicas");
    if args.current_replicas != -1 && current != args.current_replicas {
        return Err(Fault::refused(format!(
            "Expected replicas to be {}, was {current}",
            args.current_replicas
        )));
    }
    if let Some(wanted) = &args.resource_version {
        let version = scale.s("/metadata/resourceVersion");
        if version != wanted {
            return Err(Fault::refused(format!(
                "Expected resource version to be {wanted}, was {version}"
            )));
        }
    }
    at_mut(&mut scale, &["spec"])["replicas"] = args.replicas.into();
    ctx.call(Call::put(path, &scale).query("dryRun", dry_run.query())).await?;
    Ok(())
}

async fn settled(ctx: &Ctx, item: &Item, replicas: i64, deadline: Instant) -> Outcome {
    let watched =
        Watched { ctx, resource: &item.resource, namespace: &item.namespace, name: &item.name };
    let seen = |object: &Value| {
        let is_there =
            object.i("/status/replicas") == replicas && object.i("/spec/replicas") == replicas;
        Ok(if is_there { Seen::Done } else { Seen::NotYet })
    };
    watched.until(Some(deadline), seen).await.map(|_object| ())
}
