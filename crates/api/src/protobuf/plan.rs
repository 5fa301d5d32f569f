//! The schema table turned into what encoding and decoding walk: per message its fields by tag, embedded structs as messages.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::ProtobufError;
use crate::json;
use crate::schema::{self, Field, Presence, Scalar, Schema, Shape, TypeRef};

/// All messages.
pub(super) struct Codec {
    messages: Vec<Message>,
    by_name: HashMap<&'static str, usize>,
}

/// The type of a message.
pub(super) struct Message {
    pub(super) name: &'static str,
    /// By ascending tag.
    pub(super) entries: Vec<Entry>,
    /// What a tree has for fields that the wire does not have.
    pub(super) unset: Vec<(&'static str, Value)>,
}

/// A field of a message.
pub(super) struct Entry {
    pub(super) tag: u32,
    pub(super) what: What,
}

pub(super) enum What {
    Field {
        name: &'static str,
        presence: Presence,
        kind: Kind,
    },
    /// A struct that JSON flattens into its owner.
    Embedded(Vec<Entry>),
}

/// The form of a value on the wire.
pub(super) enum Kind {
    Scalar(Scalar),
    Message(usize),
    List(Box<Kind>),
    Map(Box<Kind>),
    /// A message of its own that holds nothing but a list of strings.
    Strings,
    /// One of several forms (`apiextensions` v1), each with the index of the schema's message.
    Union(Union, usize),
}

/// What a field of a JSON schema may be besides a schema.
#[derive(Clone, Copy)]
pub(super) enum Union {
    Bool,
    Array,
    Strings,
}

/// The messages of the built-in types.
pub(super) fn codec() -> &'static Codec {
    static CODEC: LazyLock<Codec> = LazyLock::new(|| Codec::new(schema::builtin()));
    &CODEC
}

impl Codec {
    fn new(schema: &'static Schema) -> Self {
        let types: Vec<TypeRef<'static>> = schema.types().collect();
        let by_name: HashMap<&'static str, usize> =
            types.iter().enumerate().map(|(index, ty)| (&*ty.get().name, index)).collect();
        let messages = types.iter().map(|&ty| message(ty, &by_name)).collect();
        Self { messages, by_name }
    }

    pub(super) fn message_of(&self, ty: TypeRef<'_>) -> Result<&Message, ProtobufError> {
        let name = &*ty.get().name;
        let index = self.by_name.get(name);
        let missing = || ProtobufError::NoForm { type_name: name.to_owned() };
        index.map(|&index| &self.messages[index]).ok_or_else(missing)
    }

    pub(super) fn at(&self, index: usize) -> &Message {
        &self.messages[index]
    }
}

fn message(ty: TypeRef<'static>, by_name: &HashMap<&'static str, usize>) -> Message {
    let mut entries = Vec::new();
    for field in ty.fields().iter().filter(|field| field.tag > 0) {
        let what = What::Field {
            name: &field.name,
            presence: field.presence,
            kind: kind(ty, field, &field.shape, by_name),
        };
        place(&mut entries, &field.wrapper, Entry { tag: u32::from(field.tag), what });
    }
    Message { name: ty.get().short_name(), entries, unset: unset(ty) }
}

/// Puts an entry into the embedded structs that wrap it, outermost first.
fn place(entries: &mut Vec<Entry>, wrapper: &[u16], entry: Entry) {
    let Some((&outer, inner)) = wrapper.split_first() else {
        let at = entries.partition_point(|other| other.tag < entry.tag);
        entries.insert(at, entry);
        return;
    };
    let tag = u32::from(outer);
    let at = entries.partition_point(|other| other.tag < tag);
    if entries.get(at).is_none_or(|other| other.tag != tag) {
        entries.insert(at, Entry { tag, what: What::Embedded(Vec::new()) });
    }
    if let What::Embedded(embedded) = &mut entries[at].what {
        place(embedded, inner, entry);
    }
}

fn kind(
    ty: TypeRef<'static>,
    field: &Field,
    shape: &Shape,
    by_name: &HashMap<&'static str, usize>,
) -> Kind {
    match shape {
        Shape::List(_) if field.go_type.ends_with(".Verbs") => Kind::Strings,
        Shape::List(item) => Kind::List(Box::new(kind(ty, field, item, by_name))),
        // Lists within maps are types of their own upstream (`ExtraValue`), hence messages.
        Shape::Map(value) if matches!(**value, Shape::List(_)) => {
            Kind::Map(Box::new(Kind::Strings))
        }
        Shape::Map(value) => Kind::Map(Box::new(kind(ty, field, value, by_name))),
        Shape::Struct(_) => {
            let target = ty.resolve(shape).map(|target| &*target.get().name);
            Kind::Message(target.and_then(|name| by_name.get(name).copied()).unwrap_or_default())
        }
        Shape::Scalar(Scalar::Any) => match union(&field.go_type) {
            Some(union) => {
                let schema = by_name.get("apiextensions/v1.JSONSchemaProps").copied();
                Kind::Union(union, schema.unwrap_or_default())
            }
            None => Kind::Scalar(Scalar::Any),
        },
        Shape::Scalar(scalar) => Kind::Scalar(*scalar),
    }
}

fn union(go_type: &str) -> Option<Union> {
    match go_type.rsplit('.').next()? {
        "JSONSchemaPropsOrBool" => Some(Union::Bool),
        "JSONSchemaPropsOrArray" => Some(Union::Array),
        "JSONSchemaDependencies" => Some(Union::Strings),
        _ => None,
    }
}

/// The fields of a settled tree of this type that nobody set.
fn unset(ty: TypeRef<'static>) -> Vec<(&'static str, Value)> {
    let mut tree = Value::Null;
    let fields = ty.fields().iter();
    match json::settle(&mut tree, ty) {
        Ok(()) => fields
            .filter_map(|field| Some((&*field.name, tree.get(&*field.name)?.clone())))
            .collect(),
        // An empty tree has nothing that could be malformed.
        Err(_) => Vec::new(),
    }
}
