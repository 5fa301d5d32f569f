//! What Go makes of the values that JSON decodes to: their types, and their text in each of its forms.
//!
//! Numbers of objects are integers of 64 bits, or floats if they have a fraction.

pub(super) mod compare;
mod format;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
pub(super) use podo_api::patch::go::go_type;
use serde_json::Value;

use super::super::fault::quoted;

pub(super) use self::format::sprintf;

/// A value, and the name of its type where that is not what JSON would make of it: Go's own integers are just `int`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Typed<'a> {
    pub(super) value: &'a Value,
    pub(super) name: &'static str,
}

impl<'a> From<&'a Value> for Typed<'a> {
    fn from(value: &'a Value) -> Self {
        Self { value, name: go_type(value) }
    }
}

/// A value as `%v` writes it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64());
            float.map_or_else(|| number.to_string(), |float| format::float(float, 'g', None))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" "))
        }
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key}:{}", plain(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        Value::Bool(is) => is.to_string(),
    }
}

/// Values as `Sprint` writes them: a space only between two of which neither is text.
pub(super) fn sprint(values: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !value.is_string() && !values[index - 1].is_string() {
            out.push(' ');
        }
        out.push_str(&plain(value));
    }
    out
}

/// A value as `%#v` writes it, as Go source: `map[string]interface {}{"a":1}`.
pub(crate) fn syntax(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", join(items.iter().map(syntax).collect()))
        }
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{}:{}", quoted(key), syntax(value)));
            format!("map[string]interface {{}}{{{}}}", join(pairs.collect()))
        }
        other => plain(other),
    }
}

/// The text of a literal with its quotes, as `strconv.Unquote` reads it; none if it is none.
pub(super) fn unquoted(literal: &str) -> Option<String> {
    let quote = literal.chars().next()?;
    let body = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    match quote {
        '`' => Some(body.replace('\r', "")),
        '"' | '\'' => unescaped(body, quote),
        _ => None,
    }
}

/// A text without the escapes of Go; none if one of them is not Go's.
fn unescaped(body: &str, quote: char) -> Option<String> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c == quote || c == '\n' {
            return None;
        }
        let mut push = |c: char| bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        if c != '\\' {
            push(c);
            continue;
        }
        let rest = chars.as_str();
        match rest.chars().next()? {
            'x' => bytes.push(u8::try_from(code(&mut chars, 1, 2, 16)?).ok()?),
            'u' => push(char::from_u32(code(&mut chars, 1, 4, 16)?)?),
            'U' => push(char::from_u32(code(&mut chars, 1, 8, 16)?)?),
            '0'..='7' => bytes.push(u8::try_from(code(&mut chars, 0, 3, 8)?).ok()?),
            letter => {
                chars.next();
                push(escape(letter, quote)?);
            }
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A number of so many digits, after so many letters that are passed over.
fn code(chars: &mut std::str::Chars<'_>, skip: usize, digits: usize, base: u32) -> Option<u32> {
    let text: String = chars.by_ref().skip(skip).take(digits).collect();
    let is_whole = text.len() == digits && text.chars().all(|c| c.is_digit(base));
    if is_whole { u32::from_str_radix(&text, base).ok() } else { None }
}

/// The character that a letter behind a backslash means.
fn escape(letter: char, quote: char) -> Option<char> {
    Some(match letter {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        other if other == quote => other,
        _ => return None,
    })
}

/// What base64 holds; where it is not base64 is told as Go tells it.
pub(crate) fn base64_decoded(text: &str) -> Result<Vec<u8>, String> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    engine.decode(text.replace(['\r', '\n'], "")).map_err(|_wrong| {
        let is_of_alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
        let at = text.find(|c: char| !is_of_alphabet(c) && !matches!(c, '\r' | '\n'));
        // What is too short is wrong where its last group of four begins.
        let at = at.unwrap_or(text.len() - text.len() % 4);
        format!("illegal base64 data at input byte {at}")
    })
}
