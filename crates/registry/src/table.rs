//! Columns and cells that many kinds share.

use podo_api::table::Cell;
use podo_api::{meta, tree};

use crate::{Column, Description};

/// The first column of every table.
pub const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    description: Description::Field("meta/v1.ObjectMeta", "name"),
    priority: 0,
    cell: |value| meta::name(value).into(),
};

/// The age of the object.
pub const AGE: Column = Column {
    name: "Age",
    kind: "string",
    format: "",
    description: Description::Field("meta/v1.ObjectMeta", "creationTimestamp"),
    priority: 0,
    cell: |value| Cell::age(tree::str_at(value, &["metadata", "creationTimestamp"])),
};

/// When the object was made, for kinds that have no columns of their own.
pub const CREATED_AT: Column = Column {
    name: "Created At",
    kind: "date",
    format: "",
    description: Description::Field("meta/v1.ObjectMeta", "creationTimestamp"),
    priority: 0,
    cell: |value| meta::str(value, "creationTimestamp").into(),
};
