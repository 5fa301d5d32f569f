//! `label` and `annotate`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::call::{Call, MERGE};
use super::context::Ctx;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::labels::split;
use super::record::{CHANGE_CAUSE, RecordArgs};
use super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::select::{Item, Select};
use super::value::{Look, at_mut, object_mut, shown};

/// Change labels or annotations
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// TYPE NAME... or TYPE/NAME..., then KEY=VALUE or KEY-
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// Change values that are there already
    #[arg(long)]
    overwrite: bool,
    /// Show what is there
    #[arg(long)]
    list: bool,
    /// All of the kind
    #[arg(long)]
    all: bool,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Only those with these fields
    #[arg(long)]
    field_selector: Option<String>,
    /// Only if the object is of this version
    #[arg(long)]
    resource_version: Option<String>,
    /// Change the files' objects only, send nothing
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    record: RecordArgs,
    /// Who manages the fields
    #[arg(long)]
    field_manager: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

/// Which of the two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Labels,
    Annotations,
}

impl Which {
    fn field(self) -> &'static str {
        if self == Self::Labels { "labels" } else { "annotations" }
    }

    fn verb(self) -> &'static str {
        if self == Self::Labels { "label" } else { "annotate" }
    }

    fn singular(self) -> &'static str {
        if self == Self::Labels { "label" } else { "annotation" }
    }
}

/// What is to be set and removed.
struct Wanted {
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

/// What changed in one object.
#[derive(Default)]
struct Changed {
    is_added: bool,
    is_removed: bool,
}

pub(crate) async fn run(ctx: &Ctx, which: Which, args: Change) -> Outcome {
    let dry_run = args.dry_run.parse(ctx)?;
    let (words, changes) = split(&args.words, which.singular())?;
    let wanted = parse(which, changes)?;
    check(which, &args, words, &wanted, dry_run)?;
    let report = Report::new(&args.report, dry_run)?;
    let select = Select {
        words,
        files: Some(&args.files),
        selector: args.selector.as_deref(),
        field_selector: args.field_selector.as_deref(),
        is_empty_all: args.all,
        is_all_namespaces: args.all_namespaces,
        is_offline: args.local,
        ..Select::default()
    };
    let found = select.found(ctx).await?;
    let is_single = found.count() == 1;
    if args.resource_version.is_some() && !is_single {
        return Err(Fault::refused("--resource-version may only be used with a single resource"));
    }
    let mut visit = found.visit();
    while let Some(item) = visit.next() {
        if let Err(fault) = one(ctx, which, &args, &wanted, &report, dry_run, item, is_single).await
        {
            visit.failed(fault);
        }
    }
    visit.end()
}

/// Refuses flags and words that mean nothing together; the first that is so is told.
fn check(
    which: Which,
    args: &Change,
    words: &[String],
    wanted: &Wanted,
    dry_run: DryRun,
) -> Outcome {
    let file = if which == Which::Labels { "pod" } else { "rsrc" };
    let has_files = !args.files.is_empty();
    let refused = [
        (
            args.list && args.report.output.is_some(),
            "--list and --output may not be specified together".to_owned(),
        ),
        (
            args.all && args.selector.is_some(),
            "cannot set --all and --selector at the same time".to_owned(),
        ),
        (
            args.all && args.field_selector.is_some(),
            "cannot set --all and --field-selector at the same time".to_owned(),
        ),
        (
            args.local && dry_run == DryRun::Server,
            "cannot specify --local and --dry-run=server - did you mean --dry-run=client?"
                .to_owned(),
        ),
        (
            args.local && !words.is_empty(),
            format!(
                "can only use local files by -f {file}.yaml or --filename={file}.json when --local=true is set"
            ),
        ),
        (
            args.local && !has_files,
            format!(
                "one or more files must be specified as -f {file}.yaml or --filename={file}.json"
            ),
        ),
        (
            words.is_empty() && !has_files,
            "one or more resources must be specified as <resource> <name> or <resource>/<name>"
                .to_owned(),
        ),
        (
            wanted.set.is_empty() && wanted.remove.is_empty() && !args.list,
            format!("at least one {} update is required", which.singular()),
        ),
    ];
    if let Some((_, why)) = refused.into_iter().find(|(is_so, _)| *is_so) {
        return Err(Fault::refused(why));
    }
    wanted.refuse_both(which)
}

fn parse(which: Which, changes: &[String]) -> Result<Wanted, Fault> {
    let mut wanted = Wanted { set: Vec::new(), remove: Vec::new() };
    for change in changes {
        if let Some((key, value)) = change.split_once('=') {
            let is_split_twice = which == Which::Labels && value.contains('=');
            if key.is_empty() || is_split_twice {
                return Err(Fault::refused(format!("invalid {} spec: {change}", which.singular())));
            }
            if which == Which::Labels {
                check_value(change, value)?;
            }
            // What is said last holds.
            wanted.set.retain(|(own, _)| own != key);
            wanted.set.push((key.to_owned(), value.to_owned()));
        } else if let Some(key) = change.strip_suffix('-') {
            wanted.remove.push(key.to_owned());
        } else {
            return Err(Fault::refused(format!("unknown {} spec: {change}", which.singular())));
        }
    }
    if which == Which::Labels {
        wanted.refuse_both(which)?;
    }
    Ok(wanted)
}

impl Wanted {
    /// Refuses to change and to remove the same.
    fn refuse_both(&self, which: Which) -> Outcome {
        let is_both = |key: &&String| self.set.iter().any(|(own, _)| own == *key);
        let both: Vec<&str> = self.remove.iter().filter(is_both).map(String::as_str).collect();
        match (which, both.is_empty()) {
            (_, true) => Ok(()),
            (Which::Labels, false) => {
                Err(Fault::refused("can not both modify and remove a label in the same command"))
            }
            (Which::Annotations, false) => Err(Fault::refused(format!(
                "can not both modify and remove the following annotation(s) in the same command: {}",
                both.join(", ")
            ))),
        }
    }
}

/// Refuses a label's value that the server would refuse, before anything is sent.
fn check_value(change: &str, value: &str) -> Outcome {
    let faults = podo_api::names::label_value(value);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Fault::refused(format!("invalid label value: {}: {}", quoted(change), faults.join(";"))))
}

