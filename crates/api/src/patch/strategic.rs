//! Strategic merge patch: a merge patch that knows by the schema table which lists are merged item by item, and by which key.
//!
//! [`apply`] is what the server does with a patch. [`create_two_way`] and [`create_three_way`] make the patches that `kubectl apply`
//! sends, with the directives `$patch`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x` and `$retainKeys`.
//!
//! Holds always
//! - Work grows with the size of the documents (times a logarithm), not with its square: items are found by their keys, not by search.
//! - Maps are walked in the order of their keys, so that the same input gives the same error.
//!
//! Not here: what the result means. Unknown fields stay in it, and the caller reports them.

mod conflict;
mod diff;
mod lists;
mod lookup;
mod merge;

use serde_json::{Map, Value};

use self::diff::Options;
use self::lookup::Lookup;
use self::merge::Mode;
use super::{Precondition, go};
use crate::schema::TypeRef;

/// What a status the server gives a failed patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// 400, the text as message.
    BadRequest,
    /// 422, with the general text for requests in error.
    Unprocessable,
    /// 500 without a reason, the text as message.
    Internal,
}

/// Why a patch does not apply or cannot be made. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatchError {
    /// The body is not an object.
    #[error("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")]
    NotObject {
        /// What it is instead.
        kind: &'static str,
    },
    /// `$patch` holds something else than `delete`, `replace` or `merge`.
    #[error("unknown patch type: {directive} in map: {map}")]
    Directive {
        /// The directive as Go's `%s` prints it.
        directive: String,
        /// The map that holds it.
        map: String,
    },
    /// `$patch` of a document to compare is not a string.
    #[error("invalid value for special key: $patch")]
    DirectiveValue,
    /// `$patch: merge` in a list.
    #[error("merging lists cannot yet be specified in the patch")]
    MergeDirective,
    /// `$deleteFromPrimitiveList` without a field.
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    /// `$retainKeys` is no list, or does not name a key of the patch.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// `$setElementOrder` is no list or has no field.
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    /// A list of lists.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// Two directives of a three-way patch differ.
    #[error(
        "{left} and {right} are not deep equal: this may happen when calculating the 3-way diff patch"
    )]
    RetainKeysDiffer {
        /// Of the deletions.
        left: String,
        /// Of the additions.
        right: String,
    },
    /// The patch's items are not in the order that the patch asks for.
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    Order {
        /// The items of the patch.
        patch: String,
        /// The order.
        order: String,
    },
    /// An item lacks the key that tells items apart.
    #[error("map: {map} does not contain declared merge key: {key}")]
    MergeKey {
        /// The item.
        map: String,
        /// The key.
        key: String,
    },
    /// A merged list of maps without a merge key.
    #[error("cannot merge lists without merge key for {kind}")]
    NoMergeKey {
        /// Go's kind of the items.
        kind: &'static str,
    },
    /// A list mixes types.
    #[error("list element types are not identical: {lists}")]
    ItemTypes {
        /// The lists.
        lists: String,
    },
    /// No list has an item to tell the type from.
    #[error("no elements in any of the given slices")]
    NoItems,
    /// A value has another type than it must have.
    #[error("expected a {expected}, but received a {received}")]
    Type {
        /// The Go type.
        expected: &'static str,
        /// The Go type it has.
        received: &'static str,
    },
    /// The schema does not have the field.
    #[error(
        "unable to find api field in struct {owner} for the json field {}",
        crate::field::quoted(field)
    )]
    Field {
        /// The struct.
        owner: String,
        /// The field.
        field: String,
    },
    /// The schema has no fields where the patch has some.
    #[error("merging an object in json but data type is not struct, instead is: {kind}")]
    NotStruct {
        /// Go's kind of the value.
        kind: &'static str,
    },
    /// The schema has no list where the patch has one.
    #[error("expected slice or array type, but got: struct")]
    NotList,
    /// A three-way patch without overwriting met fields that others changed.
    #[error("patch:\n{patch}\nconflicts with changes made from original to current:\n{changes}\n")]
    Conflict {
        /// The patch.
        patch: String,
        /// What was changed since the last time.
        changes: String,
    },
    /// A three-way patch would change a field that must stay.
    #[error("precondition failed for: {patch}")]
    Precondition {
        /// The patch.
        patch: String,
    },
}

