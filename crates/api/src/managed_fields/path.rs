//! A step from a value to a part of it, and the paths made of them.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::fields_v1::FieldsError;
use super::values;
use crate::patch::go;

/// A step from a value to a part of it. Steps are ordered as upstream prints them: fields, keys, values, indexes.
#[derive(Debug, Clone)]
pub enum PathElement {
    /// A field of a struct or a key of a map.
    Field(Box<str>),
    /// The item of a list that has these values in its key fields, which are sorted by name.
    Key(Vec<(Box<str>, Value)>),
    /// The item of a set.
    Value(Value),
    /// The item at a place.
    Index(i64),
}

impl PathElement {
    /// A field.
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// Reads what `fieldsV1` has for a step. `None` if it is of a kind that is not known.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, FieldsError> {
        if text.len() < 2 {
            return Err(FieldsError::Short);
        }
        let malformed = || FieldsError::Malformed { element: text.to_owned() };
        let Some((kind, content)) = text.split_once(':').filter(|(kind, _)| kind.len() == 1) else {
            return Err(FieldsError::Colon { element: text.to_owned() });
        };
        Ok(Some(match kind {
            "f" => Self::field(content),
            "v" => Self::Value(serde_json::from_str(content).map_err(|_| malformed())?),
            "k" => match serde_json::from_str(content).map_err(|_| malformed())? {
                Value::Object(map) => {
                    Self::key(map.into_iter().map(|(name, value)| (name.into(), value)).collect())
                }
                _ => return Err(malformed()),
            },
            "i" => Self::Index(content.parse().map_err(|_| malformed())?),
            _ => return Ok(None),
        }))
    }

    /// The item with these values in its key fields.
    pub(super) fn key(mut fields: Vec<(Box<str>, Value)>) -> Self {
        fields.sort_by(|left, right| left.0.cmp(&right.0));
        Self::Key(fields)
    }

    /// The step as `fieldsV1` has it.
    pub(super) fn encoded(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let mut out = "k:{".to_owned();
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    go::push_json_string(&mut out, name);
                    out.push(':');
                    go::push_json(&mut out, value);
                }
                out.push('}');
                out
            }
            Self::Value(value) => format!("v:{}", go::json(value)),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(left), Self::Field(right)) => left.cmp(right),
            (Self::Key(left), Self::Key(right)) => left
                .iter()
                .zip(right)
                .map(|(left, right)| {
                    left.0.cmp(&right.0).then_with(|| values::compare(&left.1, &right.1))
                })
                .find(|order| order.is_ne())
                .unwrap_or_else(|| left.len().cmp(&right.len())),
            (Self::Value(left), Self::Value(right)) => values::compare(left, right),
            (Self::Index(left), Self::Index(right)) => left.cmp(right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PathElement {}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}={}", values::shown(value)))
                    .collect();
                write!(f, "[{}]", fields.join(","))
            }
            Self::Value(value) => write!(f, "[={}]", values::shown(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path from an object to a part of it, such as `.spec.containers[name="c"].image`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Path(Vec<PathElement>);

impl Path {
    /// A path of these steps.
    pub fn new(elements: Vec<PathElement>) -> Self {
        Self(elements)
    }

    /// A path of field names.
    pub fn of_fields(names: &[&str]) -> Self {
        Self(names.iter().map(|name| PathElement::field(name)).collect())
    }

    /// The steps.
    pub fn elements(&self) -> &[PathElement] {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}
