//! The patch documents of the API, applied to and made from JSON trees.
//!
//! [`json`] is RFC 6902, [`merge`] is RFC 7396, [`strategic`] is the strategic merge patch that the schema table steers. Each has its
//! server side, which applies a patch, and [`merge`] and [`strategic`] also have the client side that `kubectl apply` needs.
//!
//! Holds always
//! - Trees go in and trees come out. A result may hold unknown fields and `null`s: the caller settles it and reports what is unknown.
//! - The texts of errors are those of Kubernetes v1.36, since they reach the client.
//!
//! Not here: reading bodies ([`crate::json::decode_any`]), server-side apply ([`crate::managed_fields`]).

pub mod go;
pub mod json;
pub mod merge;
pub mod strategic;
#[cfg(test)]
pub(crate) mod vectors;

use serde_json::Value;

/// What a client promises not to change by a computed patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition<'a> {
    /// A field of the object, such as `kind`.
    Field(&'a str),
    /// A field of `metadata`, such as `name`.
    Metadata(&'a str),
}

impl Precondition<'_> {
    /// Whether the patch leaves the field alone.
    fn holds(self, patch: &Value) -> bool {
        match self {
            Self::Field(name) => patch.get(name).is_none(),
            Self::Metadata(name) => {
                patch.get("metadata").is_none_or(|metadata| metadata.get(name).is_none())
            }
        }
    }
}

#[cfg(test)]
mod tests;
