//! What templates are made of, and how Go writes that in messages.

use std::fmt::{self, Display, Formatter, Write as _};

use serde_json::Value;

/// A part of a template.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Call(Invocation),
    Break,
    Continue,
}

/// A block that a pipeline decides about.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) nodes: Vec<Node>,
    pub(super) otherwise: Option<Vec<Node>>,
}

/// `{{template "NAME" PIPELINE}}`.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    pub(super) at: usize,
    pub(super) name: String,
    pub(super) pipeline: Option<Pipeline>,
}

/// Commands, each given the result of the one before; the result may go into variables.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) at: usize,
    pub(super) declares: Vec<String>,
    pub(super) is_assignment: bool,
    pub(super) commands: Vec<Command>,
}

/// Operands; the first may take the others.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) terms: Vec<Term>,
}

/// An operand, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) at: usize,
    pub(super) kind: TermKind,
}

/// What an operand is.
#[derive(Debug, Clone)]
pub(super) enum TermKind {
    Dot,
    Nil,
    Bool(bool),
    /// A number, as it is written; none if it does not fit into an integer of Go.
    Number(String, Option<Value>),
    /// A text, and how it is written.
    Text(String, String),
    Function(String),
    Fields(Vec<String>),
    /// A variable and fields of its value.
    Variable(String, Vec<String>),
    /// Fields of what a function or a pipeline makes.
    Chain(Box<Term>, Vec<String>),
    Nested(Pipeline),
}

/// What was looked at last: what a mistake is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'t> {
    Term(&'t Term),
    Command(&'t Command),
    Pipeline(&'t Pipeline),
    Call(&'t Invocation),
}

impl Place<'_> {
    pub(super) fn at(self) -> usize {
        match self {
            Self::Term(term) => term.at,
            Self::Command(command) => command.at,
            Self::Pipeline(pipeline) => pipeline.at,
            Self::Call(call) => call.at,
        }
    }
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term(term) => term.fmt(f),
            Self::Command(command) => command.fmt(f),
            Self::Pipeline(pipeline) => pipeline.fmt(f),
            Self::Call(call) => call.fmt(f),
        }
    }
}

impl Display for Invocation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", super::quoted(&self.name))?;
        if let Some(pipeline) = &self.pipeline {
            write!(f, " {pipeline}")?;
        }
        f.write_str("}}")
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.declares.is_empty() {
            let sign = if self.is_assignment { "=" } else { ":=" };
            let names: Vec<String> = self.declares.iter().map(|name| format!("${name}")).collect();
            write!(f, "{} {sign} ", names.join(", "))?;
        }
        separated(f, &self.commands, " | ")
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        separated(f, &self.terms, " ")
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TermKind::Dot => f.write_char('.'),
            TermKind::Nil => f.write_str("nil"),
            TermKind::Bool(is) => is.fmt(f),
            TermKind::Number(text, _) | TermKind::Text(_, text) | TermKind::Function(text) => {
                f.write_str(text)
            }
            TermKind::Fields(names) => fields(f, names),
            TermKind::Variable(name, names) => {
                write!(f, "${name}")?;
                fields(f, names)
            }
            TermKind::Chain(of, names) => {
                of.fmt(f)?;
                fields(f, names)
            }
            TermKind::Nested(pipeline) => write!(f, "({pipeline})"),
        }
    }
}

fn fields(f: &mut Formatter<'_>, names: &[String]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

fn separated<T: Display>(f: &mut Formatter<'_>, parts: &[T], separator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        part.fmt(f)?;
    }
    Ok(())
}
