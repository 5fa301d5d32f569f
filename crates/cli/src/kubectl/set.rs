//! `set`: fields of objects that have a command of their own.

mod env;
mod pod_spec;
mod selector;
mod subject;

use clap::{Args, Subcommand};
use podo_api::json::{decode, settle};
use podo_api::patch::strategic;
use serde_json::{Value, json};

use super::call::{Call, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::kinds::schema_of_kind;
use super::record::RecordArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::select::{Item, NOTHING_NAMED, Select};
use super::value::Look;

pub(crate) use pod_spec::amounts;

/// What is said when objects are named that `--local` must not ask for.
const LOCAL_WORDS: &str = "you must specify resources by --filename when --local is set.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'";
/// What is said of `--local` with a server's dry run.
const LOCAL_DRY_RUN: &str =
    "cannot specify --local and --dry-run=server - did you mean --dry-run=client?";
/// What is said of `--all` with a selector.
const ALL_AND_SELECTOR: &str = "cannot set --all and --selector at the same time";

/// Set fields of objects
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Env(env::Env),
    Image(pod_spec::Image),
    Resources(pod_spec::Resources),
    Selector(selector::Selector),
    #[command(alias = "sa")]
    Serviceaccount(pod_spec::ServiceAccount),
    Subject(subject::Subject),
}

/// Which objects, and how it is told.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    files: FileArgs,
    /// All of the kind
    #[arg(long)]
    all: bool,
    /// Change the files' objects only, send nothing
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    record: RecordArgs,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-set")]
    field_manager: String,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Set) -> Outcome {
    match args.verb {
        Verb::Env(args) => args.run(ctx).await,
        Verb::Image(args) => args.run(ctx).await,
        Verb::Resources(args) => args.run(ctx).await,
        Verb::Selector(args) => args.run(ctx).await,
        Verb::Serviceaccount(args) => args.run(ctx).await,
        Verb::Subject(args) => args.run(ctx).await,
    }
}

/// How a command changes objects.
struct Setter<'a> {
    ctx: &'a Ctx,
    common: &'a Common,
    dry_run: DryRun,
    report: Report,
}

impl<'a> Setter<'a> {
    fn new(ctx: &'a Ctx, common: &'a Common) -> Result<Self, Fault> {
        let dry_run = common.dry_run.parse(ctx)?;
        Ok(Self { ctx, common, dry_run, report: Report::typed(&common.report, dry_run)? })
    }

    /// The objects that are meant, as structs of Go hold them.
    async fn items(&self, words: &[String], selector: Option<&str>) -> Result<Vec<Item>, Fault> {
        let words = if self.common.local { &[] } else { words };
        if words.is_empty() && self.common.files.is_empty() {
            return Err(Fault::refused(if self.common.local {
                LOCAL_WORDS
            } else {
                NOTHING_NAMED
            }));
        }
        let select = Select {
            words,
            files: Some(&self.common.files),
            selector: selector.filter(|_| !self.common.local),
            is_empty_all: self.common.all,
            is_offline: self.common.local,
            ..Select::default()
        };
        let mut items = select.all_or_fault(self.ctx).await?;
        for item in &mut items {
            let object = &mut item.object;
            if let Some(ty) = schema_of_kind(object.s("/apiVersion"), object.s("/kind")) {
                let decoded = decode(object.to_string().as_bytes(), ty).map_err(|why| {
                    Fault::refused(format!("unable to decode {}: {why}", quoted(&item.source)))
                })?;
                *object = decoded.value;
                settle(object, ty).map_err(|error| Fault::refused(error.to_string()))?;
            }
        }
        Ok(items)
    }

    /// Refuses words when nobody is asked about them.
    fn refuse_words(&self, words: &[String]) -> Outcome {
        if self.common.local && !words.is_empty() {
            return Err(Fault::refused(LOCAL_WORDS));
        }
        Ok(())
    }

    fn refuse_local_dry_run(&self) -> Outcome {
        if self.common.local && self.dry_run == DryRun::Server {
            return Err(Fault::refused(LOCAL_DRY_RUN));
        }
        Ok(())
    }

    /// Changes an object; false if it is so already.
    async fn change(&self, item: &Item, after: &Value, message: &str) -> Result<bool, Fault> {
        let (version, kind) = (item.object.s("/apiVersion"), item.object.s("/kind"));
        let patch = match schema_of_kind(version, kind) {
            Some(ty) => strategic::create_two_way(&item.object, after, ty)
                .map_err(|error| Fault::refused(error.to_string()))?,
            None => json!({}),
        };
        if patch == json!({}) {
            return Ok(false);
        }
        self.submit(item, after, &patch, message).await?;
        Ok(true)
    }

    /// Sends a patch, or shows what it would make.
    async fn submit(&self, item: &Item, after: &Value, patch: &Value, message: &str) -> Outcome {
        if self.common.local || self.dry_run == DryRun::Client {
            return self.report.done(self.ctx, after, message);
        }
        let call = Call::patch(item.path(), STRATEGIC, patch)
            .query("dryRun", self.dry_run.query())
            .query("fieldManager", self.common.field_manager.clone());
        let object = self.ctx.call(call).await?;
        self.report.done(self.ctx, &object, message)
    }
}

/// What an object that cannot be changed is told.
fn told_of(item: &Item, why: &str) -> Fault {
    let kind = match item.resource.plural.as_str() {
        "" => item.resource.label(),
        plural => plural.to_owned(),
    };
    Fault::Bare(format!("error: {kind}/{} {why}", item.name))
}

/// What the server has against a change, after words of the command.
fn refused_by_server(words: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Closed => Fault::Closed,
        fault => Fault::refused(format!("{words} {}", fault.message())),
    }
}
