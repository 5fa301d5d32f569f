//! JSONPath as kubectl speaks it: templates of text and `{…}` with paths, `range` and `end`.

mod eval;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::super::fault::Fault;

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Path(Path),
    Range(Path, Vec<Piece>),
}

/// A path: where it starts and its steps.
#[derive(Debug, Clone, PartialEq)]
struct Path {
    from_root: bool,
    steps: Vec<Step>,
}

/// A step of a path, from each value found so far to others.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    Slice { start: Option<i64>, end: Option<i64>, step: i64, is_index: bool },
    Filter { left: Operand, operator: Operator, right: Option<Operand> },
    Union(Vec<Step>),
}

/// A side of a filter's comparison.
#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Path(Path),
    Value(Value),
}

/// A filter's comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Exists,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath {
    source: String,
    pieces: Vec<Piece>,
}

impl JsonPath {
    /// Parses a template.
    pub(crate) fn parse(source: &str) -> Result<Self, Fault> {
        let pieces = parse::template(source)
            .map_err(|why| Fault::refused(format!("error parsing jsonpath {source}, {why}")))?;
        Ok(Self { source: source.to_owned(), pieces })
    }

    /// Parses a path that may lack its braces and its leading dot, as in `--sort-by` and `custom-columns`.
    pub(crate) fn parse_relaxed(source: &str) -> Result<Self, Fault> {
        let inner = source.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let inner = inner.unwrap_or(source);
        let wrong = || {
            Fault::refused("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'".to_string())
        };
        if inner.is_empty() || inner.contains(['{', '}']) {
            return Err(wrong());
        }
        let dot = if inner.starts_with(['.', '[', '$', '@']) { "" } else { "." };
        Self::parse(&format!("{{{dot}{inner}}}"))
    }

    /// The template as it was given.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The text that the template makes of an object.
    pub(crate) fn text(&self, object: &Value, allow_missing: bool) -> Result<String, Fault> {
        let scope = eval::Scope { root: object, allow_missing };
        let mut out = String::new();
        scope.text(&self.pieces, object, &mut out).map_err(|why| self.failed(object, &why))?;
        Ok(out)
    }

    /// The values that the template's paths find, in order.
    pub(crate) fn results(&self, object: &Value, allow_missing: bool) -> Result<Vec<Value>, Fault> {
        self.find(object, allow_missing).map_err(|why| self.failed(object, &why))
    }

    /// The same, with what is wrong in few words.
    pub(crate) fn find(&self, object: &Value, allow_missing: bool) -> Result<Vec<Value>, String> {
        let scope = eval::Scope { root: object, allow_missing };
        let mut found = Vec::new();
        scope.values(&self.pieces, object, &mut found)?;
        Ok(found)
    }

    fn failed(&self, object: &Value, why: &str) -> Fault {
        Fault::refused(format!(
            "error executing jsonpath {}: Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{}\n\tobject given to jsonpath engine was:\n\t\t{}\n\n\n",
            super::super::fault::quoted(&self.source),
            self.source,
            super::go::syntax(object),
        ))
    }
}
