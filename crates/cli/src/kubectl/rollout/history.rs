//! `rollout history` and `rollout undo`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::super::call::{Call, JSON_PATCH, STRATEGIC};
use super::super::context::Ctx;
use super::super::describe::{is_current, replica_sets, template_text};
use super::super::fault::{Fault, Outcome, quoted};
use super::super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::super::select::{Item, Select, list_all};
use super::super::tabs::Tabs;
use super::super::value::{Look, object_mut};
use super::Targets;

const REVISION: &str = "deployment.kubernetes.io/revision";
const CAUSE: &str = "kubernetes.io/change-cause";

/// Show what a workload was before
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    targets: Targets,
    /// This revision in full
    #[arg(long, default_value_t = 0)]
    revision: i64,
}

/// Make a workload what it was before
#[derive(Debug, Args)]
pub(super) struct Undo {
    #[command(flatten)]
    targets: Targets,
    /// The revision; 0 is the one before
    #[arg(long, default_value_t = 0)]
    to_revision: i64,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// A state that a workload was in.
struct Revision {
    cause: String,
    template: Value,
    /// What a ControllerRevision patches into its workload; `None` for a Deployment's ReplicaSet.
    patch: Option<Value>,
    is_current: bool,
}

pub(super) async fn run(ctx: &Ctx, args: History) -> Outcome {
    if args.revision < 0 {
        return Err(Fault::refused(format!(
            "revision must be a positive integer: {}",
            args.revision
        )));
    }
    for item in args.targets.items(ctx).await? {
        let revisions = revisions(ctx, &item).await?;
        let label = item.label();
        if args.revision > 0 {
            let found = revisions.get(&args.revision).ok_or_else(|| {
                Fault::refused(format!("unable to find the specified revision {}", args.revision))
            })?;
            ctx.line(format!("{label} with revision #{}", args.revision))?;
            let mut template = found.template.clone();
            if !found.cause.is_empty() {
                template["metadata"]["annotations"][CAUSE] = found.cause.clone().into();
            }
            ctx.line(template_text(&template))?;
            continue;
        }
        let mut tabs = Tabs::spaced(0, 2);
        tabs.push("REVISION\tCHANGE-CAUSE\n");
        for (number, revision) in &revisions {
            let cause = if revision.cause.is_empty() { "<none>" } else { &revision.cause };
            tabs.push(&format!("{number}\t{cause}\n"));
        }
        ctx.line(format!("{label} "))?;
        ctx.line(tabs.finish())?;
    }
    Ok(())
}

pub(super) async fn undo(ctx: &Ctx, args: Undo) -> Outcome {
    let dry_run = args.dry_run.parse(ctx)?;
    let report = Report::new(&args.report, dry_run)?;
    for item in args.targets.items(ctx).await? {
        let kind = item.resource.kind.as_str();
        if !matches!(kind, "Deployment" | "DaemonSet" | "StatefulSet") {
            return Err(Fault::refused(format!(
                "no rollbacker has been implemented for {}",
                quoted(kind)
            )));
        }
        if item.object.b("/spec/paused") {
            return Err(Fault::refused(format!(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume {}' and try again",
                item.label()
            )));
        }
        let revisions = revisions(ctx, &item).await?;
        let target = if args.to_revision > 0 {
            revisions.get_key_value(&args.to_revision)
        } else {
            revisions.iter().rev().nth(1)
        };
        let Some((number, revision)) = target else {
            return Err(match args.to_revision {
                0 => Fault::refused(format!(
                    "no rollout history found for {} {}",
                    item.resource.kind.to_lowercase(),
                    quoted(&item.name)
                )),
                wanted => {
                    Fault::refused(format!("unable to find specified revision {wanted} in history"))
                }
            });
        };
        if revision.is_current {
            let message =
                format!("skipped rollback (current template already matches revision {number})");
            report.done(ctx, &item.object, &message)?;
            continue;
        }
        let mut object = item.object.clone();
        if dry_run != DryRun::Client {
            let call = if let Some(patch) = &revision.patch {
                Call::patch(item.path(), STRATEGIC, patch)
            } else {
                let patch = json!([{"op": "replace", "path": "/spec/template", "value": revision.template}]);
                Call::patch(item.path(), JSON_PATCH, &patch)
            };
            object = ctx.call(call.query("dryRun", dry_run.query())).await?;
        }
        report.done(ctx, &object, "rolled back")?;
    }
    Ok(())
}

async fn revisions(ctx: &Ctx, item: &Item) -> Result<BTreeMap<i64, Revision>, Fault> {
    match item.resource.kind.as_str() {
        "Deployment" => of_deployment(ctx, &item.object).await,
        "DaemonSet" | "StatefulSet" => of_controller(ctx, item).await,
        kind => Err(Fault::refused(format!(
            "no history viewer has been implemented for {}",
            quoted(kind)
        ))),
    }
}

async fn of_deployment(ctx: &Ctx, object: &Value) -> Result<BTreeMap<i64, Revision>, Fault> {
    let mut revisions = BTreeMap::new();
    for set in replica_sets(ctx, object).await? {
        let annotations = set.at("/metadata/annotations").cloned().unwrap_or_default();
        let Ok(number) = annotations[REVISION].as_str().unwrap_or_default().parse::<i64>() else {
            continue;
        };
        let template = set.at("/spec/template").cloned().unwrap_or_default();
        let revision = Revision {
            cause: annotations[CAUSE].as_str().unwrap_or_default().to_owned(),
            is_current: is_current(object, &set),
            patch: None,
            template,
        };
        revisions.insert(number, revision);
    }
    Ok(revisions)
}

async fn of_controller(ctx: &Ctx, item: &Item) -> Result<BTreeMap<i64, Revision>, Fault> {
    let discovery = ctx.discovery().await?;
    let kind = discovery.by_group_kind("apps", "ControllerRevision").ok_or_else(|| {
        Fault::refused("the server doesn't have a resource type \"controllerrevisions\"")
    })?;
    let all = list_all(ctx, kind, Some(&item.namespace), &Select::default()).await?;
    let uid = item.object.s("/metadata/uid");
    let mut revisions = BTreeMap::new();
    for object in all {
        let owner =
            object.list("/metadata/ownerReferences").iter().find(|owner| owner.b("/controller"));
        if owner.is_none_or(|owner| owner.s("/uid") != uid) {
            continue;
        }
        let data = object.at("/data").cloned().unwrap_or_default();
        let mut template = data.at("/spec/template").cloned().unwrap_or_default();
        if template.is_object() {
            object_mut(&mut template).remove("$patch");
        }
        let annotations = object.at("/metadata/annotations");
        let cause = annotations.and_then(|map| map.get(CAUSE)).and_then(Value::as_str);
        let revision = Revision {
            cause: cause.unwrap_or_default().to_owned(),
            is_current: item.object.at("/spec/template") == Some(&template),
            patch: Some(data),
            template,
        };
        revisions.insert(object.i("/revision"), revision);
    }
    Ok(revisions)
}
