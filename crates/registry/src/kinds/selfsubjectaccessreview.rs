//! SelfSubjectAccessReview: may I do that? Answered and forgotten.

use super::access_review as review;
use crate::{Definition, Names, Scope, Storage, Verb};

/// SelfSubjectAccessReview.
pub(crate) static SELF_SUBJECT_ACCESS_REVIEW: Definition = Definition {
    names: Names {
        group: review::GROUP,
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        ..Definition::BASE.names
    },
    ty: "authorization/v1.SelfSubjectAccessReview",
    scope: Scope::Cluster,
    verbs: &[Verb::Create],
    storage: Storage::None,
    validate: |value, errors| {
        review::attributes(value, errors);
        review::selectors(value, errors);
        review::no_metadata(value, &[], errors);
    },
    ..Definition::BASE
};
