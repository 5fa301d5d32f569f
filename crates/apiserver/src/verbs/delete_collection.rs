//! DELETE of a collection: every object that the selectors want, each as if it were deleted alone.

use std::sync::Arc;

use podo_api::Status;

use super::delete::{DeleteRequest, delete_object};
use super::list;
use crate::api::Api;
use crate::call::{Call, List, Outcome, Target};

pub(super) async fn delete_collection(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let request = DeleteRequest::read(call)?;
    let Outcome::List(listed) = list::list(api, call).await? else {
        return Err(Status::internal("a list was expected"));
    };
    for item in &listed.items {
        let target = Target {
            name: item.name.clone(),
            namespace: item.namespace.clone(),
            ..call.target.clone()
        };
        match delete_object(api, call, &target, &request).await {
            Ok(_) => {}
            Err(status) if status.is_not_found() => {}
            Err(status) => return Err(status),
        }
    }
    let items = listed.items.iter().map(Arc::clone).collect();
    Ok(Outcome::List(List { items, ..listed }))
}
