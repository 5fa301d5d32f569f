//! Nobody grants by RBAC what it does not have itself (Kubernetes v1.36 `pkg/registry/rbac/*/policybased`).
//!
//! Who writes a role needs all that the role allows, or `escalate` on it; who writes a binding needs all that the bound role
//! allows, or `bind` on it; who writes a sum of roles needs everything. `system:masters` has all of it.

#[cfg(test)]
mod tests;

use podo_api::field::quoted;
use podo_api::{Status, Value, meta, tree};

use super::{Operation, Request};
use crate::authz::{Attributes, GROUP, MASTERS, RoleRef, Rule, go_list};
use crate::storage;

/// How many single things (one verb of one resource or URL) a role may allow that have to be compared one by one.
const PARTS_MAX: usize = 100_000;

pub(super) fn validate(
    request: &Request<'_>,
    value: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    let names = &request.definition().names;
    let is_write = matches!(request.operation, Operation::Create | Operation::Update);
    if names.group != GROUP || !is_write || request.user.is_in(MASTERS) {
        return Ok(());
    }
    if old.is_some_and(|old| is_only_for_deletion(value, old)) {
        return Ok(());
    }
    match names.plural {
        "roles" | "clusterroles" => check_role(request, value, old),
        "rolebindings" | "clusterrolebindings" => check_binding(request, value),
        _ => Ok(()),
    }
}

/// A change of owners and finalizers, by which the garbage collector deletes, grants nothing.
fn is_only_for_deletion(value: &Value, old: &Value) -> bool {
    let without = |object: &Value| {
        let mut object = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
            meta::set(&mut object, field, Value::Null);
        }
        object
    };
    let is_of_owners =
        |field| tree::at(value, &["metadata", field]) != tree::at(old, &["metadata", field]);
    (is_of_owners("ownerReferences") || is_of_owners("finalizers"))
        && without(value) == without(old)
}

fn check_role(request: &Request<'_>, value: &Value, old: Option<&Value>) -> Result<(), Status> {
    let plural = request.definition().names.plural;
    if is_allowed(request, "escalate", plural, &request.target.name) {
        return Ok(());
    }
    // Rules that cannot be read are no reason to let them pass.
    let rules: Option<Vec<Rule>> = serde_json::from_value(tree::at(value, &["rules"]).clone())
        .map_err(|error| Status::bad_request(error.to_string()))?;
    check_held(request, value, rules.unwrap_or_default())?;
    let is_sum = |role: &Value| {
        !tree::items_at(role, &["aggregationRule", "clusterRoleSelectors"]).is_empty()
    };
    if (is_sum(value) || old.is_some_and(is_sum))
        && check_held(request, value, everything()).is_err()
    {
        return Err(request
            .forbidden(value, "must have cluster-admin privileges to use the aggregationRule"));
    }
    Ok(())
}

/// What a sum of roles can come to be.
fn everything() -> Vec<Rule> {
    let all = || vec!["*".into()];
    vec![
        Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() },
        Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() },
    ]
}

fn check_binding(request: &Request<'_>, value: &Value) -> Result<(), Status> {
    let role: RoleRef = serde_json::from_value(tree::at(value, &["roleRef"]).clone())
        .map_err(|error| Status::bad_request(error.to_string()))?;
    let plural = match &*role.kind {
        "ClusterRole" => "clusterroles",
        "Role" => "roles",
        kind => {
            let why = format!("unsupported role reference kind: {}", quoted(kind));
            return Err(Status::failure(podo_api::Reason::Unknown, why));
        }
    };
    if is_allowed(request, "bind", plural, &role.name) {
        return Ok(());
    }
    let api = request.api;
    let rules = api.authorizer.rules_of_role(&api.store, &role, &request.target.namespace);
    let rules = rules.map_err(|error| storage::read_failed(&error))?;
    // Upstream names the kind that is written where it means the role that is missing.
    let rules = rules.ok_or_else(|| Status::not_found(request.target.resource(), &role.name))?;
    check_held(request, value, rules)
}

fn is_allowed(request: &Request<'_>, verb: &str, plural: &str, name: &str) -> bool {
    let attributes = Attributes {
        verb,
        group: GROUP,
        version: "v1",
        resource: plural,
        name,
        namespace: &request.target.namespace,
        ..Attributes::path(request.user)
    };
    request.api.authorize(&attributes).is_ok()
}

/// The user must have all of the rules.
fn check_held(request: &Request<'_>, value: &Value, rules: Vec<Rule>) -> Result<(), Status> {
    let (api, user) = (request.api, request.user);
    let held = api.authorizer.rules_for(&api.store, user, &request.target.namespace);
    let held = held.map_err(|error| storage::read_failed(&error))?;
    if Rule::parts_to_ask(&held.rules, &rules) > PARTS_MAX {
        let why = format!(
            "its rules allow more than {PARTS_MAX} single things, which is more than is compared with what user {} may do: write fewer of them, or \"*\"",
            quoted(&user.name)
        );
        return Err(request.forbidden(value, why));
    }
    let missing = Rule::missing(&held.rules, &rules);
    if missing.is_empty() {
        return Ok(());
    }
    let (name, groups) = (quoted(&user.name), go_list(&user.groups));
    let mut why = format!(
        "user {name} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{}",
        Rule::describe(&missing)
    );
    if !held.error.is_empty() {
        why = format!("{why}; resolution errors: [{}]", held.error);
    }
    Err(request.forbidden(value, why))
}
