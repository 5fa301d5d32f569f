//! Compares trees as the records want it: tokens stand for texts that differ from run to run.

use std::collections::BTreeSet;

use podo_api::Value;

/// Tokens that stand for any text.
const ANY: &[&str] = &["<any>", "<age>"];

/// How `found` differs from `expected`.
pub(crate) fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut out = Vec::new();
    compare(expected, found, "", &mut out);
    out
}

fn compare(expected: &Value, found: &Value, path: &str, out: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let path = format!("{path}.{name}");
                match (left.get(name), right.get(name)) {
                    (Some(left), Some(right)) => compare(left, right, &path, out),
                    (Some(left), None) => out.push(format!("{path}: missing, expected {left}")),
                    (None, right) => {
                        let right = right.unwrap_or(&Value::Null);
                        out.push(format!("{path}: not expected: {right}"));
                    }
                }
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(left, right, &format!("{path}[{index}]"), out);
            }
        }
        (Value::String(left), Value::String(right)) if fits(left, right) => {}
        (left, right) if left == right => {}
        (left, right) => out.push(format!("{path}:\n   expected {left}\n   found    {right}")),
    }
}

/// Whether a text fits one with tokens.
fn fits(expected: &str, found: &str) -> bool {
    let Some((token, place)) = ANY.iter().find_map(|token| Some((token, expected.find(token)?)))
    else {
        return expected == found;
    };
    let (start, end) = (&expected[..place], &expected[place + token.len()..]);
    let Some(rest) = found.strip_prefix(start) else { return false };
    (0..=rest.len()).filter(|&at| rest.is_char_boundary(at)).any(|at| fits(end, &rest[at..]))
}
