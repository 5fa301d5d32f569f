//! `get --watch`: what is there, then every change until the server or the user ends it.

use serde_json::Value;

use super::super::call::{ACCEPT_TABLE, Call};
use super::super::context::Ctx;
use super::super::fault::{Outcome, quoted};
use super::super::print::table::{TableOptions, as_table};
use super::super::print::{Output, json};
use super::super::select::items_of;
use super::super::tabs::Tabs;
use super::super::value::Look;
use super::{Get, Part};

pub(super) async fn run(ctx: &Ctx, args: &Get, output: &Output, part: &Part) -> Outcome {
    let is_table = output.is_human();
    let mut printer = Printer {
        options: args.table_options(output, part, false),
        tabs: Tabs::table(),
        columns: Vec::new(),
        has_headers: false,
        is_first: true,
        args,
        output,
    };
    let first = match args.ask(ctx, part, is_table).await {
        Err(fault) if args.ignore_not_found && fault.is_not_found() => return Ok(()),
        answer => answer?,
    };
    // One object may be older than any version that can be watched from: its watch begins now, with the object once more.
    let version = match &part.name {
        Some(_) => "0".to_owned(),
        None => first.s("/metadata/resourceVersion").to_owned(),
    };
    if !args.watch_only {
        // That there is nothing yet is not said: it may come.
        printer.all(ctx, first, part)?;
    }
    ctx.flush()?;

    let fields = match &part.name {
        Some(name) => format!("metadata.name={name}"),
        None => args.field_selector.clone().unwrap_or_default(),
    };
    let mut call = Call::get(part.resource.collection(part.namespace.as_deref()))
        .query("fieldSelector", fields)
        .query("labelSelector", args.selector.clone().unwrap_or_default())
        .query("resourceVersion", version)
        .query("watch", "true");
    if is_table && args.server_print {
        call = call.accept(ACCEPT_TABLE);
    }
    let mut is_repeated = part.name.is_some();
    let mut lines = ctx.lines(call).await?;
    while let Some((kind, object)) = lines.event().await? {
        if kind == "BOOKMARK" {
            continue;
        }
        if std::mem::take(&mut is_repeated) {
            continue;
        }
        printer.event(ctx, &kind, object)?;
        ctx.flush()?;
    }
    Ok(())
}

struct Printer<'a> {
    options: TableOptions,
    tabs: Tabs,
    columns: Vec<Value>,
    has_headers: bool,
    is_first: bool,
    args: &'a Get,
    output: &'a Output,
}

impl Printer<'_> {
    /// Shows what is there before the first change.
    fn all(&mut self, ctx: &Ctx, mut answer: Value, part: &Part) -> Outcome {
        if self.output.is_human() {
            return self.rows(ctx, "ADDED", answer);
        }
        let objects =
            if part.name.is_some() { vec![answer] } else { items_of(&mut answer, &part.resource) };
        objects.iter().try_for_each(|object| self.object(ctx, "ADDED", object))
    }

    fn event(&mut self, ctx: &Ctx, kind: &str, object: Value) -> Outcome {
        if self.output.is_human() {
            return self.rows(ctx, kind, object);
        }
        self.object(ctx, kind, &object)
    }

    fn object(&mut self, ctx: &Ctx, kind: &str, object: &Value) -> Outcome {
        let text = if self.args.output_watch_events && matches!(self.output, Output::Json) {
            format!("{{\"type\":{},\"object\":{}}}\n", quoted(kind), json::compact(object))
        } else if self.args.output_watch_events && self.output.takes_lists() {
            let event = serde_json::json!({"object": object, "type": kind});
            self.output.object(&event, self.args.show, self.is_first)?
        } else {
            self.output.object(object, self.args.show, self.is_first)?
        };
        self.is_first = false;
        ctx.out(text)
    }

    /// Shows rows; only the first table of a watch names its columns.
    fn rows(&mut self, ctx: &Ctx, kind: &str, answer: Value) -> Outcome {
        let table = as_table(answer);
        let rows = table.list("/rows");
        let columns = table.list("/columnDefinitions");
        if !columns.is_empty() {
            self.columns = columns.to_vec();
        }
        if rows.is_empty() {
            return Ok(());
        }
        if !self.has_headers && !self.options.has_no_headers {
            let event = if self.args.output_watch_events { "EVENT   \t" } else { "" };
            self.tabs.push(&format!("{event}{}", self.options.headers(&self.columns)));
            self.has_headers = true;
        }
        for row in rows {
            let event =
                if self.args.output_watch_events { format!("{kind:<8}\t") } else { String::new() };
            self.tabs.push(&format!("{event}{}", self.options.row(&self.columns, row)));
        }
        self.is_first = false;
        ctx.out(self.tabs.finish())
    }
}
