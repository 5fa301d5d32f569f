//! A page of a description: labels, values and tables, two spaces a level.

use serde_json::Value;

use super::super::applied;
use super::super::tabs::{Tabs, tame};
use super::super::time::age;
use super::super::value::{Look, shown};

/// The longest annotation on one line; kubectl v1.36's number.
const ANNOTATION_MAX: usize = 140;

/// A page that is being written.
pub(super) struct Page {
    tabs: Tabs,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { tabs: Tabs::described() }
    }

    /// The text of the page.
    pub(super) fn finish(&mut self) -> String {
        self.tabs.finish()
    }

    /// The text of the page, its tabs kept.
    pub(super) fn bare(&self) -> String {
        self.tabs.bare().to_owned()
    }

    /// A line at a level; tabs in it separate columns.
    pub(super) fn line(&mut self, level: usize, text: impl AsRef<str>) {
        self.raw(&format!("{}{}\n", "  ".repeat(level), text.as_ref()));
    }

    /// A label and its value.
    pub(super) fn pair(&mut self, level: usize, label: &str, value: impl AsRef<str>) {
        self.line(level, format!("{label}:\t{}", value.as_ref()));
    }

    /// A label and its value, unless that is empty.
    pub(super) fn pair_if(&mut self, level: usize, label: &str, value: &str) {
        if !value.is_empty() {
            self.pair(level, label, value);
        }
    }

    /// Text as it is, without what would move the terminal.
    pub(super) fn raw(&mut self, text: &str) {
        self.tabs.push(&tame(text));
    }

    /// A map below a title, a pair on each line.
    pub(super) fn map(&mut self, indent: &str, title: &str, map: Option<&Value>) {
        let pairs = map.and_then(Value::as_object).filter(|map| !map.is_empty());
        let Some(pairs) = pairs else {
            return self.raw(&format!("{indent}{title}:\t<none>\n"));
        };
        for (index, (key, value)) in pairs.iter().enumerate() {
            let head =
                if index == 0 { format!("{indent}{title}:\t") } else { format!("{indent}\t") };
            self.raw(&format!("{head}{key}={}\n", shown(value)));
        }
    }

    /// The object's labels.
    pub(super) fn labels(&mut self, object: &Value) {
        self.map("", "Labels", object.at("/metadata/labels"));
    }

    /// The object's annotations; long ones are cut.
    pub(super) fn annotations(&mut self, object: &Value) {
        self.annotation_map("Annotations", object.at("/metadata/annotations"));
    }

    /// Annotations below a title of one's own.
    pub(super) fn annotation_map(&mut self, title: &str, map: Option<&Value>) {
        self.raw(&format!("{title}:\t"));
        let map = map.and_then(Value::as_object);
        let own = map.into_iter().flatten().filter(|(key, _)| *key != applied::KEY);
        let mut is_empty = true;
        for (key, value) in own {
            let indent = if is_empty { "" } else { "\t" };
            is_empty = false;
            let value = shown(value);
            let value = value.strip_suffix('\n').unwrap_or(&value);
            if value.len() + key.len() + 2 > ANNOTATION_MAX || value.contains('\n') {
                self.raw(&format!("{indent}{key}:\n"));
                for line in value.split('\n') {
                    self.raw(&format!("\t  {}\n", cut(line, ANNOTATION_MAX - 2)));
                }
            } else {
                self.raw(&format!("{indent}{key}: {value}\n"));
            }
        }
        if is_empty {
            self.raw("<none>\n");
        }
    }

    /// A table of conditions with the columns that are named, each with its JSON field.
    pub(super) fn conditions(&mut self, object: &Value) {
        let conditions = object.list("/status/conditions");
        if conditions.is_empty() {
            return;
        }
        self.raw("Conditions:\n  Type\tStatus\tReason\n");
        self.line(1, "----\t------\t------");
        for condition in conditions {
            let (status, reason) = (condition.s("/status"), condition.s("/reason"));
            self.line(1, format!("{} \t{status}\t{reason}", condition.s("/type")));
        }
    }

    /// The table of events.
    pub(super) fn events(&mut self, events: &[Value]) {
        if events.is_empty() {
            return self.raw("Events:\t<none>\n");
        }
        let mut events: Vec<&Value> = events.iter().collect();
        events.sort_by_key(|event| event.s("/lastTimestamp"));
        self.raw("Events:\n  Type\tReason\tAge\tFrom\tMessage\n");
        self.line(1, "----\t------\t----\t----\t-------");
        for event in events {
            let source = match event.s("/source/component") {
                "" => event.s("/reportingComponent"),
                source => source,
            };
            let mut message = event.s("/message").trim().to_owned();
            let field = event.s("/involvedObject/fieldPath");
            if !field.is_empty() {
                message = format!("{field}: {message}");
            }
            let (kind, reason) = (event.s("/type"), event.s("/reason"));
            self.line(1, format!("{kind}\t{reason}\t{}\t{source}\t{message}", interval(event)));
        }
    }

    /// `kind/name` of the controlling owner, if there is one.
    pub(super) fn controller(&mut self, object: &Value) {
        let owners = object.list("/metadata/ownerReferences");
        if let Some(owner) = owners.iter().find(|owner| owner.b("/controller")) {
            self.pair(0, "Controlled By", format!("{}/{}", owner.s("/kind"), owner.s("/name")));
        }
    }
}

/// When an event was, and how often.
pub(in super::super) fn interval(event: &Value) -> String {
    let first = match event.s("/eventTime") {
        "" => age(event.s("/firstTimestamp")),
        time => age(time),
    };
    if event.has("/series") {
        let last = age(event.s("/series/lastObservedTime"));
        return format!("{last} (x{} over {first})", event.i("/series/count"));
    }
    match event.i("/count") {
        count @ 2.. => format!("{} (x{count} over {first})", age(event.s("/lastTimestamp"))),
        _ => first,
    }
}

fn cut(text: &str, length: usize) -> String {
    if text.len() <= length {
        return text.to_owned();
    }
    let end = (0..=length).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &text[..end])
}

/// `True` or `False`.
pub(super) fn truth(is: bool) -> &'static str {
    if is { "True" } else { "False" }
}

/// A value, or `<none>` for nothing.
pub(super) fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}
