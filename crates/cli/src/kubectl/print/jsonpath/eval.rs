//! Finds what a JSONPath template names.

use std::borrow::Cow;

use serde_json::Value;

use super::super::go::{Typed, compare, go_type, plain};
use super::{Node, Slice};

/// The deepest nesting of ranges.
const DEPTH_MAX: usize = 64;

type Found<'a> = Cow<'a, Value>;
/// Values that a step finds.
type Step<'a> = Result<Vec<Found<'a>>, String>;

/// A template at work. `range` and `end` are steps like others: what they begin and end is noted here, as upstream does it.
pub(super) struct Scope<'t> {
    nodes: &'t [Node],
    allow_missing: bool,
    /// Ranges that the node just evaluated begins.
    begun: usize,
    /// Ranges that are open.
    open: usize,
    /// Ranges that the node just evaluated ends.
    ended: usize,
    /// The node at which the last range ended.
    last_end: Option<usize>,
}

impl<'t> Scope<'t> {
    pub(super) fn new(nodes: &'t [Node], allow_missing: bool) -> Self {
        Self { nodes, allow_missing, begun: 0, open: 0, ended: 0, last_end: None }
    }

    /// What each node finds in an object.
    pub(super) fn all(mut self, object: &Value) -> Result<Vec<Vec<Value>>, String> {
        let found = self.from(0, Some(Cow::Borrowed(object)))?;
        Ok(found.into_iter().map(|list| list.into_iter().map(Cow::into_owned).collect()).collect())
    }

    /// What the nodes from one on find in a value, up to the end of the range that they are in.
    fn from<'a>(
        &mut self,
        start: usize,
        current: Option<Found<'a>>,
    ) -> Result<Vec<Vec<Found<'a>>>, String> {
        if self.open > DEPTH_MAX {
            return Err("too many nested ranges".to_owned());
        }
        let mut all = Vec::new();
        let mut at = start;
        while let Some(node) = self.nodes.get(at) {
            let found = self.walk(node, current.clone().into_iter().collect())?;
            if self.ended > 0 && self.ended <= self.open {
                self.ended -= 1;
                self.last_end = Some(at);
                break;
            }
            if self.begun == 0 {
                all.push(found);
                at += 1;
                continue;
            }
            self.begun -= 1;
            self.open += 1;
            if found.is_empty() {
                // Nothing to show, but the end of the range is to be found.
                self.from(at + 1, None)?;
            }
            for value in found {
                all.extend(self.from(at + 1, Some(value))?);
            }
            self.open -= 1;
            at = self.last_end.filter(|end| *end > at).unwrap_or(at) + 1;
        }
        Ok(all)
    }

    fn list<'a>(&mut self, nodes: &[Node], from: Vec<Found<'a>>) -> Step<'a> {
        nodes.iter().try_fold(from, |from, node| self.walk(node, from))
    }

    fn walk<'a>(&mut self, node: &Node, from: Vec<Found<'a>>) -> Step<'a> {
        Ok(match node {
            Node::Text(text) => vec![Cow::Owned(text.clone().into())],
            Node::List(nodes) => self.list(nodes, from)?,
            Node::Field(name) => self.field(name, from)?,
            Node::Slice(slice) => items(*slice, from)?,
            Node::Filter { left, operator, right } => self.filter(left, operator, right, from)?,
            Node::Literal(value) => from.iter().map(|_| Cow::Owned(value.clone())).collect(),
            Node::Wildcard => from.into_iter().flat_map(children).collect(),
            Node::Recursive => descend(from),
            Node::Union(parts) => {
                let mut found = Vec::new();
                for part in parts {
                    found.extend(self.list(part, from.clone())?);
                }
                found
            }
            Node::Word(word) => return self.word(word, from),
        })
    }

    fn word<'a>(&mut self, word: &str, from: Vec<Found<'a>>) -> Step<'a> {
        match word {
            "range" => {
                self.begun += 1;
                Ok(from)
            }
            "end" if self.open > 0 => {
                self.ended += 1;
                Ok(Vec::new())
            }
            "end" => Err("not in range, nothing to end".to_owned()),
            other => Err(format!("unrecognized identifier {other}")),
        }
    }

    fn field<'a>(&self, name: &str, from: Vec<Found<'a>>) -> Step<'a> {
        let is_empty = from.is_empty();
        let of = |value: Found<'a>| match value {
            Cow::Borrowed(value) => value.get(name).map(Cow::Borrowed),
            Cow::Owned(value) => value.get(name).cloned().map(Cow::Owned),
        };
        let found: Vec<_> = from.into_iter().filter_map(of).collect();
        if found.is_empty() && !is_empty && !self.allow_missing {
            return Err(format!("{name} is not found"));
        }
        Ok(found)
    }

    fn filter<'a>(
        &mut self,
        left: &[Node],
        operator: &str,
        right: &[Node],
        from: Vec<Found<'a>>,
    ) -> Step<'a> {
        let mut found = Vec::new();
        for value in from {
            if !value.is_array() {
                return Err(format!(
                    "{} is not array or slice and cannot be filtered",
                    plain(&value)
                ));
            }
            for item in children(value) {
                if self.passes(&item, left, operator, right)? {
                    found.push(item);
                }
            }
        }
        Ok(found)
    }

    fn passes(
        &mut self,
        item: &Found<'_>,
        left: &[Node],
        operator: &str,
        right: &[Node],
    ) -> Result<bool, String> {
        let lefts = self.list(left, vec![item.clone()]);
        if operator == "exists" {
            return Ok(lefts.is_ok_and(|lefts| !lefts.is_empty()));
        }
        let Some(left) = only(lefts?)? else {
            return Ok(false);
        };
        let Some(right) = only(self.list(right, vec![item.clone()])?)? else {
            return Ok(false);
        };
        let (left, right) = (Typed::from(&*left), Typed::from(&*right));
        match operator {
            "==" => compare::equal_basic(left.value, right.value),
            "!=" => compare::equal_basic(left.value, right.value).map(|is_equal| !is_equal),
            "<" => compare::less(Some(left), Some(right)),
            "<=" => compare::less_or_equal(Some(left), Some(right)),
            ">" => compare::less_or_equal(Some(left), Some(right)).map(|is_not| !is_not),
            ">=" => compare::less(Some(left), Some(right)).map(|is_not| !is_not),
            other => Err(format!("unrecognized filter operator {other}")),
        }
    }
}

