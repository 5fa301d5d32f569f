//! A session with an editor: it is opened again and again until what was saved is taken, or nothing changes any more.
//!
//! Holds     what a user wrote is never lost: whenever the session ends badly the file stays, and its name is told.

use std::fs;
use std::path::{Path, PathBuf};

use podo_api::patch::{merge, strategic};
use serde_json::{Value, json};

use super::super::applied;
use super::super::call::{Call, MERGE, STRATEGIC};
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::kinds::schema_of;
use super::super::print::{Output, ShowArgs, go, json as json_text};
use super::super::record::RecordArgs;
use super::super::report::Report;
use super::super::select::{Item, Reading, declared_in, must_be_in, validate};
use super::super::value::{Look, at_mut, object_mut};
use super::editor;

/// The name of what was edited, in errors.
const EDITED: &str = "edited-file";
const NOTICE: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n";
const NOTICE_LAST_APPLIED: &str = "# Please edit the 'last-applied-configuration' annotations below.\n# Lines beginning with a '#' will be ignored, and an empty file will abort the edit.\n#\n";

/// What tells an object from others.
const IDENTITY: [&str; 3] = ["/apiVersion", "/kind", "/metadata/name"];

/// What becomes of objects that were edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What changed is sent as a patch.
    Patch,
    /// It is what was applied last.
    LastApplied,
    /// It is made.
    Create,
}

/// What a session needs to know.
pub(crate) struct Session<'a> {
    pub(crate) ctx: &'a Ctx,
    pub(crate) mode: Mode,
    pub(crate) report: Report,
    /// How the file is written.
    pub(crate) form: Output,
    pub(crate) has_windows_ends: bool,
    pub(crate) validation: &'static str,
    pub(crate) record: RecordArgs,
    pub(crate) saves_config: bool,
    pub(crate) shows_patch: bool,
    pub(crate) subresource: Option<String>,
    pub(crate) field_manager: String,
}

/// Why a file is opened again.
struct Reason {
    head: String,
    causes: Vec<String>,
}

/// What came of one save.
#[derive(Default)]
struct Results {
    reasons: Vec<Reason>,
    is_retryable: bool,
    is_not_found: bool,
    needs_edit: bool,
}

/// What is done after a save was looked at.
enum Next {
    Again(Vec<Reason>),
    End,
}

