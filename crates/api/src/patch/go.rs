//! JSON trees written as Go writes them: in error texts (`%v`) and by `encoding/json`.
//!
//! Both sort the keys of maps. Numbers follow Go's shortest form, strings in JSON are escaped for HTML.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// The value as Go's `%v` (and `%+v`) prints it: `map[a:1 b:[x y]]`.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    push_text(&mut out, value);
    out
}

/// The map as [`text`] prints it.
pub(super) fn map_text(map: &Map<String, Value>) -> String {
    let mut out = String::new();
    push_map_text(&mut out, map);
    out
}

/// The items as [`text`] prints a list of them.
pub(super) fn list_text(items: &[Value]) -> String {
    let mut out = String::new();
    push_list_text(&mut out, items);
    out
}

fn push_text(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(is_true) => out.push_str(if *is_true { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => push_list_text(out, items),
        Value::Object(map) => push_map_text(out, map),
    }
}

fn push_list_text(out: &mut String, items: &[Value]) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        push_text(out, item);
    }
    out.push(']');
}

fn push_map_text(out: &mut String, map: &Map<String, Value>) {
    out.push_str("map[");
    for (index, (key, value)) in sorted(map).into_iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(key);
        out.push(':');
        push_text(out, value);
    }
    out.push(']');
}

/// The number as `%v` prints it: floats in the shortest form, with an exponent below -4 and from 21 on.
pub(crate) fn number_text(number: &Number) -> String {
    float(number, -4)
}

/// A float with an exponent where it is below `exponent_min` or at least 21.
fn float(number: &Number, exponent_min: i32) -> String {
    if !number.is_f64() {
        return number.to_string();
    }
    let value = number.as_f64().unwrap_or_default();
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if value == 0.0 || (exponent_min..21).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// The value as Go's `encoding/json` writes it, without a line break at the end.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    push_json(&mut out, value);
    out
}

/// Appends what [`json`] returns.
pub(crate) fn push_json(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(is_true) => out.push_str(if *is_true { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&json_number(number)),
        Value::String(text) => push_json_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_json(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, value)) in sorted(map).into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_json_string(out, key);
                out.push(':');
                push_json(out, value);
            }
            out.push('}');
        }
    }
}

/// JSON differs from `%v`: the exponent starts below -6 and has no leading zero when it is negative.
fn json_number(number: &Number) -> String {
    let text = float(number, -6);
    match text.split_once("e-0") {
        Some((digits, exponent)) => format!("{digits}e-{exponent}"),
        None => text,
    }
}

/// A JSON string, escaped for HTML as `encoding/json` does.
pub(crate) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\u{20}' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(letter));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The entries in the order of their keys.
pub(crate) fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

/// How `encoding/json` names the kind of a JSON value in its errors.
pub(super) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The Go type of a decoded JSON value (`%T`).
pub fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests;
