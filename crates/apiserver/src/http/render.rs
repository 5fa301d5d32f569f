//! Writes outcomes as answers, in the encoding and form that was negotiated.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use podo_api::schema::builtin;
use podo_api::{Object, Reason, Status, Value, json, meta, protobuf, yaml};
use podo_base::Timestamp;
use podo_registry::Definition;
use serde_json::json;

use super::body::{Body, Response, full};
use super::negotiate::{Form, MetaVersion, Rendering};
use super::stretches::{STRETCH_BYTES, compressor};
use super::table::{IncludeObject, Table};
use crate::call::Outcome;
use crate::encoding::Encoding;

/// What rendering needs to know beside the outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) rendering: Rendering,
    pub(crate) include: IncludeObject,
    pub(crate) accepts_gzip: bool,
    pub(crate) now: Timestamp,
}

/// The answer to a call that succeeded. Lists ([`super::lists`]) and watches ([`super::events`]) are written elsewhere.
pub(crate) fn outcome(outcome: Outcome, context: &Context) -> Result<Response, Status> {
    let (code, bytes) = match outcome {
        Outcome::Object { code, definition, object } => {
            (code, object_bytes(definition, &object, context)?)
        }
        Outcome::Tree { code, value, ty } => (code, tree_bytes(&value, ty, &context.rendering)?),
        Outcome::Status(status) => {
            let code = if status.code == 0 { 200 } else { status.code };
            (code, status_bytes(&status, &context.rendering))
        }
        Outcome::List(_) | Outcome::Watch(_) => {
            return Err(Status::internal("a list or watch is no object"));
        }
    };
    Ok(respond(code, bytes, context.rendering.content_type(), context.accepts_gzip))
}

/// The answer to a call that failed.
pub(crate) fn failure(status: &Status, rendering: &Rendering) -> Response {
    let mut response =
        respond(status.code, status_bytes(status, rendering), rendering.content_type(), false);
    let headers = response.headers_mut();
    if status.reason() == Reason::Forbidden {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    let retry = status.retry_after_seconds();
    if retry > 0 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry));
    }
    response
}

/// An answer of these bytes.
pub(crate) fn respond(
    code: u16,
    bytes: Vec<u8>,
    content_type: &'static str,
    accepts_gzip: bool,
) -> Response {
    let is_compressed = accepts_gzip && bytes.len() > STRETCH_BYTES;
    let bytes = if is_compressed { compress(&bytes) } else { bytes };
    respond_with(code, full(bytes), content_type, is_compressed)
}

/// An answer with this body.
pub(super) fn respond_with(
    code: u16,
    body: Body,
    content_type: &'static str,
    is_compressed: bool,
) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if is_compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = compressor();
    // Writing to a vector cannot fail.
    let _infallible = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn status_bytes(status: &Status, rendering: &Rendering) -> Vec<u8> {
    let value = serde_json::to_value(status).unwrap_or_default();
    tree_bytes(&value, "meta/v1.Status", rendering).unwrap_or_else(|_| status.to_json())
}

/// A tree of a schema type in the encoding that was negotiated.
pub(crate) fn tree_bytes(
    value: &Value,
    ty: &str,
    rendering: &Rendering,
) -> Result<Vec<u8>, Status> {
    let ty = builtin().get(ty).ok_or_else(|| Status::internal(format!("no schema for {ty}")))?;
    match rendering.encoding {
        Encoding::Json => {
            let mut out = Vec::new();
            json::encode(value, ty, &mut out);
            Ok(finish_json(out, rendering.is_pretty))
        }
        Encoding::Yaml => Ok(yaml::from_json(value).into_bytes()),
        Encoding::Protobuf => protobuf::encode_object(value, ty).map_err(Status::internal),
    }
}

/// Go's encoder ends an object with a line break; the pretty form has none.
fn finish_json(mut bytes: Vec<u8>, is_pretty: bool) -> Vec<u8> {
    if is_pretty {
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        return serde_json::to_vec_pretty(&value).unwrap_or(bytes);
    }
    bytes.push(b'\n');
    bytes
}

/// A tree that no schema describes.
pub(super) fn plain_bytes(value: &Value, rendering: &Rendering) -> Vec<u8> {
    match rendering.encoding {
        Encoding::Yaml => yaml::from_json(value).into_bytes(),
        Encoding::Json | Encoding::Protobuf => {
            finish_json(serde_json::to_vec(value).unwrap_or_default(), rendering.is_pretty)
        }
    }
}

