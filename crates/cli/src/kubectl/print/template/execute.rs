//! Runs a template on an object.

use serde_json::Value;

use super::functions::{self, Parameter};
use super::go::{self, Typed};
use super::node::{Branch, Command, Invocation, Node, Pipeline, Place, Term, TermKind};
use super::parse::Templates;
use super::{MAIN, quoted};

/// How deep templates, blocks and pipelines may be inside of each other. Go bounds templates alone, at the number it names.
const DEPTH_MAX: usize = 700;
const TOO_DEEP: &str = "exceeded maximum template depth (100000)";

/// A value as `reflect` has it.
#[derive(Debug, Clone, Default)]
pub(super) enum Datum {
    /// No value: a key that is not there.
    #[default]
    Missing,
    /// A value of its own type.
    Plain(Value),
    /// A number of the template itself: of type `int` where it has no fraction.
    Own(Value),
    /// A value in an `interface {}`: what maps and lists hold. `null` is a nil interface.
    Boxed(Value),
}

impl Datum {
    /// The value itself; nothing if there is none.
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Self::Missing | Self::Boxed(Value::Null) => None,
            Self::Plain(value) | Self::Own(value) | Self::Boxed(value) => Some(value),
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing => "<nil>",
            Self::Own(value) if value.is_i64() => "int",
            Self::Plain(value) | Self::Own(value) => go::go_type(value),
            Self::Boxed(_) => "interface {}",
        }
    }

    /// The value itself and its own type; nothing if there is none.
    pub(super) fn typed(&self) -> Option<Typed<'_>> {
        let name = match self {
            Self::Boxed(value) => go::go_type(value),
            other => other.type_name(),
        };
        self.value().map(|value| Typed { value, name })
    }

    fn unboxed(self) -> Self {
        match self {
            Self::Boxed(Value::Null) => Self::Missing,
            Self::Boxed(value) => Self::Plain(value),
            other => other,
        }
    }
}

/// Why nodes are left.
pub(super) enum Stop {
    Break,
    Continue,
    Mistake(String),
}

type Ran = Result<(), Stop>;
type Made = Result<Datum, Stop>;

/// A template that is run.
pub(super) struct Run<'t> {
    templates: &'t Templates,
    source: &'t str,
    object: &'t Value,
    allow_missing: bool,
    /// The template that is run now.
    name: &'t str,
    place: Option<Place<'t>>,
    variables: Vec<(&'t str, Datum)>,
    depth: usize,
    pub(super) out: String,
}

impl<'t> Run<'t> {
    pub(super) fn new(
        templates: &'t Templates,
        source: &'t str,
        object: &'t Value,
        allow_missing: bool,
    ) -> Self {
        let variables = vec![("", Datum::Plain(object.clone()))];
        let out = String::new();
        let (name, place, depth) = (MAIN, None, 0);
        Self { templates, source, object, allow_missing, name, place, variables, depth, out }
    }

    /// Runs the whole template; why it ended early.
    pub(super) fn whole(&mut self) -> Result<(), String> {
        let nodes = self.templates.get(MAIN).map(Vec::as_slice).unwrap_or_default();
        match self.nodes(nodes, &Datum::Plain(self.object.clone())) {
            Err(Stop::Mistake(why)) => Err(why),
            _ => Ok(()),
        }
    }

