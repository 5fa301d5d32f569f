//! Runs a template on an object.

use serde_json::Value;

use super::functions;
use super::{Node, Pipeline, Term};

/// What a block ended with.
#[derive(PartialEq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

/// The state of one execution.
pub(super) struct Run<'a> {
    root: &'a Value,
    allow_missing: bool,
    variables: Vec<(String, Value)>,
    pub(super) out: String,
}

impl<'a> Run<'a> {
    pub(super) fn new(root: &'a Value, allow_missing: bool) -> Self {
        Self { root, allow_missing, variables: Vec::new(), out: String::new() }
    }

    pub(super) fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, String> {
        let scope = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        // An assignment in a block changes a variable outside of it; a declaration ends with the block.
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, String> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.declares.is_empty() {
                    self.out.push_str(&functions::printed(value.as_ref()));
                }
            }
            Node::If(branches, other) => {
                let scope = self.variables.len();
                for (condition, body) in branches {
                    let value = self.pipeline(condition, dot)?;
                    if functions::is_true(value.as_ref()) {
                        let flow = self.nodes(body, dot);
                        self.variables.truncate(scope);
                        return flow;
                    }
                }
                let flow = self.nodes(other, dot);
                self.variables.truncate(scope);
                return flow;
            }
            Node::With(condition, body, other) => {
                let scope = self.variables.len();
                let value = self.pipeline(condition, dot)?;
                let flow = match value.filter(|value| functions::is_true(Some(value))) {
                    Some(value) => self.nodes(body, &value),
                    None => self.nodes(other, dot),
                };
                self.variables.truncate(scope);
                return flow;
            }
            Node::Range(over, body, other) => return self.range(over, body, other, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        over: &Pipeline,
        body: &[Node],
        other: &[Node],
        dot: &Value,
    ) -> Result<Flow, String> {
        let value = self.commands(over, dot)?;
        let entries: Vec<(Value, Value)> = match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => {
                items.into_iter().enumerate().map(|(at, item)| (at.into(), item)).collect()
            }
            Some(Value::Object(map)) => {
                map.into_iter().map(|(key, value)| (key.into(), value)).collect()
            }
            Some(Value::Number(count)) => {
                (0..count.as_i64().unwrap_or(0)).map(|at| (at.into(), at.into())).collect()
            }
            Some(value) => return Err(format!("range can't iterate over {value}")),
        };
        if entries.is_empty() {
            return self.nodes(other, dot);
        }
        let scope = self.variables.len();
        for (key, value) in entries {
            match over.declares.as_slice() {
                [] => {}
                [one] => self.variables.push((one.clone(), value.clone())),
                [first, second, ..] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), value.clone()));
                }
            }
            let flow = self.nodes(body, &value)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Option<Value>, String> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.declares {
            let value = value.clone().unwrap_or(Value::Null);
            if pipeline.is_assignment {
                let found = self.variables.iter_mut().rev().find(|(own, _)| own == name);
                let (_, slot) = found.ok_or_else(|| format!("undefined variable: ${name}"))?;
                *slot = value;
            } else {
                self.variables.push((name.clone(), value));
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Option<Value>, String> {
        let mut value: Option<Option<Value>> = None;
        for command in &pipeline.commands {
            let Some((head, arguments)) = command.split_first() else {
                return Err("missing value for command".into());
            };
            let Term::Function(name) = head else {
                if !arguments.is_empty() || value.is_some() {
                    return Err("can't give argument to non-function".into());
                }
                value = Some(self.term(head, dot)?);
                continue;
            };
            let mut given = Vec::new();
            for argument in arguments {
                given.push(self.term(argument, dot)?);
            }
            given.extend(value);
            value = Some(functions::call(name, given)?);
        }
        Ok(value.flatten())
    }

    /// An operand's value; `None` for a field that is not there.
    fn term(&mut self, term: &Term, dot: &Value) -> Result<Option<Value>, String> {
        Ok(match term {
            Term::Dot => Some(dot.clone()),
            Term::Literal(value) => Some(value.clone()),
            Term::Function(name) => functions::call(name, Vec::new())?,
            Term::Variable(name) if name.is_empty() => Some(self.root.clone()),
            Term::Variable(name) => {
                let found = self.variables.iter().rev().find(|(own, _)| own == name);
                Some(found.ok_or_else(|| format!("undefined variable: ${name}"))?.1.clone())
            }
            Term::Nested(pipeline) => self.pipeline(pipeline, dot)?,
            Term::Fields(base, names) => {
                let mut value = self.term(base, dot)?;
                for name in names {
                    value = self.field(value, name)?;
                }
                value
            }
        })
    }

    fn field(&self, value: Option<Value>, name: &str) -> Result<Option<Value>, String> {
        match value {
            Some(Value::Object(mut map)) => {
                let found = map.remove(name);
                if found.is_none() && !self.allow_missing {
                    return Err(format!("map has no entry for key {name:?}"));
                }
                Ok(found)
            }
            None => Ok(None),
            Some(Value::Null) => Err(format!("nil pointer evaluating interface {{}}.{name}")),
            Some(_) => Err(format!("can't evaluate field {name} in type interface {{}}")),
        }
    }
}
