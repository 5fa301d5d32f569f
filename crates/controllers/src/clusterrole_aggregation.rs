//! ClusterRole aggregation: a ClusterRole with an `aggregationRule` has the rules of the ClusterRoles that it selects.
//!
//! Reads     ClusterRoles.
//! Writes    the rules of those with an aggregation rule (patch).
//! Wakes on  a change to any ClusterRole.

use std::sync::Arc;

use podo_api::k8s_openapi::api::rbac::v1::ClusterRole;
use podo_api::selector::label;
use podo_api::{Status, Value, meta, tree};
use podo_base::Tasks;
use podo_client::informer::{self, Cache, Key};
use podo_client::queue::Queue;
use podo_client::runner::{self, Next};
use podo_client::transport::PatchKind;
use podo_client::{Client, Query};
use serde_json::json;

use crate::Context;

pub(super) fn start(context: &Context, tasks: &mut Tasks) {
    let client = (context.client)("clusterrole-aggregation-controller");
    let roles = Cache::new();
    let queue = Arc::new(Queue::new(runner::RETRY));
    let stop = tasks.stop_signal();
    let (wake, cache) = (Arc::clone(&queue), Arc::clone(&roles));
    let handler: informer::Handler = Box::new(move |_change| {
        for role in cache.list() {
            if !tree::at(&role.view(), &["aggregationRule"]).is_null() {
                wake.add((Arc::from(""), Arc::from(&*role.name)));
            }
        }
    });
    let cache = Arc::clone(&roles);
    tasks.spawn(
        "aggregation roles",
        informer::run::<ClusterRole>(
            context.manager.clone(),
            Query::default(),
            cache,
            handler,
            stop.clone(),
        ),
    );
    let reconcile = move |key: Key| reconcile(key, client.clone(), Arc::clone(&roles));
    tasks.spawn(
        "aggregation",
        runner::run("clusterrole-aggregation-controller", queue, Arc::default(), reconcile, stop),
    );
}

async fn reconcile(key: Key, client: Client, roles: Arc<Cache>) -> Result<Next, Status> {
    let Some(role) = roles.get("", &key.1) else { return Ok(Next::OnChange) };
    let value = role.view();
    if tree::at(&value, &["aggregationRule"]).is_null() {
        return Ok(Next::OnChange);
    }
    let all: Vec<Value> = roles.list().iter().map(|role| role.view()).collect();
    let rules = aggregate(&value, &all).map_err(Status::bad_request)?;
    if tree::items_at(&value, &["rules"]) == rules.as_slice() {
        return Ok(Next::OnChange);
    }
    match client
        .patch::<ClusterRole>("", &role.name, "", PatchKind::Merge, json!({"rules": rules}))
        .await
    {
        Ok(_) => Ok(Next::OnChange),
        Err(status) if status.is_not_found() => Ok(Next::OnChange),
        Err(status) => Err(status),
    }
}

/// The rules of all roles that the rule selects, by name, each once.
fn aggregate(role: &Value, all: &[Value]) -> Result<Vec<Value>, String> {
    let mut rules: Vec<Value> = Vec::new();
    for selector in tree::items_at(role, &["aggregationRule", "clusterRoleSelectors"]) {
        let selector =
            label::Selector::from_value(Some(selector)).map_err(|error| error.to_string())?;
        for other in all.iter().filter(|other| meta::name(other) != meta::name(role)) {
            if !selector.matches(|key| meta::label(other, key)) {
                continue;
            }
            for rule in tree::items_at(other, &["rules"]) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_selected_roles_are_collected_once() {
        let role = |name: &str, label: &str, verb: &str| json!({"metadata": {"name": name, "labels": {"to": label}}, "rules": [{"verbs": [verb]}]});
        let all = [
            role("a", "x", "get"),
            role("b", "y", "list"),
            role("c", "x", "get"),
            role("d", "x", "watch"),
        ];
        let sum = json!({"metadata": {"name": "sum"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "x"}}]}});
        let rules = aggregate(&sum, &all).expect("valid");
        assert_eq!(rules, [json!({"verbs": ["get"]}), json!({"verbs": ["watch"]})]);
    }
}
