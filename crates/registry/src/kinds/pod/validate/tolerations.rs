//! Tolerations of taints.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::check;
use super::super::view::{has, not_supported, one_of, text};

/// Checks a list of tolerations.
pub(crate) fn tolerations(tolerations: &[Value], path: &Path, errors: &mut Errors) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        let effect = text(toleration, "effect");
        if !key.is_empty() {
            check(errors, &path.child("key"), key, names::qualified_name(key));
        } else if operator != "Exists" {
            const WHY: &str = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(&path.child("operator"), operator, WHY);
        }
        if has(toleration, "tolerationSeconds") && effect != "NoExecute" {
            const WHY: &str = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(&path.child("effect"), effect, WHY);
        }
        value(text(toleration, "value"), operator, &path.child("operator"), errors);
        if !effect.is_empty() {
            const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            one_of(errors, &path.child("effect"), effect, &EFFECTS);
        }
    }
}

/// The value fits the operator. Findings are at the operator; that is upstream's.
fn value(value: &str, operator: &str, path: &Path, errors: &mut Errors) {
    match operator {
        "" | "Equal" => {
            let problems = names::label_value(value);
            if !problems.is_empty() {
                errors.invalid(path, value, problems.join(";"));
            }
        }
        "Exists" if value.is_empty() => {}
        "Exists" => errors.invalid(path, value, "value must be empty when `operator` is 'Exists'"),
        // Comparisons need the TaintTolerationComparisonOperators gate, which is off in v1.36.
        "Lt" | "Gt" => not_supported(errors, path, operator, &["Equal", "Exists", "Lt", "Gt"]),
        other => not_supported(errors, path, other, &["Equal", "Exists"]),
    }
}
