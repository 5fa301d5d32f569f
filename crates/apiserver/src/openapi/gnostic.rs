//! Swagger documents in protobuf: the message `openapi.v2.Document` of gnostic, field by field.
//!
//! The tables say which number and form each word of Swagger has. Only words that a document of this server may use are in them.

#[cfg(test)]
mod tests;

use podo_api::Value;

/// How a value is written.
enum Form {
    Text,
    Flag,
    Integer,
    Number,
    /// Anything, as YAML. The text is JSON, which is YAML too.
    Any,
    Message(&'static Message),
    /// A list: the field once for each item. One value stands for a list of one.
    Each(&'static Form),
    /// A message with nothing but this field.
    Within(u32, &'static Form),
    /// A map: a message of name and value for each member.
    Named(&'static Form),
    /// The form depends on the value.
    Chosen(fn(&Value) -> &'static Form),
}

/// The fields of a message: the word, the number and the form of each.
struct Message {
    fields: &'static [(&'static str, u32, Form)],
    /// The field of the members whose names start with `x-`; 0 if it has none.
    extensions: u32,
    /// The field of the members that have no field of their own.
    others: Option<(u32, Form)>,
}

static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Form::Text),
        ("info", 2, Form::Message(&INFO)),
        ("paths", 8, Form::Message(&PATHS)),
        ("definitions", 9, Form::Within(1, &Form::Named(&SCHEMA))),
    ],
    extensions: 16,
    others: None,
};

static INFO: Message = Message {
    fields: &[("title", 1, Form::Text), ("version", 2, Form::Text), ("description", 3, Form::Text)],
    extensions: 7,
    others: None,
};

static PATHS: Message =
    Message { fields: &[], extensions: 1, others: Some((2, Form::Message(&PATH_ITEM))) };

static PATH_ITEM: Message = Message {
    fields: &[
        ("get", 2, Form::Message(&OPERATION)),
        ("put", 3, Form::Message(&OPERATION)),
        ("post", 4, Form::Message(&OPERATION)),
        ("delete", 5, Form::Message(&OPERATION)),
        ("options", 6, Form::Message(&OPERATION)),
        ("head", 7, Form::Message(&OPERATION)),
        ("patch", 8, Form::Message(&OPERATION)),
        ("parameters", 9, Form::Each(&PARAMETER)),
    ],
    extensions: 10,
    others: None,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Form::Each(&Form::Text)),
        ("description", 3, Form::Text),
        ("operationId", 5, Form::Text),
        ("produces", 6, Form::Each(&Form::Text)),
        ("consumes", 7, Form::Each(&Form::Text)),
        ("parameters", 8, Form::Each(&PARAMETER)),
        ("responses", 9, Form::Message(&RESPONSES)),
        ("schemes", 10, Form::Each(&Form::Text)),
        ("deprecated", 11, Form::Flag),
    ],
    extensions: 13,
    others: None,
};

static RESPONSES: Message = Message {
    fields: &[],
    extensions: 2,
    others: Some((1, Form::Within(1, &Form::Message(&RESPONSE)))),
};

static RESPONSE: Message = Message {
    fields: &[("description", 1, Form::Text), ("schema", 2, Form::Within(1, &SCHEMA))],
    extensions: 5,
    others: None,
};

/// A parameter lies in one of two messages, of which the second has one for each place.
static PARAMETER: Form = Form::Within(1, &PLACED);
static PLACED: Form = Form::Chosen(parameter);
static BODY_PARAMETER: Form = Form::Within(1, &Form::Message(&BODY));
static HEADER_PARAMETER: Form = Form::Within(2, &Form::Within(1, &Form::Message(&HEADER_OR_PATH)));
static QUERY_PARAMETER: Form = Form::Within(2, &Form::Within(3, &Form::Message(&QUERY)));
static PATH_PARAMETER: Form = Form::Within(2, &Form::Within(4, &Form::Message(&HEADER_OR_PATH)));

fn parameter(value: &Value) -> &'static Form {
    match value["in"].as_str() {
        Some("body") => &BODY_PARAMETER,
        Some("path") => &PATH_PARAMETER,
        Some("header") => &HEADER_PARAMETER,
        _ => &QUERY_PARAMETER,
    }
}

static BODY: Message = Message {
    fields: &[
        ("description", 1, Form::Text),
        ("name", 2, Form::Text),
        ("in", 3, Form::Text),
        ("required", 4, Form::Flag),
        ("schema", 5, Form::Message(&SCHEMA_FIELDS)),
    ],
    extensions: 6,
    others: None,
};

static QUERY: Message = Message {
    fields: &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("allowEmptyValue", 5, Form::Flag),
        ("type", 6, Form::Text),
        ("format", 7, Form::Text),
        ("pattern", 17, Form::Text),
        ("uniqueItems", 20, Form::Flag),
        ("enum", 21, Form::Each(&Form::Any)),
    ],
    extensions: 23,
    others: None,
};

