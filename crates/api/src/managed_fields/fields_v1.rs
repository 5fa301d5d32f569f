//! `fieldsV1`: a set as nested JSON objects. `.` marks a member that has children.

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::path::PathElement;

/// Nesting allowed. No type is as deep; the bound protects the stack from a client's entries.
const DEPTH_MAX: usize = 512;

/// Why a value is not `fieldsV1`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A key is shorter than two letters.
    #[error("key must be 2 characters long:")]
    Short,
    /// A key has no kind.
    #[error("missing colon: {element}")]
    Colon {
        /// The key.
        element: String,
    },
    /// What follows the kind is not what the kind asks for.
    #[error("malformed path element {element:?}")]
    Malformed {
        /// The key.
        element: String,
    },
    /// A value is not an object.
    #[error("fields must be objects")]
    NotObject,
    /// The objects are nested too deep.
    #[error("fields are nested deeper than {DEPTH_MAX}")]
    Depth,
}

impl FieldSet {
    /// Reads `fieldsV1`. Steps of unknown kinds are dropped.
    pub fn parse(fields: &Value) -> Result<Self, FieldsError> {
        read(fields, 0).map(|(children, _)| children)
    }

    /// Writes `fieldsV1`.
    pub fn to_fields(&self) -> Value {
        Value::Object(self.write(false))
    }

    fn write(&self, includes_self: bool) -> Map<String, Value> {
        let mut map = Map::new();
        if includes_self && !self.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for entry in self.entries() {
            let children = entry.children.write(entry.is_member);
            map.insert(entry.element.encoded(), Value::Object(children));
        }
        map
    }
}

/// The set, and whether the value itself is a member of what holds it.
fn read(fields: &Value, depth: usize) -> Result<(FieldSet, bool), FieldsError> {
    if depth > DEPTH_MAX {
        return Err(FieldsError::Depth);
    }
    let map = match fields {
        Value::Object(map) => map,
        Value::Null => return Ok((FieldSet::new(), true)),
        _ => return Err(FieldsError::NotObject),
    };
    let mut set = FieldSet::new();
    let mut is_member = false;
    for (key, value) in map {
        if key == "." {
            is_member = true;
            continue;
        }
        if let Some(element) = PathElement::parse(key)? {
            let (children, is_child_member) = read(value, depth + 1)?;
            set.add(element, is_child_member, children);
        }
    }
    let is_leaf = set.is_empty();
    Ok((set, is_member || is_leaf))
}
