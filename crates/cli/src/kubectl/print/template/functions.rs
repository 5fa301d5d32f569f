//! The functions that templates call.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::super::fault::quoted;
use super::super::json;

const NAMES: [&str; 21] = [
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "index",
    "slice",
    "len",
    "print",
    "printf",
    "println",
    "base64decode",
    "base64encode",
    "exists",
    "js",
    "html",
    "urlquery",
];

pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function; an argument that is `None` is a field that is not there.
pub(super) fn call(name: &str, given: Vec<Option<Value>>) -> Result<Option<Value>, String> {
    let first = given.first().cloned().flatten();
    let wrong = || format!("wrong number of args for {name}: got {}", given.len());
    Ok(Some(match name {
        "and" => {
            let decisive = given.iter().find(|value| !is_true(value.as_ref()));
            return Ok(decisive.or(given.last()).ok_or_else(wrong)?.clone());
        }
        "or" => {
            let decisive = given.iter().find(|value| is_true(value.as_ref()));
            return Ok(decisive.or(given.last()).ok_or_else(wrong)?.clone());
        }
        "not" => (!is_true(given.first().ok_or_else(wrong)?.as_ref())).into(),
        "eq" => {
            let (first, others) = given.split_first().ok_or_else(wrong)?;
            others.iter().any(|other| is_equal(first.as_ref(), other.as_ref())).into()
        }
        "ne" | "lt" | "le" | "gt" | "ge" => {
            let [left, right] = given.as_slice() else { return Err(wrong()) };
            if name == "ne" {
                return Ok(Some((!is_equal(left.as_ref(), right.as_ref())).into()));
            }
            let order = order(left.as_ref(), right.as_ref())?;
            let holds = match name {
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            };
            holds.into()
        }
        "index" => return index(first, &given[1.min(given.len())..]),
        "exists" => index(first, &given[1.min(given.len())..])?.is_some().into(),
        "slice" => slice(first.ok_or_else(wrong)?, &given[1..])?,
        "len" => match first.ok_or_else(wrong)? {
            Value::String(text) => text.len().into(),
            Value::Array(items) => items.len().into(),
            Value::Object(map) => map.len().into(),
            other => return Err(format!("error calling len: len of type {other}")),
        },
        name => texts(name, &given)?,
    }))
}

/// The functions whose result is text.
fn texts(name: &str, given: &[Option<Value>]) -> Result<Value, String> {
    let first = given.first().cloned().flatten();
    Ok(match name {
        "print" => {
            given.iter().map(|value| printed(value.as_ref())).collect::<Vec<_>>().join(" ").into()
        }
        "println" => {
            (given.iter().map(|value| printed(value.as_ref())).collect::<Vec<_>>().join(" ") + "\n")
                .into()
        }
        "printf" => {
            let Some(Value::String(format)) = first else {
                return Err("printf wants a format".into());
            };
            printf(&format, &given[1..]).into()
        }
        "base64decode" => {
            let text = printed(first.as_ref());
            let bytes =
                STANDARD.decode(text).map_err(|error| format!("base64 decode failed: {error}"))?;
            String::from_utf8_lossy(&bytes).into_owned().into()
        }
        "base64encode" => STANDARD.encode(printed(first.as_ref())).into(),
        "urlquery" => super::super::super::call::escaped(&printed(first.as_ref())).into(),
        "html" => printed(first.as_ref())
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&#34;")
            .replace('\'', "&#39;")
            .into(),
        "js" => printed(first.as_ref())
            .replace('\\', "\\\\")
            .replace('\'', "\\'")
            .replace('"', "\\\"")
            .into(),
        other => return Err(format!("function {other:?} not defined")),
    })
}

pub(super) fn is_true(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is)) => *is,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
    }
}

fn is_equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => left.as_f64() == right.as_f64(),
        (left, right) => left.unwrap_or(&Value::Null) == right.unwrap_or(&Value::Null),
    }
}

fn order(left: Option<&Value>, right: Option<&Value>) -> Result<Ordering, String> {
    let found = match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            left.as_f64().and_then(|left| left.partial_cmp(&right.as_f64()?))
        }
        (Some(Value::String(left)), Some(Value::String(right))) => Some(left.cmp(right)),
        _ => None,
    };
    found.ok_or_else(|| "incompatible types for comparison".into())
}