#[expect(
    clippy::too_many_arguments,
    reason = "the flags of one command, taken apart once for all objects"
)]
async fn one(
    ctx: &Ctx,
    which: Which,
    args: &Change,
    wanted: &Wanted,
    report: &Report,
    dry_run: DryRun,
    item: Item,
    is_single: bool,
) -> Outcome {
    let own = item.object.at(&format!("/metadata/{}", which.field())).cloned().unwrap_or(json!({}));
    if !args.overwrite {
        refuse_overwrites(which, wanted, &own)?;
    }
    if which == Which::Labels && !args.list && dry_run != DryRun::Client {
        for key in wanted.remove.iter().filter(|key| own.get(key.as_str()).is_none()) {
            ctx.line(format!("label {} not found.", quoted(key)))?;
        }
    }
    let (patch, changed) = difference(wanted, &own);
    let mut body = json!({"metadata": {}});
    if !patch.is_empty() {
        body["metadata"][which.field()] = Value::Object(patch.clone());
    }
    if let Some(version) = &args.resource_version {
        body["metadata"]["resourceVersion"] = version.clone().into();
    }
    let mut object = item.object.clone();
    for (key, value) in patch {
        let map = object_mut(at_mut(&mut object, &["metadata", which.field()]));
        if value.is_null() {
            map.remove(&key)
        } else {
            map.insert(key, value)
        };
    }
    let sends = !args.local && !args.list && dry_run != DryRun::Client;
    let has_change = changed.is_added || changed.is_removed || which == Which::Annotations;
    if sends && args.record.is_set() {
        args.record.mark(ctx, &mut body);
        args.record.mark(ctx, &mut object);
    }
    if sends && has_change {
        let manager = format!("kubectl-{}", which.verb());
        let call = Call::patch(item.path(), MERGE, &body)
            .query("dryRun", dry_run.query())
            .query("fieldManager", args.field_manager.clone().unwrap_or(manager));
        let answer = ctx.call(call).await?;
        // Of labels kubectl shows the object as it has changed it itself.
        if which == Which::Annotations {
            object = answer;
        }
    }
    if args.list {
        return list(ctx, which, &item, &object, is_single);
    }
    let message = match (which, changed.is_added, changed.is_removed) {
        (Which::Annotations, _, _) => "annotated",
        (_, true, true) => "modified",
        (_, true, false) => "labeled",
        (_, false, true) => "unlabeled",
        (_, false, false) => "not labeled",
    };
    report.done(ctx, &object, message)
}

fn refuse_overwrites(which: Which, wanted: &Wanted, own: &Value) -> Outcome {
    let mut faults = Vec::new();
    for (key, value) in &wanted.set {
        let Some(current) = own.get(key).map(shown) else { continue };
        // The cause of a change may always be said anew.
        let is_cause = which == Which::Annotations && key == CHANGE_CAUSE;
        if current != *value && !is_cause {
            faults.push(format!("'{key}' already has a value ({current})"));
        }
    }
    match (which, faults.as_slice()) {
        (_, []) => Ok(()),
        (Which::Labels, [one]) => Err(Fault::refused(format!("{one}, and --overwrite is false"))),
        (Which::Labels, many) => {
            let many: Vec<String> =
                many.iter().map(|one| format!("{one}, and --overwrite is false")).collect();
            Err(Fault::refused(format!("[{}]", many.join(", "))))
        }
        (Which::Annotations, many) => Err(Fault::refused(format!(
            "--overwrite is false but found the following declared annotation(s): {}",
            many.join("; ")
        ))),
    }
}

fn difference(wanted: &Wanted, own: &Value) -> (Map<String, Value>, Changed) {
    let mut patch = Map::new();
    let mut changed = Changed::default();
    for (key, value) in &wanted.set {
        if own.get(key).and_then(Value::as_str) != Some(value) {
            patch.insert(key.clone(), value.clone().into());
            changed.is_added = true;
        }
    }
    for key in &wanted.remove {
        if own.get(key).is_some() {
            patch.insert(key.clone(), Value::Null);
            changed.is_removed = true;
        }
    }
    (patch, changed)
}

fn list(ctx: &Ctx, which: Which, item: &Item, object: &Value, is_single: bool) -> Outcome {
    let mut indent = "";
    if !is_single {
        indent = " ";
        let resource = &item.resource;
        ctx.line(format!(
            "Listing {} for {}.{}/{}:",
            which.field(),
            resource.kind,
            resource.group,
            item.name
        ))?;
    }
    for (key, value) in object.entries(&format!("/metadata/{}", which.field())) {
        ctx.line(format!("{indent}{key}={}", shown(value)))?;
    }
    Ok(())
}
