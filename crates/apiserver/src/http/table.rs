//! Tables: objects as rows of cells, made from the columns of their kind (`meta.k8s.io` `Table`).

use std::sync::Arc;

use podo_api::table::Row;
use podo_api::{Object, Status, Value};
use podo_base::Timestamp;
use podo_registry::{Column, Definition, Description};
use serde_json::json;

use super::negotiate::MetaVersion;

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

/// How a table shows the objects of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// The kind.
    pub(crate) definition: &'static Definition,
    /// How much of each object a row carries.
    pub(crate) include: IncludeObject,
    /// The version of the table, and of the metadata that its rows carry.
    pub(crate) version: MetaVersion,
    /// The moment that ages lead to.
    pub(crate) now: Timestamp,
    /// Whether it says its columns. A watch does with its first event only.
    pub(crate) has_columns: bool,
}

impl Table {
    /// The JSON of the table of some objects.
    pub(crate) fn to_json(self, objects: &[Arc<Object>], metadata: &Value) -> Vec<u8> {
        let mut out = self.head(metadata);
        for (index, object) in objects.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write_row(object, &mut out);
        }
        out.extend_from_slice(b"]}");
        out
    }

    /// What stands before the first row.
    pub(crate) fn head(self, metadata: &Value) -> Vec<u8> {
        let columns = self.definition.columns.iter().map(column);
        let columns = self.has_columns.then(|| columns.collect::<Vec<Value>>());
        let head = format!(
            "{{\"kind\":\"Table\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"columnDefinitions\":{},\"rows\":[",
            self.version.api_version(),
            Value::from(columns),
        );
        head.into_bytes()
    }

    /// Writes the row of an object, of what is kept with it.
    pub(crate) fn write_row(self, object: &Object, out: &mut Vec<u8>) {
        let (row, metadata) = object.row(|value| {
            let cells = self.definition.columns.iter().map(|column| (column.cell)(value));
            Row::new(cells, &(self.definition.row_conditions)(value))
        });
        row.write(self.now, out);
        match self.include {
            IncludeObject::None => out.extend_from_slice(b"null"),
            IncludeObject::Metadata => write_partial(metadata, self.version, out),
            IncludeObject::Object => out.extend_from_slice(object.json()),
        }
        out.push(b'}');
    }
}

/// Writes the JSON of a `PartialObjectMetadata`.
pub(super) fn write_partial(metadata: &[u8], version: MetaVersion, out: &mut Vec<u8>) {
    let head = [
        b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"",
        version.api_version().as_bytes(),
    ];
    head.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\",\"metadata\":");
    out.extend_from_slice(metadata);
    out.push(b'}');
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_the_cells_of_its_objects_and_as_much_of_them_as_is_wanted() {
        let definition = podo_registry::find("", "v1", "configmaps").expect("served");
        let value = |name: &str| json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}});
        let made =
            |name: &str| Arc::new(Object::new(&value(name), definition.schema(), Box::default()));
        let (metadata, now) = (json!({"resourceVersion": "7"}), Timestamp::from_seconds(0));
        let partial = |name: &str| json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name}});
        for names in [&[][..], &["x"], &["x", "y\""]] {
            let objects: Vec<_> = names.iter().map(|name| made(name)).collect();
            let written = |include| {
                let version = MetaVersion::V1;
                let table = Table { definition, include, version, now, has_columns: true };
                // Twice: the second is written of what is kept.
                let first = table.to_json(&objects, &metadata);
                assert_eq!(first, table.to_json(&objects, &metadata));
                serde_json::from_slice::<Value>(&first).expect("JSON")
            };
            let rows = |object: &dyn Fn(&str) -> Value| -> Value {
                let row =
                    |name: &&str| json!({"cells": [name, 0, "<unknown>"], "object": object(name)});
                names.iter().map(row).collect()
            };
            let seen = written(IncludeObject::None);
            assert_eq!(seen["rows"], rows(&|_| Value::Null));
            assert_eq!((&seen["kind"], &seen["metadata"]), (&json!("Table"), &metadata));
            assert_eq!(seen["columnDefinitions"][0]["name"], "Name");
            assert_eq!(written(IncludeObject::Metadata)["rows"], rows(&partial));
            assert_eq!(written(IncludeObject::Object)["rows"], rows(&value));
        }
    }
}
