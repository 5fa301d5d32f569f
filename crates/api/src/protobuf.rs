//! Kubernetes' protobuf: JSON trees to wire form and back, driven by the schema table of the built-in types.
//!
//! An object on the wire is the magic `k8s\0` and an envelope (`runtime.Unknown`) that names version and kind and holds the
//! object's own message. Messages are written exactly as upstream's generated code writes them: fields by ascending tag, values
//! that are no pointers even when they are zero, maps sorted by key, embedded structs as messages of their own.
//!
//! [`encode`] takes a settled tree (see [`crate::json`]), [`decode`] returns one. Decoding is bounded and skips fields that the
//! table does not know.

mod decode;
mod encode;
mod envelope;
mod plan;
mod wire;

use serde_json::Value;

pub use decode::Limits;
pub use envelope::{
    Envelope, LIST_TAIL, WatchEvent, list_head, open, open_watch_event, push_item, seal,
    watch_event, watch_frame,
};

use crate::schema::TypeRef;

/// What every object on the wire starts with.
pub const MAGIC: [u8; 4] = *b"k8s\0";

/// Why bytes are no object. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// There are no bytes.
    #[error("empty data")]
    Empty,
    /// There is nothing after the magic.
    #[error("empty body")]
    EmptyBody,
    /// The magic is missing.
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    Magic,
    /// The bytes end too early.
    #[error("unexpected EOF")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// A length is negative.
    #[error("proto: negative length found during unmarshaling")]
    NegativeLength,
    /// A group ends that did not start.
    #[error("proto: unexpected end of group")]
    EndOfGroup,
    /// There is no such kind of field.
    #[error("proto: illegal wireType {wire_type}")]
    WireType {
        /// The kind.
        wire_type: u64,
    },
    /// A field is not of the kind that its type asks for.
    #[error("proto: wrong wireType = {wire_type} for field {field}")]
    FieldWireType {
        /// The kind.
        wire_type: u64,
        /// The field's name in Go.
        field: String,
    },
    /// A group ends within a message.
    #[error("proto: {type_name}: wiretype end group for non-group")]
    NoGroup {
        /// The message's type.
        type_name: &'static str,
    },
    /// A tag is zero or too large.
    #[error("proto: {type_name}: illegal tag {tag} (wire type {wire})")]
    Tag {
        /// The message's type.
        type_name: &'static str,
        /// The tag.
        tag: i32,
        /// Tag and kind as they are on the wire.
        wire: u64,
    },
    /// Messages are nested too deeply, or there are too many.
    #[error("protobuf message exceeds the limit of {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A field that holds JSON holds something else.
    #[error("field {field:?} does not hold JSON")]
    NotJson {
        /// The field's name.
        field: &'static str,
        /// Why it is none.
        #[source]
        source: JsonError,
    },
    /// The type has no protobuf form.
    #[error("type {type_name:?} has no protobuf form")]
    NoForm {
        /// The type's name.
        type_name: String,
    },
}

/// Why bytes are no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct JsonError {
    /// What is wrong.
    pub text: String,
}

/// The message of a settled tree, without envelope.
///
/// # Errors
/// [`ProtobufError::NoForm`] for types that are not built in.
pub fn encode(value: &Value, ty: TypeRef<'_>) -> Result<Vec<u8>, ProtobufError> {
    let codec = plan::codec();
    Ok(encode::message(codec, codec.message_of(ty)?, value))
}

/// A settled tree with its envelope; version and kind are those of the tree.
pub fn encode_object(value: &Value, ty: TypeRef<'_>) -> Result<Vec<u8>, ProtobufError> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("");
    let raw = encode(value, ty)?;
    Ok(seal(text("apiVersion"), text("kind"), &raw))
}

/// A `PartialObjectMetadata`, which is nothing but metadata, with its envelope; version and kind are those of the tree.
pub fn encode_partial_metadata(value: &Value) -> Result<Vec<u8>, ProtobufError> {
    let ty = object_meta()?;
    let metadata = encode(value.get("metadata").unwrap_or(&Value::Null), ty)?;
    let mut writer = wire::Writer::new();
    writer.message(1, &metadata);
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("");
    Ok(seal(text("apiVersion"), text("kind"), &writer.finish()))
}

/// The message of the `PartialObjectMetadata` of an object whose message is given: its first field, and nothing else.
pub fn partial_metadata(message: &[u8]) -> &[u8] {
    let mut rest = wire::Reader::new(message);
    match rest.field("ObjectMeta") {
        Ok((1, _)) => &message[..message.len() - rest.len()],
        _ => &[],
    }
}

fn object_meta() -> Result<TypeRef<'static>, ProtobufError> {
    let type_name = "meta/v1.ObjectMeta";
    let missing = || ProtobufError::NoForm { type_name: type_name.to_owned() };
    crate::schema::builtin().get(type_name).ok_or_else(missing)
}

/// The settled tree of a message without envelope.
pub fn decode(raw: &[u8], ty: TypeRef<'_>, limits: Limits) -> Result<Value, ProtobufError> {
    let codec = plan::codec();
    decode::message(codec, codec.message_of(ty)?, raw, limits)
}

/// The settled tree of an object with its envelope, whose version and kind it bears.
pub fn decode_object(
    bytes: &[u8],
    ty: TypeRef<'_>,
    limits: Limits,
) -> Result<Value, ProtobufError> {
    let envelope = open(bytes)?;
    let mut value = decode(&envelope.raw, ty, limits)?;
    if let Value::Object(map) = &mut value {
        for (name, text) in [("apiVersion", &envelope.api_version), ("kind", &envelope.kind)] {
            if !text.is_empty() && ty.field(name).is_some() {
                map.insert(name.to_owned(), Value::from(text.as_str()));
            }
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
