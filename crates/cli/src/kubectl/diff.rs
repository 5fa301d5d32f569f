//! `diff`: what `apply` would change, shown by a program for differences.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use podo_api::patch::{merge, strategic};
use serde_json::{Map, Value, json};

use super::applied;
use super::call::{APPLY, Call, MERGE, STRATEGIC};
use super::context::Ctx;
use super::fault::{Fault, Outcome, go_text, quoted};
use super::files::FileArgs;
use super::kinds::schema_of;
use super::select::{Item, Reading};
use super::value::{Look, object_mut};

/// Show what apply would change
#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[arg(hide = true)]
    words: Vec<String>,
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

fn write(folder: &Path, name: &str, object: Option<&Value>) -> Outcome {
    let path = folder.join(name);
    let text = object.map_or_else(String::new, podo_api::yaml::from_json);
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
    if !args.words.is_empty() {
        return Err(Fault::usage("diff", format!("Unexpected args: [{}]", args.words.join(" "))));
    }
    if args.files.is_empty() {
        return Err(Fault::refused("must specify one of -f and -k"));
    }
    if args.force_conflicts && !args.server_side {
        return Err(Fault::refused("--force-conflicts only works with --server-side"));
    }
    let folders = Folders::new()?;
    let reading = Reading { selector: args.selector.as_deref(), ..Reading::default() };
    for item in args.files.declared(ctx, reading).await?.first_fault()? {
        if item.name.is_empty() {
            return Err(Fault::refused("resource name may not be empty"));
        }
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
        let is_secret = resource.kind == "Secret" && resource.version == "v1";
        let (mut live, mut merged) = (shown(&args, live), shown(&args, merged));
        if is_secret {
            mask(&mut live, &mut merged);
        }
        // Of a Secret that is not there kubectl writes what it has hidden: nothing, as YAML says it.
        let is_shown = is_secret || !live.is_null();
        write(&folders.live, &name, Some(&live).filter(|_| is_shown))?;
        write(&folders.merged, &name, Some(&merged))?;
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

/// What is compared: no managed fields.
fn shown(args: &Diff, mut object: Value) -> Value {
    if !args.show_managed_fields && object.get("metadata").is_some() {
        object_mut(&mut object["metadata"]).remove("managedFields");
    }
    object
}

/// Hides the values of a Secret's two forms; of those that differ it is told that they do.
fn mask(live: &mut Value, merged: &mut Value) {
    let data = |object: &Value| object.at("/data").and_then(Value::as_object).cloned();
    let (old, new) = (data(live).unwrap_or_default(), data(merged).unwrap_or_default());
    let differs =
        |key: &String| old.get(key).zip(new.get(key)).is_some_and(|(old, new)| old != new);
    let masked = |map: &Map<String, Value>, suffix: &str| -> Value {
        let mask = |key: &String| {
            if differs(key) { format!("*** ({suffix})") } else { "***".to_owned() }
        };
        map.keys().map(|key| (key.clone(), Value::from(mask(key)))).collect::<Map<_, _>>().into()
    };
    for (object, map, suffix) in [(live, &old, "before"), (merged, &new, "after")] {
        if object.at("/data").is_some() {
            object["data"] = masked(map, suffix);
        }
    }
}

/// Why a program does not start, as Go words it.
fn unstarted(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
        _ => go_text(error),
    }
}

/// Runs `$KUBECTL_EXTERNAL_DIFF`, or `diff -u -N`. Its exit code of 1 says that there are differences.
fn compare(ctx: &Ctx, folders: &Folders) -> Outcome {
    let program = std::env::var("KUBECTL_EXTERNAL_DIFF").ok().filter(|text| !text.is_empty());
    let mut words = program.as_deref().unwrap_or("diff -u -N").split_whitespace();
    let program = words.next().unwrap_or("diff");
    let output = Command::new(program).args(words).arg(&folders.live).arg(&folders.merged).output();
    let output = output.map_err(|error| {
        Fault::refused(format!("failed to run {}: {}", quoted(program), unstarted(&error)))
    })?;
    ctx.out(&output.stdout)?;
    ctx.note_raw(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(Fault::exit(1)),
        code => Err(Fault::refused(format!("{program:?} ended with {code:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_hidden_but_that_they_differ() {
        let cases = [
            (json!({"a": "1", "b": "2"}), json!({"a": "1", "b": "3", "c": "4"})),
            (
                json!({"a": "***", "b": "*** (before)"}),
                json!({"a": "***", "b": "*** (after)", "c": "***"}),
            ),
        ];
        let [(old, new), (hidden_old, hidden_new)] = cases;
        let (mut live, mut merged) = (json!({"data": old}), json!({"data": new}));
        mask(&mut live, &mut merged);
        assert_eq!((&live["data"], &merged["data"]), (&hidden_old, &hidden_new));
        let (mut live, mut merged) = (Value::Null, json!({"data": {"a": "1"}}));
        mask(&mut live, &mut merged);
        assert_eq!((live, merged), (Value::Null, json!({"data": {"a": "***"}})));
    }
}
