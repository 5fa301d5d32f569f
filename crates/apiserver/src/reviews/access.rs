//! Access reviews: may somebody do something?

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podo_api::field::Errors;
use podo_api::selector::field::escape;
use podo_api::status::GroupResource;
use podo_api::{Status, Value, tree};
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
    let definition = call.target.definition;
    let mut errors = Errors::new();
    (definition.validate)(review, &mut errors);
    if !errors.is_empty() {
        return Err(Status::invalid(KIND, "", errors));
    }
    let spec = tree::at(review, &["spec"]);
    let asking;
    let user = if definition.names.kind == "SelfSubjectAccessReview" {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_asked_as_text() {
        let requirement = |key: &str, operator: &str, values: &[&str]| json!({"key": key, "operator": operator, "values": values});
        let spec = json!({"resourceAttributes": {"fieldSelector": {"requirements": [
            requirement("spec.nodeName", "In", &["a,b"]), requirement("x", "NotIn", &["y"]), requirement("z", "Exists", &[]),
        ]}}});
        assert_eq!(Asked::of(&spec).field_selector, "spec.nodeName=a\\,b,x!=y");
    }
}
