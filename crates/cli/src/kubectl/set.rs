//! `set image`, `set env`, `set resources` and `set serviceaccount`: fields of Pods and of templates.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::call::{Call, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::select::{Item, Select};
use super::value::Look;

/// Set fields of workloads
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Image(Image),
    Env(Env),
    Resources(Resources),
    #[command(alias = "sa")]
    Serviceaccount(ServiceAccount),
}

/// Which workloads, and how it is told.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    files: FileArgs,
    /// All of the kind
    #[arg(long)]
    all: bool,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Change the files' objects only, send nothing
    #[arg(long)]
    local: bool,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-set")]
    field_manager: String,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// Set images of containers
#[derive(Debug, Args)]
struct Image {
    /// TYPE NAME or TYPE/NAME, then CONTAINER=IMAGE...
    words: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Set environment variables of containers
#[derive(Debug, Args)]
struct Env {
    /// TYPE NAME or TYPE/NAME, then NAME=VALUE or NAME-...
    words: Vec<String>,
    /// NAME=VALUE; repeat for more
    #[arg(short, long)]
    env: Vec<String>,
    /// The containers, with * for any text
    #[arg(short, long, default_value = "*")]
    containers: String,
    /// Show what is set
    #[arg(long)]
    list: bool,
    /// Change what is set already
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    overwrite: bool,
    /// Take variables from configmap/NAME or secret/NAME
    #[arg(long)]
    from: Option<String>,
    /// Put this before the names of --from
    #[arg(long, default_value = "")]
    prefix: String,
    #[command(flatten)]
    common: Common,
}

/// Set requests and limits of containers
#[derive(Debug, Args)]
struct Resources {
    /// TYPE NAME or TYPE/NAME
    words: Vec<String>,
    /// The containers, with * for any text
    #[arg(short, long, default_value = "*")]
    containers: String,
    /// NAME=QUANTITY,...
    #[arg(long, default_value = "")]
    limits: String,
    /// NAME=QUANTITY,...
    #[arg(long, default_value = "")]
    requests: String,
    #[command(flatten)]
    common: Common,
}

/// Set the service account
#[derive(Debug, Args)]
struct ServiceAccount {
    /// TYPE NAME or TYPE/NAME, then the service account
    words: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(ctx: &Ctx, args: Set) -> Outcome {
    match args.verb {
        Verb::Image(args) => image(ctx, args).await,
        Verb::Env(args) => env(ctx, args).await,
        Verb::Resources(args) => resources(ctx, args).await,
        Verb::Serviceaccount(args) => service_account(ctx, args).await,
    }
}

/// Where the Pod's spec is in an object of a kind.
fn pod_spec(object: &Value) -> Option<&'static [&'static str]> {
    match object.s("/kind") {
        "Pod" => Some(&["spec"]),
        "Deployment"
        | "ReplicaSet"
        | "StatefulSet"
        | "DaemonSet"
        | "Job"
        | "ReplicationController" => Some(&["spec", "template", "spec"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => None,
    }
}

/// Puts a Pod's spec where it belongs in a patch.
fn wrapped(path: &[&str], spec: Value) -> Value {
    path.iter().rev().fold(spec, |inner, key| json!({*key: inner}))
}

/// Changes every object by what `plan` makes of its Pod's spec; `None` for no change.
async fn change(
    ctx: &Ctx,
    words: &[String],
    common: &Common,
    message: &str,
    plan: impl Fn(&Item, &Value) -> Result<Option<Value>, Fault>,
) -> Outcome {
    let dry_run = common.dry_run.parse()?;
    let report = Report::new(&common.report, dry_run)?;
    let select = Select {
        words,
        files: Some(&common.files),
        selector: common.selector.as_deref(),
        is_all: common.all,
        is_local: common.local,
        ..Select::default()
    };
    let mut visit = select.found(ctx).await?.visit();
    while let Some(item) = visit.next() {
        let done = async {
            let Some(path) = pod_spec(&item.object) else {
                return Err(Fault::refused(format!(
                    "{} does not have a pod template",
                    item.label()
                )));
            };
            let spec = item.object.at(&format!("/{}", path.join("/"))).cloned().unwrap_or_default();
            let Some(patch) = plan(&item, &spec)? else {
                return Ok(()); // Already so: kubectl says nothing either.
            };
            let patch = wrapped(path, patch);
            if common.local || dry_run == DryRun::Client {
                let ty = super::kinds::schema_of(&item.resource);
                let mut own = patch;
                let object = match ty {
                    Some(ty) => {
                        podo_api::patch::strategic::apply(item.object.clone(), &mut own, ty)
                            .map_err(|error| Fault::refused(error.to_string()))?
                    }
                    None => podo_api::patch::merge::apply(item.object.clone(), own),
                };
                return report.done(ctx, &object, message);
            }
            let call = Call::patch(item.path(), STRATEGIC, &patch)
                .query("dryRun", dry_run.query())
                .query("fieldManager", common.field_manager.clone());
            let object = ctx.call(call).await?;
            report.done(ctx, &object, message)
        };
        if let Err(fault) = done.await {
            visit.failed(fault);
        }
    }
    visit.end()
}

/// Words that name objects, and the changes after them.
fn split(words: &[String]) -> (&[String], &[String]) {
    let is_change = |word: &String| word.contains('=') || (word.ends_with('-') && word.len() > 1);
    words.split_at(words.iter().position(is_change).unwrap_or(words.len()))
}

async fn image(ctx: &Ctx, args: Image) -> Outcome {
    let (words, changes) = split(&args.words);
    if changes.is_empty() {
        return Err(Fault::refused("at least one image update is required"));
    }
    let wanted: Vec<(&str, &str)> =
        changes.iter().filter_map(|text| text.split_once('=')).collect();
    change(ctx, words, &args.common, "image updated", |_, spec| {
        let mut patch = json!({});
        let mut found = Vec::new();
        for group in ["initContainers", "containers"] {
            let mut changed = Vec::new();
            for container in spec.list(&format!("/{group}")) {
                let name = container.s("/name");
                for (wanted, image) in
                    wanted.iter().filter(|(wanted, _)| *wanted == name || *wanted == "*")
                {
                    found.push(*wanted);
                    if container.s("/image") != *image {
                        changed.push(json!({"name": name, "image": image}));
                    }
                }
            }
            if !changed.is_empty() {
                patch[group] = Value::Array(changed);
            }
        }
        if let Some((name, _)) =
            wanted.iter().find(|(name, _)| *name != "*" && !found.contains(name))
        {
            return Err(Fault::refused(format!("unable to find container named {name:?}")));
        }
        Ok((patch != json!({})).then_some(patch))
    })
    .await
}

/// Whether a name fits a pattern with `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len()
                && name.starts_with(head)
                && (tail.contains('*') && fits(tail, &name[head.len()..]) || name.ends_with(tail))
        }
    }
}

