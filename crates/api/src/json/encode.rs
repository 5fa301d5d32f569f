//! Writes settled trees as JSON in Go's field order.

use serde_json::{Map, Value};

use crate::schema::{Shape, TypeRef};

/// Appends the JSON of a settled tree of type `ty` to `out`.
pub fn encode(value: &Value, ty: TypeRef<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => encode_struct(map, ty, out),
        other => plain(other, out),
    }
}

fn encode_struct(map: &Map<String, Value>, ty: TypeRef<'_>, out: &mut Vec<u8>) {
    // An object has far fewer fields than its type: they are found by name and then brought into order.
    let found = map.iter().filter_map(|(name, value)| Some((ty.position(name)?, value)));
    let mut found: Vec<(usize, &Value)> = found.collect();
    found.sort_unstable_by_key(|(position, _)| *position);
    let mut separator = b'{';
    for (position, value) in found {
        let field = &ty.fields()[position];
        out.push(separator);
        separator = b',';
        string(&field.name, out);
        out.push(b':');
        encode_shape(value, &field.shape, ty, out);
    }
    close(separator, b'{', b'}', out);
}

fn encode_shape(value: &Value, shape: &Shape, ty: TypeRef<'_>, out: &mut Vec<u8>) {
    match (shape, value) {
        (Shape::Struct(id), Value::Object(map)) => encode_struct(map, ty.schema().at(*id), out),
        (Shape::List(item), Value::Array(items)) => {
            let mut separator = b'[';
            for value in items {
                out.push(separator);
                separator = b',';
                encode_shape(value, item, ty, out);
            }
            close(separator, b'[', b']', out);
        }
        (Shape::Map(item), Value::Object(map)) => {
            let mut separator = b'{';
            for (key, value) in map {
                out.push(separator);
                separator = b',';
                string(key, out);
                out.push(b':');
                encode_shape(value, item, ty, out);
            }
            close(separator, b'{', b'}', out);
        }
        _ => plain(value, out),
    }
}

/// Closes what may not have been opened for want of items.
fn close(separator: u8, open: u8, close: u8, out: &mut Vec<u8>) {
    if separator == open {
        out.push(open);
    }
    out.push(close);
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing a string to a vector cannot fail.
    let _infallible = serde_json::to_writer(&mut *out, text);
}

fn plain(value: &Value, out: &mut Vec<u8>) {
    // Writing a tree with string keys to a vector cannot fail.
    let _infallible = serde_json::to_writer(&mut *out, value);
}
