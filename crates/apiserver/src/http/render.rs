//! Writes outcomes as answers, in the encoding and form that was negotiated.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use podo_api::schema::builtin;
use podo_api::{Object, Reason, Status, Value, json, meta, protobuf, tree, yaml};
use podo_base::Timestamp;
use podo_registry::Definition;
use serde_json::json;

use super::body::{Response, full};
use super::negotiate::{Form, MetaVersion, Rendering};
use super::table::{IncludeObject, Table};
use crate::call::{Encoding, List, Outcome};

/// A body larger than this is compressed if the client accepts that (Kubernetes v1.36 `defaultGzipThresholdBytes`).
const COMPRESS_BYTES_MIN: usize = 128 * 1024;

/// What rendering needs to know beside the outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) rendering: Rendering,
    pub(crate) include: IncludeObject,
    pub(crate) accepts_gzip: bool,
    pub(crate) now: Timestamp,
}

/// The answer to a call that succeeded. A watch is not rendered here.
pub(crate) fn outcome(outcome: Outcome, context: &Context) -> Result<Response, Status> {
    let (code, bytes) = match outcome {
        Outcome::Object { code, definition, object } => {
            (code, object_bytes(definition, &object, context)?)
        }
        Outcome::Tree { code, value, ty } => (code, tree_bytes(&value, ty, &context.rendering)?),
        Outcome::List(list) => (200, list_bytes(&list, context)?),
        Outcome::Status(status) => {
            let code = if status.code == 0 { 200 } else { status.code };
            (code, status_bytes(&status, &context.rendering))
        }
        Outcome::Watch(_) => return Err(Status::internal("a watch is a stream")),
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
    let is_compressed = accepts_gzip && bytes.len() > COMPRESS_BYTES_MIN;
    let bytes = if is_compressed { compress(&bytes) } else { bytes };
    let mut response = http::Response::new(full(bytes));
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
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
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

fn plain_bytes(value: &Value, rendering: &Rendering) -> Vec<u8> {
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
        Encoding::Protobuf => tree_bytes(value, "meta/v1.PartialObjectMetadata", rendering),
        Encoding::Json | Encoding::Yaml => Ok(plain_bytes(value, rendering)),
    }
}

fn wrong_form(wanted: &str, why: &str) -> Status {
    Status::failure(Reason::NotAcceptable, format!("you requested {wanted}, but {why}"))
}

/// The Go package of a kind's internal form, which an error text shows.
fn go_package(definition: &Definition) -> &str {
    match definition.names.group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    }
}

/// An object as `PartialObjectMetadata`. The rest of it is skipped, not read.
pub(crate) fn metadata_of(object: &Object, version: MetaVersion) -> Value {
    #[derive(serde::Deserialize, Default)]
    struct Partial {
        metadata: Value,
    }
    partial(object.to::<Partial>().unwrap_or_default().metadata, version)
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

fn list_meta(list: &List) -> Value {
    let mut meta = json!({"resourceVersion": list.revision.to_string()});
    if !list.continue_token.is_empty() {
        tree::set(&mut meta, "continue", list.continue_token.as_str());
    }
    if let Some(remaining) = list.remaining {
        tree::set(&mut meta, "remainingItemCount", remaining);
    }
    meta
}

fn list_bytes(list: &List, context: &Context) -> Result<Vec<u8>, Status> {
    let rendering = &context.rendering;
    match rendering.form {
        Form::Whole => whole_list(list, rendering),
        Form::Table(version) => {
            Ok(table_bytes(list.definition, version, &list.items, &list_meta(list), context))
        }
        Form::MetadataList(version) => {
            let items: Vec<Value> =
                list.items.iter().map(|item| metadata_of(item, version)).collect();
            let value = json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": version.api_version(),
                "metadata": list_meta(list),
                "items": items,
            });
            match rendering.encoding {
                Encoding::Protobuf => {
                    tree_bytes(&value, "meta/v1.PartialObjectMetadataList", rendering)
                }
                Encoding::Json | Encoding::Yaml => Ok(plain_bytes(&value, rendering)),
            }
        }
        Form::Metadata(_) => Err(wrong_form(
            "PartialObjectMetadata",
            &format!(
                "the requested object is a list (*{}.{})",
                go_package(list.definition),
                list.definition.list_kind()
            ),
        )),
    }
}

fn whole_list(list: &List, rendering: &Rendering) -> Result<Vec<u8>, Status> {
    let definition = list.definition;
    let head = json!({
        "kind": definition.list_kind(),
        "apiVersion": definition.names.api_version(),
        "metadata": list_meta(list),
    });
    if rendering.encoding == Encoding::Json && !rendering.is_pretty {
        let head = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{}",
            definition.list_kind(),
            definition.names.api_version(),
            head["metadata"]
        );
        let size: usize = list.items.iter().map(|item| item.json().len()).sum();
        let mut out = Vec::with_capacity(size + 256);
        json::encode_list(
            head.as_bytes(),
            list.items.iter().map(|item| &item.json()[item.list_prefix()..]),
            &mut out,
        );
        out.push(b'\n');
        return Ok(out);
    }
    if rendering.encoding == Encoding::Protobuf {
        return protobuf_list(list);
    }
    let mut value = head;
    let items: Vec<Value> = list
        .items
        .iter()
        .map(|item| {
            let mut item = item.value();
            tree::set(&mut item, "kind", Value::Null);
            tree::set(&mut item, "apiVersion", Value::Null);
            item
        })
        .collect();
    tree::set(&mut value, "items", items);
    Ok(plain_bytes(&value, rendering))
}

/// An object in protobuf.
pub(crate) fn protobuf_object(
    definition: &'static Definition,
    object: &Object,
) -> Result<Vec<u8>, protobuf::ProtobufError> {
    let message = object.protobuf(definition.schema())?;
    Ok(protobuf::seal(&definition.names.api_version(), definition.names.kind, message))
}

/// A list in protobuf, of what is kept with its items: the trees of all items at once would take ten times the memory of their bytes.
fn protobuf_list(list: &List) -> Result<Vec<u8>, Status> {
    const META: &str = "meta/v1.ListMeta";
    let definition = list.definition;
    let ty =
        builtin().get(META).ok_or_else(|| Status::internal(format!("no schema for {META}")))?;
    let metadata = protobuf::encode(&list_meta(list), ty).map_err(Status::internal)?;
    let items = list.items.iter().map(|item| item.protobuf(definition.schema()));
    let items = items.collect::<Result<Vec<_>, _>>().map_err(Status::internal)?;
    let api_version = definition.names.api_version();
    Ok(protobuf::seal_list(&api_version, &definition.list_kind(), &metadata, &items))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_protobuf_is_the_message_of_the_whole_list() {
        let Some(definition) = podo_registry::find("", "v1", "configmaps") else {
            panic!("ConfigMaps are served");
        };
        let made = |name: &str| {
            let value = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"a": name}});
            Arc::new(Object::new(&value, definition.schema(), Box::default()))
        };
        let list = List {
            definition,
            items: ["x", "y"].map(made).to_vec(),
            revision: 7,
            continue_token: "more".to_owned(),
            remaining: Some(300),
        };
        let whole = json!({
            "kind": "ConfigMapList", "apiVersion": "v1", "metadata": list_meta(&list),
            "items": list.items.iter().map(|item| item.value()).collect::<Vec<_>>(),
        });
        let ty = builtin().get("core/v1.ConfigMapList").expect("known");
        let expected = protobuf::encode_object(&whole, ty).expect("encoded");
        assert_eq!(protobuf_list(&list), Ok(expected));
    }
}
