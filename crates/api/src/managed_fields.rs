//! Who owns which field: `metadata.managedFields`, and the merge of server-side apply (Kubernetes v1.36, KEP-555).
//!
//! [`update`] records what a create, update or patch changed; [`apply`] merges an applied configuration into the live object and finds
//! conflicts. Both walk settled trees by the schema table. [`FieldSet`] is the set of fields that an entry holds, [`scale`] maps the
//! entries of an object to its `scale` and back.
//!
//! Holds always
//! - A client's malformed entries never fail an update: those of the live object stand then.
//! - Recording never fails a write: what the schema cannot place leaves the entries as they were.
//!
//! Not here: the clock (the caller says what time it is), conversion between versions ([`Versions`]), defaults.

mod apply;
mod compare;
mod conflict;
mod entries;
mod field_set;
mod fields_v1;
mod filter;
mod leaves;
mod merge;
mod node;
mod path;
mod reconcile;
mod remove;
pub mod scale;
mod update;
mod validate;
mod values;

pub use apply::{Applied, ApplyError, apply};
pub use compare::{Comparison, compare};
pub use conflict::{Conflict, Conflicts};
pub use entries::{DecodeError, Manager, Managers, Operation, check};
pub use field_set::FieldSet;
pub use fields_v1::FieldsError;
pub use filter::{Filter, Step};
pub use leaves::of;
pub use node::is_atomic_type;
pub use path::{Path, PathElement};
pub use update::{keep_reset, keep_times_if_unchanged, update};
pub use validate::{TypeError, TypeErrors};

use std::borrow::Cow;

use serde_json::Value;

use crate::schema::TypeRef;

/// What the recording needs to know of the versions of a kind: entries made through one version are judged in that version.
pub trait Versions {
    /// Whether a version is served. Entries made in one that is not are dropped.
    fn serves(&self, api_version: &str) -> bool;

    /// The object in another version of its kind; `None` if that version is not served.
    fn convert<'v>(&self, object: &'v Value, api_version: &str) -> Option<Cow<'v, Value>>;

    /// The type of a version that [`Self::convert`] converts to; `None` if the kind has no schema.
    fn type_of(&self, api_version: &str) -> Option<TypeRef<'_>>;

    /// The fields that the endpoint resets, and that nobody comes to own through it.
    fn filter(&self, api_version: &str) -> Option<&Filter>;
}

/// A kind with one version.
#[derive(Debug, Clone)]
pub struct SingleVersion<'a> {
    /// The version, such as `apps/v1`.
    pub api_version: &'a str,
    /// The type; `None` if the kind has no schema.
    pub ty: Option<TypeRef<'a>>,
    /// The fields that the endpoint resets.
    pub filter: Option<&'a Filter>,
}

impl Versions for SingleVersion<'_> {
    fn serves(&self, api_version: &str) -> bool {
        api_version == self.api_version
    }

    fn convert<'v>(&self, object: &'v Value, api_version: &str) -> Option<Cow<'v, Value>> {
        self.serves(api_version).then_some(Cow::Borrowed(object))
    }

    fn type_of(&self, _api_version: &str) -> Option<TypeRef<'_>> {
        self.ty
    }

    fn filter(&self, api_version: &str) -> Option<&Filter> {
        self.filter.filter(|_| self.serves(api_version))
    }
}

/// Who writes, through which endpoint, and when.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The manager; the empty one is written as `unknown`.
    pub manager: &'a str,
    /// The version of the endpoint, such as `apps/v1`.
    pub api_version: &'a str,
    /// The kind of the endpoint.
    pub kind: &'a str,
    /// The subresource of the endpoint, such as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// The time to the second, such as `2026-01-01T00:00:00Z`.
    pub now: &'a str,
    /// The versions of the kind.
    pub versions: &'a dyn Versions,
}

/// The tree of an object that nobody has set anything in: what Go writes for a new one. It is the live object of a create.
pub fn blank(ty: Option<TypeRef<'_>>, api_version: &str, kind: &str) -> Value {
    let mut blank = Value::Object(serde_json::Map::new());
    if let Some(ty) = ty {
        // A tree without scalars has none that is malformed.
        let _infallible = crate::json::settle(&mut blank, ty);
    }
    crate::tree::set(&mut blank, "apiVersion", api_version);
    crate::tree::set(&mut blank, "kind", kind);
    blank
}

#[cfg(test)]
mod tests;
