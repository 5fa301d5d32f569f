//! Subresources that are more than a part of their object, and the reviews, which are answered and forgotten.
//!
//! `/status` and `namespaces/finalize` are not here: they are updates with another policy ([`crate::verbs`]).

mod binding;
mod eviction;
mod pod_logs;
mod proxy;
mod stream;

use podo_api::{Status, Value, tree};
use podo_registry::Verb;

use crate::api::Api;
use crate::call::{Call, Outcome, Target};
use crate::reviews;

pub(crate) use stream::{StreamRequest, stream};

/// Carries out a call to a subresource of its own kind; `None` if the verbs do it.
pub(crate) async fn execute(api: &Api, call: &Call) -> Option<Result<Outcome, Status>> {
    let names = &call.target.definition.names;
    match (names.group, names.plural, call.target.subresource_name(), call.verb) {
        ("", "pods", "binding", Verb::Create) => {
            Some(binding::bind(api, call, &call.target.name).await)
        }
        ("", "pods", "eviction", Verb::Create) => Some(eviction::evict(api, call).await),
        ("", "serviceaccounts", "token", Verb::Create) => {
            Some(reviews::create_token(api, call).await)
        }
        _ => None,
    }
}

/// Answers the create of a kind that is not kept.
pub(crate) async fn review(api: &Api, call: &Call) -> Result<Outcome, Status> {
    if call.target.definition.names.plural == "bindings" {
        return binding::bind(api, call, "").await;
    }
    reviews::review(api, call).await
}

/// Whether a target is answered by the node that runs it, or by a server in the cluster.
pub(crate) fn is_stream(target: &Target) -> bool {
    matches!(target.subresource_name(), "log" | "exec" | "attach" | "portforward" | "proxy")
}

/// Puts a condition in the place of the one of its type; when it has changed is told only where its status has.
fn set_condition(status: &mut Value, mut condition: Value) {
    let mut conditions = tree::items_at(status, &["conditions"]).to_vec();
    let text = |condition: &Value, field: &str| tree::str_at(condition, &[field]).to_owned();
    let was = conditions.iter_mut().find(|was| text(was, "type") == text(&condition, "type"));
    match was {
        Some(was) => {
            if text(was, "status") == text(&condition, "status") {
                tree::copy(&mut condition, was, "lastTransitionTime");
            }
            *was = condition;
        }
        None => conditions.push(condition),
    }
    tree::set(status, "conditions", conditions);
}