fn index(value: Option<Value>, keys: &[Option<Value>]) -> Result<Option<Value>, String> {
    let mut value = value;
    for key in keys {
        value = match (value, key) {
            (Some(Value::Object(mut map)), Some(Value::String(key))) => map.remove(key),
            (Some(Value::Array(items)), Some(Value::Number(at))) => {
                let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
                let found = at.and_then(|at| items.get(at)).cloned();
                if found.is_none() {
                    return Err(format!(
                        "error calling index: index out of range: {}",
                        printed(key.as_ref())
                    ));
                }
                found
            }
            (None | Some(Value::Null), _) => {
                return Err("error calling index: index of untyped nil".into());
            }
            (Some(other), _) => {
                return Err(format!("error calling index: can't index item of type {other}"));
            }
        };
    }
    Ok(value)
}

fn slice(value: Value, bounds: &[Option<Value>]) -> Result<Value, String> {
    let bound = |at: usize, default: usize| {
        let given = bounds.get(at).and_then(Option::as_ref).and_then(Value::as_u64);
        given.and_then(|given| usize::try_from(given).ok()).unwrap_or(default)
    };
    let outside = || "error calling slice: index out of range".to_owned();
    match value {
        Value::String(text) => {
            let range = bound(0, 0)..bound(1, text.len());
            text.get(range).map(Into::into).ok_or_else(outside)
        }
        Value::Array(items) => {
            let range = bound(0, 0)..bound(1, items.len());
            items.get(range).map(|items| items.to_vec().into()).ok_or_else(outside)
        }
        other => Err(format!("error calling slice: can't slice item of type {other}")),
    }
}

/// A value as Go's `%v` writes it.
pub(super) fn printed(value: Option<&Value>) -> String {
    match value {
        None => "<no value>".into(),
        Some(Value::Null) => "<nil>".into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| printed(Some(item))).collect();
            format!("[{}]", items.join(" "))
        }
        Some(Value::Object(map)) => {
            let pairs: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", printed(Some(value)))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Some(other) => other.to_string(),
    }
}

/// The widths and precisions that Go takes; what is larger counts as none.
const PAD_MAX: usize = 1_000_000;

/// Go's `Sprintf` with the verbs that make sense for JSON.
fn printf(format: &str, given: &[Option<Value>]) -> String {
    let mut out = String::new();
    let mut given = given.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = chars.next_if(|c| "-+# 0123456789.".contains(*c)) {
            flags.push(flag);
        }
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = given.next() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        let number = |text: &str| text.parse().ok().filter(|number| *number <= PAD_MAX);
        let sizes = flags.trim_start_matches(['-', '+', '#', ' ']);
        let (width, precision) = match sizes.split_once('.') {
            Some((width, precision)) => (number(width).unwrap_or(0), number(precision)),
            None => (number(sizes).unwrap_or(0), None),
        };
        let text = formatted(verb, value.as_ref(), precision);
        let pad: String =
            std::iter::repeat_n(' ', usize::saturating_sub(width, text.chars().count())).collect();
        if flags.starts_with('-') {
            out.push_str(&text);
            out.push_str(&pad);
        } else {
            out.push_str(&pad);
            out.push_str(&text);
        }
    }
    out
}

fn formatted(verb: char, value: Option<&Value>, precision: Option<usize>) -> String {
    match (verb, value) {
        ('q', Some(Value::String(text))) => quoted(text),
        ('s' | 'v', Some(Value::String(text))) => match precision {
            Some(count) => text.chars().take(count).collect(),
            None => text.clone(),
        },
        ('f' | 'g' | 'e', Some(Value::Number(number))) => {
            let number = number.as_f64().unwrap_or(0.0);
            // Rust writes no more digits behind the point than this.
            format!("{number:.*}", precision.unwrap_or(6).min(usize::from(u16::MAX)))
        }
        ('t' | 'd' | 'v' | 's', value) => printed(value),
        ('x', Some(Value::String(text))) => {
            text.bytes().map(|byte| format!("{byte:02x}")).collect()
        }
        ('T', Some(value)) => match value {
            Value::String(_) => "string".into(),
            Value::Number(_) => "float64".into(),
            Value::Bool(_) => "bool".into(),
            Value::Array(_) => "[]interface {}".into(),
            Value::Object(_) => "map[string]interface {}".into(),
            Value::Null => "<nil>".into(),
        },
        (verb, Some(value)) => format!("%!{verb}({})", json::compact(value)),
        (verb, None) => format!("%!{verb}(<nil>)"),
    }
}
