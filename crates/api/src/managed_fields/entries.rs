//! The entries of `metadata.managedFields`, in memory and as JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::fields_v1::FieldsError;
use crate::patch::go;
use crate::tree;

/// How a manager came to own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By anything else.
    Update,
}

impl Operation {
    /// As the entry has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells entries apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// The name.
    pub name: String,
    /// How it came to own fields.
    pub operation: Operation,
    /// The version; empty for appliers, which have one entry whatever version they apply.
    pub api_version: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
}

impl Manager {
    /// The identifier by which upstream sorts managers.
    pub(super) fn identifier(&self) -> String {
        let mut out = "{".to_owned();
        for (name, value) in [
            ("manager", self.name.as_str()),
            ("operation", self.operation.as_str()),
            ("apiVersion", &self.api_version),
            ("subresource", &self.subresource),
        ] {
            if value.is_empty() {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            go::push_json_string(&mut out, name);
            out.push(':');
            go::push_json_string(&mut out, value);
        }
        out.push('}');
        out
    }
}

/// What a manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) set: FieldSet,
    /// The version in which the set was made.
    pub(super) api_version: String,
    /// When it last changed something.
    pub(super) time: Option<String>,
}

/// All entries of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Managers(pub(super) BTreeMap<Manager, Owned>);

/// Why entries are malformed. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The operation is none.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// The version is missing.
    #[error("apiVersion must not be empty")]
    ApiVersion,
    /// The type of the fields is missing.
    #[error("missing fieldsType in managed fields entry {index}")]
    NoFieldsType {
        /// Which entry.
        index: usize,
    },
    /// The type of the fields is unknown.
    #[error(
        "invalid fieldsType {} in managed fields entry {index}",
        crate::field::quoted(fields_type)
    )]
    FieldsType {
        /// What it says.
        fields_type: String,
        /// Which entry.
        index: usize,
    },
    /// The fields are malformed.
    #[error("error decoding versioned set of {manager:?}: error decoding set: {problem}")]
    Fields {
        /// Whose they are.
        manager: String,
        /// Why. Part of the text, which clients see whole.
        problem: FieldsError,
    },
}

/// Whether entries are well-formed. Admission may change them, and must leave them so.
pub fn check(managed_fields: &Value) -> Result<(), DecodeError> {
    Managers::decode(managed_fields).map(drop)
}

impl Managers {
    /// Reads the entries.
    pub fn decode(managed_fields: &Value) -> Result<Self, DecodeError> {
        let mut managers = BTreeMap::new();
        for (index, entry) in managed_fields.as_array().into_iter().flatten().enumerate() {
            let (manager, owned) = decode_entry(index, entry)?;
            managers.insert(manager, owned);
        }
        Ok(Self(managers))
    }

    /// The entries of an object; none if they are malformed.
    pub(super) fn of_object(object: &Value) -> Self {
        Self::decode(tree::at(object, &["metadata", "managedFields"])).unwrap_or_default()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a manager owns.
    pub fn get(&self, manager: &Manager) -> Option<&FieldSet> {
        self.0.get(manager).map(|owned| &owned.set)
    }

    /// All managers with what they own.
    pub fn iter(&self) -> impl Iterator<Item = (&Manager, &FieldSet)> {
        self.0.iter().map(|(manager, owned)| (manager, &owned.set))
    }

    /// Writes the entries: appliers first, then by time, manager, version, subresource.
    pub fn encode(&self) -> Value {
        let mut entries: Vec<(&Manager, &Owned)> = self.0.iter().collect();
        entries.sort_by(|left, right| sort_key(left).cmp(&sort_key(right)));
        Value::Array(
            entries.into_iter().map(|(manager, owned)| encode_entry(manager, owned)).collect(),
        )
    }

    /// Writes the entries into an object; an object without entries has no list.
    pub(super) fn write(&self, object: &mut Value) {
        if !self.is_empty() {
            tree::map_mut(object, "metadata").insert("managedFields".to_owned(), self.encode());
        } else if let Some(metadata) = object.get_mut("metadata") {
            tree::take(metadata, "managedFields");
        }
    }
}

fn sort_key<'a>(
    entry: &(&'a Manager, &'a Owned),
) -> (Operation, &'a str, &'a str, &'a str, &'a str) {
    let (manager, owned) = entry;
    // Times are in normal form, so that they sort as text.
    let time = owned.time.as_deref().unwrap_or("");
    (manager.operation, time, &manager.name, &owned.api_version, &manager.subresource)
}

fn decode_entry(index: usize, entry: &Value) -> Result<(Manager, Owned), DecodeError> {
    let text = |name: &str| tree::str_at(entry, &[name]).to_owned();
    let operation = match tree::str_at(entry, &["operation"]) {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err(DecodeError::Operation),
    };
    let api_version = text("apiVersion");
    if api_version.is_empty() {
        return Err(DecodeError::ApiVersion);
    }
    match tree::str_at(entry, &["fieldsType"]) {
        "FieldsV1" => {}
        "" => return Err(DecodeError::NoFieldsType { index }),
        other => return Err(DecodeError::FieldsType { fields_type: other.to_owned(), index }),
    }
    let set = FieldSet::parse(tree::at(entry, &["fieldsV1"]))
        .map_err(|problem| DecodeError::Fields { manager: text("manager"), problem })?;
    let manager = Manager {
        name: text("manager"),
        operation,
        api_version: if operation == Operation::Apply {
            String::new()
        } else {
            api_version.clone()
        },
        subresource: text("subresource"),
    };
    let time = Some(text("time")).filter(|time| !time.is_empty());
    Ok((manager, Owned { set, api_version, time }))
}

fn encode_entry(manager: &Manager, owned: &Owned) -> Value {
    let mut entry = Map::new();
    for (name, value) in [
        ("manager", manager.name.as_str()),
        ("operation", manager.operation.as_str()),
        ("apiVersion", &owned.api_version),
        ("time", owned.time.as_deref().unwrap_or("")),
        ("fieldsType", "FieldsV1"),
        ("subresource", &manager.subresource),
    ] {
        if !value.is_empty() {
            entry.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }
    entry.insert("fieldsV1".to_owned(), owned.set.to_fields());
    Value::Object(entry)
}