fn object_bytes(
    definition: &'static Definition,
    object: &Arc<Object>,
    context: &Context,
) -> Result<Vec<u8>, Status> {
    let rendering = &context.rendering;
    match rendering.form {
        Form::Whole => match rendering.encoding {
            Encoding::Json => {
                let mut bytes = Vec::with_capacity(object.json().len() + 1);
                bytes.extend_from_slice(object.json());
                Ok(finish_json(bytes, rendering.is_pretty))
            }
            Encoding::Yaml => Ok(yaml::from_json(&object.value()).into_bytes()),
            Encoding::Protobuf => protobuf_object(definition, object).map_err(Status::internal),
        },
        Form::Table(version) => {
            let metadata = json!({"resourceVersion": object.resource_version.to_string()});
            let objects = std::slice::from_ref(object);
            Ok(table_bytes(definition, version, objects, &metadata, context))
        }
        Form::Metadata(version) => metadata_bytes(&metadata_of(object, version), rendering),
        Form::MetadataList(_) => Err(wrong_form(
            "PartialObjectMetadataList",
            &format!(
                "the requested object is not a list (*{}.{})",
                go_package(definition),
                definition.names.kind
            ),
        )),
    }
}

fn table_bytes(
    definition: &'static Definition,
    version: MetaVersion,
    objects: &[Arc<Object>],
    metadata: &Value,
    context: &Context,
) -> Vec<u8> {
    let Context { rendering, include, now, .. } = *context;
    let table = Table { definition, include, version, now, has_columns: true };
    let bytes = table.to_json(objects, metadata);
    match rendering.encoding {
        Encoding::Yaml => {
            yaml::from_json(&serde_json::from_slice(&bytes).unwrap_or_default()).into_bytes()
        }
        Encoding::Json | Encoding::Protobuf => finish_json(bytes, rendering.is_pretty),
    }
}

fn metadata_bytes(value: &Value, rendering: &Rendering) -> Result<Vec<u8>, Status> {
    match rendering.encoding {
        Encoding::Protobuf => protobuf::encode_partial_metadata(value).map_err(Status::internal),
        Encoding::Json | Encoding::Yaml => Ok(plain_bytes(value, rendering)),
    }
}

/// 406: what was asked for has no such form.
pub(super) fn wrong_form(wanted: &str, why: &str) -> Status {
    Status::failure(Reason::NotAcceptable, format!("you requested {wanted}, but {why}"))
}

/// The Go package of a kind's internal form, which an error text shows.
pub(super) fn go_package(definition: &Definition) -> &str {
    match definition.names.group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    }
}

/// An object as `PartialObjectMetadata`. The rest of it is not read.
pub(crate) fn metadata_of(object: &Object, version: MetaVersion) -> Value {
    partial(serde_json::from_slice(object.metadata_json()).unwrap_or_default(), version)
}

/// Metadata as `PartialObjectMetadata`.
pub(crate) fn partial(metadata: Value, version: MetaVersion) -> Value {
    let fields = [
        ("kind", Value::from("PartialObjectMetadata")),
        ("apiVersion", Value::from(version.api_version())),
        ("metadata", metadata),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// An object in protobuf.
pub(crate) fn protobuf_object(
    definition: &'static Definition,
    object: &Object,
) -> Result<Vec<u8>, protobuf::ProtobufError> {
    let message = object.protobuf(definition.schema())?;
    Ok(protobuf::seal(&definition.names.api_version(), definition.names.kind, message))
}

/// The object of a bookmark: nothing of the kind but a version.
pub(crate) fn bookmark(
    definition: &'static Definition,
    form: Form,
    revision: u64,
    ends_initial: bool,
) -> Value {
    let mut value = json!({
        "kind": definition.names.kind,
        "apiVersion": definition.names.api_version(),
    });
    if let Form::Metadata(version) | Form::MetadataList(version) = form {
        value = json!({"kind": "PartialObjectMetadata", "apiVersion": version.api_version()});
    }
    meta::set(&mut value, "resourceVersion", revision.to_string());
    if ends_initial {
        meta::set(&mut value, "annotations", json!({"k8s.io/initial-events-end": "true"}));
    }
    if form == Form::Whole {
        // An empty object of the kind always has a normal form.
        let _infallible = json::settle(&mut value, definition.schema());
    }
    value
}

/// The bytes of a plain text answer.
pub(crate) fn text(code: u16, text: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(full(text));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