impl Session<'_> {
    /// Lets the user edit objects, all in one file.
    pub(crate) async fn run(&self, items: &[Item]) -> Outcome {
        let originals: Vec<Value> = items.iter().map(|item| bare(&item.object)).collect();
        let original = self.written(&originals)?;
        let mut reasons: Option<Vec<Reason>> = None;
        let mut edited = String::new();
        let mut kept: Option<PathBuf> = None;
        loop {
            let text = match &reasons {
                None => self.header(&[]) + &original,
                Some(reasons) => self.header(reasons) + &without_comments(&edited),
            };
            let opened = editor::open(&self.ended(&text), self.extension());
            let (saved, path) = opened.map_err(|fault| self.preserved(fault, kept.as_deref()))?;
            if reasons.is_some() && is_same(&edited, &saved) {
                let fault = Fault::refused("Edit cancelled, no valid changes were saved.");
                return Err(self.preserved(fault, Some(&path)));
            }
            edited = saved;
            if let Some(old) = kept.replace(path.clone()) {
                remove(&old);
            }
            match self.look(items, &original, &edited, &path).await? {
                Next::Again(why) => reasons = Some(why),
                Next::End => return Ok(()),
            }
        }
    }

    /// Looks at what was saved, and sends it if it can be sent.
    async fn look(
        &self,
        items: &[Item],
        original: &str,
        edited: &str,
        path: &Path,
    ) -> Result<Next, Fault> {
        if let Some(reason) = self.invalid(&items[0], edited).await {
            return Ok(Next::Again(vec![reason]));
        }
        let is_unchanged = is_same(original, edited);
        if is_unchanged || !has_lines(edited) {
            remove(path);
            let why = if is_unchanged { "no changes made" } else { "saved file was empty" };
            self.ctx.note(format!("Edit cancelled, {why}."));
            return Ok(Next::End);
        }
        let reading = Reading { is_anywhere: true, ..Reading::default() };
        let read = declared_in(self.ctx, EDITED, edited, reading).await;
        let (mut updated, fault) = read.infos();
        if let Some(fault) = fault {
            let head = format!("The edited file had a syntax error: {}", fault.message());
            return Ok(Next::Again(vec![Reason { head, causes: Vec::new() }]));
        }
        let mut results = Results::default();
        let sent = self.send_all(items, &mut updated, &mut results).await;
        sent.map_err(|fault| self.preserved(fault, Some(path)))?;
        self.next(results, path)
    }

    /// What kubectl's own check has against what was saved.
    async fn invalid(&self, first: &Item, edited: &str) -> Option<Reason> {
        let read = match podo_api::yaml::to_json(edited.as_bytes()) {
            Ok(value) => validate::check(self.ctx, &value, self.validation).await,
            Err(_) if self.validation == "Ignore" => Ok(()),
            Err(error) => Err(Fault::refused(error.to_string())),
        };
        let why = read.err()?.message();
        let why = why.strip_prefix("error validating data: ").unwrap_or(&why);
        let cause = format!(
            "<nil>: Invalid value: \"The edited file failed validation\": {}",
            why.strip_suffix(&format!("; {}", validate::ADVICE)).unwrap_or(why)
        );
        let name = format!("{} {}", first.resource.qualified(), quoted(&first.name));
        self.ctx.note(format!("error: {name} is invalid"));
        Some(Reason { head: format!("{name} was not valid"), causes: vec![cause] })
    }

    async fn send_all(
        &self,
        items: &[Item],
        updated: &mut [Item],
        results: &mut Results,
    ) -> Outcome {
        for item in updated.iter_mut() {
            must_be_in(&self.ctx.namespace()?, item)?;
            if self.saves_config {
                applied::write(&mut item.object);
            }
            self.record.mark(self.ctx, &mut item.object);
        }
        for item in updated {
            match self.mode {
                Mode::Create => self.create(item).await?,
                Mode::Patch | Mode::LastApplied => self.change(items, item, results).await?,
            }
        }
        Ok(())
    }

    async fn create(&self, item: &Item) -> Outcome {
        let path = item.resource.collection(Some(&item.namespace));
        let call = self.call(Call::create(path, &item.object));
        let object = self.ctx.call(call).await?;
        self.report.done(self.ctx, &object, "created")
    }

    /// Sends what changed of one object. What the server has against it is told, and kept for the next round.
    async fn change(&self, items: &[Item], edited: &Item, results: &mut Results) -> Outcome {
        let uid = edited.object.s("/metadata/uid");
        let original = items.iter().find(|item| item.object.s("/metadata/uid") == uid);
        let Some(original) = original else {
            return Err(Fault::refused(format!(
                "no original object found for &unstructured.Unstructured{{Object:{}}}",
                go::syntax(&edited.object)
            )));
        };
        let (before, after) = (bare(&original.object), bare(&edited.object));
        if before == after {
            return self.report.done(self.ctx, &edited.object, "skipped");
        }
        if self.mode == Mode::LastApplied {
            self.annotate(edited, &after).await?;
            return self.report.done(self.ctx, &edited.object, "edited");
        }
        let (patch, kind) = difference(edited, &before, &after)?;
        if self.shows_patch {
            self.ctx.line(format!("Patch: {}", json_text::compact(&patch)))?;
        }
        let mut path = edited.path();
        if let Some(subresource) = &self.subresource {
            path = format!("{path}/{subresource}");
        }
        match self.ctx.call(self.call(Call::patch(path, kind, &patch))).await {
            Ok(object) => self.report.done(self.ctx, &object, "edited"),
            Err(Fault::Closed) => Err(Fault::Closed),
            Err(fault) => {
                self.ctx.note(results.add(edited, &fault));
                Ok(())
            }
        }
    }

    /// Writes a configuration into the annotation of the object on the server.
    async fn annotate(&self, item: &Item, configuration: &Value) -> Outcome {
        let text = json_text::compact(configuration);
        let patch = json!({"metadata": {"annotations": {applied::KEY: text}}});
        let path = item.resource.object(Some(&self.ctx.namespace()?), &item.name);
        self.ctx.call(self.call(Call::patch(path, MERGE, &patch))).await.map(|_object| ())
    }

    fn call(&self, call: Call) -> Call {
        call.query("fieldManager", self.field_manager.clone())
            .query("fieldValidation", self.validation)
    }

    /// What the results of a save lead to.
    fn next(&self, results: Results, path: &Path) -> Result<Next, Fault> {
        let shown = path.display();
        if results.is_retryable {
            self.ctx.note(format!(
                "You can run `kubectl replace -f {shown}` to try this update again."
            ));
            return Err(Fault::exit(1));
        }
        if results.is_not_found {
            self.ctx.note(format!(
                "The edits you made on deleted resources have been saved to {}",
                quoted(&shown.to_string())
            ));
            return Err(Fault::exit(1));
        }
        if results.needs_edit {
            return Ok(Next::Again(results.reasons));
        }
        remove(path);
        Ok(Next::End)
    }

    /// Tells where the user's changes are, if they are anywhere.
    fn preserved(&self, fault: Fault, path: Option<&Path>) -> Fault {
        if let Some(path) = path.filter(|path| path.exists()) {
            let path = quoted(&path.display().to_string());
            self.ctx.note(format!("A copy of your changes has been stored to {path}"));
        }
        fault
    }

    fn is_json(&self) -> bool {
        matches!(self.form, Output::Json)
    }

    fn extension(&self) -> &'static str {
        if self.is_json() { ".json" } else { ".yaml" }
    }

    /// What stands above the objects; JSON has no comments.
    fn header(&self, reasons: &[Reason]) -> String {
        if self.is_json() {
            return String::new();
        }
        let notice = if self.mode == Mode::LastApplied { NOTICE_LAST_APPLIED } else { NOTICE };
        notice.to_owned() + &reasons.iter().map(Reason::comment).collect::<String>()
    }

    fn written(&self, objects: &[Value]) -> Result<String, Fault> {
        let list;
        let whole = match objects {
            [one] => one,
            many => {
                list = json!({"apiVersion": "v1", "items": many, "kind": "List", "metadata": {}});
                &list
            }
        };
        self.form.object(whole, ShowArgs::default(), true)
    }

    fn ended(&self, text: &str) -> String {
        if self.has_windows_ends { text.replace('\n', "\r\n") } else { text.to_owned() }
    }
}

