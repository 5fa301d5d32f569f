//! `pods/ephemeralcontainers`: adds containers to a running Pod and changes nothing else (KEP-277).

use podo_api::Value;
use podo_api::field::{Errors, Path, quoted};
use podo_api::tree;

use super::validate::{annotations, is_mirror};
use super::view::{at, list, text};
use super::{diff, internal, strategy};

/// Prepares an update (new, old): keeps everything but the ephemeral containers.
pub(crate) fn prepare(new: &mut Value, old: &Value) {
    let added = at(at(new, "spec"), "ephemeralContainers").clone();
    strategy::keep_metadata(new, old);
    for name in ["spec", "status"] {
        tree::copy(new, old, name);
    }
    let mut spec = at(new, "spec").clone();
    tree::set(&mut spec, "ephemeralContainers", added);
    tree::set(new, "spec", spec);
    strategy::drop_disabled(new, Some(old));
}

/// Validates an update (new, old), beyond the metadata and what is asked of every Pod.
pub(crate) fn validate(new: &Value, old: &Value, errors: &mut Errors) {
    if is_mirror(old) {
        *errors = Errors::new();
        errors.forbidden(&Path::root(), "static pods do not support ephemeral containers");
        return;
    }
    annotations::update(new, old, errors);
    annotations::annotations(new, errors);
    let path = Path::new("spec").child("ephemeralContainers");
    let now = list(at(new, "spec"), "ephemeralContainers");
    for before in list(at(old, "spec"), "ephemeralContainers") {
        let name = text(before, "name");
        let container = now.iter().rfind(|container| text(container, "name") == name);
        let start = format!("existing ephemeral containers {}", quoted(name));
        match container {
            None => errors.forbidden(&path, format!("{start} may not be removed\n")),
            Some(container) if container != before => {
                let [before, now] = [before, container]
                    .map(|container| internal::pretty(container, "core/v1.EphemeralContainer"));
                let difference = diff::unified(&before, &now);
                errors.forbidden(&path, format!("{start} may not be changed\n{difference}"));
            }
            Some(_) => {}
        }
    }
}
