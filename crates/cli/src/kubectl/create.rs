//! `create`: objects of files, or of a kind that a subcommand makes from flags.

mod basic;
mod data;
mod hash;
mod ingress;
pub(crate) mod rbac;
mod service;
mod workload;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::applied;
use super::call::Call;
use super::context::Ctx;
use super::edit::{Mode, Session};
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::record::RecordArgs;
use super::report::{DryRun, DryRunArgs, Report, ReportArgs, ValidateArgs};
use super::select::{Found, Item, Reading};
use super::value::{Look, at_mut};

/// Create objects from files or flags
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Create {
    #[command(subcommand)]
    generator: Option<Generator>,
    #[command(flatten)]
    files: FileArgs,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// A path of the server to post the file to instead
    #[arg(long)]
    raw: Option<String>,
    /// Edit the objects first
    #[arg(long)]
    edit: bool,
    /// With --edit, end lines as Windows does
    #[arg(long)]
    windows_line_endings: bool,
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Generator {
    #[command(alias = "ns")]
    Namespace(basic::Namespace),
    #[command(alias = "sa")]
    Serviceaccount(basic::ServiceAccount),
    Token(basic::Token),
    #[command(alias = "pc")]
    Priorityclass(basic::PriorityClass),
    #[command(alias = "resourcequota")]
    Quota(basic::Quota),
    #[command(alias = "pdb")]
    Poddisruptionbudget(basic::DisruptionBudget),
    #[command(alias = "cm")]
    Configmap(data::ConfigMap),
    #[command(subcommand)]
    Secret(data::Secret),
    Role(rbac::Role),
    Clusterrole(rbac::ClusterRole),
    Rolebinding(rbac::RoleBinding),
    Clusterrolebinding(rbac::ClusterRoleBinding),
    #[command(subcommand, alias = "svc")]
    Service(service::Service),
    #[command(alias = "ing")]
    Ingress(ingress::Ingress),
    #[command(alias = "deploy")]
    Deployment(workload::Deployment),
    Job(workload::Job),
    #[command(alias = "cj")]
    Cronjob(workload::CronJob),
}

/// The kinds without a namespace that a subcommand makes.
const CLUSTER_KINDS: [&str; 4] =
    ["Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding"];

/// The flags that all ways of creating share.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) dry_run: DryRunArgs,
    #[command(flatten)]
    validate: ValidateArgs,
    /// Keep the configuration for a later apply
    #[arg(long)]
    save_config: bool,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-create")]
    field_manager: String,
}

pub(crate) async fn run(ctx: &Ctx, args: Create) -> Outcome {
    match args.generator {
        Some(generator) => generator.run(ctx).await,
        None => from_files(ctx, args).await,
    }
}

impl Generator {
    async fn run(self, ctx: &Ctx) -> Outcome {
        match self {
            Self::Namespace(args) => args.run(ctx).await,
            Self::Serviceaccount(args) => args.run(ctx).await,
            Self::Token(args) => args.run(ctx).await,
            Self::Priorityclass(args) => args.run(ctx).await,
            Self::Quota(args) => args.run(ctx).await,
            Self::Poddisruptionbudget(args) => args.run(ctx).await,
            Self::Configmap(args) => args.run(ctx).await,
            Self::Secret(args) => args.run(ctx).await,
            Self::Role(args) => args.run(ctx).await,
            Self::Clusterrole(args) => args.run(ctx).await,
            Self::Rolebinding(args) => args.run(ctx).await,
            Self::Clusterrolebinding(args) => args.run(ctx).await,
            Self::Service(args) => args.run(ctx).await,
            Self::Ingress(args) => args.run(ctx).await,
            Self::Deployment(args) => args.run(ctx).await,
            Self::Job(args) => args.run(ctx).await,
            Self::Cronjob(args) => args.run(ctx).await,
        }
    }
}

impl Common {
    /// Creates one object and tells so. `failure` is what comes before the server's refusal, which then is a plain error.
    pub(crate) async fn submit(
        &self,
        ctx: &Ctx,
        mut object: Value,
        failure: Option<&str>,
    ) -> Outcome {
        let dry_run = self.dry_run.parse(ctx)?;
        let report = Report::typed(&self.report, dry_run)?;
        let is_namespaced = !CLUSTER_KINDS.contains(&object.s("/kind"));
        if let Some(namespace) = ctx.explicit_namespace().filter(|_| is_namespaced) {
            at_mut(&mut object, &["metadata"])["namespace"] = namespace.into();
        }
        if self.save_config {
            applied::write_made(&mut object);
        }
        if dry_run == DryRun::Client {
            return report.done(ctx, &object, "created");
        }
        let discovery = ctx.discovery().await?;
        let resource =
            discovery.by_kind(object.s("/apiVersion"), object.s("/kind")).ok_or_else(|| {
                unserved(&object, discovery.has_version(object.s("/apiVersion")), failure)
            })?;
        let path = resource.collection(Some(&ctx.namespace()?));
        let created = ctx.call(self.query(Call::post(path, &object), dry_run)?).await;
        let created = created.map_err(|fault| match (failure, fault) {
            (Some(words), Fault::Status(status)) => {
                Fault::refused(format!("{words} {}", status.s("/message")))
            }
            (_, fault) => fault,
        })?;
        report.done(ctx, &created, "created")
    }

