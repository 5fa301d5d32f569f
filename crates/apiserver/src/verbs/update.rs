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
    produce::dedup_owners(call, &mut value);
    for _ in 0..RACES_MAX {
        let result = produce::rewrite(api, call, &write, &|_old| Ok(value.clone())).await;
        match result {
            Err(status) if status.is_not_found() && may_create(call, &status) => {}
            other => return other,
        }
        let mut create = call.clone();
        create.verb = podo_registry::Verb::Create;
        super::authorize(api, &create)?;
        match create::create_object(api, &create, &write, value.clone()).await {
            // Somebody else has created it in between: that one is updated.
            Err(status) if status.is_already_exists() && !write.is_dry_run => {}
            other => return other,
        }
    }
    Err(Status::modified(call.target.resource(), &call.target.name))
}

/// Whether a missing object is created: the kind allows it, and it is the object itself that is missing.
fn may_create(call: &Call, status: &Status) -> bool {
    let details = status.details.as_ref();
    call.target.definition.allows_create_on_update
        && call.target.subresource.is_none()
        && details.is_some_and(|details| details.kind == call.target.definition.names.plural)
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