static HEADER_OR_PATH: Message = Message {
    fields: &[
        ("required", 1, Form::Flag),
        ("in", 2, Form::Text),
        ("description", 3, Form::Text),
        ("name", 4, Form::Text),
        ("type", 5, Form::Text),
        ("format", 6, Form::Text),
        ("pattern", 16, Form::Text),
        ("uniqueItems", 19, Form::Flag),
        ("enum", 20, Form::Each(&Form::Any)),
    ],
    extensions: 22,
    others: None,
};

static SCHEMA: Form = Form::Message(&SCHEMA_FIELDS);

/// Either a schema, or whether anything may be there.
fn additional(value: &Value) -> &'static Form {
    if value.is_boolean() { &ANYTHING } else { &ADDITIONAL }
}

static ANYTHING: Form = Form::Within(2, &Form::Flag);
static ADDITIONAL: Form = Form::Within(1, &SCHEMA);

static SCHEMA_FIELDS: Message = Message {
    fields: &[
        ("$ref", 1, Form::Text),
        ("format", 2, Form::Text),
        ("title", 3, Form::Text),
        ("description", 4, Form::Text),
        ("default", 5, Form::Any),
        ("multipleOf", 6, Form::Number),
        ("maximum", 7, Form::Number),
        ("exclusiveMaximum", 8, Form::Flag),
        ("minimum", 9, Form::Number),
        ("exclusiveMinimum", 10, Form::Flag),
        ("maxLength", 11, Form::Integer),
        ("minLength", 12, Form::Integer),
        ("pattern", 13, Form::Text),
        ("maxItems", 14, Form::Integer),
        ("minItems", 15, Form::Integer),
        ("uniqueItems", 16, Form::Flag),
        ("maxProperties", 17, Form::Integer),
        ("minProperties", 18, Form::Integer),
        ("required", 19, Form::Each(&Form::Text)),
        ("enum", 20, Form::Each(&Form::Any)),
        ("additionalProperties", 21, Form::Chosen(additional)),
        ("type", 22, Form::Within(1, &Form::Each(&Form::Text))),
        ("items", 23, Form::Within(1, &Form::Each(&SCHEMA))),
        ("allOf", 24, Form::Each(&SCHEMA)),
        ("properties", 25, Form::Within(1, &Form::Named(&SCHEMA))),
        ("example", 30, Form::Any),
    ],
    extensions: 31,
    others: None,
};

/// The bytes of a document.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put_message(&DOCUMENT, document, &mut out);
    out
}

fn put_message(message: &Message, value: &Value, out: &mut Vec<u8>) {
    let Some(members) = value.as_object() else { return };
    for (name, value) in members {
        let field = message.fields.iter().find(|(word, ..)| word == name);
        if let Some((_, number, form)) = field {
            put(*number, form, value, out);
        } else if message.extensions != 0 && name.starts_with("x-") {
            put_named(message.extensions, name, &Form::Any, value, out);
        } else if let Some((number, form)) = &message.others {
            put_named(*number, name, form, value, out);
        } else {
            debug_assert!(false, "{name} has no field");
        }
    }
}

fn put(number: u32, form: &Form, value: &Value, out: &mut Vec<u8>) {
    match form {
        Form::Text => put_bytes(number, value.as_str().unwrap_or("").as_bytes(), out),
        Form::Flag => put_number(number, value.as_bool().unwrap_or(false).into(), out),
        Form::Integer => put_number(number, value.as_i64().unwrap_or(0).cast_unsigned(), out),
        Form::Number => {
            put_tag(number, FIXED64, out);
            out.extend(value.as_f64().unwrap_or(0.0).to_le_bytes());
        }
        Form::Any => put_nested(number, out, |out| {
            put_bytes(2, format!("{value}\n").as_bytes(), out);
        }),
        Form::Message(message) => {
            put_nested(number, out, |out| put_message(message, value, out));
        }
        Form::Each(item) => match value {
            Value::Array(items) => items.iter().for_each(|one| put(number, item, one, out)),
            one => put(number, item, one, out),
        },
        Form::Within(inner, form) => put_nested(number, out, |out| put(*inner, form, value, out)),
        Form::Named(form) => {
            for (name, value) in value.as_object().into_iter().flatten() {
                put_named(number, name, form, value, out);
            }
        }
        Form::Chosen(choose) => put(number, choose(value), value, out),
    }
}

fn put_named(number: u32, name: &str, form: &Form, value: &Value, out: &mut Vec<u8>) {
    put_nested(number, out, |out| {
        put_bytes(1, name.as_bytes(), out);
        put(2, form, value, out);
    });
}

fn put_nested(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    put_bytes(number, &inner, out);
}

/// How the bytes of a field are laid out.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, BYTES, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_number(number: u32, value: u64, out: &mut Vec<u8>) {
    put_tag(number, VARINT, out);
    put_varint(value, out);
}

fn put_tag(number: u32, layout: u64, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | layout, out);
}

/// Seven bits a byte, the lowest first; all bytes but the last have the top bit set.
fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
