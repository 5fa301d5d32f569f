//! The verbs of the API, one file each, for every kind alike.
//!
//! [`execute`] is the way in: it authorizes and then leads to the verb. Whatever comes from a component in this process passes
//! through it; what comes by HTTP goes the same two steps, with the body read in between.

mod body;
mod create;
mod delete;
mod delete_collection;
mod get;
pub(crate) mod list;
mod patch;
mod produce;
mod tracking;
mod update;
pub(crate) mod watch;

#[cfg(test)]
mod tests;

use podo_api::Status;
use podo_registry::{Storage, Verb};

use crate::api::Api;
use crate::authz::Attributes;
use crate::authz::request_info::selected_name;
use crate::call::{Call, Outcome};
use crate::subresources;

pub(crate) use body::decode_object;
pub(crate) use delete::{DeleteRequest, delete_object};
pub(crate) use get::find;
pub(crate) use list::all_of;
pub(crate) use produce::{amend, check_namespace};

/// Authorizes a call and carries it out.
pub(crate) async fn execute(api: &Api, call: Call) -> Result<Outcome, Status> {
    authorize(api, &call)?;
    carry_out(api, call).await
}

/// Carries out a call that was authorized.
pub(crate) async fn carry_out(api: &Api, call: Call) -> Result<Outcome, Status> {
    if let Some(warning) = call.target.definition.deprecation {
        call.warnings.add(warning);
    }
    if let Some(outcome) = subresources::execute(api, &call).await {
        return outcome;
    }
    if matches!(call.target.definition.storage, Storage::None) {
        return subresources::review(api, &call).await;
    }
    match call.verb {
        Verb::Create => create::create(api, &call).await,
        Verb::Get => get::get(api, &call),
        Verb::List => list::list(api, &call).await,
        Verb::Watch => watch::watch(api, &call),
        Verb::Update => update::update(api, &call).await,
        Verb::Patch => patch::patch(api, &call).await,
        Verb::Delete => delete::delete(api, &call).await,
        Verb::DeleteCollection => delete_collection::delete_collection(api, &call).await,
    }
}

/// Whether the user of a call may do it. What the call brings does not matter.
pub(crate) fn authorize(api: &Api, call: &Call) -> Result<(), Status> {
    let target = &call.target;
    let names = &target.definition.names;
    let field_selector = call.options.get("fieldSelector").unwrap_or("");
    // Who selects one object by its name asks for that object: nodes watch theirs in this way.
    let selected =
        if target.name.is_empty() { selected_name(field_selector) } else { String::new() };
    let attributes = Attributes {
        user: &call.user,
        verb: call.verb.as_str(),
        group: names.group,
        version: names.version,
        resource: names.plural,
        subresource: target.subresource_name(),
        namespace: &target.namespace,
        name: if target.name.is_empty() { &selected } else { &target.name },
        path: "",
        field_selector,
        label_selector: call.options.get("labelSelector").unwrap_or(""),
    };
    api.authorize(&attributes).map_err(|denial| denial.status())
}
