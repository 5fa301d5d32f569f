//! Binding: the old way to say which node runs a Pod. It is never kept; `pods/binding` takes the same.

use crate::{Definition, Names, Storage, Verb};

/// Binding.
pub(crate) static BINDING: Definition = Definition {
    names: Names {
        kind: "Binding",
        plural: "bindings",
        singular: "binding",
        ..Definition::BASE.names
    },
    ty: "core/v1.Binding",
    verbs: &[Verb::Create],
    storage: Storage::None,
    ..Definition::BASE
};
