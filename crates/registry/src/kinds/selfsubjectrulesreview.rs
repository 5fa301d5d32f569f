//! SelfSubjectRulesReview: what may I do in this namespace? Answered and forgotten.

use super::access_review as review;
use crate::{Definition, Names, Scope, Storage, Verb};

/// SelfSubjectRulesReview.
pub(crate) static SELF_SUBJECT_RULES_REVIEW: Definition = Definition {
    names: Names {
        group: review::GROUP,
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
        ..Definition::BASE.names
    },
    ty: "authorization/v1.SelfSubjectRulesReview",
    scope: Scope::Cluster,
    verbs: &[Verb::Create],
    storage: Storage::None,
    ..Definition::BASE
};
