//! LocalSubjectAccessReview: may this user do that in this namespace? Answered and forgotten.

use podo_api::field::{Errors, Path};
use podo_api::{Value, meta};

use super::access_review as review;
use super::pod::view::{at, get, text};
use crate::{Definition, Names, Storage, Verb};

/// LocalSubjectAccessReview.
pub(crate) static LOCAL_SUBJECT_ACCESS_REVIEW: Definition = Definition {
    names: Names {
        group: review::GROUP,
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        singular: "localsubjectaccessreview",
        ..Definition::BASE.names
    },
    ty: "authorization/v1.LocalSubjectAccessReview",
    verbs: &[Verb::Create],
    storage: Storage::None,
    validate,
    ..Definition::BASE
};

fn validate(value: &Value, errors: &mut Errors) {
    review::attributes(value, errors);
    review::subject(value, errors);
    review::selectors(value, errors);
    review::no_metadata(value, &["namespace"], errors);
    let spec = at(value, "spec");
    if let Some(attributes) = get(spec, "resourceAttributes")
        && text(attributes, "namespace") != meta::namespace(value)
    {
        let path = Path::new("spec.resourceAttributes.namespace");
        errors.invalid(&path, text(attributes, "namespace"), "must match metadata.namespace");
    }
    if let Some(attributes) = get(spec, "nonResourceAttributes") {
        let shown = review::shown_path(attributes);
        let path = Path::new("spec.nonResourceAttributes");
        errors.invalid_text(&path, shown, "disallowed on this kind of request");
    }
}
