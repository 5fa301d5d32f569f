//! Labels and selectors as flags give them.

use podo_api::selector::label::{Operator, Selector};
use serde_json::{Map, Value, json};

use super::fault::{Fault, quoted};

/// `a=b,c=d`.
pub(crate) fn labels(text: &str) -> Result<Map<String, Value>, Fault> {
    let mut labels = Map::new();
    for part in text.split(',') {
        let (key, value) = part
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
            .ok_or_else(|| Fault::refused(format!("unexpected label spec: {part}")))?;
        if key.is_empty() {
            return Err(Fault::refused("unexpected empty label key"));
        }
        labels.insert(key.to_owned(), value.into());
    }
    Ok(labels)
}

/// `a=b,c=d` as a flag that takes pairs reads it: what is empty is passed over, and a value may hold anything. `None` if that is not
/// what the text is.
pub(crate) fn pairs(text: &str) -> Option<Map<String, Value>> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().into()))
    };
    text.split(',').filter(|part| !part.is_empty()).map(pair).collect()
}

/// What is to be set, and what is to be taken away.
pub(crate) type SignedPairs = (Vec<(String, String)>, Vec<String>);

/// `a=b` to set and `c-` to take away, as flags that may be repeated give them; what is wrong with them in kubectl's words.
pub(crate) fn signed_pairs(given: &[String], flag: &str) -> Result<SignedPairs, String> {
    let (mut set, mut unset, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for text in given {
        match (text.split_once('='), text.strip_suffix('-')) {
            (Some((key, value)), _) if !key.is_empty() => {
                set.retain(|(known, _)| known != key);
                set.push((key.to_owned(), value.to_owned()));
            }
            (None, Some(key)) if !key.is_empty() => unset.push(key.to_owned()),
            _ => wrong.push(text.as_str()),
        }
    }
    if wrong.is_empty() {
        set.sort();
        return Ok((set, unset));
    }
    Err(format!("invalid {flag} format: {}", wrong.join(", ")))
}

/// A selector's text as a `LabelSelector`.
pub(crate) fn label_selector(text: &str) -> Result<Value, Fault> {
    let selector = Selector::parse(text).map_err(|error| {
        Fault::refused(format!("couldn't parse the selector string {}: {error}", quoted(text)))
    })?;
    let (mut labels, mut expressions) = (Map::new(), Vec::new());
    for requirement in selector.requirements() {
        let key = requirement.key();
        let values: Vec<&str> = requirement.values().collect();
        let operator = match requirement.operator() {
            Operator::Equals | Operator::DoubleEquals => {
                labels.insert(key.to_owned(), json!(values.first()));
                continue;
            }
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            Operator::NotEquals => {
                return Err(Fault::refused("\"!=\" is not a valid label selector operator"));
            }
            Operator::GreaterThan => return Err(unsupported("gt")),
            Operator::LessThan => return Err(unsupported("lt")),
        };
        let mut expression = json!({"key": key, "operator": operator});
        if !values.is_empty() {
            expression["values"] = json!(values);
        }
        expressions.push(expression);
    }
    let mut found = json!({});
    if !labels.is_empty() {
        found["matchLabels"] = labels.into();
    }
    if !expressions.is_empty() {
        found["matchExpressions"] = expressions.into();
    }
    Ok(found)
}

fn unsupported(operator: &str) -> Fault {
    Fault::refused(format!("{} isn't supported in label selectors", quoted(operator)))
}

/// Words that name objects, and the changes after them: `KEY=VALUE` or `KEY-`.
pub(crate) fn split<'a>(
    words: &'a [String],
    what: &str,
) -> Result<(&'a [String], &'a [String]), Fault> {
    let is_change = |word: &String| {
        (word.contains('=') && !word.starts_with('=')) || (word.ends_with('-') && word != "-")
    };
    let first = words.iter().position(is_change).unwrap_or(words.len());
    let (named, changes) = words.split_at(first);
    match changes.iter().find(|word| !is_change(word)) {
        Some(word) => Err(Fault::refused(format!(
            "all resources must be specified before {what} changes: {word}"
        ))),
        None => Ok((named, changes)),
    }
}
