//! `--append-hash`: a name that changes with the content.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::print::json::compact;

/// How much of the hash is appended; kubectl v1.36's number.
const LETTERS: usize = 10;

/// Puts a hash of a config map's or secret's content behind its name.
pub(super) fn append(object: &mut Value) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut content = json!({"kind": object["kind"], "name": name, "data": object.get("data").unwrap_or(&Value::Null)});
    if let Some(binary) = object.get("binaryData") {
        content["binaryData"] = binary.clone();
    }
    if object["kind"] == "Secret" {
        content["type"] = object.get("type").cloned().unwrap_or_else(|| "".into());
    }
    let hash = Sha256::digest(compact(&content));
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let letters: String = hex.chars().take(LETTERS).map(harmless).collect();
    object["metadata"]["name"] = format!("{name}-{letters}").into();
}

/// Digits and letters that could spell a word become others, as kubectl does.
fn harmless(letter: char) -> char {
    match letter {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn the_hash_is_that_of_kubectl() {
        let mut object =
            json!({"kind": "ConfigMap", "metadata": {"name": "of-real-e"}, "data": {"a": "b"}});
        super::append(&mut object);
        assert_eq!(object["metadata"]["name"], "of-real-e-26dbh7gcb8");
    }
}
