//! Reviews: questions about users and what they may do, answered and forgotten; and the tokens of service accounts.
//!
//! Not here: the answers themselves, which are [`crate::authz`]'s and [`crate::token`]'s.

mod access;
mod token_request;

#[cfg(test)]
mod tests;

use podo_api::{Status, Value, json as wire, managed_fields, meta, tree};
use serde_json::{Map, json};

use crate::api::Api;
use crate::authz::Rule;
use crate::call::{Call, Outcome};
use crate::user::User;
use crate::verbs::{check_namespace, decode_object};

pub(crate) use token_request::create as create_token;

/// Answers the create of a review.
#[expect(clippy::unused_async, reason = "the create of every kind is awaited where it is called")]
pub(crate) async fn review(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let write = call.options.write("CreateOptions")?;
    let mut value = decode_object(call, write.field_validation)?;
    check_namespace(call, &mut value)?;
    track(api, call, &write.manager, &mut value);
    let status = match call.target.definition.names.kind {
        "TokenReview" => token_review(api, &value)?,
        "SelfSubjectReview" => {
            meta::set(&mut value, "creationTimestamp", api.clock.now().to_rfc3339());
            json!({"userInfo": user_info(&call.user)})
        }
        "SelfSubjectRulesReview" => rules_review(api, call, &value)?,
        _ => access::review(api, call, &value)?,
    };
    tree::set(&mut value, "status", status);
    answer(value, call.target.definition.ty)
}

/// The answer to a create of something that is not kept.
fn answer(mut value: Value, ty: &'static str) -> Result<Outcome, Status> {
    let schema = podo_api::schema::builtin().get(ty);
    let schema = schema.ok_or_else(|| Status::internal(format!("the schema lacks {ty}")))?;
    wire::settle(&mut value, schema).map_err(Status::internal)?;
    Ok(Outcome::Tree { code: 201, value, ty })
}

/// Notes who sent the fields, as for an object that is kept.
fn track(api: &Api, call: &Call, manager: &str, value: &mut Value) {
    let definition = call.target.definition;
    let ((group, version, kind), ty) = match call.target.subresource {
        Some(subresource) => (subresource.kind, subresource.ty),
        None => (
            (definition.names.group, definition.names.version, definition.names.kind),
            definition.ty,
        ),
    };
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let ty = podo_api::schema::builtin().get(ty);
    let versions = managed_fields::SingleVersion { api_version: &api_version, ty, filter: None };
    let request = managed_fields::Request {
        manager: if manager.is_empty() { &call.agent } else { manager },
        api_version: &api_version,
        kind,
        subresource: call.target.subresource_name(),
        now: &api.clock.now().to_rfc3339(),
        versions: &versions,
    };
    let live = managed_fields::blank(ty, &api_version, kind);
    managed_fields::update(&live, value, &request);
}

/// A user as reviews show it.
fn user_info(user: &User) -> Value {
    let mut info = Map::new();
    info.insert("username".to_owned(), user.name.as_str().into());
    if !user.uid.is_empty() {
        info.insert("uid".to_owned(), user.uid.as_str().into());
    }
    info.insert("groups".to_owned(), json!(user.groups));
    if !user.extra.is_empty() {
        info.insert("extra".to_owned(), json!(user.extra));
    }
    info.into()
}

/// The strings of a list.
fn strings(value: &Value, path: &[&str]) -> Vec<String> {
    tree::items_at(value, path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whose token it is.
fn token_review(api: &Api, review: &Value) -> Result<Value, Status> {
    let token = tree::str_at(review, &["spec", "token"]);
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = strings(review, &["spec", "audiences"]);
    Ok(match api.tokens.authenticate(api, token, &audiences) {
        Ok(known) => {
            json!({"authenticated": true, "user": user_info(&known.user), "audiences": known.audiences})
        }
        Err(error) => json!({"error": error.in_review()}),
    })
}

/// Everything that the asking user may do in a namespace.
fn rules_review(api: &Api, call: &Call, review: &Value) -> Result<Value, Status> {
    let namespace = tree::str_at(review, &["spec", "namespace"]);
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let found = api.authorizer.rules_for(&api.store, &call.user, namespace);
    let found = found.map_err(|error| crate::storage::read_failed(&error))?;
    let of_resources = found.rules.iter().filter(|rule| !rule.resources.is_empty());
    let of_urls = found.rules.iter().filter(|rule| !rule.non_resource_urls.is_empty());
    let url_rule =
        |rule: &Rule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls});
    let resource_rule = |rule: &Rule| json!(Rule { non_resource_urls: Vec::new(), ..rule.clone() });
    let mut status = json!({
        "resourceRules": of_resources.map(resource_rule).collect::<Vec<Value>>(),
        "nonResourceRules": of_urls.map(url_rule).collect::<Vec<Value>>(),
        "incomplete": found.is_incomplete,
    });
    if !found.error.is_empty() {
        status["evaluationError"] = found.error.into();
    }
    Ok(status)
}
