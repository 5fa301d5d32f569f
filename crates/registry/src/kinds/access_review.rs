//! The rules that the reviews of access share: what is asked about, and that they have no metadata of their own.

use podo_api::field::{Errors, Path, quoted};
use podo_api::schema::builtin;
use podo_api::{Value, json, names};

use super::pod::view::{at, get, list, text, texts};

/// The API group of the four kinds.
pub(super) const GROUP: &str = "authorization.k8s.io";

/// Validates what is asked about: a resource or a path, not both.
pub(super) fn attributes(review: &Value, errors: &mut Errors) {
    let (spec, path) = (at(review, "spec"), Path::new("spec"));
    let (resource, other) = (get(spec, "resourceAttributes"), get(spec, "nonResourceAttributes"));
    match (resource, other) {
        (Some(_), Some(other)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            errors.invalid_text(&path.child("nonResourceAttributes"), shown_path(other), why);
        }
        (None, None) => {
            let why =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.invalid_value(&path.child("resourceAttributes"), Value::Null, why);
        }
        _ => {}
    }
}

/// What is asked about a path, in Kubernetes' internal form.
pub(super) fn shown_path(attributes: &Value) -> String {
    let (path, verb) = (text(attributes, "path"), text(attributes, "verb"));
    format!("{{\"Path\":{},\"Verb\":{}}}", quoted(path), quoted(verb))
}

/// Validates that somebody is asked about.
pub(super) fn subject(review: &Value, errors: &mut Errors) {
    let spec = at(review, "spec");
    if text(spec, "user").is_empty() && list(spec, "groups").is_empty() {
        let why = "at least one of user or group must be specified";
        errors.invalid(&Path::new("spec").child("user"), "", why);
    }
}

/// Validates the selectors of the resource that is asked about (KEP-4601).
pub(super) fn selectors(review: &Value, errors: &mut Errors) {
    let attributes = at(at(review, "spec"), "resourceAttributes");
    let path = Path::new("spec").child("resourceAttributes");
    for field in ["fieldSelector", "labelSelector"] {
        let Some(selector) = get(attributes, field) else { continue };
        let path = path.child(field);
        let (raw, requirements) = (text(selector, "rawSelector"), list(selector, "requirements"));
        if !raw.is_empty() && !requirements.is_empty() {
            let why = "may not specified at the same time as requirements";
            errors.invalid(&path.child("rawSelector"), raw, why);
        }
        if raw.is_empty() && requirements.is_empty() {
            let why = format!("when {path} is specified, requirements or rawSelector is required");
            errors.required(&path.child("requirements"), why);
        }
        for (index, requirement) in requirements.iter().enumerate() {
            let path = path.child("requirements").index(index);
            validate_requirement(requirement, field == "labelSelector", &path, errors);
        }
    }
}

/// Operators that are not known are let through: authorizers ignore what they do not understand.
fn validate_requirement(requirement: &Value, is_label: bool, path: &Path, errors: &mut Errors) {
    let key = text(requirement, "key");
    if !is_label && key.is_empty() {
        errors.required(&path.child("key"), "must be specified");
    }
    let (count, values) = (list(requirement, "values").len(), path.child("values"));
    match text(requirement, "operator") {
        "In" | "NotIn" if count == 0 => {
            errors.required(&values, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(&values, why);
        }
        _ => {}
    }
    if is_label {
        errors.invalid_all(&path.child("key"), key, names::qualified_name(key));
        for (index, value) in texts(requirement, "values").enumerate() {
            errors.invalid_all(&values.index(index), value, names::label_value(value));
        }
    }
}

/// Validates that a review has no metadata but these fields.
pub(super) fn no_metadata(review: &Value, but: &[&str], errors: &mut Errors) {
    let metadata = at(review, "metadata");
    let is_allowed = |field: &str| field == "managedFields" || but.contains(&field);
    if metadata.as_object().into_iter().flatten().all(|(field, _)| is_allowed(field)) {
        return;
    }
    let mut shown = Vec::new();
    if let Some(ty) = builtin().get("meta/v1.ObjectMeta") {
        json::encode(metadata, ty, &mut shown);
    }
    let why = match but {
        [] => "must be empty".to_owned(),
        fields => format!("must be empty except for {}", fields.join(", ")),
    };
    errors.invalid_text(&Path::new("metadata"), String::from_utf8_lossy(&shown), why);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(review: Value, expected: &[&str]) {
        let mut errors = Errors::new();
        attributes(&review, &mut errors);
        subject(&review, &mut errors);
        selectors(&review, &mut errors);
        no_metadata(&review, &[], &mut errors);
        let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_review_asks_about_somebody_and_one_thing() {
        let resource = json!({"verb": "get", "resource": "pods"});
        check(json!({"spec": {"user": "u", "resourceAttributes": resource}}), &[]);
        check(
            json!({"metadata": {"name": "x"}, "spec": {}}),
            &[
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
                "metadata: Invalid value: {\"name\":\"x\"}: must be empty",
            ],
        );
    }

    #[test]
    fn a_selector_is_raw_or_taken_apart() {
        let review = |selector: Value| json!({"spec": {"user": "u", "resourceAttributes": {"labelSelector": selector}}});
        check(review(json!({"rawSelector": "a=b"})), &[]);
        check(
            review(json!({})),
            &[
                "spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required",
            ],
        );
        check(
            review(
                json!({"requirements": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "New"}]}),
            ),
            &[
                "spec.resourceAttributes.labelSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ],
        );
    }
}
