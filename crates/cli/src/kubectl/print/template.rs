//! `-o go-template`: the part of Go's `text/template` that is used on objects.
//!
//! Has       fields, variables, pipelines, `if`, `range`, `with`, `else`, `break`, `continue`, comments, trimming, and the functions of `functions`.
//! Not here: `define`, `template`, `block`, methods: those are refused by name when the template is read.

mod execute;
mod functions;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::super::fault::Fault;

/// A part of a template.
#[derive(Debug, Clone)]
enum Node {
    Text(String),
    Print(Pipeline),
    If(Vec<(Pipeline, Vec<Node>)>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Pipeline, Vec<Node>, Vec<Node>),
    Break,
    Continue,
}

/// Commands, each given the result of the one before; the result may go into variables.
#[derive(Debug, Clone)]
struct Pipeline {
    declares: Vec<String>,
    is_assignment: bool,
    commands: Vec<Vec<Term>>,
}

/// An operand.
#[derive(Debug, Clone)]
enum Term {
    Dot,
    Literal(Value),
    Function(String),
    Variable(String),
    /// Fields of an operand.
    Fields(Box<Term>, Vec<String>),
    Nested(Pipeline),
}

/// A parsed template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Parses a template.
    pub(crate) fn parse(source: &str) -> Result<Self, Fault> {
        let nodes = parse::parse(source).map_err(|why| {
            Fault::refused(format!("error parsing template {source}, template: output:1: {why}"))
        })?;
        Ok(Self { nodes })
    }

    /// The text that the template makes of an object.
    pub(crate) fn execute(&self, object: &Value, allow_missing: bool) -> Result<String, Fault> {
        let mut run = execute::Run::new(object, allow_missing);
        run.nodes(&self.nodes, object).map_err(|why| {
            Fault::refused(format!(
                "error executing template: template: output: executing \"output\": {why}"
            ))
        })?;
        Ok(run.out)
    }
}