async fn env(ctx: &Ctx, args: Env) -> Outcome {
    let (words, changes) = split(&args.words);
    let all = args.env.iter().chain(changes);
    let mut set = Vec::new();
    let mut removed = Vec::new();
    for text in all {
        match (text.split_once('='), text.strip_suffix('-')) {
            (Some((name, value)), _) => set.push(json!({"name": name, "value": value})),
            (None, Some(name)) => removed.push(name.to_owned()),
            (None, None) => {
                return Err(Fault::refused(format!(
                    "environment variables must be of the form key=value, not {text:?}"
                )));
            }
        }
    }
    if let Some(from) = &args.from {
        set.extend(from_object(ctx, from, &args.prefix).await?);
    }
    if args.list {
        return list(ctx, words, &args).await;
    }
    if set.is_empty() && removed.is_empty() {
        return Err(Fault::refused("at least one environment variable must be provided"));
    }
    change(ctx, words, &args.common, "env updated", |item, spec| {
        let mut patch = json!({});
        for group in ["initContainers", "containers"] {
            let mut changed = Vec::new();
            for container in spec.list(&format!("/{group}")) {
                let name = container.s("/name");
                if !fits(&args.containers, name) {
                    continue;
                }
                let own = container.list("/env");
                let exists = |name: &str| own.iter().any(|variable| variable.s("/name") == name);
                if let Some(taken) =
                    set.iter().find(|one| !args.overwrite && exists(one.s("/name")))
                {
                    return Err(Fault::refused(format!(
                        "{} already has environment variable {}, and --overwrite is false",
                        item.label(),
                        taken.s("/name")
                    )));
                }
                // A value that came from elsewhere must go when a plain one is set.
                let replaces = |one: &Value| {
                    let mut one = one.clone();
                    if own.iter().any(|v| v.s("/name") == one.s("/name") && v.has("/valueFrom"))
                        && !one.has("/valueFrom")
                    {
                        one["valueFrom"] = Value::Null;
                    }
                    one
                };
                let mut variables: Vec<Value> = set.iter().map(replaces).collect();
                variables
                    .extend(removed.iter().map(|name| json!({"name": name, "$patch": "delete"})));
                changed.push(json!({"name": name, "env": variables}));
            }
            if !changed.is_empty() {
                patch[group] = Value::Array(changed);
            }
        }
        Ok((patch != json!({})).then_some(patch))
    })
    .await
}

