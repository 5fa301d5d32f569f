//! The schema table: what every type of Kubernetes v1.36 is made of, as data.
//!
//! Decoding, normalisation, patches, field ownership, protobuf and OpenAPI all walk this one table. It holds facts only: names,
//! protobuf tags, Go's presence rules, list and map types, patch keys, static defaults. The built-in table is
//! `schema/v1_36.tsv`, made by `cargo xtask schema`; the schema of a custom resource is compiled into the same form.
//!
//! Not here: any rule that depends on a value (`podo-registry` has those).

mod table;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

/// The built-in types of Kubernetes v1.36.
pub fn builtin() -> &'static Schema {
    static BUILTIN: LazyLock<Schema> =
        LazyLock::new(|| table::parse(include_str!("schema/v1_36.tsv")));
    &BUILTIN
}

/// A set of types that refer to each other.
#[derive(Debug)]
pub struct Schema {
    types: Vec<Type>,
    by_name: HashMap<Cow<'static, str>, TypeId>,
}

/// A type's place in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeId(u32);

/// A struct type.
#[derive(Debug)]
pub struct Type {
    /// Group, version and name, such as `core/v1.PodSpec`.
    pub name: Cow<'static, str>,
    /// The fields in the order in which Go writes them.
    pub fields: Vec<Field>,
    by_name: Vec<u16>,
    /// The fields that are written although nobody set them.
    written_unset: Vec<u16>,
}

/// A field of a struct type, as its JSON shows it: embedded structs are flattened.
#[derive(Debug)]
pub struct Field {
    /// The JSON name.
    pub name: Cow<'static, str>,
    /// The protobuf tag; 0 for `kind` and `apiVersion`, which protobuf keeps elsewhere.
    pub tag: u16,
    /// The protobuf tags of the messages that wrap this field, outermost first: an embedded struct of Go is a message of its own.
    pub wrapper: Vec<u16>,
    /// What the value looks like.
    pub shape: Shape,
    /// When the field is written.
    pub presence: Presence,
    /// Whether OpenAPI lists the field as required.
    pub is_required: bool,
    /// How the items of a list are told apart.
    pub list: ListType,
    /// The keys that tell the items of a [`ListType::Map`] apart.
    pub keys: Vec<Cow<'static, str>>,
    /// Whether a map or struct is owned and replaced as a whole (`x-kubernetes-map-type: atomic`).
    pub is_atomic: bool,
    /// How a strategic merge patch treats the field.
    pub patch: PatchStrategy,
    /// The key by which a strategic merge patch matches list items; empty if there is none.
    pub merge_key: Cow<'static, str>,
    /// The static default as JSON text.
    pub default: Option<Cow<'static, str>>,
    /// The Go type as `encoding/json` names it in errors; empty if unknown.
    pub go_type: Cow<'static, str>,
    /// The enumeration that the value, or each of its items, is of, such as `core/v1.Protocol`; empty if there is none.
    pub enumeration: Cow<'static, str>,
}

impl Field {
    /// What the field counts as when it is not set: its default, or Go's zero value if it is a scalar that is always written.
    pub fn default_value(&self) -> Option<Value> {
        if let Some(text) = &self.default {
            return serde_json::from_str(text).ok();
        }
        match (&self.shape, self.presence) {
            (Shape::Scalar(Scalar::String), Presence::Always) => Some("".into()),
            (Shape::Scalar(Scalar::Bool), Presence::Always) => Some(false.into()),
            (Shape::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Double), Presence::Always) => {
                Some(0.into())
            }
            _ => None,
        }
    }

    /// Whether Go writes the field although nobody set it.
    fn is_written_unset(&self) -> bool {
        match self.presence {
            Presence::Pointer | Presence::OmitZero => false,
            Presence::NullablePointer | Presence::Always => true,
            Presence::OmitEmpty => matches!(
                self.shape,
                Shape::Struct(_)
                    | Shape::Scalar(
                        Scalar::Time | Scalar::MicroTime | Scalar::Quantity | Scalar::IntOrString
                    )
            ),
        }
    }
}

/// The shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A single value.
    Scalar(Scalar),
    /// A struct of the same schema.
    Struct(TypeId),
    /// A list of values of one shape.
    List(Box<Shape>),
    /// A map from strings to values of one shape.
    Map(Box<Shape>),
}

