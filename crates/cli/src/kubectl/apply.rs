//! `apply`: makes objects what files say, by a patch computed here or by the server (`--server-side`).

mod last;
mod prune;

use clap::{Args, Subcommand};
use podo_api::patch::{Precondition, merge, strategic};
use serde_json::{Value, json};

use super::applied;
use super::call::{APPLY, Call, MERGE, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::kinds::schema_of;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs, ValidateArgs};
use super::select::{Item, Reading};
use super::value::Look;
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
    /// Let fields of files win over changes by others
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    overwrite: bool,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
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
    ViewLastApplied(last::View),
    SetLastApplied(last::Set),
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
}

pub(crate) async fn run(ctx: &Ctx, args: Apply) -> Outcome {
    match args.last {
        Some(LastApplied::ViewLastApplied(view)) => return last::view(ctx, view).await,
        Some(LastApplied::SetLastApplied(set)) => return last::set(ctx, set).await,
        None => {}
    }
    check(&args)?;
    let dry_run = args.dry_run.parse()?;
    let report = Report::new(&args.report, dry_run)?;
    let applier = Applier { ctx, args: &args, dry_run, validation: args.validate.query()? };
    let reading = Reading {
        validation: args.validate.query()?,
        selector: args.selector.as_deref(),
        ..Reading::default()
    };
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
    match results.len() {
        0 => {}
        1 => report.done(ctx, &results[0], "")?,
        _ if args.report.output.as_deref() == Some("name") => {
            results.iter().try_for_each(|object| report.done(ctx, object, ""))?;
        }
        _ => {
            let list =
                json!({"apiVersion": "v1", "items": results, "kind": "List", "metadata": {}});
            report.done(ctx, &list, "")?;
        }
    }
    if args.prune && faults.is_empty() {
        prune::run(ctx, &args, &report, dry_run, &visited).await?;
    }
    Fault::all(faults)
}

fn check(args: &Apply) -> Outcome {
    if args.files.is_empty() {
        return Err(Fault::refused("must specify one of -f and -k"));
    }
    if args.force_conflicts && !args.server_side {
        return Err(Fault::refused("--force-conflicts only works with --server-side"));
    }
    if args.server_side && args.dry_run.dry_run == "client" {
        return Err(Fault::refused(
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        ));
    }
    if args.force && args.server_side {
        return Err(Fault::refused("--force cannot be used with --server-side"));
    }
    if args.prune && !args.all && args.selector.is_none() {
        return Err(Fault::refused(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector",
        ));
    }
    Ok(())
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
            super::value::object_mut(metadata).remove("managedFields");
        }
        let force = if self.args.force_conflicts { "true" } else { "false" };
        let call = Call::patch(item.path(), APPLY, &object);
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
        if self.dry_run == DryRun::Client {
            return Ok(Change::Created(item.object.clone()));
        }
        let path = item.resource.collection(Some(&item.namespace));
        let created = self.ctx.call(self.call(Call::post(path, &item.object))).await;
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
            if patch == json!({}) && self.dry_run != DryRun::Client {
                return Ok(Change::Unchanged(current));
            }
            if self.dry_run == DryRun::Client {
                let merged = if kind == MERGE {
                    merge::apply(current.clone(), patch)
                } else {
                    preview(item, current.clone(), patch)
                };
                return Ok(Change::Configured(merged));
            }
            let sent = self.ctx.call(self.call(Call::patch(item.path(), kind, &patch))).await;
            match sent {
                Ok(object) => return Ok(Change::Configured(object)),
                Err(fault) if fault.reason() == "Conflict" && attempt < CONFLICTS_MAX => {
                    current = self.ctx.call(Call::get(item.path())).await?;
                }
                Err(fault)
                    if self.args.force && matches!(fault.reason(), "Conflict" | "Invalid") =>
                {
                    return self.replace(item).await;
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

    /// `--force`: deletes the object, waits until it is gone, and creates it.
    async fn replace(&self, item: &Item) -> Result<Change, Fault> {
        let mut options = json!({"propagationPolicy": "Background"});
        if self.args.grace_period >= 0 {
            options["gracePeriodSeconds"] = self.args.grace_period.into();
        }
        self.ctx.call(Call::delete(item.path(), &options)).await?;
        until_gone(self.ctx, &item.resource, &item.namespace, &item.name, None, None).await?;
        let change = self.create(item).await?;
        Ok(Change::Configured(change.into_object()))
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
