//! OpenAPI v2: one Swagger document for all groups, for clients that do not read v3 or fall back from it.
//!
//! It is the v3 documents, said in the words of Swagger: each path and each schema is made for v3 and translated.

use std::sync::LazyLock;

use http::request::Parts;
use podo_api::Value;
use podo_registry::KINDS;
use serde_json::{Map, json};

use super::document::{Document, Packer};
use super::parts::{self, Frame, Section};
use super::{gnostic, schemas};
use crate::http::{Response, header_text, media_types, text};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// What clients call [`PROTOBUF`]. It is no valid media type, so no answer may carry it.
const PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

pub(super) static AS_JSON: LazyLock<Document> = LazyLock::new(|| Document::pack(write_json));
pub(super) static AS_PROTOBUF: LazyLock<Document> =
    LazyLock::new(|| Document::pack(write_protobuf));

/// Answers a request for the document.
pub(super) fn serve(parts: &Parts) -> Response {
    match content_type(header_text(&parts.headers, "accept")) {
        Some(JSON) => AS_JSON.answer(parts, JSON),
        Some(other) => AS_PROTOBUF.answer(parts, other),
        None => text(406, ""),
    }
}

/// The form that a client wants most.
fn content_type(accept: Option<&str>) -> Option<&'static str> {
    let accept = accept.filter(|text| !text.trim().is_empty()).unwrap_or("*/*");
    media_types(accept).into_iter().find_map(|media| match media {
        "*/*" | "application/*" | JSON => Some(JSON),
        PROTOBUF | PROTOBUF_ASKED => Some(PROTOBUF),
        _ => None,
    })
}

const FRAME: Frame = Frame {
    start: "{\"swagger\":\"2.0\",\"info\":",
    paths: ",\"paths\":{",
    schemas: "},\"definitions\":{",
    end: "}}",
};

fn write_json(packer: &mut Packer) {
    parts::write_json(packer, &FRAME, KINDS, translated);
}

/// Messages of one type that follow each other are one message, so each part is written as a document that has nothing else.
fn write_protobuf(packer: &mut Packer) {
    packer.push(&gnostic::encode(&json!({"swagger": "2.0", "info": parts::info()})));
    parts::each(KINDS, |section, name, value| {
        let part = Map::from_iter([(name, translated(section, value))]);
        let name = match section {
            Section::Paths => "paths",
            Section::Schemas => "definitions",
        };
        packer.push(&gnostic::encode(&json!({name: part})));
    });
}

fn translated(section: Section, part: Value) -> Value {
    match section {
        Section::Paths => path_item(part),
        Section::Schemas => definition(part),
    }
}

/// Replaces each member by what `change` makes of it.
fn members(value: Value, mut change: impl FnMut(&str, Value) -> Value) -> Value {
    let Value::Object(members) = value else { return value };
    members
        .into_iter()
        .map(|(key, value)| {
            let value = change(&key, value);
            (key, value)
        })
        .collect()
}

fn items(value: Value, change: impl FnMut(Value) -> Value) -> Vec<Value> {
    let Value::Array(items) = value else { return Vec::new() };
    items.into_iter().map(change).collect()
}

/// A schema in the words of Swagger, where Kubernetes tells no defaults.
pub(super) fn definition(schema: Value) -> Value {
    let Value::Object(words) = schema else { return schema };
    let mut translated = Map::new();
    for (key, value) in words {
        match key.as_str() {
            "default" => {}
            // There are no alternatives: what may be a text is one.
            "oneOf" => {
                translated.insert("type".to_owned(), "string".into());
            }
            // A reference may have members beside it, so it is not wrapped.
            "allOf" => {
                let wrapped = items(value, definition).into_iter();
                translated.extend(wrapped.filter_map(|one| one.as_object().cloned()).flatten());
            }
            "$ref" => {
                let name = value.as_str().and_then(|text| text.strip_prefix(schemas::PLACE));
                translated.insert(key, format!("#/definitions/{}", name.unwrap_or("")).into());
            }
            "properties" => {
                translated.insert(key, members(value, |_, property| definition(property)));
            }
            "items" | "additionalProperties" => {
                translated.insert(key, definition(value));
            }
            _ => {
                translated.insert(key, value);
            }
        }
    }
    translated.into()
}

fn path_item(item: Value) -> Value {
    members(item, |key, value| match key {
        "parameters" => items(value, parameter).into(),
        _ => operation(value),
    })
}

/// A parameter tells its type itself.
fn parameter(value: Value) -> Value {
    let Value::Object(mut words) = value else { return value };
    if let Some(Value::Object(schema)) = words.remove("schema") {
        words.extend(schema);
    }
    words.into()
}

/// An operation has its body among the parameters, and one list of media types for all answers.
fn operation(value: Value) -> Value {
    let Value::Object(mut words) = value else { return value };
    let mut parameters = items(words.remove("parameters").unwrap_or_default(), parameter);
    if let Some(body) = words.remove("requestBody") {
        let (media, schema) = content(&body);
        parameters.push(json!({"in": "body", "name": "body", "required": true, "schema": schema}));
        words.insert("consumes".to_owned(), media.into());
    }
    if let Some(responses) = words.remove("responses") {
        let mut produces = Vec::new();
        let responses = members(responses, |_, response| {
            if response.get("content").is_none() {
                return response;
            }
            let (media, schema) = content(&response);
            produces = media;
            json!({"description": response["description"], "schema": schema})
        });
        words.insert("responses".to_owned(), responses);
        words.insert("produces".to_owned(), produces.into());
    }
    words.insert("parameters".to_owned(), parameters.into());
    words.into()
}

/// The media types of a body, and the schema that it has in all of them.
fn content(body: &Value) -> (Vec<Value>, Value) {
    let Some(content) = body["content"].as_object() else { return (Vec::new(), Value::Null) };
    let schema = content.values().next().map(|form| definition(form["schema"].clone()));
    (content.keys().map(|media| media.as_str().into()).collect(), schema.unwrap_or_default())
}