/// A value without fields of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    String,
    /// A boolean.
    Bool,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A floating-point number.
    Double,
    /// Bytes, base64 in JSON.
    Bytes,
    /// `resource.Quantity`: a number with a suffix.
    Quantity,
    /// `meta/v1.Time`: RFC 3339 to the second.
    Time,
    /// `meta/v1.MicroTime`: RFC 3339 to the microsecond.
    MicroTime,
    /// `intstr.IntOrString`.
    IntOrString,
    /// Any JSON value (`RawExtension`, `FieldsV1`, `JSON` and its kin).
    Any,
}

/// When Go writes a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A pointer: written when set, even to zero.
    Pointer,
    /// A pointer without `omitempty`: `null` when not set.
    NullablePointer,
    /// A value with `omitempty`: left out when zero, but structs are always written.
    OmitEmpty,
    /// A value without `omitempty`: always written.
    Always,
    /// A value with `omitzero`: left out when zero, structs too.
    OmitZero,
}

/// How list items are told apart (`x-kubernetes-list-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value.
    Atomic,
    /// Items are values that occur once.
    Set,
    /// Items are told apart by keys.
    Map,
}

/// How a strategic merge patch treats a field (`x-kubernetes-patch-strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchStrategy {
    /// Lists are replaced, maps merged.
    Default,
    /// Lists are merged item by item.
    Merge,
    /// Only the keys that the patch names are kept.
    RetainKeys,
    /// Lists are merged, of each item only the keys that the patch names are kept.
    MergeRetainKeys,
    /// The value is replaced.
    Replace,
}

impl Schema {
    /// A schema of these types; a name that a shape refers to and that no type has becomes an empty struct.
    fn new(types: Vec<Type>) -> Self {
        let by_name =
            types.iter().enumerate().map(|(index, ty)| (ty.name.clone(), type_id(index))).collect();
        Self { types, by_name }
    }

    /// The type of this name, such as `core/v1.Pod`.
    pub fn get(&self, name: &str) -> Option<TypeRef<'_>> {
        self.by_name.get(name).map(|&id| TypeRef { schema: self, id })
    }

    /// The type at a place of this schema.
    pub fn at(&self, id: TypeId) -> TypeRef<'_> {
        TypeRef { schema: self, id }
    }

    /// All types.
    pub fn types(&self) -> impl Iterator<Item = TypeRef<'_>> {
        (0..self.types.len()).map(|index| self.at(type_id(index)))
    }
}

fn type_id(index: usize) -> TypeId {
    TypeId(u32::try_from(index).expect("a schema has fewer than 2^32 types"))
}

impl Type {
    /// A type of these fields.
    fn new(name: Cow<'static, str>, fields: Vec<Field>) -> Self {
        let count = u16::try_from(fields.len()).expect("a type has fewer than 65,536 fields");
        let mut by_name: Vec<u16> = (0..count).collect();
        by_name.sort_by(|&a, &b| fields[usize::from(a)].name.cmp(&fields[usize::from(b)].name));
        let is_written = |index: &u16| fields[usize::from(*index)].is_written_unset();
        let written_unset = (0..count).filter(is_written).collect();
        Self { name, fields, by_name, written_unset }
    }

    /// The name without group and version, such as `PodSpec`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

/// A type together with the schema that its fields refer to.
#[derive(Debug, Clone, Copy)]
pub struct TypeRef<'a> {
    schema: &'a Schema,
    id: TypeId,
}

impl<'a> TypeRef<'a> {
    /// The type itself.
    pub fn get(self) -> &'a Type {
        &self.schema.types[self.id.0 as usize]
    }

    /// The type's fields in Go's order.
    pub fn fields(self) -> &'a [Field] {
        &self.get().fields
    }

    /// The fields that are written although nobody set them.
    pub fn fields_written_unset(self) -> impl Iterator<Item = &'a Field> {
        let ty = self.get();
        ty.written_unset.iter().map(|&index| &ty.fields[usize::from(index)])
    }

    /// The field of this JSON name. Names are case-sensitive.
    pub fn field(self, name: &str) -> Option<&'a Field> {
        self.position(name).map(|at| &self.fields()[at])
    }

    /// Where the field of this JSON name is among [`TypeRef::fields`].
    pub fn position(self, name: &str) -> Option<usize> {
        let ty = self.get();
        let at = ty
            .by_name
            .binary_search_by(|&index| (*ty.fields[usize::from(index)].name).cmp(name))
            .ok()?;
        Some(usize::from(ty.by_name[at]))
    }

    /// The schema of this type.
    pub fn schema(self) -> &'a Schema {
        self.schema
    }

    /// The struct type behind a shape of the same schema, if it is one.
    pub fn resolve(self, shape: &Shape) -> Option<TypeRef<'a>> {
        match shape {
            Shape::Struct(id) => Some(self.schema.at(*id)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
