//! What the schema table says about the field that a patch goes into.

use super::PatchError;
use crate::schema::{Field, PatchStrategy, Presence, Scalar, Schema, Shape, TypeRef};

/// The type at hand: what Go's reflection would see.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lookup<'a> {
    /// A struct with fields.
    Struct(TypeRef<'a>),
    /// A struct that JSON shows as one value, by its Go name.
    Opaque(&'a str),
    /// Something else, by Go's kind.
    Other(&'static str),
}

/// How the value of a field is patched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<'a> {
    /// The type of the value, or of the items of a list.
    pub(super) inner: Lookup<'a>,
    /// Whether only the keys that the patch names are kept.
    pub(super) retains_keys: bool,
    /// Whether a list is merged.
    pub(super) merges: bool,
    /// Whether a map is replaced.
    pub(super) replaces: bool,
    /// The key by which items are matched; `None` for lists of scalars.
    pub(super) merge_key: Option<&'a str>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(ty: TypeRef<'a>) -> Self {
        Self::Struct(ty)
    }

    /// Go's kind.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Struct(_) | Self::Opaque(_) => "struct",
            Self::Other(kind) => kind,
        }
    }

    /// The rule for a map in a field.
    pub(super) fn map(self, name: &str) -> Result<Rule<'a>, PatchError> {
        let (ty, field) = self.field(name)?;
        Ok(rule(field, of_shape(&field.shape, ty.schema(), &field.go_type)))
    }

    /// The rule for a list in a field.
    pub(super) fn list(self, name: &str) -> Result<Rule<'a>, PatchError> {
        let (ty, field) = self.field(name)?;
        match &field.shape {
            Shape::List(item) if matches!(**item, Shape::List(_)) => Err(PatchError::ListOfLists),
            Shape::List(item) => Ok(rule(field, of_shape(item, ty.schema(), ""))),
            shape @ Shape::Scalar(Scalar::Bytes) => {
                Ok(rule(field, of_shape(shape, ty.schema(), "")))
            }
            shape if matches!(field.presence, Presence::Pointer | Presence::NullablePointer) => {
                Ok(rule(field, of_shape(shape, ty.schema(), &field.go_type)))
            }
            _ => Err(PatchError::NotList),
        }
    }

    fn field(self, name: &str) -> Result<(TypeRef<'a>, &'a Field), PatchError> {
        let missing =
            |owner: &str| PatchError::Field { owner: owner.to_owned(), field: name.to_owned() };
        match self {
            Self::Struct(ty) => {
                // Go falls back to a name that differs in case.
                let folded =
                    || ty.fields().iter().find(|field| field.name.eq_ignore_ascii_case(name));
                let field = ty.field(name).or_else(folded);
                Ok((ty, field.ok_or_else(|| missing(ty.get().short_name()))?))
            }
            Self::Opaque(owner) => Err(missing(owner)),
            Self::Other(kind) => Err(PatchError::NotStruct { kind }),
        }
    }
}

fn rule<'a>(field: &'a Field, inner: Lookup<'a>) -> Rule<'a> {
    use PatchStrategy::{Merge, MergeRetainKeys, Replace, RetainKeys};
    Rule {
        inner,
        retains_keys: matches!(field.patch, RetainKeys | MergeRetainKeys),
        merges: matches!(field.patch, Merge | MergeRetainKeys),
        replaces: field.patch == Replace,
        merge_key: Some(&*field.merge_key).filter(|key| !key.is_empty()),
    }
}

fn of_shape<'a>(shape: &'a Shape, schema: &'a Schema, go_type: &'a str) -> Lookup<'a> {
    let name = go_type.rsplit('.').next().unwrap_or(go_type);
    match shape {
        Shape::Struct(id) => Lookup::Struct(schema.at(*id)),
        Shape::List(_) | Shape::Scalar(Scalar::Bytes) => Lookup::Other("slice"),
        Shape::Map(_) => Lookup::Other("map"),
        Shape::Scalar(Scalar::String) => Lookup::Other("string"),
        Shape::Scalar(Scalar::Bool) => Lookup::Other("bool"),
        Shape::Scalar(Scalar::Int32) => Lookup::Other("int32"),
        Shape::Scalar(Scalar::Int64) => Lookup::Other("int64"),
        Shape::Scalar(Scalar::Double) => Lookup::Other("float64"),
        Shape::Scalar(Scalar::Quantity) => Lookup::Opaque("Quantity"),
        Shape::Scalar(Scalar::Time) => Lookup::Opaque("Time"),
        Shape::Scalar(Scalar::MicroTime) => Lookup::Opaque("MicroTime"),
        Shape::Scalar(Scalar::IntOrString) => Lookup::Opaque("IntOrString"),
        Shape::Scalar(Scalar::Any) => Lookup::Opaque(name),
    }
}
