//! Event: something that happened to an object, for people to read. Two APIs show the same events; they are kept in the form of
//! the older one.

mod table;
mod validate;
mod view;

use podo_api::Value;

use super::pod::view::{at, text};
use crate::{Definition, Names, Selectable, Storage, name};

/// Event of the core group.
pub(crate) static EVENT: Definition = Definition {
    names: NAMES,
    ty: "core/v1.Event",
    // Only what every object's name must be: events are named after their objects, whatever these are called.
    check_name: name::path_segment,
    checks_finalizers: false,
    columns: table::COLUMNS,
    selectable: &[
        of_object("involvedObject.kind", |event| of(event, "involvedObject", "kind")),
        of_object("involvedObject.namespace", |event| of(event, "involvedObject", "namespace")),
        of_object("involvedObject.name", |event| of(event, "involvedObject", "name")),
        of_object("involvedObject.uid", |event| of(event, "involvedObject", "uid")),
        of_object("involvedObject.apiVersion", |event| of(event, "involvedObject", "apiVersion")),
        of_object("involvedObject.resourceVersion", |event| {
            of(event, "involvedObject", "resourceVersion")
        }),
        of_object("involvedObject.fieldPath", |event| of(event, "involvedObject", "fieldPath")),
        of_object("reason", |event| text(event, "reason").to_owned()),
        of_object("reportingComponent", |event| text(event, "reportingComponent").to_owned()),
        of_object("type", |event| text(event, "type").to_owned()),
        of_object("source", source),
    ],
    validate: validate::legacy,
    allows_create_on_update: true,
    ..Definition::BASE
};

const NAMES: Names = Names {
    kind: "Event",
    plural: "events",
    singular: "event",
    short: &["ev"],
    ..Definition::BASE.names
};

/// Event of its own group.
pub(crate) static EVENTS_EVENT: Definition = Definition {
    names: Names { group: "events.k8s.io", ..NAMES },
    ty: "events/v1.Event",
    storage: Storage::Shared {
        with: &EVENT,
        from_stored: view::from_stored,
        to_stored: view::to_stored,
    },
    check_name: name::dns_subdomain,
    columns: table::COLUMNS,
    selectable: &[
        of_object("regarding.kind", |event| of(event, "regarding", "kind")),
        of_object("regarding.namespace", |event| of(event, "regarding", "namespace")),
        of_object("regarding.name", |event| of(event, "regarding", "name")),
        of_object("regarding.uid", |event| of(event, "regarding", "uid")),
        of_object("regarding.apiVersion", |event| of(event, "regarding", "apiVersion")),
        of_object("regarding.resourceVersion", |event| of(event, "regarding", "resourceVersion")),
        of_object("regarding.fieldPath", |event| of(event, "regarding", "fieldPath")),
        of_object("reason", |event| text(event, "reason").to_owned()),
        of_object("reportingController", |event| text(event, "reportingController").to_owned()),
        of_object("type", |event| text(event, "type").to_owned()),
    ],
    validate: validate::strict,
    validate_update: validate::strict_update,
    allows_create_on_update: true,
    ..Definition::BASE
};

const fn of_object(label: &'static str, read: fn(&Value) -> String) -> Selectable {
    Selectable { label, read }
}

fn of(event: &Value, object: &str, field: &str) -> String {
    text(at(event, object), field).to_owned()
}

fn source(event: &Value) -> String {
    match text(at(event, "source"), "component") {
        "" => text(event, "reportingComponent").to_owned(),
        component => component.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_groups_select_by_the_same_fields_in_the_same_order() {
        let of_core = |label: &str| {
            label
                .replace("regarding.", "involvedObject.")
                .replace("reportingController", "reportingComponent")
        };
        for (own, stored) in EVENTS_EVENT.selectable.iter().zip(EVENT.selectable) {
            assert_eq!(of_core(own.label), stored.label);
        }
    }
}
