//! JSONPath as kubectl speaks it: text, and `{…}` with paths, `range` and `end`.

mod eval;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::super::fault::{Fault, quoted};
use super::{go, json};

/// A part of a template, or a step of a path from each value found so far to others.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    /// What is between braces: steps, one after the other.
    List(Vec<Node>),
    Field(String),
    Slice(Slice),
    Filter {
        left: Vec<Node>,
        operator: String,
        right: Vec<Node>,
    },
    Literal(Value),
    Wildcard,
    Recursive,
    Union(Vec<Vec<Node>>),
    /// `range`, `end`, or what is none of them.
    Word(String),
}

/// Which items of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slice {
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
    /// Whether one item is meant, not a range.
    is_index: bool,
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath {
    source: String,
    nodes: Vec<Node>,
}

impl JsonPath {
    /// Parses a template.
    pub(crate) fn parse(source: &str) -> Result<Self, Fault> {
        Self::read(source)
            .map_err(|why| Fault::refused(format!("error parsing jsonpath {source}, {why}")))
    }

    fn read(source: &str) -> Result<Self, String> {
        Ok(Self { source: source.to_owned(), nodes: parse::template(source)? })
    }

    /// Parses a path that may lack its braces and its leading dot, as in `--sort-by` and `custom-columns`.
    pub(crate) fn parse_relaxed(source: &str) -> Result<Self, Fault> {
        Self::parse_relaxed_later(source)?.map_err(Fault::refused)
    }

    /// The same; what is wrong with the path itself is for later.
    pub(crate) fn parse_relaxed_later(source: &str) -> Result<Result<Self, String>, Fault> {
        let braced = source.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let inner = braced.unwrap_or(source);
        let inner = inner.strip_prefix('.').filter(|rest| !rest.is_empty()).unwrap_or(inner);
        if inner.is_empty() || inner.contains(['{', '}']) {
            return Err(Fault::refused(
                "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'",
            ));
        }
        Ok(Self::read(&format!("{{.{inner}}}")))
    }

    /// The template as it was given.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The text that the template makes of an object.
    pub(crate) fn text(&self, object: &Value, allow_missing: bool) -> Result<String, Fault> {
        let found = self.lists(object, allow_missing).map_err(|why| self.failed(object, &why))?;
        let texts = found.iter().map(|list| list.iter().map(shown).collect::<Vec<_>>().join(" "));
        Ok(texts.collect())
    }

    /// What each part of the template finds, as JSON.
    pub(crate) fn json(&self, object: &Value, allow_missing: bool) -> Result<String, Fault> {
        let found = self.lists(object, allow_missing).map_err(|why| self.failed(object, &why))?;
        Ok(found.into_iter().map(|list| json::pretty(&Value::Array(list)) + "\n").collect())
    }

    /// The values that the template finds, in order; or what is wrong in few words.
    pub(crate) fn find(&self, object: &Value, allow_missing: bool) -> Result<Vec<Value>, String> {
        Ok(self.lists(object, allow_missing)?.into_iter().flatten().collect())
    }

    fn lists(&self, object: &Value, allow_missing: bool) -> Result<Vec<Vec<Value>>, String> {
        eval::Scope::new(&self.nodes, allow_missing).all(object)
    }

    fn failed(&self, object: &Value, why: &str) -> Fault {
        Fault::refused(format!(
            "error executing jsonpath {}: Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{}\n\tobject given to jsonpath engine was:\n\t\t{}\n\n\n",
            quoted(&self.source),
            self.source,
            go::syntax(object),
        ))
    }
}

/// A found value as text: strings bare, maps and lists as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(_) | Value::Object(_) => json::compact(value),
        other => go::plain(other),
    }
}
