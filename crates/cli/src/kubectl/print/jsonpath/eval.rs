//! Finds what a JSONPath template names, and writes it.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::json;
use super::{Operand, Operator, Path, Piece, Step};

/// What a template is applied to.
pub(super) struct Scope<'a> {
    pub(super) root: &'a Value,
    pub(super) allow_missing: bool,
}

impl<'a> Scope<'a> {
    /// Writes the pieces for one value.
    pub(super) fn text(
        &self,
        pieces: &[Piece],
        current: &'a Value,
        out: &mut String,
    ) -> Result<(), String> {
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Path(path) => {
                    let found = self.find(path, current)?;
                    let texts: Vec<String> = found.into_iter().map(shown).collect();
                    out.push_str(&texts.join(" "));
                }
                Piece::Range(path, inner) => {
                    for item in self.range(path, current)? {
                        self.text(inner, item, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Collects what the paths find.
    pub(super) fn values(
        &self,
        pieces: &[Piece],
        current: &'a Value,
        out: &mut Vec<Value>,
    ) -> Result<(), String> {
        for piece in pieces {
            match piece {
                Piece::Text(_) => {}
                Piece::Path(path) => {
                    out.extend(self.find(path, current)?.into_iter().cloned());
                }
                Piece::Range(path, inner) => {
                    for item in self.range(path, current)? {
                        self.values(inner, item, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn range(&self, path: &Path, current: &'a Value) -> Result<Vec<&'a Value>, String> {
        self.find(path, current)
    }

    fn find(&self, path: &Path, current: &'a Value) -> Result<Vec<&'a Value>, String> {
        let mut found = vec![if path.from_root { self.root } else { current }];
        for step in &path.steps {
            found = self.step(step, found)?;
        }
        Ok(found)
    }

    fn step(&self, step: &Step, from: Vec<&'a Value>) -> Result<Vec<&'a Value>, String> {
        let mut found = Vec::new();
        match step {
            Step::Field(name) => {
                found.extend(from.iter().filter_map(|value| value.get(name.as_str())));
                if found.is_empty() && !self.allow_missing {
                    return Err(format!("{name} is not found"));
                }
            }
            Step::Wildcard => from.iter().for_each(|value| found.extend(children(value))),
            Step::Recursive => from.iter().for_each(|value| descend(value, &mut found)),
            Step::Slice { start, end, step, is_index } => {
                for value in from {
                    let Value::Array(items) = value else {
                        if value.is_null() || self.allow_missing {
                            continue;
                        }
                        return Err(format!("{} is not array or slice", shown(value)));
                    };
                    if *is_index {
                        found.push(index(items, start.unwrap_or(0))?);
                    } else {
                        found.extend(slice(items, *start, *end, *step)?);
                    }
                }
            }
            Step::Filter { left, operator, right } => {
                for value in from {
                    for item in value.as_array().into_iter().flatten() {
                        if self.passes(item, left, *operator, right.as_ref())? {
                            found.push(item);
                        }
                    }
                }
            }
            Step::Union(steps) => {
                for step in steps {
                    found.extend(self.step(step, from.clone())?);
                }
            }
        }
        Ok(found)
    }

    fn passes(
        &self,
        item: &'a Value,
        left: &Operand,
        operator: Operator,
        right: Option<&Operand>,
    ) -> Result<bool, String> {
        // In a filter a missing field is a difference, never an error.
        let lenient = Scope { root: self.root, allow_missing: true };
        let side = |operand: &Operand| -> Result<Vec<Value>, String> {
            match operand {
                Operand::Path(path) => Ok(lenient.find(path, item)?.into_iter().cloned().collect()),
                Operand::Value(value) => Ok(vec![value.clone()]),
            }
        };
        let left = side(left);
        let Some(right) = right else {
            return Ok(left.is_ok_and(|left| !left.is_empty()));
        };
        let (left, right) = (left?, side(right)?);
        if left.is_empty() || right.is_empty() {
            return Ok(false);
        }
        if left.len() > 1 || right.len() > 1 {
            return Err("can only compare one element at a time".into());
        }
        let order = compare(&left[0], &right[0]);
        Ok(match operator {
            Operator::Exists => true,
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::Unequal => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        })
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

/// An item of a list; that there is none is a mistake even where missing keys are none.
fn index(items: &[Value], index: i64) -> Result<&Value, String> {
    let length = length(items);
    let at = if index < 0 { index + length } else { index };
    let found = usize::try_from(at).ok().and_then(|at| items.get(at));
    found.ok_or_else(|| format!("array index out of bounds: index {at}, length {length}"))
}

fn length(items: &[Value]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

fn slice(
    items: &[Value],
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
) -> Result<Vec<&Value>, String> {
    let length = length(items);
    let place = |at: i64| if at < 0 { at + length } else { at };
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(length)));
    if start == end {
        return Ok(Vec::new());
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
    let step = usize::try_from(step).ok().filter(|step| *step > 0).ok_or("step must be >= 0")?;
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    Ok(items[range].iter().step_by(step).collect())
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

fn descend<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    found.push(value);
    for child in children(value) {
        descend(child, found);
    }
}

/// A found value as text: strings bare, maps and lists as JSON.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => json::compact(other),
    }
}