async fn from_object(ctx: &Ctx, from: &str, prefix: &str) -> Result<Vec<Value>, Fault> {
    let select_words = vec![from.to_owned()];
    let select = Select { words: &select_words, ..Select::default() };
    let mut variables = Vec::new();
    for item in select.all_or_fault(ctx).await? {
        let field = match item.resource.kind.as_str() {
            "ConfigMap" => "configMapKeyRef",
            "Secret" => "secretKeyRef",
            _ => {
                return Err(Fault::refused(format!(
                    "unsupported resource specified in --from: {from}"
                )));
            }
        };
        for (key, _) in item.object.entries("/data") {
            let name: String = key
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                .collect();
            let reference = json!({"key": key, "name": item.name});
            variables
                .push(json!({"name": format!("{prefix}{name}"), "valueFrom": {field: reference}}));
        }
    }
    Ok(variables)
}

async fn list(ctx: &Ctx, words: &[String], args: &Env) -> Outcome {
    let select = Select {
        words,
        files: Some(&args.common.files),
        selector: args.common.selector.as_deref(),
        is_all: args.common.all,
        ..Select::default()
    };
    for item in select.all_or_fault(ctx).await? {
        let Some(path) = pod_spec(&item.object) else { continue };
        let spec = item.object.at(&format!("/{}", path.join("/"))).cloned().unwrap_or_default();
        for container in spec.list("/initContainers").iter().chain(spec.list("/containers")) {
            let name = container.s("/name");
            if !fits(&args.containers, name) {
                continue;
            }
            ctx.line(format!("# {} {}, container {name}", item.resource.kind, item.name))?;
            for variable in container.list("/env") {
                let own = variable.s("/name");
                match variable.get("valueFrom") {
                    None => ctx.line(format!("{own}={}", variable.s("/value")))?,
                    Some(from) => {
                        let (kind, reference) =
                            from.entries("").into_iter().next().unwrap_or(("", &Value::Null));
                        let key = reference.s("/key");
                        let from = reference.s("/name");
                        let text = match kind {
                            "configMapKeyRef" => format!("configmap {from}, key {key}"),
                            "secretKeyRef" => format!("secret {from}, key {key}"),
                            "fieldRef" => format!("field path {}", reference.s("/fieldPath")),
                            _ => kind.to_owned(),
                        };
                        ctx.line(format!("# {own} from {text}"))?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn amounts(text: &str) -> Result<Map<String, Value>, Fault> {
    let mut map = Map::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, amount) = part.split_once('=').ok_or_else(|| {
            Fault::refused(format!("Invalid argument syntax {part}, expected <resource>=<value>"))
        })?;
        map.insert(name.to_owned(), amount.into());
    }
    Ok(map)
}

async fn resources(ctx: &Ctx, args: Resources) -> Outcome {
    let (limits, requests) = (amounts(&args.limits)?, amounts(&args.requests)?);
    if limits.is_empty() && requests.is_empty() {
        return Err(Fault::refused(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        ));
    }
    change(ctx, &args.words, &args.common, "resource requirements updated", |_, spec| {
        let mut changed = Vec::new();
        for container in spec.list("/containers") {
            let name = container.s("/name");
            if !fits(&args.containers, name) {
                continue;
            }
            let mut own = json!({});
            for (field, amounts) in [("limits", &limits), ("requests", &requests)] {
                if !amounts.is_empty() {
                    own[field] = Value::Object(amounts.clone());
                }
            }
            changed.push(json!({"name": name, "resources": own}));
        }
        if changed.is_empty() {
            return Err(Fault::refused(format!(
                "unable to find container named {:?}",
                args.containers
            )));
        }
        Ok(Some(json!({"containers": changed})))
    })
    .await
}

async fn service_account(ctx: &Ctx, args: ServiceAccount) -> Outcome {
    let Some((name, words)) = args.words.split_last() else {
        return Err(Fault::refused("serviceaccount is required"));
    };
    change(ctx, words, &args.common, "serviceaccount updated", |_, _| {
        Ok(Some(json!({"serviceAccountName": name})))
    })
    .await
}
