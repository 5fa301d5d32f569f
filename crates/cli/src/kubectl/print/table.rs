//! Tables that the server makes, as text.

use serde_json::{Value, json};

use super::super::tabs::tame;
use super::super::time::age;
use super::super::value::Look;

/// What is shown of a table besides its own columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableOptions {
    pub(crate) has_no_headers: bool,
    pub(crate) is_wide: bool,
    pub(crate) has_namespace: bool,
    /// `pod` or `deployment.apps`, to be put before names.
    pub(crate) kind: Option<String>,
    pub(crate) show_labels: bool,
    pub(crate) label_columns: Vec<String>,
}

impl TableOptions {
    /// The headers of a table's columns, each cell ended by a tab but the last.
    pub(crate) fn headers(&self, columns: &[Value]) -> String {
        let mut cells = Vec::new();
        if self.has_namespace {
            cells.push("NAMESPACE".to_owned());
        }
        let shown = columns.iter().filter(|column| self.is_shown(column));
        cells.extend(shown.map(|column| column.s("/name").to_uppercase()));
        for label in &self.label_columns {
            let last = label.rsplit('/').next().unwrap_or(label);
            cells.push(last.to_uppercase());
        }
        if self.show_labels {
            cells.push("LABELS".to_owned());
        }
        cells.join("\t") + "\n"
    }

    /// A row's cells.
    pub(crate) fn row(&self, columns: &[Value], row: &Value) -> String {
        let object = row.get("object").unwrap_or(&Value::Null);
        let mut cells = Vec::new();
        if self.has_namespace {
            cells.push(object.namespace().to_owned());
        }
        for (column, value) in columns.iter().zip(row.list("/cells")) {
            if !self.is_shown(column) {
                continue;
            }
            let mut text = cell(value);
            if let Some(kind) = self.kind.as_ref().filter(|_| column.s("/format") == "name") {
                text = format!("{kind}/{text}");
            }
            cells.push(text);
        }
        for label in &self.label_columns {
            let value = object.get("metadata").and_then(|meta| meta.get("labels"));
            let value = value.and_then(|labels| labels.get(label)).and_then(Value::as_str);
            cells.push(tame(value.unwrap_or_default()));
        }
        if self.show_labels {
            let labels = object.at("/metadata/labels");
            cells.push(tame(&super::super::value::pairs(labels, "<none>")));
        }
        cells.join("\t") + "\n"
    }

    fn is_shown(&self, column: &Value) -> bool {
        self.is_wide || column.i("/priority") == 0
    }
}

/// A cell on one line, without what would move the terminal.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => match text.find(['\n', '\r', '\u{c}']) {
            Some(end) => format!("{}...", tame(&text[..end])),
            None => tame(text),
        },
        other => other.to_string(),
    }
}

/// Takes the server's answer as a table; of objects that came as they are, makes one with names and ages.
pub(crate) fn as_table(answer: Value) -> Value {
    if answer.s("/kind") == "Table" {
        return answer;
    }
    let items = match answer.get("items") {
        Some(Value::Array(items)) => items.clone(),
        _ => vec![answer.clone()],
    };
    let rows: Vec<Value> = items
        .into_iter()
        .map(|item| {
            let age = age(item.s("/metadata/creationTimestamp"));
            json!({"cells": [item.name(), age], "object": item})
        })
        .collect();
    json!({
        "kind": "Table",
        "metadata": answer["metadata"],
        "columnDefinitions": [
            {"name": "Name", "type": "string", "format": "name"},
            {"name": "Age", "type": "string"},
        ],
        "rows": rows,
    })
}
