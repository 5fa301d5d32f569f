//! `edit`: opens objects in an editor and sends what changed.

mod editor;
mod session;

use clap::Args;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::print::Output;
use super::record::RecordArgs;
use super::report::{DryRun, Report, ReportArgs, ValidateArgs};
use super::select::{Item, NOTHING_NAMED, Select};

pub(crate) use session::{Mode, Session};

/// The forms in which an object can be edited.
const FORMS: &str = "json,kyaml,yaml";

/// Edit objects in an editor
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// TYPE NAME... or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    pub(crate) editing: EditArgs,
    /// Show the patch
    #[arg(long)]
    output_patch: bool,
    /// Keep the configuration for a later apply
    #[arg(long)]
    save_config: bool,
    /// A subresource to edit
    #[arg(long)]
    subresource: Option<String>,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-edit")]
    field_manager: String,
}

/// Edit the configurations that were applied last in an editor
#[derive(Debug, Args)]
pub(crate) struct EditLastApplied {
    /// TYPE NAME... or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    editing: EditArgs,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-client-side-apply")]
    field_manager: String,
}

/// The flags that all ways of editing share.
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    #[command(flatten)]
    report: ReportArgs,
    /// End lines as Windows does
    #[arg(long)]
    windows_line_endings: bool,
    #[command(flatten)]
    validate: ValidateArgs,
    #[command(flatten)]
    record: RecordArgs,
}

impl EditArgs {
    fn session(self, ctx: &Ctx, mode: Mode, manager: String) -> Result<Session<'_>, Fault> {
        Ok(Session {
            ctx,
            mode,
            form: form(self.report.output.as_deref())?,
            report: Report::new(&self.report, DryRun::None)?,
            has_windows_ends: self.windows_line_endings,
            validation: self.validate.query()?,
            record: self.record,
            saves_config: false,
            shows_patch: false,
            subresource: None,
            field_manager: manager,
        })
    }
}

/// How a file is written for the editor, given the form of the output.
pub(crate) fn form(output: Option<&str>) -> Result<Output, Fault> {
    match output {
        None | Some("") => Ok(Output::Yaml),
        Some(form) => Output::parse_of(form, &["json", "kyaml", "yaml"], FORMS),
    }
}

pub(crate) async fn run(ctx: &Ctx, args: Edit) -> Outcome {
    let mut items = selected(ctx, &args.words, &args.files).await?;
    if items.is_empty() {
        return Err(Fault::refused("edit cancelled, no objects found"));
    }
    if let Some(subresource) = &args.subresource {
        for item in &mut items {
            let path = format!("{}/{subresource}", item.path());
            item.object = ctx.call(Call::get(path)).await?;
        }
    }
    let session = Session {
        saves_config: args.save_config,
        shows_patch: args.output_patch,
        subresource: args.subresource,
        ..args.editing.session(ctx, Mode::Patch, args.field_manager)?
    };
    session.run(&items).await
}

/// `apply edit-last-applied`.
pub(crate) async fn last_applied(ctx: &Ctx, args: EditLastApplied) -> Outcome {
    let mut items = Vec::new();
    for item in selected(ctx, &args.words, &args.files).await? {
        if let Some(object) = super::applied::read(&item.object) {
            items.push(Item { object, ..item });
        }
    }
    if items.is_empty() {
        return Err(Fault::refused(
            "no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply set-last-applied --create-annotation`",
        ));
    }
    args.editing.session(ctx, Mode::LastApplied, args.field_manager)?.run(&items).await
}

async fn selected(ctx: &Ctx, words: &[String], files: &FileArgs) -> Result<Vec<Item>, Fault> {
    if words.is_empty() && files.is_empty() {
        return Err(Fault::refused(NOTHING_NAMED));
    }
    // A kind alone means all of its objects.
    let select = Select { words, files: Some(files), is_empty_all: true, ..Select::default() };
    select.all_or_fault(ctx).await
}
