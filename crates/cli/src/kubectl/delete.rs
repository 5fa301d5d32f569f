//! `delete`: by name, file or selector; waits until the objects are gone.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::normal::boolean;
use super::report::{DryRun, DryRunArgs};
use super::select::{Found, Item, Select};
use super::time::parse_duration;
use super::value::Look;
use super::wait::until_gone;

/// How long `--timeout=0` waits: a week, as kubectl does.
const FOREVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Delete objects
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// TYPE[,TYPE] [NAME...] or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Only those with these fields
    #[arg(long)]
    field_selector: Option<String>,
    /// All of the kind
    #[arg(long)]
    all: bool,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Seconds that a Pod is given to end; -1 for its own
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    grace_period: i64,
    /// One second to end
    #[arg(long)]
    now: bool,
    /// Do not wait for the node's confirmation
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    cascade: CascadeArgs,
    /// Say nothing if an object is not there
    #[arg(long)]
    ignore_not_found: bool,
    /// Wait until the objects are gone
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    wait: bool,
    /// How long to wait; 0 for ever
    #[arg(long, default_value = "0s")]
    timeout: String,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// name
    #[arg(short, long)]
    output: Option<String>,
    /// Ask before deleting
    #[arg(short, long)]
    interactive: bool,
    /// A path of the server to delete instead
    #[arg(long)]
    raw: Option<String>,
}

/// The flag `--cascade`.
#[derive(Debug, Args)]
pub(crate) struct CascadeArgs {
    /// What becomes of what belongs to deleted objects: background, foreground or orphan
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "background", default_missing_value = "background")]
    cascade: String,
}

impl CascadeArgs {
    /// The policy of a deletion; says that a boolean is deprecated.
    pub(crate) fn policy(&self, ctx: &Ctx) -> Result<&'static str, Fault> {
        let deprecated = |value: &str| {
            ctx.note(format!(
                "warning: --cascade={} is deprecated (boolean value) and can be replaced with --cascade={value}.",
                self.cascade
            ));
        };
        match (self.cascade.as_str(), boolean(&self.cascade)) {
            ("background", _) => Ok("Background"),
            ("foreground", _) => Ok("Foreground"),
            ("orphan", _) => Ok("Orphan"),
            (_, Ok(true)) => {
                deprecated("background");
                Ok("Background")
            }
            (_, Ok(false)) => {
                deprecated("orphan");
                Ok("Orphan")
            }
            (other, Err(_)) => Err(Fault::refused(format!(
                "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
            ))),
        }
    }
}

/// What is said of `--all` beside a selector, its last blank included.
const ALL_AND_SELECTOR: &str = "setting 'all' parameter but found a non empty selector. ";

pub(crate) async fn run(ctx: &Ctx, mut args: Delete) -> Outcome {
    let policy = args.cascade.policy(ctx)?;
    if let Some(path) = &args.raw {
        return raw(ctx, path).await;
    }
    let dry_run = args.dry_run.parse(ctx)?;
    let mut options = options(ctx, &mut args)?;
    options["propagationPolicy"] = policy.into();
    dry_run.mark(&mut options);
    let limit = limit(&args.timeout)?;
    if args.words.is_empty() && args.files.is_empty() && (args.all || args.selector.is_some()) {
        return Err(Fault::refused("at least one resource must be specified to use a selector"));
    }
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Fault::refused(super::select::NOTHING_NAMED));
    }
    let select = Select {
        words: &args.words,
        files: Some(&args.files),
        selector: args.selector.as_deref(),
        field_selector: args.field_selector.as_deref(),
        is_all: args.all,
        is_all_namespaces: args.all_namespaces,
        is_local: true,
        ..Select::default()
    };
    let found = select.found(ctx).await?;
    if args.interactive && !found.is_empty() && !is_confirmed(ctx, &found)? {
        return ctx.line("deletion is cancelled");
    }
    let is_nothing = found.is_empty();
    let mut deleted = Vec::new();
    let mut visit = found.visit();
    while let Some(item) = visit.next() {
        let words = Some(&item.source).filter(|source| !source.is_empty());
        let words = words.map(|source| format!("error when deleting {}", quoted(source)));
        match delete_one(ctx, &args, &item, &options, dry_run).await {
            Ok(uid) => deleted.push((item, uid)),
            Err(Fault::Closed) => return Err(Fault::Closed),
            Err(fault) => visit.failed(match words {
                Some(words) => fault.context(&words),
                None => fault,
            }),
        }
    }
    let is_ignored = args.ignore_not_found || args.all || args.selector.is_some();
    let end = visit.end().err();
    let end = if is_ignored { end.and_then(Fault::without_not_found) } else { end };
    if let Some(fault) = end {
        return Err(fault);
    }
    if is_nothing {
        return ctx.line("No resources found");
    }
    if !args.wait || dry_run != DryRun::None {
        return Ok(());
    }
    ctx.flush()?;
    all_gone(ctx, &deleted, Instant::now() + limit).await
}

