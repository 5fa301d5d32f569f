//! SubjectAccessReview: may this user do that? Answered and forgotten.

use super::access_review as review;
use crate::{Definition, Names, Scope, Storage, Verb};

/// SubjectAccessReview.
pub(crate) static SUBJECT_ACCESS_REVIEW: Definition = Definition {
    names: Names {
        group: review::GROUP,
        kind: "SubjectAccessReview",
        plural: "subjectaccessreviews",
        singular: "subjectaccessreview",
        ..Definition::BASE.names
    },
    ty: "authorization/v1.SubjectAccessReview",
    scope: Scope::Cluster,
    verbs: &[Verb::Create],
    storage: Storage::None,
    validate: |value, errors| {
        review::attributes(value, errors);
        review::subject(value, errors);
        review::selectors(value, errors);
        review::no_metadata(value, &[], errors);
    },
    ..Definition::BASE
};
