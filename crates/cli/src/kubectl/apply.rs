//! `apply`: makes objects what files say, by a patch computed here or by the server (`--server-side`).

mod last;
mod prune;

use clap::{Args, Subcommand};
use podo_api::patch::{Precondition, merge, strategic};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::applied;
use super::call::{APPLY, Call, MERGE, STRATEGIC};
use super::context::Ctx;
use super::delete::CascadeArgs;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::kinds::schema_of;
use super::record::RecordArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs, ValidateArgs};
use super::select::{Item, Reading};
use super::time::parse_duration;
use super::value::{Look, object_mut};
use super::wait::until_gone;

/// How often a patch is computed anew when somebody else changed the object meanwhile, as kubectl does.
const CONFLICTS_MAX: u32 = 5;

/// Make objects what files say
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Apply {
    #[command(subcommand)]
    last: Option<LastApplied>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    #[command(flatten)]
    validate: ValidateArgs,
    /// Let the server merge
    #[arg(long)]
    server_side: bool,
    /// Take fields over from other managers
    #[arg(long)]
    force_conflicts: bool,
    /// Who manages the fields
    #[arg(long)]
    field_manager: Option<String>,
    /// Delete and create again what cannot be patched
    #[arg(long)]
    force: bool,
    /// How long a deleted object is given to end; with --force
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    grace_period: i64,
    #[command(flatten)]
    cascade: CascadeArgs,
    /// How long to wait until a deleted object is gone; with --force
    #[arg(long, default_value = "0s")]
    timeout: String,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    wait: bool,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    openapi_patch: bool,
    /// A subresource to apply to; with --server-side
    #[arg(long)]
    subresource: Option<String>,
    /// Let fields of files win over changes by others
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    overwrite: bool,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    #[command(flatten)]
    record: RecordArgs,
    /// Delete objects that were applied before and are in no file
    #[arg(long)]
    prune: bool,
    /// With --prune: all, not only those of a selector
    #[arg(long)]
    all: bool,
    /// With --prune: the kinds to delete from, as group/version/kind
    #[arg(long)]
    prune_allowlist: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum LastApplied {
    #[command(name = "edit-last-applied")]
    Edit(super::edit::EditLastApplied),
    #[command(name = "view-last-applied")]
    View(last::View),
    #[command(name = "set-last-applied")]
    Set(last::Set),
}

/// What one object came to.
enum Change {
    Created(Value),
    Configured(Value),
    Unchanged(Value),
    Server(Value),
}

struct Applier<'a> {
    ctx: &'a Ctx,
    args: &'a Apply,
    dry_run: DryRun,
    validation: &'static str,
    /// What becomes of what belongs to objects that are deleted.
    policy: &'static str,
}

pub(crate) async fn run(ctx: &Ctx, args: Apply) -> Outcome {
    match args.last {
        Some(LastApplied::Edit(edit)) => {
            return super::edit::last_applied(ctx, edit).await;
        }
        Some(LastApplied::View(view)) => return last::view(ctx, view).await,
        Some(LastApplied::Set(set)) => return last::set(ctx, set).await,
        None => {}
    }
    let dry_run = args.dry_run.parse(ctx)?;
    let policy = args.cascade.policy(ctx)?;
    if args.files.is_empty() {
        return Err(Fault::refused("must specify one of -f and -k"));
    }
    let validation = args.validate.query()?;
    let allowed = if args.prune { prune::allowed(ctx, &args).await? } else { Vec::new() };
    check(&args, dry_run)?;
    let report = Report::new(&args.report, dry_run)?;
    let applier = Applier { ctx, args: &args, dry_run, validation, policy };
    let reading = Reading { validation, selector: args.selector.as_deref(), ..Reading::default() };
    let (items, unread) = args.files.declared(ctx, reading).await?.infos();
    if items.is_empty() && unread.is_none() {
        return Err(Fault::refused("no objects passed to apply"));
    }
    let mut faults: Vec<Fault> = unread.into_iter().collect();
    let mut results = Vec::new();
    let mut visited = Vec::new();
    for item in items {
        visited.push((item.resource.clone(), item.namespace.clone(), item.name.clone()));
        match applier.one(item).await {
            Ok(change) if report.is_human() => tell(ctx, &report, &change)?,
            Ok(change) => results.push(change.into_object()),
            Err(fault) => faults.push(fault),
        }
    }
    Fault::all(faults)?;
    show(ctx, &report, &args, results)?;
    if args.prune {
        prune::run(&applier, &report, allowed, &visited).await?;
    }
    Ok(())
}

/// Shows the objects that were applied: several as a list.
fn show(ctx: &Ctx, report: &Report, args: &Apply, mut results: Vec<Value>) -> Outcome {
    match results.len() {
        0 => Ok(()),
        1 => report.done(ctx, &results.remove(0), ""),
        _ if args.report.output.as_deref() == Some("name") => {
            results.iter().try_for_each(|object| report.done(ctx, object, ""))
        }
        _ => report.list(ctx, results),
    }
}

