//! What documents are made of: paths, and the schemas that paths speak of.
//!
//! The parts are made and written one by one and then dropped: a document as a tree takes ten times the memory of its bytes.

use podo_api::Value;
use podo_registry::Definition;
use serde_json::{Map, json};

use super::document::Packer;
use super::paths;
use super::schemas::Schemas;
use crate::version::KUBERNETES_VERSION;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Paths,
    Schemas,
}

/// What stands around the parts of a document in JSON.
pub(super) struct Frame {
    /// The text before [`info`].
    pub(super) start: &'static str,
    /// The text between that and the first path.
    pub(super) paths: &'static str,
    /// The text between the last path and the first schema.
    pub(super) schemas: &'static str,
    /// The text after the last schema.
    pub(super) end: &'static str,
}

/// What the documents are about.
pub(super) fn info() -> Value {
    json!({"title": "Kubernetes", "version": KUBERNETES_VERSION})
}

/// Gives every path of the kinds and then every schema: its section, its name and itself.
pub(super) fn each(kinds: &[&'static Definition], mut take: impl FnMut(Section, String, Value)) {
    let mut schemas = Schemas::default();
    for kind in kinds {
        let mut paths = Map::new();
        paths::add(kind, &mut paths, &mut schemas);
        for (path, item) in paths {
            take(Section::Paths, path, item);
        }
    }
    for (name, schema) in schemas {
        take(Section::Schemas, name, schema);
    }
}

/// Writes the document of the kinds as JSON. Each part is what `change` makes of it.
pub(super) fn write_json(
    packer: &mut Packer,
    frame: &Frame,
    kinds: &[&'static Definition],
    change: impl Fn(Section, Value) -> Value,
) {
    packer.push(format!("{}{}", frame.start, info()).as_bytes());
    let mut open = None;
    each(kinds, |section, name, value| {
        let before = match section {
            same if open == Some(same) => ",",
            Section::Paths => frame.paths,
            Section::Schemas => frame.schemas,
        };
        open = Some(section);
        let (name, value) = (Value::from(name), change(section, value));
        packer.push(format!("{before}{name}:{value}").as_bytes());
    });
    packer.push(frame.end.as_bytes());
}