impl PatchError {
    /// The status that the server gives this error.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotObject { .. }
            | Self::PrimitiveList
            | Self::RetainKeys
            | Self::SetElementOrder => ErrorClass::BadRequest,
            Self::ListOfLists => ErrorClass::Unprocessable,
            _ => ErrorClass::Internal,
        }
    }

    fn merge_key(item: &Value, key: &str) -> Self {
        Self::MergeKey { map: go::text(item), key: key.to_owned() }
    }

    fn not_list(value: &Value) -> Self {
        Self::Type { expected: "[]interface {}", received: go::go_type(value) }
    }
}

/// Takes a document for a patch: it must be an object, and `null` stands for an empty one.
pub fn decode(document: Value) -> Result<Value, PatchError> {
    match document {
        Value::Object(_) => Ok(document),
        Value::Null => Ok(Value::Object(Map::new())),
        other => Err(PatchError::NotObject { kind: go::json_kind(&other) }),
    }
}

/// Applies a patch to an object of type `ty`.
///
/// Directives are taken out of `patch` on the way. If the result does not decode, the error shows what is left of it
/// ([`crate::patch::go::text`]).
pub fn apply(original: Value, patch: &mut Value, ty: TypeRef<'_>) -> Result<Value, PatchError> {
    let original = into_map(original)?;
    let Value::Object(patch) = patch else {
        return Err(PatchError::NotObject { kind: go::json_kind(patch) });
    };
    merge::merge_map(original, patch, Lookup::new(ty), Mode::SERVER).map(Value::Object)
}

/// The patch that turns `original` into `modified`.
pub fn create_two_way(
    original: &Value,
    modified: &Value,
    ty: TypeRef<'_>,
) -> Result<Value, PatchError> {
    let options = Options { sets_order: true, ..Options::default() };
    diff::diff_maps(as_map(original)?, as_map(modified)?, Lookup::new(ty), options)
        .map(Value::Object)
}

/// The patch that brings `current` to what `modified` says, and removes what `original`, the configuration applied last, said and
/// `modified` does not.
///
/// Without `overwrite` a field that others have changed since is an [`PatchError::Conflict`].
pub fn create_three_way(
    original: &Value,
    modified: &Value,
    current: &Value,
    ty: TypeRef<'_>,
    overwrite: bool,
    preconditions: &[Precondition<'_>],
) -> Result<Value, PatchError> {
    let lookup = Lookup::new(ty);
    let maps = (as_map(original)?, as_map(modified)?, as_map(current)?);
    let additions = Options { sets_order: true, ignores_deletions: true, ..Options::default() };
    let mut additions = diff::diff_maps(maps.2, maps.1, lookup, additions)?;
    let deletions = Options { sets_order: true, ignores_changes: true, ..Options::default() };
    let deletions = diff::diff_maps(maps.0, maps.1, lookup, deletions)?;
    let patch = merge::merge_map(deletions, &mut additions, lookup, Mode::CLIENT)?;
    let patch = Value::Object(patch);
    if !preconditions.iter().all(|precondition| precondition.holds(&patch)) {
        return Err(PatchError::Precondition { patch: go::text(&patch) });
    }
    if !overwrite {
        let changes = diff::diff_maps(maps.0, maps.2, lookup, Options::default())?;
        let changes = Value::Object(changes);
        if conflict::conflicts(&patch, &changes, lookup)? {
            return Err(PatchError::Conflict {
                patch: go::json(&patch),
                changes: go::json(&changes),
            });
        }
    }
    Ok(patch)
}

fn into_map(value: Value) -> Result<Map<String, Value>, PatchError> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(PatchError::NotObject { kind: go::json_kind(&other) }),
    }
}

fn as_map(value: &Value) -> Result<&Map<String, Value>, PatchError> {
    value.as_object().ok_or(PatchError::NotObject { kind: go::json_kind(value) })
}

#[cfg(test)]
mod tests;
