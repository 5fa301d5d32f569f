//! PriorityClass: a name for how much a Pod matters beside others.

use podo_api::field::{Errors, Path};
use podo_api::{Value, meta, tree};

use super::pod::view::{get, int, is_on, not_supported, text};
use super::resource::is_new;
use crate::metadata::IMMUTABLE;
use crate::{Column, Definition, Description, Generation, Names, Scope, table};

/// The highest value of a class that is not the system's.
const USER_VALUE_MAX: i64 = 1_000_000_000;

/// Names with this start are the system's.
const SYSTEM_PREFIX: &str = "system-";

/// The classes of the system with their values.
const SYSTEM_CLASSES: &[(&str, i64)] =
    &[("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

const TY: &str = "scheduling/v1.PriorityClass";

/// PriorityClass.
pub(crate) static PRIORITY_CLASS: Definition = Definition {
    names: Names {
        group: "scheduling.k8s.io",
        kind: "PriorityClass",
        plural: "priorityclasses",
        singular: "priorityclass",
        short: &["pc"],
        ..Definition::BASE.names
    },
    ty: TY,
    scope: Scope::Cluster,
    // The class has no spec, so its generation never grows.
    generation: Generation::Spec,
    columns: &[
        table::NAME,
        Column {
            name: "Value",
            kind: "integer",
            format: "",
            description: Description::Field(TY, "value"),
            priority: 0,
            cell: |class| value_of(class).into(),
        },
        Column {
            name: "Global-Default",
            kind: "boolean",
            format: "",
            description: Description::Field(TY, "globalDefault"),
            priority: 0,
            cell: |class| is_on(class, "globalDefault").into(),
        },
        table::AGE,
        Column {
            name: "PreemptionPolicy",
            kind: "string",
            format: "",
            description: Description::Field(TY, "preemptionPolicy"),
            priority: 0,
            cell: |class| text(class, "preemptionPolicy").into(),
        },
    ],
    default: |class| tree::set_default_pointer(class, "preemptionPolicy", "PreemptLowerPriority"),
    validate,
    validate_update,
    ..Definition::BASE
};

fn value_of(class: &Value) -> i64 {
    int(class, "value").unwrap_or(0)
}

/// Only a new class is looked at: what can go wrong later cannot be changed later.
fn validate(class: &Value, errors: &mut Errors) {
    if !is_new(class) {
        return;
    }
    if meta::name(class).starts_with(SYSTEM_PREFIX) {
        if let Some(why) = no_system_class(class) {
            let detail = format!(
                "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
            );
            errors.forbidden(&Path::new("metadata").child("name"), detail);
        }
    } else if value_of(class) > USER_VALUE_MAX {
        errors.forbidden(
            &Path::new("value"),
            format!("maximum allowed value of a user defined priority is {USER_VALUE_MAX}"),
        );
    }
    let path = Path::new("preemptionPolicy");
    match get(class, "preemptionPolicy").and_then(Value::as_str) {
        None | Some("PreemptLowerPriority" | "Never") => {}
        Some("") => errors.required(&path, ""),
        Some(policy) => {
            not_supported(errors, &path, policy, &["PreemptLowerPriority", "Never"]);
        }
    }
}

/// Why a class is not the one of the system that it is named after.
fn no_system_class(class: &Value) -> Option<String> {
    let name = meta::name(class);
    let Some((_, value)) = SYSTEM_CLASSES.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if value_of(class) != *value {
        Some(format!("value of {name} PriorityClass must be {value}"))
    } else if is_on(class, "globalDefault") {
        Some(format!("globalDefault of {name} PriorityClass must be false"))
    } else {
        None
    }
}

fn validate_update(new: &Value, old: &Value, errors: &mut Errors) {
    if value_of(new) != value_of(old) {
        errors.forbidden(&Path::new("value"), "may not be changed in an update.");
    }
    let (now, before) = (get(new, "preemptionPolicy"), get(old, "preemptionPolicy"));
    if now != before {
        let shown = now.cloned().unwrap_or_default();
        errors.invalid_value(&Path::new("preemptionPolicy"), shown, IMMUTABLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(name: &str, value: i64, expected: &str) {
        let mut errors = Errors::new();
        validate(&json!({"metadata": {"name": name}, "value": value}), &mut errors);
        let found: String = errors.iter().map(|error| error.detail.clone()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn names_of_the_system_are_for_its_own_two_classes() {
        check("system-node-critical", 2_000_001_000, "");
        check("mine", 1_000_000_000, "");
        check(
            "system-node-critical",
            1,
            "priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000",
        );
    }
}
