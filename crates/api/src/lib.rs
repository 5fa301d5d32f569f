//! The object model of Kubernetes v1.36: objects, their schema, encodings, errors and selectors. Pure: no I/O, no clock, no lock.
//!
//! An object travels as a [`Value`] tree while a request works on it, always *settled* (see [`json`]), and as an [`Object`]
//! (canonical JSON bytes and the few facts that everybody asks for) when it is kept, listed or watched. Policy reads it through
//! the typed views of `k8s-openapi` ([`typed`]).

pub mod boolean;
pub mod duration;
pub mod field;
pub mod json;
pub mod managed_fields;
pub mod meta;
pub mod names;
pub mod object;
pub mod patch;
pub mod policy_rule;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod status;
pub mod table;
pub mod tree;
pub mod yaml;

pub use k8s_openapi;
pub use object::Object;
pub use status::{Reason, Status};

/// A JSON tree. Nothing may rely on the order of its maps.
pub use serde_json::Value;

/// The typed view of a tree.
///
/// A settled tree fits the view of its kind but for `null`s that Go writes for values nobody set, which the views read as absent.
pub fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(value)
}
