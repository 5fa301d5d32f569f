//! JSON as Go writes it: four spaces, keys sorted, and `<`, `>`, `&` escaped.

use std::io;

use podo_api::schema::TypeRef;
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// Adds Go's escapes to another way of writing JSON.
struct GoEscapes<F>(F);

impl<F: Formatter> Formatter for GoEscapes<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let Some(special) = rest[at..].chars().next() else { break };
            write!(writer, "\\u{:04x}", special as u32)?;
            rest = &rest[at + special.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

/// JSON on many lines.
pub(crate) fn pretty(value: &Value) -> String {
    write(value, GoEscapes(PrettyFormatter::with_indent(b"    ")))
}

/// JSON on many lines with the fields of structs in their order.
pub(crate) fn pretty_typed(value: &Value, ty: TypeRef<'_>) -> String {
    let mut compact = Vec::new();
    podo_api::json::encode(value, ty, &mut compact);
    spread(&String::from_utf8_lossy(&compact), 4)
}

/// A list on many lines, its items with the fields of structs in their order; of no items Go makes `null`.
pub(crate) fn pretty_list(list: &Value, items: &[Value], ty: Option<TypeRef<'_>>) -> String {
    let mut compact = Vec::new();
    for (key, field) in ["kind", "apiVersion", "metadata"].map(|key| (key, &list[key])) {
        compact.extend(
            format!("{}\"{key}\":{field}", if compact.is_empty() { "{" } else { "," }).bytes(),
        );
    }
    compact.extend_from_slice(b",\"items\":");
    for (index, item) in items.iter().enumerate() {
        compact.push(if index == 0 { b'[' } else { b',' });
        match ty {
            Some(ty) => podo_api::json::encode(item, ty, &mut compact),
            None => compact.extend(item.to_string().bytes()),
        }
    }
    compact.extend_from_slice(if items.is_empty() { b"null}" } else { b"]}" });
    spread(&String::from_utf8_lossy(&compact), 4)
}

/// JSON on many lines with the fields of each map in the order of a list; those not in it come last.
pub(crate) fn pretty_ordered(value: &Value, fields: &[&str], indent: usize) -> String {
    let mut compact = String::new();
    write_ordered(value, fields, &mut compact);
    spread(&compact, indent)
}

fn write_ordered(value: &Value, fields: &[&str], out: &mut String) {
    match value {
        Value::Object(map) => {
            let rank =
                |key: &str| fields.iter().position(|own| *own == key).unwrap_or(fields.len());
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| rank(key));
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_ordered(value, fields, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_ordered(item, fields, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Compact JSON spread over lines, in its own order and with Go's escapes.
pub(crate) fn spread(compact: &str, indent: usize) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    let mut depth = 0;
    let mut is_text = false;
    let mut chars = compact.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&" ".repeat(depth * indent));
    };
    while let Some(c) = chars.next() {
        match c {
            '\\' if is_text => {
                out.push(c);
                out.extend(chars.next());
            }
            '"' => {
                is_text = !is_text;
                out.push(c);
            }
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if is_text => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            _ if is_text => out.push(c),
            '{' | '[' => {
                out.push(c);
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(c),
        }
    }
    out
}

/// JSON on one line.
pub(crate) fn compact(value: &Value) -> String {
    write(value, GoEscapes(CompactFormatter))
}

fn write(value: &Value, formatter: impl Formatter) -> String {
    let mut out = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, formatter));
    debug_assert!(written.is_ok(), "a JSON value can be written to memory");
    String::from_utf8(out).unwrap_or_default()
}
