//! `namespaces/finalize`: the namespace controller's word that a namespace is empty.

use podo_api::{Status, meta, tree};

use crate::api::Api;
use crate::call::{Call, Outcome};
use crate::verbs::{check_update, decode_object, rewrite};

pub(super) async fn finalize(api: &Api, call: &Call) -> Result<Outcome, Status> {
    let write = call.options.write("UpdateOptions")?;
    let mut value = decode_object(call, write.field_validation)?;
    check_update(call, &mut value)?;
    let produced = |old: &podo_api::Value| {
        let mut new = old.clone();
        meta::copy(&mut new, &value, "resourceVersion");
        meta::copy(&mut new, &value, "uid");
        let finalizers = tree::at(&value, &["spec", "finalizers"]).clone();
        let spec = tree::as_map(&mut new).entry("spec").or_insert(podo_api::Value::Null);
        tree::set(spec, "finalizers", finalizers);
        Ok(new)
    };
    rewrite(api, call, &write, &produced).await
}
