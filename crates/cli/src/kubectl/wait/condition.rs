//! What `wait --for` waits for.

use serde_json::Value;

use super::super::fault::{Fault, quoted};
use super::super::print::jsonpath::JsonPath;
use super::super::value::{Look, shown};
use super::Seen;

/// A thing to wait for.
pub(super) enum Goal {
    Delete,
    Create,
    Condition { name: String, status: String },
    Field { path: JsonPath, wanted: Option<String> },
}

impl Goal {
    /// Reads the value of `--for`.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let lower = text.to_lowercase();
        if lower == "delete" {
            return Ok(Self::Delete);
        }
        if lower == "create" {
            return Ok(Self::Create);
        }
        if let Some(condition) = text.strip_prefix("condition=") {
            let (name, status) = condition.split_once('=').unwrap_or((condition, "true"));
            return Ok(Self::Condition { name: name.to_owned(), status: status.to_owned() });
        }
        if let Some(rest) = text.strip_prefix("jsonpath=") {
            let rest = rest.trim_matches('\'');
            if rest.is_empty() {
                return Err(Fault::refused("jsonpath expression cannot be empty"));
            }
            // The path may hold equal signs inside of filters: the value follows the last brace.
            let end = rest.rfind('}').map_or(0, |end| end + 1);
            let (path, wanted) = match rest[end..].find('=') {
                Some(at) => {
                    (&rest[..end + at], Some(rest[end + at + 1..].trim_matches('"').to_owned()))
                }
                None => (rest, None),
            };
            if wanted.as_deref() == Some("") {
                return Err(Fault::refused(
                    "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3",
                ));
            }
            return Ok(Self::Field { path: JsonPath::parse_relaxed(path)?, wanted });
        }
        Err(Fault::refused(format!("unrecognized condition: {}", quoted(text))))
    }

    /// What is said of an object that is as it should be.
    pub(super) fn told(&self) -> &'static str {
        match self {
            Self::Delete | Self::Create | Self::Condition { .. } | Self::Field { .. } => {
                "condition met"
            }
        }
    }

    /// Looks at an object.
    pub(super) fn judge(&self, object: &Value) -> Result<Seen, Fault> {
        let is_met = match self {
            Self::Delete | Self::Create => true,
            Self::Condition { name, status } => has_condition(object, name, status),
            Self::Field { path, wanted } => {
                let found = path.find(object, true).map_err(Fault::refused)?;
                match (found.as_slice(), wanted) {
                    ([], _) => false,
                    (_, None) => true,
                    ([one], Some(wanted)) => scalar(one)? == *wanted,
                    (_, Some(_)) => {
                        return Err(Fault::refused(
                            "given jsonpath expression matches more than one value",
                        ));
                    }
                }
            }
        };
        Ok(if is_met { Seen::Done } else { Seen::NotYet })
    }
}

fn scalar(value: &Value) -> Result<String, Fault> {
    match value {
        Value::Array(_) | Value::Object(_) => {
            Err(Fault::refused("jsonpath leads to a nested object or list which is not supported"))
        }
        other => Ok(shown(other)),
    }
}

/// Whether a condition has a status; one that is about an older generation of the object does not count.
pub(super) fn has_condition(object: &Value, name: &str, status: &str) -> bool {
    let of_name = |condition: &&Value| condition.s("/type").eq_ignore_ascii_case(name);
    let Some(condition) = object.list("/status/conditions").iter().find(of_name) else {
        return false;
    };
    let generation = object.at("/metadata/generation").and_then(Value::as_i64);
    let observed = condition
        .at("/observedGeneration")
        .or(object.at("/status/observedGeneration"))
        .and_then(Value::as_i64);
    if let (Some(generation), Some(observed)) = (generation, observed)
        && observed < generation
    {
        return false;
    }
    condition.s("/status").eq_ignore_ascii_case(status)
}