/// Refuses flags that mean nothing together; the first that is so is told.
fn check(args: &Apply, dry_run: DryRun) -> Outcome {
    let refused = [
        (
            args.force_conflicts && !args.server_side,
            "--force-conflicts only works with --server-side",
        ),
        (
            args.server_side && dry_run == DryRun::Client,
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        ),
        (args.force && args.server_side, "--force cannot be used with --server-side"),
        (args.force && dry_run == DryRun::Server, "--dry-run=server cannot be used with --force"),
        (args.all && args.selector.is_some(), "cannot set --all and --selector at the same time"),
        (args.prune && args.force, "--force cannot be used with --prune"),
        (
            args.prune && !args.all && args.selector.is_none(),
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector",
        ),
        (
            args.prune && args.server_side,
            "--prune is in alpha and doesn't currently work on objects created by server-side apply",
        ),
        (
            args.subresource.is_some() && !args.server_side,
            "--subresource can only be specified for --server-side",
        ),
    ];
    match refused.iter().find(|(is_so, _)| *is_so) {
        Some((_, why)) => Err(Fault::refused(*why)),
        None => Ok(()),
    }
}

fn tell(ctx: &Ctx, report: &Report, change: &Change) -> Outcome {
    match change {
        Change::Created(object) => report.done(ctx, object, "created"),
        Change::Configured(object) => report.done(ctx, object, "configured"),
        Change::Unchanged(object) => report.done(ctx, object, "unchanged"),
        Change::Server(object) => report.done(ctx, object, "serverside-applied"),
    }
}

impl Change {
    fn into_object(self) -> Value {
        match self {
            Self::Created(object)
            | Self::Configured(object)
            | Self::Unchanged(object)
            | Self::Server(object) => object,
        }
    }
}

