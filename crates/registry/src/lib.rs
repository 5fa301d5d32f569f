//! The behaviour of every kind, one file per kind: names, scope, columns, conditional defaults, validation and strategy. Pure.
//!
//! [`KINDS`] lists them all. Not here: structure (`podo_api::schema`), and whatever looks beyond the object at hand (admission).

mod definition;
mod kinds;
pub mod metadata;
pub mod name;
pub mod table;

pub use definition::{
    Column, DefaultPropagation, Definition, Description, Generation, Names, Scope, Selectable,
    StatusPolicy, Storage, Strategy, Subresource, Verb, proxy_of, status_of,
};
pub use kinds::{KINDS, service};

/// The definition of a resource of a group and version.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Definition> {
    KINDS
        .iter()
        .find(|kind| {
            kind.names.group == group
                && kind.names.version == version
                && kind.names.plural == plural
        })
        .copied()
}

/// The definition of a kind of a group and version.
pub fn find_kind(group: &str, version: &str, kind: &str) -> Option<&'static Definition> {
    KINDS
        .iter()
        .find(|known| {
            known.names.group == group && known.names.version == version && known.names.kind == kind
        })
        .copied()
}

#[cfg(test)]
mod tests;
