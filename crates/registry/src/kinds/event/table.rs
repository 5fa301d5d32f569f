//! The columns of an event's table, the same for both forms.

use podo_api::Value;
use podo_api::table::Cell;

use super::view::field;
use crate::kinds::pod::view::{get, int, text};
use crate::{Column, Description};

const TY: &str = "core/v1.Event";

pub(super) const COLUMNS: &[Column] = &[
    column("Last Seen", "lastTimestamp", 0, last_seen),
    column("Type", "type", 0, |event| text(event, "type").into()),
    column("Reason", "reason", 0, |event| text(event, "reason").into()),
    column("Object", "involvedObject", 0, |event| object(event).into()),
    Column {
        description: Description::Field("core/v1.ObjectReference", "fieldPath"),
        ..column("Subobject", "", 1, |event| {
            text(field(event, "involvedObject"), "fieldPath").into()
        })
    },
    column("Source", "source", 1, |event| source(event).into()),
    column("Message", "message", 0, |event| {
        field(event, "message").as_str().unwrap_or("").trim().into()
    }),
    column("First Seen", "firstTimestamp", 1, first_seen),
    column("Count", "count", 1, |event| count(event).into()),
    Column { priority: 1, ..crate::table::NAME },
];

const fn column(
    name: &'static str,
    field: &'static str,
    priority: u8,
    cell: fn(&Value) -> Cell,
) -> Column {
    let description = Description::Field(TY, field);
    Column { name, kind: "string", format: "", description, priority, cell }
}

fn first_seen(event: &Value) -> Cell {
    let first = field(event, "firstTimestamp").as_str();
    Cell::age(first.unwrap_or_else(|| text(event, "eventTime")))
}

fn last_seen(event: &Value) -> Cell {
    if let Some(series) = get(event, "series") {
        return Cell::age(text(series, "lastObservedTime"));
    }
    match field(event, "lastTimestamp").as_str() {
        Some(last) => Cell::age(last),
        None => first_seen(event),
    }
}

/// How often it happened; once if the event does not say.
fn count(event: &Value) -> i64 {
    match get(event, "series") {
        Some(series) => int(series, "count").unwrap_or(0),
        None => field(event, "count").as_i64().filter(|&count| count != 0).unwrap_or(1),
    }
}

fn object(event: &Value) -> String {
    let object = field(event, "involvedObject");
    let kind = text(object, "kind").to_lowercase();
    match text(object, "name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Value) -> String {
    let either = |one: &str, other: &str| (if one.is_empty() { other } else { one }).to_owned();
    let source = field(event, "source");
    let controller = field(event, "reportingComponent").as_str().unwrap_or("");
    let component = either(text(source, "component"), controller);
    match either(text(source, "host"), text(event, "reportingInstance")) {
        instance if instance.is_empty() => component,
        instance => format!("{component}, {instance}"),
    }
}
