//! When a container of its own accord is started again (KEP-5307).

use podo_api::Value;
use podo_api::field::{Errors, Path};

use super::super::view::{get, list, one_of, text};

/// The most rules that a container can have.
const RULES_MAX: usize = 20;

/// The most exit codes that a rule can name.
const CODES_MAX: usize = 255;

/// The restart policy of a container and its rules.
pub(super) fn policy(container: &Value, path: &Path, errors: &mut Errors) {
    let rules = list(container, "restartPolicyRules");
    match get(container, "restartPolicy").and_then(Value::as_str) {
        Some(policy) => {
            one_of(errors, &path.child("restartPolicy"), policy, &["Always", "Never", "OnFailure"]);
        }
        None if rules.is_empty() => return,
        None => {
            const WHY: &str = "must specify restartPolicy when restart rules are used";
            errors.required(&path.child("restartPolicy"), WHY);
        }
    }
    let path = path.child("restartPolicyRules");
    if rules.len() > RULES_MAX {
        errors.too_many(&path, rules.len(), RULES_MAX);
    }
    for (index, rule) in rules.iter().enumerate() {
        check_rule(rule, &path.index(index), errors);
    }
}

fn check_rule(rule: &Value, path: &Path, errors: &mut Errors) {
    let action = text(rule, "action");
    one_of(errors, &path.child("action"), action, &["Restart", "RestartAllContainers"]);
    let path = path.child("exitCodes");
    let Some(codes) = get(rule, "exitCodes") else {
        errors.required(&path, "must be specified");
        return;
    };
    one_of(errors, &path.child("operator"), text(codes, "operator"), &["In", "NotIn"]);
    let count = list(codes, "values").len();
    if count > CODES_MAX {
        errors.too_many(&path.child("values"), count, CODES_MAX);
    }
}
