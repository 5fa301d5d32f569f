//! Columns and cells that many kinds share.

use podo_api::{Value, duration, meta, tree};
use podo_base::Timestamp;

use crate::{Column, Description};

/// The first column of every table.
pub const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    description: Description::Field("meta/v1.ObjectMeta", "name"),
    priority: 0,
    cell: |value, _| Value::from(meta::name(value)),
};

/// The age of the object.
pub const AGE: Column = Column {
    name: "Age",
    kind: "string",
    format: "",
    description: Description::Field("meta/v1.ObjectMeta", "creationTimestamp"),
    priority: 0,
    cell: |value, now| {
        Value::from(age(tree::str_at(value, &["metadata", "creationTimestamp"]), now))
    },
};

/// When the object was made, for kinds that have no columns of their own.
pub const CREATED_AT: Column = Column {
    name: "Created At",
    kind: "date",
    format: "",
    description: Description::Field("meta/v1.ObjectMeta", "creationTimestamp"),
    priority: 0,
    cell: |value, _| Value::from(meta::str(value, "creationTimestamp")),
};

/// The time since a moment, as people read it; `<unknown>` if there is no moment.
pub fn age(moment: &str, now: Timestamp) -> String {
    Timestamp::parse(moment)
        .map_or_else(|| "<unknown>".to_owned(), |then| duration::human(then, now))
}