impl Results {
    /// Keeps what the server has against a change; what is told of it.
    fn add(&mut self, item: &Item, fault: &Fault) -> String {
        let name = format!("{} {}", item.resource.qualified(), quoted(&item.name));
        match fault.reason() {
            "Invalid" => {
                self.needs_edit = true;
                let causes = match fault {
                    Fault::Status(status) => status.list("/details/causes"),
                    _ => &[],
                };
                let told =
                    |cause: &Value| format!("{}: {}", cause.s("/field"), cause.s("/message"));
                let causes = causes.iter().map(told).collect();
                self.reasons.push(Reason { head: format!("{name} was not valid"), causes });
                format!("error: {name} is invalid")
            }
            "NotFound" => {
                self.is_not_found = true;
                format!("error: {name} could not be found on the server")
            }
            _ => {
                self.is_retryable = true;
                format!("error: {name} could not be patched: {}", fault.message())
            }
        }
    }
}

impl Reason {
    fn comment(&self) -> String {
        let end = if self.causes.is_empty() { "" } else { ":" };
        let causes = self.causes.iter().map(|cause| format!("# * {}\n", commented(cause)));
        format!("# {}{end}\n{}#\n", commented(&self.head), causes.collect::<String>())
    }
}

/// A text of which every line is a comment, the first by what stands before it.
fn commented(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let last = lines.len() - 1;
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        // A text may end with its last line's end.
        let is_bare = at == 0 || line.starts_with('#') || (at == last && line.is_empty());
        out.push_str(if at == 0 { "" } else { "\n" });
        out.push_str(if is_bare { "" } else { "# " });
        out.push_str(line);
    }
    out
}

/// An object without what its server keeps for itself.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if object.get("metadata").is_some() {
        object_mut(at_mut(&mut object, &["metadata"])).remove("managedFields");
    }
    object
}

/// The patch from one form of an object to another, which must stay the same object.
fn difference(item: &Item, before: &Value, after: &Value) -> Result<(Value, &'static str), Fault> {
    let (patch, kind) = match schema_of(&item.resource) {
        Some(ty) => {
            let patch = strategic::create_two_way(before, after, ty);
            (patch.map_err(|error| Fault::refused(error.to_string()))?, STRATEGIC)
        }
        None => (merge::create_two_way(before, after), MERGE),
    };
    if IDENTITY.iter().any(|pointer| patch.at(pointer).is_some()) {
        return Err(Fault::refused("At least one of apiVersion, kind and name was changed"));
    }
    Ok((patch, kind))
}

/// Whether two texts say the same, whatever their comments.
fn is_same(left: &str, right: &str) -> bool {
    let read = |text: &str| podo_api::yaml::to_json(text.as_bytes()).ok();
    match (read(left), read(right)) {
        (Some(left), Some(right)) => left == right,
        (None, None) => without_comments(left) == without_comments(right),
        _ => false,
    }
}

/// A text without lines that are comments.
fn without_comments(text: &str) -> String {
    let is_comment = |line: &&str| {
        let line = line.trim();
        line.starts_with('#') && !line.starts_with("#!")
    };
    text.split_inclusive('\n').filter(|line| !is_comment(line)).collect()
}

/// Whether there is anything but comments.
fn has_lines(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#'))
}

fn remove(path: &Path) {
    // A file that stays behind in the temporary folder does no harm.
    let _removed = fs::remove_file(path);
}