impl Applier<'_> {
    fn manager(&self) -> String {
        let default = if self.args.server_side { "kubectl" } else { "kubectl-client-side-apply" };
        self.args.field_manager.clone().unwrap_or_else(|| default.into())
    }

    fn call(&self, call: Call) -> Call {
        call.query("dryRun", self.dry_run.query())
            .query("fieldManager", self.manager())
            .query("fieldValidation", self.validation)
    }

    async fn one(&self, mut item: Item) -> Result<Change, Fault> {
        self.args.record.mark(self.ctx, &mut item.object);
        if item.name.is_empty() {
            let generated = item.object.s("/metadata/generateName");
            if !generated.is_empty() {
                return Err(Fault::refused(format!(
                    "from {generated}: cannot use generate name with apply"
                )));
            }
            return Err(Fault::refused(format!(
                "error when retrieving current configuration of:\n{}\nfrom server for: {}: resource name may not be empty",
                described(&item),
                quoted(&item.source)
            )));
        }
        if self.args.server_side {
            return self.server_side(&item).await;
        }
        applied::write(&mut item.object);
        let current = match self.ctx.call(Call::get(item.path())).await {
            Ok(current) => current,
            Err(fault) if fault.is_not_found() => return self.create(&item).await,
            Err(fault) => {
                let words = format!(
                    "error when retrieving current configuration of:\n{}\nfrom server for: {}",
                    described(&item),
                    quoted(&item.source)
                );
                return Err(fault.context(&words));
            }
        };
        self.patch(&item, current).await
    }

    async fn server_side(&self, item: &Item) -> Result<Change, Fault> {
        let mut object = item.object.clone();
        if let Some(metadata) = object.get_mut("metadata") {
            object_mut(metadata).remove("managedFields");
        }
        let force = if self.args.force_conflicts { "true" } else { "false" };
        let mut path = item.path();
        if let Some(subresource) = &self.args.subresource {
            path = format!("{path}/{subresource}");
        }
        let call = Call::patch(path, APPLY, &object);
        let call = self.call(call.query("force", force));
        match self.ctx.call(call).await {
            Ok(object) => Ok(Change::Server(object)),
            Err(fault) if fault.reason() == "Conflict" => {
                let advice = "Please review the fields above--they currently have other managers. Here\nare the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";
                Err(Fault::refused(format!("{fault}\n{advice}")))
            }
            Err(fault) if fault.reason() == "UnsupportedMediaType" => Err(Fault::refused(format!(
                "Server-side apply not available on the server: ({fault})"
            ))),
            Err(fault) => Err(fault),
        }
    }

    async fn create(&self, item: &Item) -> Result<Change, Fault> {
        let mut object = item.object.clone();
        remove_nulls(&mut object);
        if self.dry_run == DryRun::Client {
            return Ok(Change::Created(object));
        }
        let path = item.resource.collection(Some(&item.namespace));
        let created = self.ctx.call(self.call(Call::create(path, &object))).await;
        created.map(Change::Created).map_err(|fault| {
            fault.context(&format!("error when creating {}", quoted(&item.source)))
        })
    }

    async fn patch(&self, item: &Item, mut current: Value) -> Result<Change, Fault> {
        if applied::read(&current).is_none() {
            self.ctx.note(format!(
                "Warning: resource {}/{} is missing the {} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
                item.resource.plural, item.name, applied::KEY
            ));
        }
        for attempt in 0.. {
            let (patch, kind) = self.difference(item, &current)?;
            if patch == json!({}) {
                self.warn_of_deletion(item, &current);
                return Ok(Change::Unchanged(current));
            }
            if self.dry_run == DryRun::Client {
                let merged = if kind == MERGE {
                    merge::apply(current.clone(), patch)
                } else {
                    preview(item, current.clone(), patch)
                };
                self.warn_of_deletion(item, &merged);
                return Ok(Change::Configured(merged));
            }
            let sent = self.ctx.call(self.call(Call::patch(item.path(), kind, &patch))).await;
            match sent {
                Ok(object) => {
                    self.warn_of_deletion(item, &object);
                    return Ok(Change::Configured(object));
                }
                Err(fault) if fault.reason() == "Conflict" && attempt < CONFLICTS_MAX => {
                    current = self.ctx.call(Call::get(item.path())).await?;
                }
                Err(fault)
                    if self.args.force && matches!(fault.reason(), "Conflict" | "Invalid") =>
                {
                    return self.replace(item, current).await;
                }
                Err(fault) => {
                    let source = quoted(&item.source);
                    let fault = fault.context(&format!("error when patching {source}"));
                    let words = format!(
                        "error when applying patch:\n{}\nto:\n{}\nfor: {source}",
                        super::print::json::compact(&patch),
                        described(item)
                    );
                    return Err(fault.context(&words));
                }
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// The patch from what was applied last to what the file says, given what the server has.
    fn difference(&self, item: &Item, current: &Value) -> Result<(Value, &'static str), Fault> {
        let original = applied::read(current).unwrap_or(json!({}));
        let modified = &item.object;
        let failed = |why: String| {
            Fault::refused(format!(
                "creating patch with:\noriginal:\n{original}\nmodified:\n{modified}\ncurrent:\n{current}\nfor:: {why}"
            ))
        };
        let guards = [
            Precondition::Field("apiVersion"),
            Precondition::Field("kind"),
            Precondition::Metadata("name"),
        ];
        if let Some(ty) = schema_of(&item.resource) {
            let patch = strategic::create_three_way(
                &original,
                modified,
                current,
                ty,
                self.args.overwrite,
                &guards,
            );
            return Ok((patch.map_err(|error| failed(error.to_string()))?, STRATEGIC));
        }
        let patch = merge::create_three_way(&original, modified, current, &guards);
        Ok((patch.map_err(|error| failed(error.to_string()))?, MERGE))
    }

    /// Tells that an object will be gone, whatever is changed of it.
    fn warn_of_deletion(&self, item: &Item, object: &Value) {
        if object.has("/metadata/deletionTimestamp") {
            self.ctx.note(format!(
                "Warning: Detected changes to resource {} which is currently being deleted.",
                item.name
            ));
        }
    }

    /// `--force`: deletes the object, waits until it is gone, and creates it. If it cannot be created, the old one is, so that there is
    /// one.
    async fn replace(&self, item: &Item, old: Value) -> Result<Change, Fault> {
        let mut options = json!({"propagationPolicy": self.policy});
        if self.args.grace_period >= 0 {
            options["gracePeriodSeconds"] = self.args.grace_period.into();
        }
        self.ctx.call(Call::delete(item.path(), &options)).await?;
        let limit = parse_duration(&self.args.timeout).filter(|limit| !limit.is_zero());
        let deadline = limit.map(|limit| Instant::now() + limit);
        until_gone(self.ctx, &item.resource, &item.namespace, &item.name, None, deadline).await?;
        let path = item.resource.collection(Some(&item.namespace));
        let sent = self.ctx.call(self.call(Call::create(&path, &item.object))).await;
        match sent {
            Ok(object) => Ok(Change::Configured(object)),
            Err(fault) => {
                let restored = self.ctx.call(self.call(Call::create(&path, &old))).await;
                Err(match restored {
                    Ok(_object) => fault,
                    Err(second) => Fault::refused(format!(
                        "An error occurred force-replacing the existing object with the newly provided one:\n\n{}.\n\nAdditionally, an error occurred attempting to restore the original object:\n\n{}",
                        fault.message(),
                        second.message()
                    )),
                })
            }
        }
    }
}

/// Removes fields that are `null`: they remove nothing from an object that is not there yet.
fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

fn preview(item: &Item, current: Value, mut patch: Value) -> Value {
    let Some(ty) = schema_of(&item.resource) else {
        return merge::apply(current, patch);
    };
    strategic::apply(current.clone(), &mut patch, ty).unwrap_or(current)
}

/// How kubectl describes an object in errors.
fn described(item: &Item) -> String {
    let resource = &item.resource;
    let group = format!("{}/{}", resource.group, resource.version);
    format!(
        "Resource: {}, GroupVersionKind: {}\nName: {}, Namespace: {}",
        quoted(&format!("{group}, Resource={}", resource.plural)),
        quoted(&format!("{group}, Kind={}", resource.kind)),
        quoted(&item.name),
        quoted(&item.namespace)
    )
}
