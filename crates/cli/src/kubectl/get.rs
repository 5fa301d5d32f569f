//! `get`: shows objects, as tables that the server makes or in the forms of `-o`.

mod sort;
mod watch;

use std::collections::BTreeSet;

use clap::Args;
use http::Method;
use serde_json::Value;

use super::call::{ACCEPT_TABLE, Call};
use super::context::Ctx;
use super::discovery::Resource;
use super::fault::{Fault, Outcome, quoted};
use super::files::FileArgs;
use super::print::table::{TableOptions, as_table};
use super::print::{Output, ShowArgs, list_of, name_of};
use super::select::{CHUNK, Latest, Pick, Reading, items_of, listing, picks};
use super::tabs::Tabs;
use super::terminal::until_interrupted;
use super::value::Look;

/// Show one or many resources
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// TYPE[,TYPE] [NAME...] or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// json, yaml, name, wide, jsonpath=..., custom-columns=..., go-template=...
    #[arg(short, long)]
    output: Option<String>,
    /// The template of -o go-template and -o jsonpath
    #[arg(long)]
    template: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Only those with these fields
    #[arg(long)]
    field_selector: Option<String>,
    /// Keep showing changes
    #[arg(short, long)]
    watch: bool,
    /// Show changes only, not what is there already
    #[arg(long)]
    watch_only: bool,
    /// With --watch: tell what kind of change it is
    #[arg(long)]
    output_watch_events: bool,
    /// Sort by this JSONPath
    #[arg(long)]
    sort_by: Option<String>,
    /// Show all labels in a column
    #[arg(long)]
    show_labels: bool,
    /// Show the value of this label in a column
    #[arg(short = 'L', long, value_delimiter = ',')]
    label_columns: Vec<String>,
    /// No headers
    #[arg(long)]
    no_headers: bool,
    /// Say nothing if an object is not there
    #[arg(long)]
    ignore_not_found: bool,
    /// Put the kind before names
    #[arg(long)]
    show_kind: bool,
    /// How many objects to ask for at a time; 0 for all at once
    #[arg(long, default_value_t = CHUNK)]
    chunk_size: i64,
    /// A path of the server to read instead
    #[arg(long)]
    raw: Option<String>,
    /// Let the server make the table
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    server_print: bool,
    /// A subresource to show
    #[arg(long)]
    subresource: Option<String>,
}

/// A group of objects of one kind, as one request asks for them.
struct Part {
    resource: Resource,
    namespace: Option<String>,
    /// The one object asked for; `None` for a list.
    name: Option<String>,
    /// What the server has said already.
    answer: Option<Value>,
}

pub(crate) async fn run(ctx: &Ctx, mut args: Get) -> Outcome {
    // To kubectl an empty text is none.
    for flag in [&mut args.raw, &mut args.sort_by] {
        flag.take_if(|text| text.is_empty());
    }
    if args.label_columns == [""] {
        args.label_columns.clear();
    }
    check(&args)?;
    if let Some(path) = &args.raw {
        let body =
            ctx.fetch(Call::new(Method::GET, path.clone()).accept("application/json, */*")).await?;
        return ctx.out(&body);
    }
    let mut output = Output::parse(args.output.as_deref(), args.template.as_deref())?;
    // Columns that a file names keep their headers, whatever is said.
    let is_of_file =
        args.output.as_deref().is_some_and(|form| form.starts_with("custom-columns-file"));
    if let Output::Columns(columns) = &mut output {
        columns.has_headers = is_of_file || !args.no_headers;
    }
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Fault::Bare(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n\nerror: Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and examples".into(),
        ));
    }
    let Asked { parts, is_single, fault } = parts(ctx, &args, output.is_human()).await?;
    if args.watch || args.watch_only {
        if let Some(fault) = fault {
            return Err(fault);
        }
        if args.sort_by.is_some() {
            ctx.note(
                "warning: --watch requested, --sort-by will be ignored for watch events received",
            );
        }
        if let [part] = parts.as_slice() {
            return until_interrupted(watch::run(ctx, &args, &output, part)).await;
        }
        if parts.iter().any(|part| part.resource != parts[0].resource) {
            return Err(Fault::refused("you may only specify a single resource type"));
        }
        lists(ctx, &args, &output, parts, is_single, None).await?;
        return Err(Fault::refused(
            "you may only watch a single resource or type of resource at a time",
        ));
    }
    lists(ctx, &args, &output, parts, is_single, fault).await
}