/// Deletes a path of the server.
async fn raw(ctx: &Ctx, path: &str) -> Outcome {
    super::files::check_raw(path)?;
    ctx.out(&ctx.fetch(Call::new(Method::DELETE, path)).await?)
}

/// How long is waited.
fn limit(timeout: &str) -> Result<Duration, Fault> {
    match parse_duration(timeout) {
        Some(Duration::ZERO) => Ok(FOREVER),
        Some(limit) => Ok(limit),
        None => {
            Err(Fault::refused(format!("invalid argument \"{timeout}\" for \"--timeout\" flag")))
        }
    }
}

/// Waits until all objects are gone. Who may not look cannot wait, which is no failure.
async fn all_gone(ctx: &Ctx, deleted: &[(Item, Option<String>)], deadline: Instant) -> Outcome {
    for (item, uid) in deleted {
        let uid = uid.as_deref();
        let deadline = Some(deadline);
        match until_gone(ctx, &item.resource, &item.namespace, &item.name, uid, deadline).await {
            Err(fault) if matches!(fault.reason(), "Forbidden" | "MethodNotAllowed") => {}
            other => other?,
        }
    }
    Ok(())
}

/// The options of the requests; says what is dangerous and refuses what contradicts.
fn options(ctx: &Ctx, args: &mut Delete) -> Result<Value, Fault> {
    if args.output.as_deref().is_some_and(|output| output != "name") {
        return Err(Fault::refused(format!(
            "unexpected -o output mode: {}. We only support '-o name'",
            args.output.as_deref().unwrap_or_default()
        )));
    }
    if args.all && (args.selector.is_some() || args.field_selector.is_some()) {
        return Err(Fault::refused(ALL_AND_SELECTOR));
    }
    if args.now {
        if args.grace_period != -1 {
            return Err(Fault::refused("--now and --grace-period cannot be specified together"));
        }
        args.grace_period = 1;
    }
    if args.grace_period == 0 && !args.force {
        args.grace_period = 1; // Only --force may skip the confirmation of the node.
    }
    if args.force && args.grace_period < 0 {
        args.grace_period = 0;
    }
    if args.force && args.grace_period > 0 {
        return Err(Fault::refused(
            "--force and --grace-period greater than 0 cannot be specified together",
        ));
    }
    if args.force {
        ctx.warn_once("Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.");
    }
    let mut options = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
    if args.grace_period >= 0 {
        options["gracePeriodSeconds"] = args.grace_period.into();
    }
    Ok(options)
}

/// Deletes one object and says so; its UID, if the server tells it.
async fn delete_one(
    ctx: &Ctx,
    args: &Delete,
    item: &Item,
    options: &Value,
    dry_run: DryRun,
) -> Result<Option<String>, Fault> {
    if item.name.is_empty() {
        return Err(Fault::refused("resource name may not be empty"));
    }
    let has_scope = ctx.explicit_namespace().is_some() && !args.all_namespaces;
    if !item.resource.is_namespaced && has_scope {
        ctx.warn_once("deleting cluster-scoped resources, not scoped to the provided namespace");
    }
    let mut uid = None;
    if dry_run != DryRun::Client {
        let answer = ctx.call(Call::delete(item.path(), options)).await?;
        let field = if answer.s("/kind") == "Status" { "/details/uid" } else { "/metadata/uid" };
        uid = Some(answer.s(field).to_owned()).filter(|uid| !uid.is_empty());
    }
    if args.output.is_some() {
        ctx.line(item.label())?;
        return Ok(uid);
    }
    let operation = if args.grace_period == 0 { "force deleted" } else { "deleted" };
    let place = if item.resource.is_namespaced {
        format!(" from {} namespace", item.namespace)
    } else {
        String::new()
    };
    let kind = item.resource.label();
    ctx.line(format!("{kind} \"{}\" {operation}{place}{}", item.name, dry_run.suffix()))?;
    Ok(uid)
}

fn is_confirmed(ctx: &Ctx, found: &Found) -> Result<bool, Fault> {
    ctx.line(format!("You are about to delete the following {} resource(s):", found.count()))?;
    for item in found.items() {
        ctx.line(item.label())?;
    }
    ctx.out("Do you want to continue? (y/N): ")?;
    ctx.flush()?;
    let answer = ctx.read_line()?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
