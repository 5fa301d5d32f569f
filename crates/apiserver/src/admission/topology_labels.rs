//! PodTopologyLabels: a Pod gets the zone and the region of its node as labels when it is bound (KEP-4742).

use podo_api::{Status, Value, meta, tree};
use serde_json::json;

use super::{Operation, Request};
use crate::storage;

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// A binding hands its labels on to the Pod; a Pod that is made on a node gets them at once. Labels that are there stay.
pub(super) fn admit(request: &Request<'_>, value: &mut Value) -> Result<(), Status> {
    let names = &request.definition().names;
    if (names.group, names.plural) != ("", "pods") || request.operation != Operation::Create {
        return Ok(());
    }
    let node = match request.target.subresource_name() {
        "" => tree::str_at(value, &["spec", "nodeName"]),
        "binding" if matches!(tree::str_at(value, &["target", "kind"]), "" | "Node") => {
            tree::str_at(value, &["target", "name"])
        }
        _ => "",
    };
    let Some(definition) = podo_registry::find("", "v1", "nodes").filter(|_| !node.is_empty())
    else {
        return Ok(());
    };
    let found = request.api.store.get(&storage::key(definition, "", node));
    let Some(entry) = found.map_err(|error| storage::read_failed(&error))? else { return Ok(()) };
    for label in LABELS {
        let known = entry.value.labels.iter().find(|(key, _)| **key == *label);
        if let Some((_, zone)) = known.filter(|_| meta::label(value, label).is_none()) {
            let labels = meta::of_mut(value).entry("labels").or_insert_with(|| json!({}));
            tree::set(labels, label, &**zone);
        }
    }
    Ok(())
}
