//! UPDATE: a PUT of an object or of its `/status`.

use podo_api::{Status, Value, meta};

use super::{body, create, produce};
use crate::api::Api;
use crate::call::{Call, Outcome};

/// How often a name may come and go while it is being written.
const RACES_MAX: usize = 8;

pub(super) async fn update(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let write = call.options.write("UpdateOptions")?;
    let mut value = body::decode_object(call, write.field_validation)?;
    check_update(call, &mut value)?;
    produce::dedup_owners(call, &mut value, "");
    for _ in 0..RACES_MAX {
        let result = produce::rewrite(api, call, &write, &|_old| Ok(value.clone())).await;
        match result {
            Err(status) if is_missing(call, &status) && !meta::uid(&value).is_empty() => {
                return Err(produce::precondition_failed(
                    &call.target,
                    "UID",
                    meta::uid(&value),
                    "",
                ));
            }
            Err(status) if is_missing(call, &status) && may_create(call) => {}
            other => return other,
        }
        // The version is that of an object that is gone.
        let mut value = value.clone();
        meta::set(&mut value, "resourceVersion", Value::Null);
        let mut create = call.clone();
        create.verb = podo_registry::Verb::Create;
        super::authorize(api, &create)?;
        match create::create_object(api, &create, &write, value).await {
            // Somebody else has created it in between: that one is updated.
            Err(status) if status.is_already_exists() && !write.is_dry_run => {}
            other => return other,
        }
    }
    Err(Status::modified(call.target.resource(), &call.target.name))
}

/// Whether it is the object itself that is missing.
fn is_missing(call: &Call, status: &Status) -> bool {
    let plural = call.target.definition.names.plural;
    status.is_not_found() && status.details.as_ref().is_some_and(|details| details.kind == plural)
}

/// Whether a missing object is created.
fn may_create(call: &Call) -> bool {
    call.target.definition.allows_create_on_update && call.target.subresource.is_none()
}

/// The object of the body must be the one of the URL.
pub(crate) fn check_update(call: &Call, value: &mut Value) -> Result<(), Status> {
    produce::check_namespace(call, value)?;
    let (given, wanted) = (meta::name(value), &*call.target.name);
    if given.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        )));
    }
    if given != wanted {
        return Err(Status::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({wanted})"
        )));
    }
    Ok(())
}
