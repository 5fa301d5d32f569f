//! Access reviews: may somebody do something?

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podo_api::field::{Errors, Path, shown};
use podo_api::selector::field::escape;
use podo_api::status::GroupResource;
use podo_api::{Status, Value, meta, tree};
use serde_json::json;

use super::strings;
use crate::api::Api;
use crate::authz::Attributes;
use crate::call::Call;
use crate::user::User;

/// What errors name: upstream leaves the kind out.
const KIND: GroupResource<'static> = GroupResource { group: "authorization.k8s.io", resource: "" };

/// The status of an access review.
pub(super) fn review(api: &Api, call: &Call, review: &Value) -> Result<Value, Status> {
    let kind = call.target.definition.names.kind;
    let errors = validate(kind, review);
    if !errors.is_empty() {
        return Err(Status::invalid(KIND, "", errors));
    }
    let spec = tree::at(review, &["spec"]);
    let asking;
    let user = if kind == "SelfSubjectAccessReview" {
        &*call.user
    } else {
        asking = user_of(spec);
        &asking
    };
    let decision = api.authorizer.review(&api.store, &Asked::of(spec).attributes(user));
    let mut status = json!({"allowed": decision.is_allowed});
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.into();
    }
    Ok(status)
}

fn user_of(spec: &Value) -> User {
    let extra = tree::at(spec, &["extra"]).as_object().into_iter().flatten();
    let extra: BTreeMap<String, Vec<String>> =
        extra.map(|(key, values)| (key.to_lowercase(), strings(values, &[]))).collect();
    User {
        name: tree::str_at(spec, &["user"]).to_owned(),
        uid: tree::str_at(spec, &["uid"]).to_owned(),
        groups: strings(spec, &["groups"]),
        extra,
    }
}

/// What is asked.
struct Asked<'a> {
    what: &'a Value,
    is_resource: bool,
    field_selector: String,
    label_selector: String,
}

impl<'a> Asked<'a> {
    fn of(spec: &'a Value) -> Self {
        let resource = tree::at(spec, &["resourceAttributes"]);
        let is_resource = !resource.is_null();
        let what = if is_resource { resource } else { tree::at(spec, &["nonResourceAttributes"]) };
        Self {
            what,
            is_resource,
            field_selector: selector(tree::at(resource, &["fieldSelector"]), &|value| {
                escape(value)
            }),
            label_selector: selector(tree::at(resource, &["labelSelector"]), &str::to_owned),
        }
    }

