//! TokenReview: whose token is this? Answered and forgotten.

use crate::{Definition, Names, Scope, Storage, Verb};

/// TokenReview.
pub(crate) static TOKEN_REVIEW: Definition = Definition {
    names: Names {
        group: "authentication.k8s.io",
        kind: "TokenReview",
        plural: "tokenreviews",
        singular: "tokenreview",
        ..Definition::BASE.names
    },
    ty: "authentication/v1.TokenReview",
    scope: Scope::Cluster,
    verbs: &[Verb::Create],
    storage: Storage::None,
    ..Definition::BASE
};
