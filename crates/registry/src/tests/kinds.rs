//! What must hold for every kind.

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::Errors;
use podo_api::json;
use podo_base::Timestamp;

use super::scenario::full_object;
use crate::{Definition, Description, KINDS, StatusPolicy, Storage};

#[test]
fn every_definition_fits_the_schema() {
    for kind in KINDS {
        let ty = kind.schema();
        let name = kind.names.kind;
        assert!(ty.field("metadata").is_some(), "{name}");
        let has_status = kind.status == StatusPolicy::Separate;
        assert_eq!(has_status, kind.subresource("status").is_some(), "{name}");
        for column in kind.columns {
            if let Description::Field(ty, field) = column.description {
                assert!(!podo_descriptions::field(ty, field).is_empty(), "{name} {ty} {field}");
            }
        }
        for strategy in kind.strategies {
            assert!(kind.subresource(strategy.subresource).is_some(), "{name}");
        }
        assert_eq!(kind.columns.is_empty(), matches!(kind.storage, Storage::None), "{name}");
    }
}

#[test]
fn no_two_kinds_have_the_same_names() {
    let mut seen = HashSet::new();
    for kind in KINDS {
        let names = &kind.names;
        assert!(seen.insert((names.group, names.version, names.plural)), "{names:?}");
        assert_eq!(names.singular, names.kind.to_lowercase(), "{names:?}");
    }
}

/// Upstream's objects with every field set pass through all code that looks at them.
#[test]
fn an_object_with_every_field_is_looked_at_without_a_panic() {
    for kind in KINDS {
        let group = match kind.names.group {
            "" => "core",
            group => group,
        };
        let file = format!("{group}.{}.{}", kind.names.version, kind.names.kind);
        let Some(bytes) =
            full_object("an_object_with_every_field_is_looked_at_without_a_panic", &file)
        else {
            continue;
        };
        look_at(kind, &bytes);
        let api_version = kind.names.api_version();
        look_at(kind, format!("{{\"apiVersion\":\"{api_version}\"}}").as_bytes());
    }
}

fn look_at(kind: &Definition, bytes: &[u8]) {
    let mut object = json::decode(bytes, kind.schema()).expect("can be read").value;
    (kind.default)(&mut object);
    settle(kind, &mut object);
    let once = object.clone();
    (kind.default)(&mut object);
    settle(kind, &mut object);
    assert_eq!(once, object, "{}: defaults are set in one go", kind.names.kind);
    let mut errors = Errors::new();
    (kind.prepare_create)(&mut object);
    (kind.validate)(&object, &mut errors);
    (kind.prepare_update)(&mut object, &once);
    (kind.validate_update)(&object, &once, &mut errors);
    (kind.prepare_status)(&mut object, &once);
    (kind.validate_status)(&object, &once, &mut errors);
    (kind.warnings)(&object, Some(&once));
    for column in kind.columns {
        (column.cell)(&object).at(Timestamp::default());
    }
    for field in kind.selectable {
        (field.read)(&object);
    }
    if let Storage::Shared { from_stored, to_stored, .. } = kind.storage {
        let mut back = once.clone();
        to_stored(&mut back);
        from_stored(&mut back);
        assert_eq!(back, once, "{}", kind.names.kind);
    }
    if let Some(hold) = kind.hold_deletion {
        hold(&mut object);
    }
}

fn settle(kind: &Definition, object: &mut Value) {
    json::settle(object, kind.schema()).expect("has the right shapes");
}
