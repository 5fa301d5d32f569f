//! `events`: in the order in which they happened.

use clap::Args;
use serde_json::Value;

use super::call::Call;
use super::context::Ctx;
use super::describe::interval;
use super::discovery::unserved_in_group;
use super::fault::{Fault, Outcome};
use super::print::{Output, ShowArgs, list_of};
use super::select::{CHUNK, Select, list_all};
use super::tabs::{Tabs, tame};
use super::terminal::until_interrupted;
use super::value::Look;

/// Show events
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only those about this TYPE/NAME
    #[arg(long = "for")]
    about: Option<String>,
    /// Only those of these types
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// Keep showing
    #[arg(short, long)]
    watch: bool,
    /// No headers
    #[arg(long)]
    no_headers: bool,
    /// json, yaml, ...
    #[arg(short, long)]
    output: Option<String>,
    /// The template of -o go-template and -o jsonpath
    #[arg(long)]
    template: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
    /// How many events to ask for at a time
    #[arg(long, default_value_t = CHUNK, hide = true)]
    chunk_size: i64,
    #[arg(hide = true)]
    _words: Vec<String>,
}

pub(crate) async fn run(ctx: &Ctx, mut args: Events) -> Outcome {
    let output = Output::parse_plain(args.output.as_deref(), args.template.as_deref())?;
    if args.types == [""] {
        args.types.clear();
    }
    if args.types.iter().any(|kind| !matches!(kind.to_lowercase().as_str(), "normal" | "warning")) {
        return Err(Fault::refused("valid --types are Normal or Warning"));
    }
    let fields = match &args.about {
        Some(about) => about_fields(ctx, about).await?,
        None => String::new(),
    };
    let discovery = ctx.discovery().await?;
    let resource = discovery
        .by_kind("v1", "Event")
        .ok_or_else(|| Fault::refused("the server doesn't have a resource type \"events\""))?;
    let namespace = if args.all_namespaces { None } else { Some(ctx.namespace()?) };
    let select = Select { field_selector: Some(&fields), ..Select::default() };
    let fits = |event: &Value| {
        args.types.is_empty()
            || args.types.iter().any(|kind| kind.eq_ignore_ascii_case(event.s("/type")))
    };
    if args.watch {
        let call = Call::get(resource.collection(namespace.as_deref()))
            .query("fieldSelector", fields.clone())
            .query("watch", "true");
        return until_interrupted(watch(ctx, &args, &output, call, fits)).await;
    }
    let mut events = list_all(ctx, resource, namespace.as_deref(), &select).await?;
    events.retain(fits);
    if events.is_empty() {
        match namespace {
            None => ctx.note("No events found."),
            Some(namespace) => ctx.note(format!("No events found in {namespace} namespace.")),
        }
        return Ok(());
    }
    events.sort_by_key(|event| moment(event).to_owned());
    if matches!(output, Output::Name) {
        // Kubectl prints no names of lists, and says nothing about it here.
        return Ok(());
    }
    if !output.is_human() {
        return ctx.out(output.object(&list_of(events), args.show, true)?);
    }
    let mut tabs = Tabs::table();
    if !args.no_headers {
        tabs.push(&headers(args.all_namespaces));
    }
    events.iter().for_each(|event| tabs.push(&row(event, args.all_namespaces)));
    ctx.out(tabs.finish())
}

/// Shows events as they come.
async fn watch(
    ctx: &Ctx,
    args: &Events,
    output: &Output,
    call: Call,
    fits: impl Fn(&Value) -> bool,
) -> Outcome {
    let mut tabs = Tabs::table();
    let mut is_first = true;
    let mut lines = ctx.lines(call).await?;
    while let Some((kind, event)) = lines.event().await? {
        if matches!(kind.as_str(), "DELETED" | "BOOKMARK") || !fits(&event) {
            continue;
        }
        if output.is_human() {
            if is_first && !args.no_headers {
                tabs.push(&headers(args.all_namespaces));
            }
            tabs.push(&row(&event, args.all_namespaces));
            ctx.out(tabs.finish())?;
        } else {
            ctx.out(output.object(&event, args.show, is_first)?)?;
        }
        is_first = false;
        ctx.flush()?;
    }
    Ok(())
}

/// The field selector for events about an object.
async fn about_fields(ctx: &Ctx, about: &str) -> Result<String, Fault> {
    let (kind, name) = about
        .split_once('/')
        .filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
        .ok_or_else(|| Fault::refused("--for must be in resource/name form"))?;
    if name.contains('/') {
        return Err(Fault::refused(
            "arguments in resource/name form may not have more than one slash",
        ));
    }
    let found = ctx.discovery().await?.find(kind);
    let resource = found.ok_or_else(|| Fault::Bare(unserved_in_group(kind)))?;
    let version = resource.api_version();
    Ok(format!(
        "involvedObject.apiVersion={version},involvedObject.kind={},involvedObject.name={name}",
        resource.kind
    ))
}

/// When an event was last seen.
fn moment(event: &Value) -> &str {
    let fields = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime"];
    let texts = fields.iter().map(|field| event.s(field));
    let text = texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    // Whole seconds stand before their fractions.
    text.trim_end_matches('Z')
}

fn headers(has_namespace: bool) -> String {
    let namespace = if has_namespace { "NAMESPACE\t" } else { "" };
    format!("{namespace}LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE\n")
}

fn row(event: &Value, has_namespace: bool) -> String {
    let namespace = if has_namespace { format!("{}\t", event.namespace()) } else { String::new() };
    format!(
        "{namespace}{}\t{}\t{}\t{}/{}\t{}\n",
        interval(event),
        tame(event.s("/type")),
        tame(event.s("/reason")),
        tame(event.s("/involvedObject/kind")),
        tame(event.s("/involvedObject/name")),
        tame(event.s("/message").trim())
    )
}
