//! The two forms of an event: which field of one is which of the other.

use podo_api::schema::builtin;
use podo_api::{Value, json, tree};

/// The fields that have another name: in the core group, in `events.k8s.io`.
const RENAMED: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// The form of `events.k8s.io` of a stored event.
pub(super) fn from_stored(event: &mut Value) {
    for (core, events) in RENAMED {
        rename(event, core, events);
    }
    settle(event, "events.k8s.io/v1", "events/v1.Event");
}

/// The stored form of an event of `events.k8s.io`.
pub(super) fn to_stored(event: &mut Value) {
    for (core, events) in RENAMED {
        rename(event, events, core);
    }
    settle(event, "v1", "core/v1.Event");
}

fn rename(event: &mut Value, from: &str, to: &str) {
    if let Some(value) = tree::take(event, from) {
        tree::set(event, to, value);
    }
}

fn settle(event: &mut Value, api_version: &str, ty: &str) {
    tree::set(event, "apiVersion", api_version);
    let ty = builtin().get(ty).expect("both forms are in the schema table");
    json::settle(event, ty).expect("a settled event keeps its shapes under other names");
}

/// The field of an event of either form, by its name in the core group.
pub(super) fn field<'a>(event: &'a Value, core: &str) -> &'a Value {
    let other = RENAMED.iter().find(|(name, _)| *name == core).map(|(_, other)| *other);
    match event.get(core) {
        Some(value) => value,
        None => tree::at(event, &[other.unwrap_or(core)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_survives_the_way_there_and_back() {
        let mut event = json!({
            "kind": "Event", "apiVersion": "v1", "metadata": {"name": "e", "namespace": "n"},
            "involvedObject": {"kind": "Pod", "name": "p"}, "message": "m", "count": 3,
            "source": {"component": "kubelet"}, "firstTimestamp": "2024-01-01T00:00:00Z",
            "series": {"count": 2, "lastObservedTime": "2024-01-01T00:00:00.000000Z"},
        });
        let ty = builtin().get("core/v1.Event").expect("known");
        json::settle(&mut event, ty).expect("has the right shapes");
        let mut view = event.clone();
        from_stored(&mut view);
        assert_eq!(view["apiVersion"], "events.k8s.io/v1");
        assert_eq!(view["note"], "m");
        assert_eq!(view["deprecatedLastTimestamp"], Value::Null);
        assert_eq!(field(&view, "message"), field(&event, "message"));
        to_stored(&mut view);
        assert_eq!(view, event);
    }
}
