//! SelfSubjectReview: who am I? Answered and forgotten.

use crate::{Definition, Names, Scope, Storage, Verb};

/// SelfSubjectReview.
pub(crate) static SELF_SUBJECT_REVIEW: Definition = Definition {
    names: Names {
        group: "authentication.k8s.io",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
        ..Definition::BASE.names
    },
    ty: "authentication/v1.SelfSubjectReview",
    scope: Scope::Cluster,
    verbs: &[Verb::Create],
    storage: Storage::None,
    ..Definition::BASE
};
