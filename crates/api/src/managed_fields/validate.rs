//! Whether an object fits its type, in upstream's words: a configuration to apply is refused with them.

use std::fmt;

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::node::{Kind, List, Node};
use super::path::PathElement;
use crate::patch::go;
use crate::schema::{Scalar, TypeRef};

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", if path.is_empty() { message.clone() } else { format!("{path}: {message}") })]
pub struct TypeError {
    /// Where, such as `.spec.ports`; may be empty.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl TypeError {
    /// An item that no step leads to.
    pub(super) fn item(index: usize, problem: &str) -> Self {
        Self { path: String::new(), message: format!("element {index}: {problem}") }
    }
}

/// All values that do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeErrors(pub Vec<TypeError>);

impl fmt::Display for TypeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [error] = self.0.as_slice() {
            return error.fmt(f);
        }
        f.write_str("errors:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for TypeErrors {}

/// Whether items of lists may occur twice. Live objects may have such items, configurations may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    Allowed,
    Refused,
}

/// Checks an object against its type.
pub(super) fn validate(
    object: &Value,
    ty: Option<TypeRef<'_>>,
    duplicates: Duplicates,
) -> Result<(), TypeErrors> {
    let mut walker = Walker { duplicates, path: Vec::new(), errors: Vec::new() };
    walker.value(Node::root(ty), object);
    if walker.errors.is_empty() { Ok(()) } else { Err(TypeErrors(walker.errors)) }
}

/// A step of the path to the value at hand. Objects fit almost always, so that paths are made only for errors.
enum Step<'v> {
    Field(&'v str),
    Index(usize),
    Item(PathElement),
}

struct Walker<'v> {
    duplicates: Duplicates,
    path: Vec<Step<'v>>,
    errors: Vec<TypeError>,
}

impl<'v> Walker<'v> {
    fn fail(&mut self, message: String) {
        let text = |step: &Step<'_>| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Index(index) => format!("[{index}]"),
            Step::Item(element) => element.to_string(),
        };
        let path = self.path.iter().map(text).collect();
        self.errors.push(TypeError { path, message });
    }

    fn value(&mut self, node: Node<'_>, value: &'v Value) {
        match (node.kind(Some(value)), value) {
            (_, Value::Null) => {}
            (Kind::Scalar, _) => self.scalar(node, value),
            (Kind::List, Value::Array(items)) => self.list(node.list(), items),
            (Kind::List, other) => self.fail(format!("expected list, got {}", pointer(other))),
            (Kind::Map | Kind::Open, Value::Object(map)) => self.map(node, map),
            (Kind::Map | Kind::Open, other) => {
                self.fail(format!("expected map, got {}", pointer(other)));
            }
        }
    }

    fn scalar(&mut self, node: Node<'_>, value: &Value) {
        let Node::Scalar(scalar) = node else {
            return;
        };
        let problem = match scalar {
            Scalar::String | Scalar::Bytes => (!value.is_string())
                .then(|| format!("expected string, got {}", go_syntax_pointer(value))),
            Scalar::Bool => {
                (!value.is_boolean()).then(|| format!("expected boolean, got {}", pointer(value)))
            }
            Scalar::Int32 | Scalar::Int64 | Scalar::Double => (!value.is_number())
                .then(|| format!("expected numeric (int or float), got {}", go::go_type(value))),
            _ => (value.is_array() || value.is_object())
                .then(|| format!("expected any scalar, got {}", pointer(value))),
        };
        if let Some(problem) = problem {
            self.fail(problem);
        }
    }

    fn map(&mut self, node: Node<'_>, map: &'v Map<String, Value>) {
        for (key, value) in go::sorted(map) {
            let child = node.child(key);
            self.path.push(Step::Field(key));
            match child {
                Some(child) => self.value(child, value),
                None => self.fail("field not declared in schema".to_owned()),
            }
            self.path.pop();
            if child.is_none() {
                return; // Upstream stops at the first field that it does not know.
            }
        }
    }

    fn list(&mut self, list: List<'_>, items: &'v [Value]) {
        let node = list.item_node();
        let mut seen = FieldSet::new();
        for (index, item) in items.iter().enumerate() {
            let step = match self.step(list, index, item, &mut seen) {
                Ok(step) => step,
                Err(problem) => {
                    self.fail(format!("element {index}: {problem}"));
                    return;
                }
            };
            self.path.push(step);
            self.value(node, item);
            self.path.pop();
        }
    }

    fn step(
        &mut self,
        list: List<'_>,
        index: usize,
        item: &Value,
        seen: &mut FieldSet,
    ) -> Result<Step<'v>, String> {
        if list.is_atomic() || self.duplicates == Duplicates::Allowed {
            if !list.is_atomic() {
                list.check(item)?;
            }
            return Ok(Step::Index(index));
        }
        let element = list.element(item)?;
        if seen.entry(&element).is_some() {
            self.fail(format!("duplicate entries for key {element}"));
        } else {
            seen.add(element.clone(), true, FieldSet::new());
        }
        Ok(Step::Item(element))
    }
}

/// `%v` of the pointer in which upstream holds a value.
fn pointer(value: &Value) -> String {
    format!("&{{{}}}", go::text(value))
}

/// `%#v` of the pointer in which upstream holds a value.
fn go_syntax_pointer(value: &Value) -> String {
    format!("&value.valueUnstructured{{Value:{}}}", go_syntax(value))
}

fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => crate::field::quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = go::sorted(map)
                .into_iter()
                .map(|(key, value)| format!("{}:{}", crate::field::quoted(key), go_syntax(value)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
        other => go::text(other),
    }
}
