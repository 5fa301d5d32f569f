//! `diff`: what `apply` would change, shown by a program for differences.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use podo_api::patch::{merge, strategic};
use serde_json::{Value, json};

use super::applied;
use super::call::{APPLY, Call, MERGE, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::kinds::schema_of;
use super::select::{Item, Reading};
use super::value::{Look, object_mut};

/// Show what apply would change
#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    files: FileArgs,
    /// Let the server merge
    #[arg(long)]
    server_side: bool,
    /// Take fields over from other managers
    #[arg(long)]
    force_conflicts: bool,
    /// Who manages the fields
    #[arg(long)]
    field_manager: Option<String>,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Keep metadata.managedFields
    #[arg(long)]
    show_managed_fields: bool,
    /// Taken for compatibility
    #[arg(long, hide = true, default_value_t = 1)]
    concurrency: u32,
}

/// Two folders of objects, deleted at the end.
struct Folders {
    live: PathBuf,
    merged: PathBuf,
}

impl Folders {
    fn new() -> Result<Self, Fault> {
        let make = |side: &str| {
            let path = std::env::temp_dir().join(format!("{side}-{}", podo_base::name_suffix(10)));
            let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
            made.map_err(Fault::io(format!("unable to make {}", path.display()))).map(|()| path)
        };
        Ok(Self { live: make("LIVE")?, merged: make("MERGED")? })
    }
}

fn write(folder: &Path, name: &str, object: &Value) -> Outcome {
    let path = folder.join(name);
    let text = if object.is_null() { String::new() } else { podo_api::yaml::from_json(object) };
    std::fs::write(&path, text).map_err(Fault::io(format!("unable to write {}", path.display())))
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in [&self.live, &self.merged] {
            // Files that stay behind in the temporary folder do no harm.
            let _removed = std::fs::remove_dir_all(folder);
        }
    }
}

/// What goes wrong ends with 2, as 1 says that there are differences.
pub(crate) async fn run(ctx: &Ctx, args: Diff) -> Outcome {
    match differences(ctx, args).await {
        Err(fault @ (Fault::Exit { .. } | Fault::Closed)) => Err(fault),
        Err(fault) => Err(Fault::Exit { code: 2, text: fault.report() }),
        Ok(()) => Ok(()),
    }
}

async fn differences(ctx: &Ctx, args: Diff) -> Outcome {
    if args.files.is_empty() {
        return Err(Fault::refused("must specify one of -f and -k"));
    }
    let folders = Folders::new()?;
    let reading = Reading { selector: args.selector.as_deref(), ..Reading::default() };
    for item in args.files.declared(ctx, reading).await?.first_fault()? {
        let live = match ctx.call(Call::get(item.path())).await {
            Ok(live) => live,
            Err(fault) if fault.is_not_found() => Value::Null,
            Err(fault) => return Err(fault),
        };
        let merged = merged(ctx, &args, &item, &live).await?;
        let resource = &item.resource;
        let group =
            if resource.group.is_empty() { String::new() } else { format!("{}.", resource.group) };
        let name = format!(
            "{group}{}.{}.{}.{}",
            resource.version, resource.kind, item.namespace, item.name
        );
        let kind = resource.kind.as_str();
        write(&folders.live, &name, &shown(&args, kind, live))?;
        write(&folders.merged, &name, &shown(&args, kind, merged))?;
    }
    compare(ctx, &folders)
}

/// What the object would be, as the server says without keeping it.
async fn merged(ctx: &Ctx, args: &Diff, item: &Item, live: &Value) -> Result<Value, Fault> {
    let client_side = if args.server_side { "kubectl" } else { "kubectl-client-side-apply" };
    let manager = args.field_manager.clone().unwrap_or_else(|| client_side.into());
    let dry = |call: Call| call.query("dryRun", "All").query("fieldManager", manager.clone());
    if args.server_side {
        let force = if args.force_conflicts { "true" } else { "false" };
        let call = Call::patch(item.path(), APPLY, &item.object).query("force", force);
        return ctx.call(dry(call)).await;
    }
    let modified = applied::without(&item.object);
    if live.is_null() {
        return ctx
            .call(dry(Call::post(item.resource.collection(Some(&item.namespace)), &modified)))
            .await;
    }
    let original = applied::read(live).unwrap_or(json!({}));
    let refused = |error: String| Fault::refused(error);
    let (patch, kind) = match schema_of(&item.resource) {
        Some(ty) => (
            strategic::create_three_way(&original, &modified, live, ty, true, &[])
                .map_err(|error| refused(error.to_string()))?,
            STRATEGIC,
        ),
        None => (
            merge::create_three_way(&original, &modified, live, &[])
                .map_err(|error| refused(error.to_string()))?,
            MERGE,
        ),
    };
    ctx.call(dry(Call::patch(item.path(), kind, &patch))).await
}

/// What is compared: no managed fields, and of Secrets no values.
fn shown(args: &Diff, kind: &str, mut object: Value) -> Value {
    if object.is_null() {
        return object;
    }
    if !args.show_managed_fields && object.get("metadata").is_some() {
        object_mut(&mut object["metadata"]).remove("managedFields");
    }
    if kind == "Secret" {
        let annotation =
            object.at("/metadata/annotations").and_then(|map| map.get(applied::KEY)).is_some();
        if annotation {
            object["metadata"]["annotations"][applied::KEY] = "***".into();
        }
        for (_, value) in object["data"].as_object_mut().into_iter().flatten() {
            let length = value.as_str().map_or(0, str::len);
            *value = format!("*** ({length} characters)").into();
        }
    }
    object
}

/// Runs `$KUBECTL_EXTERNAL_DIFF`, or `diff -u -N`. Its exit code of 1 says that there are differences.
fn compare(ctx: &Ctx, folders: &Folders) -> Outcome {
    let program = std::env::var("KUBECTL_EXTERNAL_DIFF").ok().filter(|text| !text.is_empty());
    let mut words = program.as_deref().unwrap_or("diff -u -N").split_whitespace();
    let program = words.next().unwrap_or("diff");
    let output = Command::new(program).args(words).arg(&folders.live).arg(&folders.merged).output();
    let output =
        output.map_err(|source| Fault::refused(format!("failed to run {program:?}: {source}")))?;
    ctx.out(&output.stdout)?;
    ctx.note_raw(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(Fault::exit(1)),
        code => Err(Fault::refused(format!("{program:?} ended with {code:?}"))),
    }
}