    fn attributes<'b>(&'b self, user: &'b User) -> Attributes<'b> {
        let text = |field: &str| tree::str_at(self.what, &[field]);
        if !self.is_resource {
            return Attributes { verb: text("verb"), path: text("path"), ..Attributes::path(user) };
        }
        Attributes {
            user,
            verb: text("verb"),
            group: text("group"),
            version: text("version"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            path: "",
            field_selector: &self.field_selector,
            label_selector: &self.label_selector,
        }
    }
}

/// A selector as text. Requirements that have no text are left out, which asks for more than was meant and so allows less.
fn selector(selector: &Value, escape: &dyn Fn(&str) -> String) -> String {
    let raw = tree::str_at(selector, &["rawSelector"]);
    if !raw.is_empty() {
        return raw.to_owned();
    }
    let mut text = String::new();
    for requirement in tree::items_at(selector, &["requirements"]) {
        let (key, values) =
            (tree::str_at(requirement, &["key"]), strings(requirement, &["values"]));
        let sign = match (tree::str_at(requirement, &["operator"]), values.as_slice()) {
            ("In", [_]) => "=",
            ("NotIn", [_]) => "!=",
            _ => continue,
        };
        let comma = if text.is_empty() { "" } else { "," };
        let _infallible = write!(text, "{comma}{key}{sign}{}", escape(&values[0]));
    }
    text
}

/// Kubernetes v1.36 `pkg/apis/authorization/validation`.
fn validate(kind: &str, review: &Value) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("spec");
    let spec = tree::at(review, &["spec"]);
    let (resource, other) =
        (tree::at(spec, &["resourceAttributes"]), tree::at(spec, &["nonResourceAttributes"]));
    match (resource.is_null(), other.is_null()) {
        (false, false) => errors.invalid_text(
            &path.child("nonResourceAttributes"),
            go_attributes(other),
            "cannot be specified in combination with resourceAttributes",
        ),
        (true, true) => errors.invalid_text(
            &path.child("resourceAttributes"),
            "null",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
        _ => {}
    }
    let is_self = kind == "SelfSubjectAccessReview";
    if !is_self
        && tree::str_at(spec, &["user"]).is_empty()
        && tree::items_at(spec, &["groups"]).is_empty()
    {
        errors.invalid(&path.child("user"), "", "at least one of user or group must be specified");
    }
    for field in ["fieldSelector", "labelSelector"] {
        validate_selector(
            &path.child("resourceAttributes").child(field),
            tree::at(resource, &[field]),
            &mut errors,
        );
    }
    let is_local = kind == "LocalSubjectAccessReview";
    validate_metadata(is_local, review, &mut errors);
    if is_local {
        validate_local(review, &mut errors);
    }
    errors
}

/// Attributes as Go shows their fields, which have no JSON names where they are validated.
fn go_attributes(attributes: &Value) -> String {
    let text = |field: &str| shown(&Value::from(tree::str_at(attributes, &[field])));
    format!("{{\"Path\":{},\"Verb\":{}}}", text("path"), text("verb"))
}

fn validate_selector(path: &Path, selector: &Value, errors: &mut Errors) {
    if selector.is_null() {
        return;
    }
    let raw = tree::str_at(selector, &["rawSelector"]);
    match (raw.is_empty(), tree::items_at(selector, &["requirements"]).is_empty()) {
        (false, false) => {
            errors.invalid(
                &path.child("rawSelector"),
                raw,
                "may not specified at the same time as requirements",
            );
        }
        (true, true) => errors.required(
            &path.child("requirements"),
            format!("when {path} is specified, requirements or rawSelector is required"),
        ),
        _ => {}
    }
}

/// A review is nobody's object: it has no metadata but, where it is in one, its namespace.
fn validate_metadata(is_local: bool, review: &Value, errors: &mut Errors) {
    let metadata = tree::at(review, &["metadata"]);
    let is_foreign = |field: &str| field != "managedFields" && !(is_local && field == "namespace");
    let mut fields = metadata.as_object().into_iter().flatten();
    if fields.any(|(field, value)| is_foreign(field) && !value.is_null()) {
        let what = if is_local { "must be empty except for namespace" } else { "must be empty" };
        errors.invalid_text(&Path::new("metadata"), metadata.to_string(), what);
    }
}

fn validate_local(review: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let resource = tree::at(review, &["spec", "resourceAttributes"]);
    let namespace = tree::str_at(resource, &["namespace"]);
    if !resource.is_null() && namespace != meta::namespace(review) {
        let path = path.child("resourceAttributes").child("namespace");
        errors.invalid(&path, namespace, "must match metadata.namespace");
    }
    let other = tree::at(review, &["spec", "nonResourceAttributes"]);
    if !other.is_null() {
        let path = path.child("nonResourceAttributes");
        errors.invalid_text(&path, go_attributes(other), "disallowed on this kind of request");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, review: &Value, expected: &str) {
        let errors = validate(kind, review);
        let shown = if errors.is_empty() { String::new() } else { errors.to_string() };
        assert_eq!(shown, expected, "{review}");
    }

    #[test]
    fn exactly_one_thing_is_asked_as_somebody_and_without_metadata() {
        let pods = json!({"verb": "get", "resource": "pods"});
        let root = json!({"path": "/", "verb": "get"});
        check("SelfSubjectAccessReview", &json!({"spec": {"resourceAttributes": pods}}), "");
        check(
            "SelfSubjectAccessReview",
            &json!({"spec": {}}),
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be \
             specified",
        );
        check(
            "SelfSubjectAccessReview",
            &json!({"spec": {"resourceAttributes": pods, "nonResourceAttributes": root}}),
            "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/\",\"Verb\":\"get\"}: cannot be specified in combination \
             with resourceAttributes",
        );
        check(
            "SubjectAccessReview",
            &json!({"spec": {"resourceAttributes": pods}}),
            "spec.user: Invalid value: \"\": at least one of user or group must be specified",
        );
        check(
            "SelfSubjectAccessReview",
            &json!({"metadata": {"name": "x"}, "spec": {"resourceAttributes": pods}}),
            "metadata: Invalid value: {\"name\":\"x\"}: must be empty",
        );
    }

    #[test]
    fn a_local_review_stays_in_its_namespace() {
        let review = |namespace: &str| {
            let resource = json!({"namespace": namespace, "verb": "get", "resource": "pods"});
            json!({"metadata": {"namespace": "n"}, "spec": {"user": "u", "resourceAttributes": resource}})
        };
        check("LocalSubjectAccessReview", &review("n"), "");
        check(
            "LocalSubjectAccessReview",
            &review("m"),
            "spec.resourceAttributes.namespace: Invalid value: \"m\": must match metadata.namespace",
        );
    }

    #[test]
    fn selectors_are_asked_as_text() {
        let requirement = |key: &str, operator: &str, values: &[&str]| json!({"key": key, "operator": operator, "values": values});
        let spec = json!({"resourceAttributes": {"fieldSelector": {"requirements": [
            requirement("spec.nodeName", "In", &["a,b"]), requirement("x", "NotIn", &["y"]), requirement("z", "Exists", &[]),
        ]}}});
        assert_eq!(Asked::of(&spec).field_selector, "spec.nodeName=a\\,b,x!=y");
    }
}
