//! The functions that templates call.

use serde_json::Value;

use super::super::super::call::escaped;
use super::execute::Datum;
use super::go::{self, Typed, compare};

/// What a function takes as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Any,
    Text,
}

/// How many arguments a function takes, and which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signature {
    count: usize,
    /// Whether it takes more.
    is_open: bool,
    first: Parameter,
}

const fn takes(count: usize, is_open: bool, first: Parameter) -> Signature {
    Signature { count, is_open, first }
}

/// By name; those of Go come first, then those of kubectl.
const SIGNATURES: [(&str, Signature); 21] = [
    ("and", takes(1, true, Parameter::Any)),
    ("call", takes(1, true, Parameter::Any)),
    ("html", takes(0, true, Parameter::Any)),
    ("index", takes(1, true, Parameter::Any)),
    ("js", takes(0, true, Parameter::Any)),
    ("len", takes(1, false, Parameter::Any)),
    ("not", takes(1, false, Parameter::Any)),
    ("or", takes(1, true, Parameter::Any)),
    ("print", takes(0, true, Parameter::Any)),
    ("printf", takes(1, true, Parameter::Text)),
    ("println", takes(0, true, Parameter::Any)),
    ("slice", takes(1, true, Parameter::Any)),
    ("urlquery", takes(0, true, Parameter::Any)),
    ("eq", takes(1, true, Parameter::Any)),
    ("ge", takes(2, false, Parameter::Any)),
    ("gt", takes(2, false, Parameter::Any)),
    ("le", takes(2, false, Parameter::Any)),
    ("lt", takes(2, false, Parameter::Any)),
    ("ne", takes(2, false, Parameter::Any)),
    ("base64decode", takes(1, false, Parameter::Text)),
    ("exists", takes(1, true, Parameter::Any)),
];

pub(super) fn is_known(name: &str) -> bool {
    SIGNATURES.iter().any(|(known, _)| *known == name)
}

/// What a function that is known takes.
pub(super) fn signature(name: &str) -> Signature {
    let found = SIGNATURES.iter().find(|(known, _)| *known == name);
    found.map_or(takes(0, true, Parameter::Any), |(_, signature)| *signature)
}

impl Signature {
    /// Whether it can be called with so many arguments, of which so many stand beside its name.
    pub(super) fn fits(self, count: usize, beside: usize) -> Result<(), String> {
        let wanted = self.count;
        match self.is_open {
            true if count < wanted => Err(format!("want at least {wanted} got {beside}")),
            false if count != wanted => Err(format!("want {wanted} got {count}")),
            _ => Ok(()),
        }
    }

    pub(super) fn parameter(self, index: usize) -> Parameter {
        if index == 0 { self.first } else { Parameter::Any }
    }
}

/// Calls a function; `callee` is how its first argument is written.
pub(super) fn call(name: &str, given: &[Datum], callee: Option<&str>) -> Result<Datum, String> {
    let (first, others) = match given.split_first() {
        Some((first, others)) => (first, others),
        None => (&Datum::Missing, given),
    };
    Ok(Datum::Plain(match name {
        "not" => (!is_true(first)).into(),
        "eq" => is_one_of(first, others)?.into(),
        "ne" => (!is_one_of(first, others)?).into(),
        "lt" => compare::less(first.typed(), second(others))?.into(),
        "le" => compare::less_or_equal(first.typed(), second(others))?.into(),
        "gt" => (!compare::less_or_equal(first.typed(), second(others))?).into(),
        "ge" => (!compare::less(first.typed(), second(others))?).into(),
        "index" => return index(first, others),
        "exists" => exists(first, others).into(),
        "slice" => slice(first, others)?,
        "len" => return length(first),
        "call" => return Err(not_a_function(first, callee)),
        name => texts(name, given)?.into(),
    }))
}

fn second(others: &[Datum]) -> Option<Typed<'_>> {
    others.first().and_then(Datum::typed)
}