/// Shows what is there.
async fn lists(
    ctx: &Ctx,
    args: &Get,
    output: &Output,
    parts: Vec<Part>,
    is_single: bool,
    fault: Option<Fault>,
) -> Outcome {
    match output {
        Output::Human { .. } => tables(ctx, args, output, parts, fault).await,
        _ => objects(ctx, args, output, parts, is_single, fault).await,
    }
}

/// Refuses flags that contradict.
fn check(args: &Get) -> Outcome {
    if let Some(path) = &args.raw {
        if !args.words.is_empty() {
            return Err(Fault::refused("arguments may not be passed when --raw is specified"));
        }
        if args.watch || args.watch_only || args.selector.is_some() {
            return Err(Fault::refused(
                "--raw may not be specified with other flags that filter the server request or alter the output",
            ));
        }
        if args.output.is_some() {
            return Err(Fault::refused("--raw and --output are mutually exclusive"));
        }
        if !path.starts_with('/') {
            return Err(Fault::refused(format!(
                "--raw must be a valid URL path: parse {}: invalid URI for request",
                quoted(path)
            )));
        }
        if let Some(escape) = wrong_escape(path) {
            return Err(Fault::refused(format!(
                "--raw must be a valid URL path: parse {}: invalid URL escape {}",
                quoted(path),
                quoted(escape)
            )));
        }
    }
    if args.subresource.is_some() && matches!(&*args.words, [word] if !word.contains('/')) {
        return Err(Fault::refused("subresource cannot be used when bulk resources are specified"));
    }
    let form = args.output.as_deref().unwrap_or_default();
    if args.show_labels && !matches!(form, "" | "wide") {
        return Err(Fault::refused(format!(
            "--show-labels option cannot be used with {form} printer"
        )));
    }
    if args.output_watch_events && !args.watch && !args.watch_only {
        return Err(Fault::refused(
            "--output-watch-events option can only be used with --watch or --watch-only",
        ));
    }
    Ok(())
}

