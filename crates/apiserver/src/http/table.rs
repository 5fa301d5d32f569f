//! Tables: objects as rows of cells, made from the columns of their kind (`meta.k8s.io` `Table`).

use std::sync::Arc;

use podo_api::{Object, Status, Value};
use podo_base::Timestamp;
use podo_registry::{Column, Definition, Description};
use serde_json::{Map, json};

use super::negotiate::MetaVersion;
use super::render::partial;

/// How much of each object a row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl IncludeObject {
    /// Reads `includeObject`.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Status> {
        match text {
            None | Some("" | "Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(Status::bad_request(format!(
                "unrecognized includeObject value: {}",
                podo_api::field::quoted(other)
            ))),
        }
    }
}

/// A table without its list metadata.
pub(crate) struct Table {
    fields: Map<String, Value>,
}

impl Table {
    /// The table with this list metadata.
    pub(crate) fn with_metadata(mut self, metadata: Value) -> Value {
        self.fields.insert("metadata".to_owned(), metadata);
        Value::Object(self.fields)
    }
}

/// The table of some objects of a kind. A watch sends the columns only with its first event.
pub(crate) fn build(
    definition: &'static Definition,
    objects: &[Arc<Object>],
    include: IncludeObject,
    version: MetaVersion,
    now: Timestamp,
    has_columns: bool,
) -> Table {
    let rows: Vec<Value> =
        objects.iter().map(|object| row(definition, object, include, version, now)).collect();
    let columns: Vec<Value> = definition.columns.iter().map(column).collect();
    let mut fields = Map::new();
    fields.insert("kind".to_owned(), Value::from("Table"));
    fields.insert("apiVersion".to_owned(), Value::from(version.api_version()));
    fields.insert(
        "columnDefinitions".to_owned(),
        if has_columns { Value::from(columns) } else { Value::Null },
    );
    fields.insert("rows".to_owned(), Value::from(rows));
    Table { fields }
}

fn column(column: &Column) -> Value {
    let description = match column.description {
        Description::Text(text) => text,
        Description::Field(ty, field) => podo_descriptions::field(ty, field),
    };
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": description,
        "priority": column.priority,
    })
}

fn row(
    definition: &'static Definition,
    object: &Object,
    include: IncludeObject,
    version: MetaVersion,
    now: Timestamp,
) -> Value {
    let mut value = object.value();
    let cells: Vec<Value> =
        definition.columns.iter().map(|column| (column.cell)(&value, now)).collect();
    let mut row = json!({"cells": cells});
    let conditions = (definition.row_conditions)(&value);
    if !conditions.is_empty() {
        row["conditions"] = Value::from(conditions);
    }
    row["object"] = match include {
        IncludeObject::None => Value::Null,
        IncludeObject::Metadata => partial(value["metadata"].take(), version),
        IncludeObject::Object => value,
    };
    row
}
