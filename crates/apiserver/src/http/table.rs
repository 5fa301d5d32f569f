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

/// The JSON of a table, written row by row: the trees of all rows at once take ten times the memory of their bytes.
pub(crate) fn to_json(
    definition: &'static Definition,
    objects: &[Arc<Object>],
    include: IncludeObject,
    version: MetaVersion,
    now: Timestamp,
    metadata: &Value,
) -> Vec<u8> {
    let columns: Vec<Value> = definition.columns.iter().map(column).collect();
    let head = format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"columnDefinitions\":{},\"rows\":[",
        version.api_version(),
        Value::from(columns),
    );
    let mut out = head.into_bytes();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        // Writing a tree with string keys to a vector cannot fail.
        let _infallible =
            serde_json::to_writer(&mut out, &row(definition, object, include, version, now));
    }
    out.extend_from_slice(b"]}\n");
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_written_row_by_row_is_the_table() {
        let definition = podo_registry::find("", "v1", "configmaps").expect("served");
        let made = |name: &str| {
            let value =
                json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}});
            Arc::new(Object::new(&value, definition.schema(), Box::default()))
        };
        let metadata = json!({"resourceVersion": "7"});
        for objects in [vec![], vec![made("x")], vec![made("x"), made("y\"")]] {
            for include in [IncludeObject::None, IncludeObject::Metadata, IncludeObject::Object] {
                let (version, now) = (MetaVersion::V1, Timestamp::from_seconds(0));
                let written = to_json(definition, &objects, include, version, now, &metadata);
                let whole = build(definition, &objects, include, version, now, true);
                let read: Value = serde_json::from_slice(&written).expect("JSON");
                assert_eq!(read, whole.with_metadata(metadata.clone()));
            }
        }
    }
}