/// The first percent sign of a path that two digits do not follow, with what follows it.
fn wrong_escape(path: &str) -> Option<&str> {
    let mut escapes = path.match_indices('%').map(|(at, _)| &path[at..]);
    let is_right = |escape: &str| {
        let digits = escape.as_bytes().get(1..3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let wrong = escapes.find(|escape| !is_right(escape))?;
    Some(wrong.char_indices().nth(3).map_or(wrong, |(end, _)| &wrong[..end]))
}

/// What the arguments ask for.
struct Asked {
    parts: Vec<Part>,
    /// Whether they name exactly one object.
    is_single: bool,
    /// What of the files cannot be had.
    fault: Option<Fault>,
}

/// What the files name, as the server has it.
async fn of_files(ctx: &Ctx, args: &Get, is_table: bool) -> Result<Asked, Fault> {
    args.files.refuse_words(&args.words)?;
    let call = |resource: &Resource, namespace: &str, name: &str| {
        let part = Part {
            resource: resource.clone(),
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            answer: None,
        };
        args.call(&part, is_table)
    };
    let reading = Reading {
        selector: args.selector.as_deref(),
        latest: Latest::Call(&call),
        ..Reading::default()
    };
    let (items, fault) = args.files.declared(ctx, reading).await?.infos();
    let fault =
        if args.ignore_not_found { fault.and_then(Fault::without_not_found) } else { fault };
    let is_single = args.files.is_single() && items.len() <= 1;
    let parts = items.into_iter().map(|item| Part {
        resource: item.resource,
        namespace: Some(item.namespace),
        name: Some(item.name),
        answer: Some(item.object),
    });
    Ok(Asked { parts: parts.collect(), is_single, fault })
}

/// The requests that the arguments mean.
async fn parts(ctx: &Ctx, args: &Get, is_table: bool) -> Result<Asked, Fault> {
    if !args.files.is_empty() {
        return of_files(ctx, args, is_table).await;
    }
    let mut parts = Vec::new();
    let mut is_single = false;
    let found = picks(ctx, &args.words).await?;
    let scope = if args.all_namespaces { None } else { Some(ctx.namespace()?) };
    for Pick { resource, names, .. } in found {
        if names.is_empty() && args.subresource.is_some() {
            return Err(Fault::refused(
                "subresource cannot be used when bulk resources are specified",
            ));
        }
        if names.is_empty() {
            parts.push(Part { resource, namespace: scope.clone(), name: None, answer: None });
            continue;
        }
        if args.selector.is_some() || args.field_selector.is_some() {
            return Err(Fault::refused(if args.words.iter().any(|word| word.contains('/')) {
                "selectors and the all flag cannot be used when passing resource/name arguments"
            } else {
                "name cannot be provided when a selector is specified"
            }));
        }
        if args.all_namespaces && resource.is_namespaced {
            return Err(Fault::refused(
                "a resource cannot be retrieved by name across all namespaces",
            ));
        }
        is_single = parts.is_empty() && names.len() == 1;
        let part = |name| Part {
            resource: resource.clone(),
            namespace: scope.clone(),
            name: Some(name),
            answer: None,
        };
        parts.extend(names.into_iter().map(part));
    }
    is_single &= parts.len() == 1;
    Ok(Asked { parts, is_single, fault: None })
}

impl Get {
    fn call(&self, part: &Part, is_table: bool) -> Call {
        let mut call = match &part.name {
            Some(name) => {
                let mut path = part.resource.object(part.namespace.as_deref(), name);
                if let Some(subresource) = &self.subresource {
                    path = format!("{path}/{subresource}");
                }
                Call::get(path)
            }
            None => Call::get(part.resource.collection(part.namespace.as_deref()))
                .query("fieldSelector", self.field_selector.clone().unwrap_or_default())
                .query("labelSelector", self.selector.clone().unwrap_or_default())
                .query(
                    "limit",
                    if self.chunk_size > 0 { self.chunk_size.to_string() } else { String::new() },
                ),
        };
        if is_table && self.server_print {
            call = call.accept(ACCEPT_TABLE);
            if self.sort_by.is_some() {
                call = call.query("includeObject", "Object");
            }
        }
        call
    }

    /// Asks for one part, in pieces if the server has many; rows or items are put together.
    async fn ask(&self, ctx: &Ctx, part: &Part, is_table: bool) -> Result<Value, Fault> {
        if let Some(answer) = &part.answer {
            return Ok(answer.clone());
        }
        let refused = |fault: Fault| {
            let (labels, fields) = (self.selector.as_deref(), self.field_selector.as_deref());
            listing(fault, &part.resource, labels, fields)
        };
        let mut whole = match ctx.call(self.call(part, is_table)).await {
            Ok(answer) => answer,
            Err(fault) if part.name.is_some() => {
                let namespace = part.namespace.as_deref().unwrap_or_default();
                return Err(ctx.lacking(&part.resource, namespace, fault).await);
            }
            Err(fault) => return Err(refused(fault)),
        };
        loop {
            let more = whole.s("/metadata/continue").to_owned();
            if more.is_empty() {
                return Ok(whole);
            }
            let mut next = ctx.call(self.call(part, is_table).query("continue", more)).await?;
            for field in ["items", "rows"] {
                if let (Some(Value::Array(all)), Value::Array(own)) =
                    (whole.get_mut(field), next[field].take())
                {
                    all.extend(own);
                }
            }
            whole["metadata"] = next["metadata"].take();
        }
    }

    fn table_options(&self, output: &Output, part: &Part, is_mixed: bool) -> TableOptions {
        let with_kind = self.show_kind || is_mixed;
        TableOptions {
            has_no_headers: self.no_headers,
            is_wide: matches!(output, Output::Human { is_wide: true }),
            has_namespace: self.all_namespaces && part.resource.is_namespaced,
            kind: with_kind.then(|| part.resource.label()),
            show_labels: self.show_labels,
            label_columns: self.label_columns.clone(),
        }
    }
}

/// Whether a fault is to be passed over by `--ignore-not-found`.
fn is_ignored(args: &Get, fault: &Fault) -> bool {
    args.ignore_not_found && fault.is_not_found()
}

async fn objects(
    ctx: &Ctx,
    args: &Get,
    output: &Output,
    parts: Vec<Part>,
    is_single: bool,
    unread: Option<Fault>,
) -> Outcome {
    if args.files.is_single()
        && let Some(fault) = unread
    {
        return Err(fault);
    }
    let mut found = Vec::new();
    let mut faults: Vec<Fault> = unread.into_iter().flat_map(Fault::flattened).collect();
    for part in &parts {
        match args.ask(ctx, part, false).await {
            Ok(object) if part.name.is_some() => found.push(object),
            Ok(mut list) => found.extend(items_of(&mut list, &part.resource)),
            Err(fault) if is_ignored(args, &fault) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if let Some(path) = &args.sort_by {
        sort::objects(&mut found, path)?;
    }
    // Of several that were asked for, a list is shown even when it is empty.
    let is_nothing = found.is_empty() && (is_single || args.ignore_not_found);
    if !is_nothing {
        show(ctx, args, output, found, is_single)?;
    }
    Fault::all(faults)
}

fn show(ctx: &Ctx, args: &Get, output: &Output, mut found: Vec<Value>, is_single: bool) -> Outcome {
    match output {
        Output::Name => {
            for object in &found {
                ctx.line(name_of(object))?;
            }
            Ok(())
        }
        Output::Columns(columns) => {
            let objects: Vec<&Value> = found.iter().collect();
            ctx.out(columns.render(&objects, true)?)
        }
        _ if is_single && found.len() == 1 => {
            ctx.out(output.object(&found.remove(0), args.show, true)?)
        }
        _ => ctx.out(output.object(&list_of(found), args.show, true)?),
    }
}

async fn tables(
    ctx: &Ctx,
    args: &Get,
    output: &Output,
    parts: Vec<Part>,
    unread: Option<Fault>,
) -> Outcome {
    let mut shown: Vec<(usize, Value)> = Vec::new();
    let mut faults = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match args.ask(ctx, part, true).await {
            Ok(answer) => shown.push((index, as_table(answer))),
            Err(fault) if is_ignored(args, &fault) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if let Some(path) = &args.sort_by {
        sort::tables(&mut shown, path)?;
    }
    let has_output = print_tables(ctx, args, output, &parts, &shown)?;
    if !has_output && faults.is_empty() && unread.is_none() && !args.ignore_not_found {
        nothing_found(ctx, args, &parts)?;
    }
    // Kubectl takes what is wrong with files for one of several faults, even when it is alone.
    match unread {
        Some(fault) => Err(Fault::Many(vec![fault])),
        None => Fault::all(faults),
    }
}

/// Prints tables, those of one kind below one head; whether there was anything to print.
fn print_tables(
    ctx: &Ctx,
    args: &Get,
    output: &Output,
    parts: &[Part],
    shown: &[(usize, Value)],
) -> Result<bool, Fault> {
    let found = shown.iter().map(|(index, _)| parts[*index].resource.qualified());
    let kinds: BTreeSet<String> = found.collect();
    let is_mixed = kinds.len() > 1;
    let mut tabs = Tabs::table();
    let mut last: Option<String> = None;
    let mut has_output = false;
    let mut has_headers = false;
    for (index, table) in shown {
        let part = &parts[*index];
        if table.list("/rows").is_empty() {
            continue;
        }
        let options = args.table_options(output, part, is_mixed);
        let kind = part.resource.qualified();
        if last.as_ref() != Some(&kind) {
            ctx.out(tabs.finish())?;
            tabs.forget();
            if has_output && !args.no_headers {
                tabs.push("\n");
                ctx.out(tabs.finish())?;
            }
            last = Some(kind);
            has_headers = false;
        }
        let columns = table.list("/columnDefinitions");
        if !has_headers && !options.has_no_headers {
            tabs.push(&options.headers(columns));
            has_headers = true;
        }
        for row in table.list("/rows") {
            tabs.push(&options.row(columns, row));
        }
        has_output = true;
    }
    ctx.out(tabs.finish())?;
    Ok(has_output)
}

fn nothing_found(ctx: &Ctx, args: &Get, parts: &[Part]) -> Outcome {
    let is_in_namespace = parts.iter().all(|part| part.resource.is_namespaced);
    if is_in_namespace && !args.all_namespaces {
        ctx.note(format!("No resources found in {} namespace.", ctx.namespace()?));
    } else {
        ctx.note("No resources found");
    }
    Ok(())
}