    fn query(&self, call: Call, dry_run: DryRun) -> Result<Call, Fault> {
        Ok(call
            .query("dryRun", dry_run.query())
            .query("fieldManager", self.field_manager.clone())
            .query("fieldValidation", self.validate.query()?))
    }
}

/// What is said of a kind that is not served: by what the server answers to a command that sends without asking what is served,
/// which are those with words for a failure.
fn unserved(object: &Value, has_version: bool, failure: Option<&str>) -> Fault {
    const NOT_FOUND: &str = "the server could not find the requested resource";
    let (version, kind) = (object.s("/apiVersion"), object.s("/kind"));
    let Some(words) = failure else {
        return Fault::refused(format!(
            "no matches for kind {} in version {}",
            quoted(kind),
            quoted(version)
        ));
    };
    if has_version {
        return Fault::refused(format!("{words} {NOT_FOUND}"));
    }
    let (group, _) = super::discovery::split_version(version);
    let plural = kind.to_lowercase() + if kind.ends_with('s') { "es" } else { "s" };
    Fault::refused(format!("{words} {NOT_FOUND} (post {plural}.{group})"))
}

async fn from_files(ctx: &Ctx, args: Create) -> Outcome {
    if args.files.is_empty() {
        return Err(Fault::refused("must specify one of -f and -k"));
    }
    if let Some(path) = args.raw {
        if args.edit {
            return Err(Fault::refused("--raw and --edit are mutually exclusive"));
        }
        return super::files::raw(ctx, &args.files, http::Method::POST, path).await;
    }
    let dry_run = args.common.dry_run.parse(ctx)?;
    let report = Report::new(&args.common.report, dry_run)?;
    let reading = Reading {
        validation: args.common.validate.query()?,
        selector: args.selector.as_deref(),
        ..Reading::default()
    };
    let found = args.files.declared(ctx, reading).await?;
    if args.edit {
        return args.common.edit(ctx, args.record, found, args.windows_line_endings).await;
    }
    if found.is_empty() {
        return Err(Fault::refused("no objects passed to create"));
    }
    let mut visit = found.visit();
    while let Some(item) = visit.next() {
        match args.common.create(ctx, &args.record, item, dry_run).await {
            Ok(object) => report.done(ctx, &object, "created")?,
            Err(fault) => visit.failed(fault),
        }
    }
    visit.end()
}

impl Common {
    /// Lets the user edit each object before it is created.
    async fn edit(
        self,
        ctx: &Ctx,
        record: RecordArgs,
        found: Found,
        has_windows_ends: bool,
    ) -> Outcome {
        let session = Session {
            ctx,
            mode: Mode::Create,
            form: super::edit::form(self.report.output.as_deref())?,
            report: Report::new(&self.report, DryRun::None)?,
            has_windows_ends,
            validation: self.validate.query()?,
            record,
            saves_config: self.save_config,
            shows_patch: false,
            subresource: None,
            field_manager: self.field_manager,
        };
        let mut visit = found.visit();
        while let Some(item) = visit.next() {
            if let Err(fault) = session.run(&[item]).await {
                visit.failed(fault);
            }
        }
        visit.end()
    }

    /// Creates the object of a file.
    async fn create(
        &self,
        ctx: &Ctx,
        record: &RecordArgs,
        mut item: Item,
        dry_run: DryRun,
    ) -> Result<Value, Fault> {
        if self.save_config {
            applied::write(&mut item.object);
        }
        record.mark(ctx, &mut item.object);
        if dry_run == DryRun::Client {
            return Ok(item.object);
        }
        let path = item.resource.collection(Some(&item.namespace));
        let call = self.query(Call::create(path, &item.object), dry_run)?;
        let sent = ctx.call(call).await;
        sent.map_err(|fault| {
            fault.context(&format!("error when creating {}", quoted(&item.source)))
        })
    }
}

/// The text of a value as a number, if it is one, as Go reads an `IntOrString`.
pub(crate) fn int_or_string(text: &str) -> Value {
    text.parse::<i32>().map_or_else(|_not_a_number| text.into(), Into::into)
}

/// A port as Go's `strconv.Atoi` reads it, in the 32 bits that are kept of it.
pub(crate) fn port_number(text: &str) -> Result<i32, Fault> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    let read: Result<i64, _> = text.parse();
    let number = read.map_err(|error| {
        let why = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Fault::refused(format!("strconv.Atoi: parsing {}: {why}", quoted(text)))
    })?;
    #[expect(clippy::cast_possible_truncation, reason = "kubectl keeps the low bits as well")]
    Ok(number as i32)
}