/// The one value that a side of a comparison finds, if any.
fn only(mut found: Vec<Found<'_>>) -> Result<Option<Found<'_>>, String> {
    if found.len() > 1 {
        return Err("can only compare one element at a time".to_owned());
    }
    Ok(found.pop())
}

fn items(slice: Slice, from: Vec<Found<'_>>) -> Step<'_> {
    let mut found = Vec::new();
    for value in from {
        if value.is_null() {
            continue;
        }
        if !value.is_array() {
            return Err(format!("{} is not array or slice", go_type(&value)));
        }
        let items = children(value);
        let (range, step) = bounds(slice, items.len())?;
        found.extend(items.into_iter().take(range.end).skip(range.start).step_by(step));
    }
    Ok(found)
}

/// Which items are meant of so many; that there are not as many is a mistake even where missing keys are none.
fn bounds(slice: Slice, count: usize) -> Result<(std::ops::Range<usize>, usize), String> {
    let length = i64::try_from(count).unwrap_or(i64::MAX);
    let place = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let start = place(slice.start.unwrap_or(0));
    let end = match slice.end {
        _ if slice.is_index => {
            let end = slice.start.unwrap_or(0).saturating_add(1);
            if end <= 0 { end.saturating_add(length) } else { end }
        }
        Some(end) => place(end),
        None => length,
    };
    if start == end {
        return Ok((0..0, 1));
    }
    let outside = |at: i64| Err(format!("array index out of bounds: index {at}, length {length}"));
    if start < 0 || start >= length {
        return outside(start);
    }
    if end < 0 || end > length {
        return outside(end - 1);
    }
    if start > end {
        return Err(format!("starting index {start} is greater than ending index {end}"));
    }
    let step = usize::try_from(slice.step.unwrap_or(1)).ok().filter(|step| *step > 0);
    let step = step.ok_or("step must be > 0")?;
    Ok((usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0), step))
}

fn children(value: Found<'_>) -> Vec<Found<'_>> {
    match value {
        Cow::Borrowed(Value::Array(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Borrowed(Value::Object(map)) => map.values().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(items)) => items.into_iter().map(Cow::Owned).collect(),
        Cow::Owned(Value::Object(map)) => map.into_values().map(Cow::Owned).collect(),
        Cow::Borrowed(Value::String(text)) => bytes(text),
        Cow::Owned(Value::String(text)) => bytes(&text),
        _ => Vec::new(),
    }
}

/// What Go finds inside of a text.
fn bytes(text: &str) -> Vec<Found<'static>> {
    text.bytes().map(|byte| Cow::Owned(byte.into())).collect()
}

/// Values that hold others, each before those that it holds.
fn descend(from: Vec<Found<'_>>) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    for value in from {
        let inner = children(value.clone());
        if !inner.is_empty() {
            found.push(value);
            found.extend(descend(inner));
        }
    }
    found
}
