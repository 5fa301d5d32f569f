//! `edit`: opens objects in an editor and sends what changed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use podo_api::patch::{Precondition, merge, strategic};
use serde_json::{Value, json};

use super::call::{Call, MERGE, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::kinds::schema_of;
use super::print::json as json_text;
use super::report::ValidateArgs;
use super::select::{Item, Select};
use super::value::{Look, object_mut};

const NOTICE: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n";

/// Edit objects in an editor
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// TYPE NAME... or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// yaml or json
    #[arg(short, long, default_value = "yaml")]
    output: String,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Show the patch
    #[arg(long)]
    output_patch: bool,
    /// Keep managed fields in the file
    #[arg(long)]
    show_managed_fields: bool,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    windows_line_endings: bool,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    save_config: bool,
    /// A subresource to edit
    #[arg(long)]
    subresource: Option<String>,
    /// Who manages the fields
    #[arg(long, default_value = "kubectl-edit")]
    field_manager: String,
    #[command(flatten)]
    validate: ValidateArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Edit) -> Outcome {
    let select = Select {
        words: &args.words,
        files: Some(&args.files),
        selector: args.selector.as_deref(),
        ..Select::default()
    };
    let items = select.all_or_fault(ctx).await?;
    if items.is_empty() {
        return Err(Fault::refused("edit cancelled, no objects found"));
    }
    for item in items {
        one(ctx, &args, &item).await?;
    }
    Ok(())
}

async fn one(ctx: &Ctx, args: &Edit, item: &Item) -> Outcome {
    let is_json = args.output == "json";
    let mut original = item.object.clone();
    if !args.show_managed_fields && original.get("metadata").is_some() {
        object_mut(&mut original["metadata"]).remove("managedFields");
    }
    let mut text = format!("{NOTICE}{}", written(&original, is_json));
    let mut failure: Option<Fault> = None;
    loop {
        let (edited, path) = open(&text, is_json)?;
        let content: String = edited
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        let is_same = edited == text;
        if content.trim().is_empty() || is_same {
            remove(&path);
            if let Some(fault) = failure {
                ctx.note_raw(fault.report());
                return Err(Fault::refused("Edit cancelled, no valid changes were saved."));
            }
            let why = if is_same { "no changes made" } else { "saved file was empty" };
            ctx.note(format!("Edit cancelled, {why}."));
            return Ok(());
        }
        let sent = match podo_api::yaml::to_json(content.as_bytes()) {
            Ok(object) => send(ctx, args, item, &original, &object).await,
            Err(error) => {
                Err(Fault::refused(format!("The edited file had a syntax error: {error}")))
            }
        };
        remove(&path);
        match sent {
            Ok(()) => return Ok(()),
            Err(fault @ (Fault::Status(_) | Fault::Refused(_))) => {
                let comment: String =
                    fault.report().lines().map(|line| format!("# {line}\n")).collect();
                text = format!("{NOTICE}{comment}#\n{content}");
                failure = Some(fault);
            }
            Err(fault) => return Err(fault),
        }
    }
}

async fn send(ctx: &Ctx, args: &Edit, item: &Item, original: &Value, edited: &Value) -> Outcome {
    if edited == original {
        ctx.note("Edit cancelled, no changes made.");
        return Ok(());
    }
    let guards = [
        Precondition::Field("apiVersion"),
        Precondition::Field("kind"),
        Precondition::Metadata("name"),
    ];
    let refused = |error: String| Fault::refused(error);
    let (patch, kind) = match schema_of(&item.resource) {
        Some(ty) => (
            strategic::create_three_way(original, edited, original, ty, true, &guards)
                .map_err(|error| refused(error.to_string()))?,
            STRATEGIC,
        ),
        None => (
            merge::create_three_way(original, edited, original, &guards)
                .map_err(|error| refused(error.to_string()))?,
            MERGE,
        ),
    };
    if args.output_patch {
        ctx.line(format!("Patch: {}", json_text::compact(&patch)))?;
    }
    if patch == json!({}) {
        ctx.note("Edit cancelled, no changes made.");
        return Ok(());
    }
    let mut path = item.path();
    if let Some(subresource) = &args.subresource {
        path = format!("{path}/{subresource}");
    }
    let call = Call::patch(path, kind, &patch)
        .query("fieldManager", args.field_manager.clone())
        .query("fieldValidation", args.validate.query()?);
    let object = ctx.call(call).await?;
    debug_assert!(!object.name().is_empty(), "an object of the server has a name");
    ctx.line(format!("{} edited", item.label()))
}

fn written(object: &Value, is_json: bool) -> String {
    if is_json { json_text::pretty(object) + "\n" } else { podo_api::yaml::from_json(object) }
}

/// Lets the user edit an object before it is created.
pub(crate) fn declared(mut item: Item) -> Result<Item, Fault> {
    let (text, path) = open(&format!("{NOTICE}{}", written(&item.object, false)), false)?;
    remove(&path);
    item.object = podo_api::yaml::to_json(text.as_bytes())
        .map_err(|error| Fault::refused(format!("The edited file had a syntax error: {error}")))?;
    Ok(item)
}

/// Opens text in the user's editor; what it is afterwards, and the file that held it.
fn open(text: &str, is_json: bool) -> Result<(String, PathBuf), Fault> {
    let editor = ["KUBE_EDITOR", "EDITOR"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|editor| !editor.is_empty()))
        .unwrap_or_else(|| "vi".into());
    let extension = if is_json { "json" } else { "yaml" };
    let name = format!("kubectl-edit-{}.{extension}", podo_base::name_suffix(10));
    let path = std::env::temp_dir().join(name);
    let write = || -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(Fault::io(format!("unable to write {}", path.display())))?;
    // The variable may hold a command with arguments, as shells allow.
    let status =
        Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(&path).status();
    let status = status.map_err(Fault::io(format!("unable to launch the editor {editor:?}")))?;
    if !status.success() {
        remove(&path);
        return Err(Fault::refused(format!("there was a problem with the editor {editor:?}")));
    }
    let edited = std::fs::read_to_string(&path)
        .map_err(Fault::io(format!("unable to read {}", path.display())))?;
    Ok((edited, path))
}

fn remove(path: &Path) {
    // A file that stays behind in the temporary folder does no harm.
    let _removed = std::fs::remove_file(path);
}