    /// A mistake at what was looked at last.
    fn mistake<T>(&self, why: impl AsRef<str>) -> Result<T, Stop> {
        let why = why.as_ref();
        let text = match self.place {
            None => format!("template: {}: {why}", self.name),
            Some(place) => {
                let before = &self.source[..place.at()];
                let line = before.matches('\n').count() + 1;
                let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1);
                format!(
                    "template: {MAIN}:{line}:{column}: executing {} at <{place}>: {why}",
                    quoted(self.name)
                )
            }
        };
        Err(Stop::Mistake(text))
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.depth == DEPTH_MAX {
            return self.mistake(TOO_DEEP);
        }
        self.depth += 1;
        let ran = run(self);
        self.depth -= 1;
        ran
    }

    fn nodes(&mut self, nodes: &'t [Node], dot: &Datum) -> Ran {
        self.deeper(|run| nodes.iter().try_for_each(|node| run.node(node, dot)))
    }

    fn node(&mut self, node: &'t Node, dot: &Datum) -> Ran {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.declares.is_empty() {
                    let text = value.value().map_or_else(|| "<no value>".to_owned(), go::plain);
                    self.out.push_str(&text);
                }
            }
            Node::If(branch) => self.branch(branch, dot, false)?,
            Node::With(branch) => self.branch(branch, dot, true)?,
            Node::Range(branch) => self.range(branch, dot)?,
            Node::Call(call) => self.call(call, dot)?,
            Node::Break => return Err(Stop::Break),
            Node::Continue => return Err(Stop::Continue),
        }
        Ok(())
    }

    fn branch(&mut self, branch: &'t Branch, dot: &Datum, is_with: bool) -> Ran {
        let mark = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        if functions::is_true(&value) {
            self.nodes(&branch.nodes, if is_with { &value } else { dot })?;
        } else if let Some(nodes) = &branch.otherwise {
            self.nodes(nodes, dot)?;
        }
        self.variables.truncate(mark);
        Ok(())
    }

    fn range(&mut self, branch: &'t Branch, dot: &Datum) -> Ran {
        let mark = self.variables.len();
        let over = self.pipeline(&branch.pipeline, dot)?;
        let names = branch.pipeline.declares.len();
        let boxed = |value: &Value| Datum::Boxed(value.clone());
        let rounds: Vec<(Datum, Datum)> = match over.value() {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().enumerate().map(|(at, item)| (number(at), boxed(item))).collect()
            }
            Some(Value::Object(map)) => map
                .iter()
                .map(|(key, value)| (Datum::Plain(key.clone().into()), boxed(value)))
                .collect(),
            Some(Value::Number(count)) if !count.is_f64() => {
                return self.count(branch, dot, count.as_i64().unwrap_or(0), mark);
            }
            Some(other) => {
                return self.mistake(format!("range can't iterate over {}", go::plain(other)));
            }
        };
        if rounds.is_empty()
            && let Some(nodes) = &branch.otherwise
        {
            self.nodes(nodes, dot)?;
        }
        for (index, item) in rounds {
            let variables = if names > 1 {
                [Some(index), Some(item.clone())]
            } else {
                [None, Some(item.clone())]
            };
            if !self.round(branch, &item, variables, mark)? {
                break;
            }
        }
        self.variables.truncate(mark);
        Ok(())
    }

    /// Over the numbers below one.
    fn count(&mut self, branch: &'t Branch, dot: &Datum, count: i64, mark: usize) -> Ran {
        if branch.pipeline.declares.len() > 1 {
            return self
                .mistake(format!("can't use {count} to iterate over more than one variable"));
        }
        if count <= 0
            && let Some(nodes) = &branch.otherwise
        {
            self.nodes(nodes, dot)?;
        }
        for at in 0..count {
            let at = Datum::Own(at.into());
            if !self.round(branch, &at, [None, Some(at.clone())], mark)? {
                break;
            }
        }
        self.variables.truncate(mark);
        Ok(())
    }

    /// One round of a loop; whether there may be another.
    fn round(
        &mut self,
        branch: &'t Branch,
        item: &Datum,
        variables: [Option<Datum>; 2],
        mark: usize,
    ) -> Result<bool, Stop> {
        let names = &branch.pipeline.declares;
        for (name, value) in names.iter().zip(variables.into_iter().flatten()) {
            self.set(name, value)?;
        }
        let ran = self.nodes(&branch.nodes, item);
        self.variables.truncate(mark + if branch.pipeline.is_assignment { 0 } else { names.len() });
        match ran {
            Ok(()) | Err(Stop::Continue) => Ok(true),
            Err(Stop::Break) => Ok(false),
            Err(mistake) => Err(mistake),
        }
    }

    fn call(&mut self, call: &'t Invocation, dot: &Datum) -> Ran {
        self.place = Some(Place::Call(call));
        let Some((name, nodes)) = self.templates.get_key_value(&call.name) else {
            return self.mistake(format!("template {} not defined", quoted(&call.name)));
        };
        let dot = match &call.pipeline {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Datum::Missing,
        };
        let variables = std::mem::replace(&mut self.variables, vec![("", dot.clone())]);
        let (caller, place) = (std::mem::replace(&mut self.name, name), self.place);
        self.nodes(nodes, &dot)?;
        (self.variables, self.name, self.place) = (variables, caller, place);
        Ok(())
    }

    fn set(&mut self, name: &str, value: Datum) -> Ran {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => self.mistake(format!("undefined variable: ${name}")),
        }
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Datum) -> Made {
        self.place = Some(Place::Pipeline(pipeline));
        let mut last = None;
        for command in &pipeline.commands {
            let value = self.deeper(|run| run.command(command, last.take(), dot))?;
            last = Some(value.unboxed());
        }
        let value = last.unwrap_or_default();
        for name in &pipeline.declares {
            if pipeline.is_assignment {
                self.set(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &'t Command, last: Option<Datum>, dot: &Datum) -> Made {
        let Some((first, others)) = command.terms.split_first() else {
            return Ok(Datum::Missing);
        };
        let has_arguments = !others.is_empty() || last.is_some();
        match &first.kind {
            TermKind::Fields(_) | TermKind::Variable(..) | TermKind::Chain(..) => {
                self.term(first, dot, has_arguments)
            }
            TermKind::Function(name) => {
                self.place = Some(Place::Term(first));
                self.function(name, Place::Command(command), others, last, dot)
            }
            TermKind::Nested(pipeline) => {
                self.refuse_arguments(first, has_arguments)?;
                self.pipeline(pipeline, dot)
            }
            _ => {
                self.place = Some(Place::Term(first));
                self.refuse_arguments(first, has_arguments)?;
                if let TermKind::Nil = first.kind {
                    return self.mistake("nil is not a command");
                }
                self.term(first, dot, false)
            }
        }
    }

    fn refuse_arguments(&self, first: &Term, has_arguments: bool) -> Ran {
        if !has_arguments {
            return Ok(());
        }
        self.mistake(format!("can't give argument to non-function {first}"))
    }

    /// The value of an operand.
    fn term(&mut self, term: &'t Term, dot: &Datum, has_arguments: bool) -> Made {
        self.place = Some(Place::Term(term));
        match &term.kind {
            TermKind::Dot => Ok(dot.clone()),
            TermKind::Nil => Ok(Datum::Missing),
            TermKind::Bool(is) => Ok(Datum::Plain((*is).into())),
            TermKind::Number(_, Some(number)) => Ok(Datum::Own(number.clone())),
            TermKind::Number(text, None) => self.mistake(format!("{text} overflows int")),
            TermKind::Text(text, _) => Ok(Datum::Plain(text.clone().into())),
            TermKind::Function(name) => {
                self.deeper(|run| run.function(name, Place::Term(term), &[], None, dot))
            }
            TermKind::Nested(pipeline) => self.deeper(|run| run.pipeline(pipeline, dot)),
            TermKind::Fields(names) => self.fields(dot, names, has_arguments),
            TermKind::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let Some((_, value)) = known else {
                    return self.mistake(format!("undefined variable: ${name}"));
                };
                let value = value.clone();
                if names.is_empty() && has_arguments {
                    return self.mistake(format!("can't give argument to non-function {term}"));
                }
                self.fields(&value, names, has_arguments)
            }
            TermKind::Chain(of, names) => {
                let value = self.term(of, dot, false)?;
                self.fields(&value, names, has_arguments)
            }
        }
    }

    fn fields(&self, value: &Datum, names: &[String], has_arguments: bool) -> Made {
        let mut value = std::borrow::Cow::Borrowed(value);
        for (index, name) in names.iter().enumerate() {
            let is_last = index + 1 == names.len();
            let next = self.field(&value, name, is_last && has_arguments)?;
            value = std::borrow::Cow::Owned(next);
        }
        Ok(value.into_owned())
    }

    fn field(&self, of: &Datum, name: &str, has_arguments: bool) -> Made {
        match of {
            Datum::Missing if self.allow_missing => Ok(Datum::Missing),
            Datum::Missing => self.mistake(format!("nil data; no entry for key {}", quoted(name))),
            Datum::Boxed(Value::Null) => {
                self.mistake(format!("nil pointer evaluating interface {{}}.{name}"))
            }
            Datum::Plain(Value::Object(_)) | Datum::Boxed(Value::Object(_)) if has_arguments => {
                self.mistake(format!("{name} is not a method but has arguments"))
            }
            Datum::Plain(Value::Object(map)) | Datum::Boxed(Value::Object(map)) => {
                match map.get(name) {
                    Some(value) => Ok(Datum::Boxed(value.clone())),
                    None if self.allow_missing => Ok(Datum::Missing),
                    None => self.mistake(format!("map has no entry for key {}", quoted(name))),
                }
            }
            other => {
                self.mistake(format!("can't evaluate field {name} in type {}", other.type_name()))
            }
        }
    }

    /// Calls a function with what is beside it and, at the end, what is before it in the pipeline.
    fn function(
        &mut self,
        name: &str,
        place: Place<'t>,
        terms: &'t [Term],
        last: Option<Datum>,
        dot: &Datum,
    ) -> Made {
        let count = terms.len() + usize::from(last.is_some());
        let signature = functions::signature(name);
        if let Err(wrong) = signature.fits(count, terms.len()) {
            return self.mistake(format!("wrong number of args for {name}: {wrong}"));
        }
        if matches!(name, "and" | "or") {
            return self.decide(name == "or", terms, last, dot);
        }
        let mut values = Vec::with_capacity(count);
        for (index, term) in terms.iter().enumerate() {
            let parameter = signature.parameter(index);
            let value = self.term(term, dot, false)?;
            if matches!(term.kind, TermKind::Bool(_) | TermKind::Number(..) | TermKind::Text(..)) {
                self.check_literal(parameter, &value, term)?;
            }
            values.push(self.fitting(parameter, value, matches!(term.kind, TermKind::Nil))?);
        }
        if let Some(last) = last {
            values.push(self.fitting(signature.parameter(count - 1), last, false)?);
        }
        let callee = terms.first().map(ToString::to_string);
        functions::call(name, &values, callee.as_deref()).or_else(|why| {
            self.place = Some(place);
            self.mistake(format!("error calling {name}: {why}"))
        })
    }

    /// `and` and `or`: the first that decides, or the last.
    fn decide(
        &mut self,
        ends_at: bool,
        terms: &'t [Term],
        last: Option<Datum>,
        dot: &Datum,
    ) -> Made {
        let mut value = Datum::Missing;
        for term in terms {
            value = self.term(term, dot, false)?;
            if functions::is_true(&value) == ends_at {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn check_literal(&self, parameter: Parameter, value: &Datum, term: &Term) -> Ran {
        match (parameter, value) {
            (Parameter::Text, Datum::Plain(value) | Datum::Own(value)) if !value.is_string() => {
                self.mistake(format!("expected string; found {term}"))
            }
            _ => Ok(()),
        }
    }

    /// A value as a function takes it.
    fn fitting(&self, parameter: Parameter, value: Datum, is_nil: bool) -> Made {
        if let Parameter::Any = parameter {
            return Ok(value);
        }
        match value {
            Datum::Missing if is_nil => self.mistake("cannot assign nil to string"),
            Datum::Missing => self.mistake("invalid value; expected string"),
            Datum::Plain(Value::String(text)) | Datum::Boxed(Value::String(text)) => {
                Ok(Datum::Plain(text.into()))
            }
            other => {
                let name = other.typed().map_or("interface {}", |typed| typed.name);
                self.mistake(format!("wrong type for value; expected string; got {name}"))
            }
        }
    }
}

fn number(value: usize) -> Datum {
    Datum::Own(i64::try_from(value).unwrap_or(i64::MAX).into())
}
