//! Lists as answers: what stands around their items, and how an item is written in the form and encoding that was negotiated.
//!
//! Items are written of what is kept with them ([`Object`]): no tree is made of any.

use podo_api::schema::builtin;
use podo_api::{Object, Status, Value, protobuf, tree};
use podo_registry::Definition;
use serde_json::json;

use super::body::Response;
use super::negotiate::Form;
use super::render::{self, Context};
use super::stretches::{Stretches, WriteItem};
use super::table::{Table, write_partial};
use crate::call::List;
use crate::encoding::Encoding;

/// The answer to a LIST.
pub(super) fn respond(list: List, context: &Context) -> Result<Response, Status> {
    let rendering = &context.rendering;
    let stretches = match rendering.form {
        Form::Metadata(_) => return Err(not_an_object(&list)),
        Form::Whole | Form::MetadataList(_) if rendering.encoding == Encoding::Protobuf => {
            in_protobuf(list, rendering.form)?
        }
        _ => in_json(list, context),
    };
    if rendering.encoding == Encoding::Yaml || rendering.is_pretty {
        let bytes = stretches.collect::<Vec<_>>().concat();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        return Ok(render::respond(
            200,
            render::plain_bytes(&value, rendering),
            rendering.content_type(),
            context.accepts_gzip,
        ));
    }
    let (body, is_compressed) = stretches.body(context.accepts_gzip);
    Ok(render::respond_with(200, body, rendering.content_type(), is_compressed))
}

fn not_an_object(list: &List) -> Status {
    let package = render::go_package(list.definition);
    let why =
        format!("the requested object is a list (*{package}.{})", list.definition.list_kind());
    render::wrong_form("PartialObjectMetadata", &why)
}

fn metadata(list: &List) -> Value {
    let mut meta = json!({"resourceVersion": list.revision.to_string()});
    if !list.continue_token.is_empty() {
        tree::set(&mut meta, "continue", list.continue_token.as_str());
    }
    if let Some(remaining) = list.remaining {
        tree::set(&mut meta, "remainingItemCount", remaining);
    }
    meta
}

fn in_json(list: List, context: &Context) -> Stretches {
    let (definition, metadata) = (list.definition, metadata(&list));
    let head = |kind: &str, api_version: &str| {
        let head = format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":["
        );
        head.into_bytes()
    };
    let (head, write): (_, WriteItem) = match context.rendering.form {
        Form::Table(version) => {
            let Context { include, now, .. } = *context;
            let table = Table { definition, include, version, now, has_columns: true };
            (table.head(&metadata), Box::new(move |item, out| table.write_row(item, out)))
        }
        Form::Metadata(version) | Form::MetadataList(version) => (
            head("PartialObjectMetadataList", version.api_version()),
            Box::new(move |item, out| write_partial(item.metadata_json(), version, out)),
        ),
        Form::Whole => {
            (head(&definition.list_kind(), &definition.names.api_version()), Box::new(write_json))
        }
    };
    Stretches { head, items: list.items.into_iter(), write, separator: b",", tail: b"]}\n" }
}

/// An item of a typed list has no kind and version of its own.
fn write_json(item: &Object, out: &mut Vec<u8>) {
    out.push(b'{');
    out.extend_from_slice(&item.json()[item.list_prefix()..]);
}

fn in_protobuf(list: List, form: Form) -> Result<Stretches, Status> {
    const META: &str = "meta/v1.ListMeta";
    let definition = list.definition;
    let ty =
        builtin().get(META).ok_or_else(|| Status::internal(format!("no schema for {META}")))?;
    let metadata = protobuf::encode(&metadata(&list), ty).map_err(Status::internal)?;
    // The head holds the length of all: this makes the messages that are not kept yet.
    let lengths = list.items.iter().map(|item| message(definition, form, item).map(<[u8]>::len));
    let lengths = lengths.collect::<Result<Vec<_>, _>>().map_err(Status::internal)?;
    let (kind, api_version) = match form {
        Form::MetadataList(version) => {
            ("PartialObjectMetadataList".to_owned(), version.api_version().to_owned())
        }
        _ => (definition.list_kind(), definition.names.api_version()),
    };
    let head = protobuf::list_head(&api_version, &kind, &metadata, lengths.into_iter());
    Ok(Stretches {
        head,
        items: list.items.into_iter(),
        write: Box::new(move |item, out| {
            // Above it was seen that there is a message.
            protobuf::push_item(message(definition, form, item).unwrap_or_default(), out);
        }),
        separator: b"",
        tail: protobuf::LIST_TAIL,
    })
}

/// The message of an item, or of its metadata alone.
fn message<'a>(
    definition: &Definition,
    form: Form,
    item: &'a Object,
) -> Result<&'a [u8], protobuf::ProtobufError> {
    let message = item.protobuf(definition.schema())?;
    Ok(match form {
        Form::MetadataList(_) => protobuf::partial_metadata(message),
        _ => message,
    })
}

#[cfg(test)]
mod tests;