/// Whether a value is equal to one of others.
fn is_one_of(first: &Datum, others: &[Datum]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if compare::equal(first.typed(), other.typed())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn not_a_function(first: &Datum, callee: Option<&str>) -> String {
    first.typed().map_or_else(
        || "call of nil".to_owned(),
        |typed| {
            let callee = callee.map_or_else(|| go::plain(typed.value), str::to_owned);
            format!("non-function {callee} of type {}", typed.name)
        },
    )
}

/// The functions whose result is text.
fn texts(name: &str, given: &[Datum]) -> Result<String, String> {
    let values: Vec<Value> =
        given.iter().map(|datum| datum.value().cloned().unwrap_or_default()).collect();
    let whole = || {
        let shown: Vec<Value> = values
            .iter()
            .map(|value| if value.is_null() { "<no value>".into() } else { value.clone() })
            .collect();
        go::sprint(&shown)
    };
    Ok(match name {
        "print" => go::sprint(&values),
        "println" => values.iter().map(go::plain).collect::<Vec<_>>().join(" ") + "\n",
        "printf" => {
            let nothing = Typed::from(&Value::Null);
            let given: Vec<_> =
                given.iter().skip(1).map(|datum| datum.typed().unwrap_or(nothing)).collect();
            go::sprintf(values.first().and_then(Value::as_str).unwrap_or_default(), &given)
        }
        "base64decode" => {
            let bytes = go::base64_decoded(&go::sprint(&values))
                .map_err(|why| format!("base64 decode failed: {why}"))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        "urlquery" => escaped(&whole()).replace("%20", "+"),
        "html" => whole()
            .replace('\0', "\u{fffd}")
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&#34;")
            .replace('\'', "&#39;"),
        "js" => whole().chars().map(script).collect(),
        _ => String::new(),
    })
}

/// A character as it may stand in a text of JavaScript.
fn script(c: char) -> String {
    match c {
        '\\' => "\\\\".to_owned(),
        '\'' => "\\'".to_owned(),
        '"' => "\\\"".to_owned(),
        '<' | '>' | '&' | '=' => format!("\\u{:04X}", u32::from(c)),
        c if c.is_control() || (!c.is_ascii() && c.is_whitespace()) => {
            format!("\\u{:04X}", u32::from(c))
        }
        c => c.to_string(),
    }
}

pub(super) fn is_true(datum: &Datum) -> bool {
    match datum.value() {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is)) => *is,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
    }
}

fn length(of: &Datum) -> Result<Datum, String> {
    let Some(typed) = of.typed() else {
        return Err(match of {
            Datum::Missing => "reflect: call of reflect.Value.Type on zero Value".to_owned(),
            _ => "len of nil pointer".to_owned(),
        });
    };
    let count = match typed.value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => return Err(format!("len of type {}", typed.name)),
    };
    Ok(Datum::Own(i64::try_from(count).unwrap_or(i64::MAX).into()))
}

/// A position in something of a length; the length itself is one, as for Go.
fn position(index: &Datum, length: usize) -> Result<usize, String> {
    let typed = index.typed().ok_or("cannot index slice/array with nil")?;
    let number = typed
        .value
        .as_i64()
        .ok_or_else(|| format!("cannot index slice/array with type {}", typed.name))?;
    let position = usize::try_from(number).ok().filter(|at| *at <= length);
    position.ok_or_else(|| format!("index out of range: {number}"))
}

fn index(item: &Datum, keys: &[Datum]) -> Result<Datum, String> {
    if item.value().is_none() {
        return Err("index of untyped nil".to_owned());
    }
    let mut item = item.clone();
    for key in keys {
        let Some(Typed { value, name }) = item.typed() else {
            return Err("index of nil pointer".to_owned());
        };
        let outside = |what: &str| format!("reflect: {what} index out of range");
        item = match value {
            Value::Array(items) => {
                let found = items.get(position(key, items.len())?).cloned();
                Datum::Boxed(found.ok_or_else(|| outside("slice"))?)
            }
            Value::String(text) => {
                let found = text.as_bytes().get(position(key, text.len())?).copied();
                Datum::Own(found.ok_or_else(|| outside("string"))?.into())
            }
            Value::Object(map) => match key.value() {
                Some(Value::String(key)) => Datum::Boxed(map.get(key).cloned().unwrap_or_default()),
                None => return Err("value is nil; should be of type string".to_owned()),
                Some(other) => {
                    let name = go::go_type(other);
                    return Err(format!("value has type {name}; should be string"));
                }
            },
            _ => return Err(format!("can't index item of type {name}")),
        };
    }
    Ok(item)
}

/// Whether there is something at an index.
fn exists(item: &Datum, keys: &[Datum]) -> bool {
    index(item, keys).is_ok_and(|found| found.value().is_some())
}

fn slice(item: &Datum, bounds: &[Datum]) -> Result<Value, String> {
    let Typed { value, name } = item.typed().ok_or("slice of untyped nil")?;
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let length = match value {
        Value::String(_) if bounds.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        _ => return Err(format!("can't slice item of type {name}")),
    };
    let mut range = [0, length, length];
    for (slot, bound) in range.iter_mut().zip(bounds) {
        *slot = position(bound, length)?;
    }
    let [start, end, capacity] = range;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    if end > capacity {
        return Err(format!("invalid slice index: {end} > {capacity}"));
    }
    Ok(match value {
        Value::String(text) => {
            String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned().into()
        }
        Value::Array(items) => items[start..end].to_vec().into(),
        other => other.clone(),
    })
}
