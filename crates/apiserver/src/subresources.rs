//! Subresources that are more than a part of their object, and the reviews, which are answered and forgotten.
//!
//! `/status` and `namespaces/finalize` are not here: they are updates with another policy ([`crate::verbs`]).

mod binding;
mod pod_logs;
mod stream;

use podo_api::Status;
use podo_registry::Verb;

use crate::api::Api;
use crate::call::{Call, Outcome, Target};
use crate::reviews;

pub(crate) use stream::stream;

/// Carries out a call to a subresource of its own kind; `None` if the verbs do it.
pub(crate) async fn execute(api: &Api, call: &Call) -> Option<Result<Outcome, Status>> {
    let names = &call.target.definition.names;
    match (names.group, names.plural, call.target.subresource_name(), call.verb) {
        ("", "pods", "binding", Verb::Create) => {
            Some(binding::bind(api, call, &call.target.name).await)
        }
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

/// Whether a target is answered by the node that runs it.
pub(crate) fn is_stream(target: &Target) -> bool {
    matches!(target.subresource_name(), "log" | "exec" | "attach" | "portforward")
}
